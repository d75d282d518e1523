/*
 * tls_equip.c - our credentials and our rules for sessions that another library makes and drives. The session's pointers and transport are
 * that library's and stay untouched.
 */
#include "tls/tls_internal.h"

#include <gnutls/x509.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* The log should say whose certificate it was. */
static void log_refusal(gnutls_session_t session, unsigned status)
{
	char host[INET6_ADDRSTRLEN + 16] = "?", port[8] = "?";
	struct sockaddr_storage address;
	socklen_t n = sizeof(address);
	gnutls_datum_t text = {NULL, 0};

	if (getpeername(gnutls_transport_get_int(session), (struct sockaddr *)&address, &n) == 0)
		(void)getnameinfo((struct sockaddr *)&address, n, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
	if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) != GNUTLS_E_SUCCESS)
		text.data = NULL;
	log_info("tls", "%s port %s: the client's certificate is refused: %s", host, port, text.data ? (const char *)text.data : "not valid");
	if (text.data)
		gnutls_free(text.data);
}

/*
 * Called by GnuTLS inside the handshake; anything but 0 ends it. The alert (RFC 8446 6.2) is sent from here, for the library that drives
 * the session only closes the connection.
 */
static int verify_client(gnutls_session_t session)
{
	gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT};
	unsigned status = 0, count = 0;
	int ret;

	if (!gnutls_certificate_get_peers(session, &count) || count == 0)
		return 0;
	ret = gnutls_certificate_verify_peers(session, &purpose, 1, &status);
	if (ret < 0)
		return ret;
	if (status == 0)
		return 0;
	log_refusal(session, status);
	gnutls_alert_send(session, GNUTLS_AL_FATAL,
		status & GNUTLS_CERT_EXPIRED            ? GNUTLS_A_CERTIFICATE_EXPIRED
		: status & GNUTLS_CERT_SIGNER_NOT_FOUND ? GNUTLS_A_UNKNOWN_CA
							: GNUTLS_A_BAD_CERTIFICATE);
	return GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
}

enum ceir_err tls_server_equip(struct tls_server *s, struct gnutls_session_int *session, struct tls_credentials **hold)
{
	struct tls_credentials *credentials = tls_server_credentials(s);
	int ret = gnutls_priority_set(session, tls_priorities());

	if (ret == GNUTLS_E_SUCCESS)
		ret = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials->x509);
	if (ret != GNUTLS_E_SUCCESS) {
		tls_credentials_release(credentials);
		return tls_err_of(ret);
	}
	gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
	gnutls_session_set_verify_function(session, verify_client);
	*hold = credentials;
	return CEIR_OK;
}

enum ceir_err tls_session_peer(struct gnutls_session_int *session, struct tls_peer *out)
{
	struct tls_peer peer = {.has_certificate = false};
	size_t size = sizeof(peer.sha256);
	unsigned count = 0;
	gnutls_x509_crt_t crt;
	const gnutls_datum_t *der = gnutls_certificate_get_peers(session, &count);

	if (!der || count == 0) {
		*out = peer;
		return CEIR_OK;
	}
	int ret = gnutls_x509_crt_init(&crt);
	if (ret != GNUTLS_E_SUCCESS)
		return tls_err_of(ret);
	ret = gnutls_x509_crt_import(crt, der, GNUTLS_X509_FMT_DER);
	if (ret == GNUTLS_E_SUCCESS)
		ret = gnutls_fingerprint(GNUTLS_DIG_SHA256, der, peer.sha256, &size);
	peer.has_certificate = true;
	peer.from_s = gnutls_x509_crt_get_activation_time(crt);
	peer.until_s = gnutls_x509_crt_get_expiration_time(crt);
	gnutls_x509_crt_deinit(crt);
	if (ret != GNUTLS_E_SUCCESS)
		return tls_err_of(ret);
	*out = peer;
	return CEIR_OK;
}
