/*
 * tls_ca.c - the private certificate authority of a register: X.509 (RFC 5280) certificates on EC P-256 keys.
 *
 * A file is only ever made, never replaced: a key that is overwritten by mistake cannot be had back.
 */
#include "tls/tls_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CA_DAYS 3653u  /* ten years */
#define BACKDATE_S 300 /* a peer's clock may be a little behind */
#define SERIAL_BYTES 16
#define PEM_MAX 65536u

/* A key and its certificate, in the making. */
struct pair {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
};

static int pair_init(struct pair *p)
{
	p->key = NULL;
	p->crt = NULL;
	int ret = gnutls_x509_privkey_init(&p->key);
	return ret == GNUTLS_E_SUCCESS ? gnutls_x509_crt_init(&p->crt) : ret;
}

static void pair_free(struct pair *p)
{
	if (p->key)
		gnutls_x509_privkey_deinit(p->key);
	if (p->crt)
		gnutls_x509_crt_deinit(p->crt);
}

static enum ceir_err failed(const char *what, int ret)
{
	log_error("tls", "%s: %s", what, gnutls_strerror(ret));
	return tls_err_of(ret);
}

/* ---- files ------------------------------------------------------------------------------------------------------------ */

static enum ceir_err path_make(char path[PATH_MAX], const char *dir, const char *name, const char *suffix)
{
	int n = snprintf(path, PATH_MAX, "%s/%s%s", dir, name, suffix);

	return n > 0 && n < PATH_MAX ? CEIR_OK : CEIR_ERANGE;
}

/* The name becomes a file name: it must stay in its folder. */
static bool name_is_safe(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	return *name && *name != '.' && strspn(name, allowed) == strlen(name);
}

static enum ceir_err file_make(const char *path, struct str bytes, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (fd < 0)
		return errno == EEXIST ? CEIR_EEXIST : errno == ENOSPC ? CEIR_ENOSPC : CEIR_EIO;
	enum ceir_err err = fd_write_all(fd, bytes.p, bytes.n);
	if (!err && fsync(fd) != 0)
		err = errno == ENOSPC ? CEIR_ENOSPC : CEIR_EIO;
	if (close(fd) != 0 && !err)
		err = CEIR_EIO;
	if (err)
		unlink(path);
	return err;
}

/* dir/name.key and dir/name.crt, both or none. */
static enum ceir_err pair_save(const struct pair *p, const char *dir, const char *name)
{
	char key_path[PATH_MAX], crt_path[PATH_MAX];
	gnutls_datum_t key = {0}, crt = {0};
	enum ceir_err err = path_make(key_path, dir, name, ".key");

	if (!err)
		err = path_make(crt_path, dir, name, ".crt");
	if (err)
		return err;
	int ret = gnutls_x509_privkey_export2_pkcs8(p->key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &key);
	if (ret == GNUTLS_E_SUCCESS)
		ret = gnutls_x509_crt_export2(p->crt, GNUTLS_X509_FMT_PEM, &crt);
	if (ret != GNUTLS_E_SUCCESS) {
		err = failed(name, ret);
		goto out;
	}
	err = file_make(key_path, (struct str){(const char *)key.data, key.size}, 0600);
	if (err)
		goto out;
	err = file_make(crt_path, (struct str){(const char *)crt.data, crt.size}, 0644);
	if (!err)
		err = file_sync_dir(dir);
	else
		unlink(key_path);
out:
	if (key.data)
		gnutls_memset(key.data, 0, key.size);
	gnutls_free(key.data);
	gnutls_free(crt.data);
	return err;
}

static enum ceir_err pem_read(const char *path, struct buf *out)
{
	enum ceir_err err = file_read(path, PEM_MAX, out);

	if (err)
		log_error("tls", "%s: %s", path, ceir_err_text(err));
	return err;
}

static gnutls_datum_t datum(const struct buf *b)
{
	return (gnutls_datum_t){(unsigned char *)b->p, (unsigned)b->n};
}

/* The authority that signs. */
static enum ceir_err pair_load(struct pair *p, const char *dir)
{
	char path[PATH_MAX];
	struct buf key = BUF_INIT(PEM_MAX), crt = BUF_INIT(PEM_MAX);
	enum ceir_err err = path_make(path, dir, "ca", ".key");

	if (!err)
		err = pem_read(path, &key);
	if (!err)
		err = path_make(path, dir, "ca", ".crt");
	if (!err)
		err = pem_read(path, &crt);
	if (!err) {
		gnutls_datum_t d = datum(&key);
		int ret = gnutls_x509_privkey_import(p->key, &d, GNUTLS_X509_FMT_PEM);
		d = datum(&crt);
		if (ret == GNUTLS_E_SUCCESS)
			ret = gnutls_x509_crt_import(p->crt, &d, GNUTLS_X509_FMT_PEM);
		if (ret != GNUTLS_E_SUCCESS)
			err = failed(path, ret);
	}
	if (key.p)
		gnutls_memset(key.p, 0, key.n);
	buf_free(&key);
	buf_free(&crt);
	return err;
}

/* ---- certificates ------------------------------------------------------------------------------------------------------- */

/* What every certificate of ours has: a fresh key, a random serial number, a name, a life, its key identifier. */
static int crt_basics(struct pair *p, const char *common_name, unsigned days)
{
	uint8_t serial[SERIAL_BYTES], id[32];
	size_t id_size = sizeof(id);
	time_t now = time(NULL);
	int ret = gnutls_x509_privkey_generate(p->key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);

	if (ret == GNUTLS_E_SUCCESS)
		ret = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));
	if (ret != GNUTLS_E_SUCCESS)
		return ret;
	/* RFC 5280 4.1.2.2: positive; and DER wants no leading zero byte. */
	serial[0] = (uint8_t)((serial[0] & 0x3f) | 0x40);
	if ((ret = gnutls_x509_crt_set_version(p->crt, 3)) < 0 ||
		(ret = gnutls_x509_crt_set_serial(p->crt, serial, sizeof(serial))) < 0 ||
		(ret = gnutls_x509_crt_set_key(p->crt, p->key)) < 0 ||
		(ret = gnutls_x509_crt_set_dn_by_oid(
			 p->crt, GNUTLS_OID_X520_COMMON_NAME, 0, common_name, (unsigned)strlen(common_name))) < 0 ||
		(ret = gnutls_x509_crt_set_activation_time(p->crt, now - BACKDATE_S)) < 0 ||
		(ret = gnutls_x509_crt_set_expiration_time(p->crt, now + (time_t)days * 86400)) < 0 ||
		(ret = gnutls_x509_crt_get_key_id(p->crt, GNUTLS_KEYID_USE_SHA256, id, &id_size)) < 0)
		return ret;
	return gnutls_x509_crt_set_subject_key_id(p->crt, id, id_size);
}

enum ceir_err tls_ca_create(const char *dir, const char *common_name)
{
	struct pair ca;
	enum ceir_err err;
	int ret = pair_init(&ca);

	if (ret < 0 || (ret = crt_basics(&ca, common_name, CA_DAYS)) < 0 ||
		(ret = gnutls_x509_crt_set_basic_constraints(ca.crt, 1, 0)) < 0 ||
		(ret = gnutls_x509_crt_set_key_usage(ca.crt, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN)) < 0 ||
		(ret = gnutls_x509_crt_sign2(ca.crt, ca.crt, ca.key, GNUTLS_DIG_SHA256, 0)) < 0)
		err = failed("certificate authority", ret);
	else
		err = pair_save(&ca, dir, "ca");
	pair_free(&ca);
	return err;
}

static int crt_add_name(gnutls_x509_crt_t crt, const char *name)
{
	unsigned char address[sizeof(struct in6_addr)];

	if (inet_pton(AF_INET, name, address) == 1)
		return gnutls_x509_crt_set_subject_alt_name(
			crt, GNUTLS_SAN_IPADDRESS, address, sizeof(struct in_addr), GNUTLS_FSAN_APPEND);
	if (inet_pton(AF_INET6, name, address) == 1)
		return gnutls_x509_crt_set_subject_alt_name(
			crt, GNUTLS_SAN_IPADDRESS, address, sizeof(struct in6_addr), GNUTLS_FSAN_APPEND);
	return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name, (unsigned)strlen(name), GNUTLS_FSAN_APPEND);
}

/* What tells an end certificate from an authority's, and a server's from a client's. */
static int crt_purpose(gnutls_x509_crt_t crt, gnutls_x509_crt_t ca, enum tls_use use, const char *const *names, size_t n)
{
	uint8_t id[64];
	size_t id_size = sizeof(id);
	int ret;

	if ((ret = gnutls_x509_crt_set_basic_constraints(crt, 0, -1)) < 0 ||
		(ret = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE)) < 0 ||
		(ret = gnutls_x509_crt_set_key_purpose_oid(
			 crt, use == TLS_USE_SERVER ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT, 0)) < 0 ||
		(ret = gnutls_x509_crt_get_subject_key_id(ca, id, &id_size, NULL)) < 0 ||
		(ret = gnutls_x509_crt_set_authority_key_id(crt, id, id_size)) < 0)
		return ret;
	for (size_t i = 0; i < n; i++)
		if ((ret = crt_add_name(crt, names[i])) < 0)
			return ret;
	return GNUTLS_E_SUCCESS;
}

static int crt_sha256(gnutls_x509_crt_t crt, uint8_t out[32])
{
	size_t size = 32;

	return gnutls_x509_crt_get_fingerprint(crt, GNUTLS_DIG_SHA256, out, &size);
}

enum ceir_err tls_ca_issue(
	const char *dir, const char *name, enum tls_use use, const char *const *names, size_t n, unsigned days, uint8_t sha256[32])
{
	struct pair ca = {NULL, NULL}, end = {NULL, NULL};
	uint8_t print[32];
	enum ceir_err err;
	int ret;

	if (!name_is_safe(name))
		return CEIR_EINVAL;
	ret = pair_init(&ca);
	if (ret == GNUTLS_E_SUCCESS)
		ret = pair_init(&end);
	err = ret == GNUTLS_E_SUCCESS ? pair_load(&ca, dir) : failed(name, ret);
	if (err)
		goto out;
	if ((ret = crt_basics(&end, name, days)) < 0 || (ret = crt_purpose(end.crt, ca.crt, use, names, n)) < 0 ||
		(ret = gnutls_x509_crt_sign2(end.crt, ca.crt, ca.key, GNUTLS_DIG_SHA256, 0)) < 0 ||
		(ret = crt_sha256(end.crt, print)) < 0)
		err = failed(name, ret);
	else
		err = pair_save(&end, dir, name);
	if (!err && sha256)
		memcpy(sha256, print, sizeof(print));
out:
	pair_free(&end);
	pair_free(&ca);
	return err;
}

enum ceir_err tls_cert_sha256(const char *pem_path, uint8_t out[32])
{
	struct buf pem = BUF_INIT(PEM_MAX);
	gnutls_x509_crt_t crt = NULL;
	enum ceir_err err = pem_read(pem_path, &pem);

	if (err)
		return err;
	gnutls_datum_t d = datum(&pem);
	int ret = gnutls_x509_crt_init(&crt);
	if (ret == GNUTLS_E_SUCCESS) {
		ret = gnutls_x509_crt_import(crt, &d, GNUTLS_X509_FMT_PEM);
		if (ret == GNUTLS_E_SUCCESS)
			ret = crt_sha256(crt, out);
		gnutls_x509_crt_deinit(crt);
	}
	buf_free(&pem);
	return ret == GNUTLS_E_SUCCESS ? CEIR_OK : failed(pem_path, ret);
}
