/*
 * registry_remote_check.c - what of a remote goes into commands of another machine, or vouches for it: host, folders, certificates; and
 * its password, which is the one secret that ceir must be able to read again.
 */
#include <arpa/inet.h>
#include <gnutls/x509.h>
#include <string.h>

#include "registry/registry_remote.h"

/* ---- host ---- */

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* RFC 1123 2.1, RFC 1035 2.3.1: letters, digits and hyphens, no hyphen at the ends. */
static bool label_good(struct str label)
{
	if (label.n < 1 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
		return false;
	for (size_t i = 0; i < label.n; i++)
		if (!is_letter(label.p[i]) && !is_digit(label.p[i]) && label.p[i] != '-')
			return false;
	return true;
}

static bool literal_good(struct str host, int family)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t address[16];

	if (host.n >= sizeof text)
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	return inet_pton(family, text, address) == 1;
}

bool reg_remote_host_good(struct str host)
{
	struct str rest = host, label = STR("");

	if (host.n < 1 || host.n > 253 || memchr(host.p, '\0', host.n))
		return false;
	if (memchr(host.p, ':', host.n))
		return literal_good(host, AF_INET6);
	while (str_cut(&rest, '.', &label))
		if (!label_good(label))
			return false;
	/* Resolvers take 1.2.3, 0x7f.1 and 127.1 for addresses; nobody who reads the remote should have to guess which. */
	if (host.p[host.n - 1] == '.' || !is_letter(label.p[0]))
		return literal_good(host, AF_INET);
	return true;
}

/* ---- folders, password ---- */

static bool has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((uint8_t)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

bool reg_remote_folder_good(struct str folder)
{
	size_t from = 0;

	for (size_t i = 0; i <= folder.n; i++) {
		if (i < folder.n && folder.p[i] != '/' && folder.p[i] != '\\')
			continue;
		if (i - from == 2 && memcmp(folder.p + from, "..", 2) == 0)
			return false;
		from = i + 1;
	}
	return folder.n > 0 && !has_control(folder);
}

bool reg_remote_password_good(struct str password)
{
	return !has_control(password);
}

static struct str plain_folder(struct str s)
{
	while (s.n > 2 && s.p[0] == '.' && s.p[1] == '/')
		s = (struct str){s.p + 2, s.n - 2};
	while (s.n > 1 && s.p[s.n - 1] == '/')
		s.n--;
	return s;
}

bool reg_remote_folder_same(struct str a, struct str b)
{
	return str_eq(plain_folder(a), plain_folder(b));
}

/* ---- certificates ---- */

#define BEGIN "-----BEGIN CERTIFICATE-----"
#define CLOSE "-----END CERTIFICATE-----"
#define LINE 64 /* RFC 7468 2 */

/* What stands before the first `mark`; s goes on behind it. False: there is none, s stays. */
static bool cut_at(struct str *s, const char *mark, struct str *before)
{
	size_t n = strlen(mark);
	const char *at = s->n ? memmem(s->p, s->n, mark, n) : NULL;

	if (!at)
		return false;
	*before = (struct str){s->p, (size_t)(at - s->p)};
	*s = (struct str){at + n, s->n - before->n - n};
	return true;
}

/* Base64 of one certificate, whatever white space stands in it, in lines. False: something else stands in it. */
static bool put_base64(struct buf *out, struct str body)
{
	size_t n = 0;

	for (size_t i = 0; i < body.n; i++) {
		char c = body.p[i];

		if (c == ' ' || c == '\n' || c == '\r' || c == '\t')
			continue;
		if (!is_letter(c) && !is_digit(c) && c != '+' && c != '/' && c != '=')
			return false;
		if (n && n % LINE == 0)
			buf_char(out, '\n');
		buf_char(out, c);
		n++;
	}
	buf_char(out, '\n');
	return n > 0;
}

/* In the form of a file; *n: how many. What is no certificate (a private key) must not be kept, still less shown. */
static bool rewrite(struct buf *out, struct str text, unsigned *n)
{
	struct str between, body;

	for (*n = 0; cut_at(&text, BEGIN, &between); ++*n) {
		if (memmem(between.p, between.n, "-----", 5) || !cut_at(&text, CLOSE, &body))
			return false;
		buf_c(out, BEGIN "\n");
		if (!put_base64(out, body))
			return false;
		buf_c(out, CLOSE "\n");
	}
	return *n > 0 && !(text.n && memmem(text.p, text.n, "-----", 5));
}

/* GnuTLS reads them as the client will. */
static bool are_certificates(struct str pem, unsigned n)
{
	gnutls_datum_t data = {(unsigned char *)(uintptr_t)pem.p, (unsigned)pem.n};
	gnutls_x509_crt_t *list = NULL;
	unsigned got = 0;

	if (gnutls_x509_crt_list_import2(&list, &got, &data, GNUTLS_X509_FMT_PEM, 0) < 0)
		return false;
	for (unsigned i = 0; i < got; i++)
		gnutls_x509_crt_deinit(list[i]);
	gnutls_free(list);
	return got == n;
}

enum ceir_err reg_remote_pem(struct arena *a, struct str text, size_t max, struct str *pem)
{
	struct buf b = BUF_INIT(4 * max);
	unsigned n = 0;
	bool good = rewrite(&b, text, &n);
	enum ceir_err err = b.failed ? CEIR_ENOMEM : good && are_certificates(buf_view(&b), n) ? CEIR_OK : CEIR_EINVAL;

	if (!err && b.n > max)
		err = CEIR_ERANGE;
	struct str copy = err ? STR("") : arena_str(a, buf_view(&b));
	buf_free(&b);
	if (!err && !copy.p)
		err = CEIR_ENOMEM;
	if (!err)
		*pem = copy;
	return err;
}

/* ---- the password at rest ---- */

#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG crypto_aead_xchacha20poly1305_ietf_ABYTES
#define KEY crypto_aead_xchacha20poly1305_ietf_KEYBYTES

static void derive_key(const struct registry *r, uint8_t key[KEY])
{
	_Static_assert(sizeof r->digest_key == crypto_kdf_KEYBYTES, "audit.key derives the others");
	crypto_kdf_derive_from_key(key, KEY, 1, "remote__", r->digest_key);
}

enum ceir_err reg_remote_seal(const struct registry *r, struct str code, struct str password, struct arena *a, struct str *sealed)
{
	uint8_t key[KEY], *out = arena_alloc(a, NONCE + password.n + TAG);
	unsigned long long n = 0;

	if (!out)
		return CEIR_ENOMEM;
	derive_key(r, key);
	randombytes_buf(out, NONCE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE, &n, (const uint8_t *)password.p, password.n, (const uint8_t *)code.p, code.n, NULL,
		out, key);
	sodium_memzero(key, sizeof key);
	*sealed = (struct str){(const char *)out, NONCE + (size_t)n};
	return CEIR_OK;
}

enum ceir_err reg_remote_unseal(const struct registry *r, struct str code, struct str sealed, struct arena *a, struct str *password)
{
	uint8_t key[KEY], *out = NULL;
	const uint8_t *in = (const uint8_t *)sealed.p;
	unsigned long long n = 0;

	if (sealed.n < NONCE + TAG)
		return CEIR_ECORRUPT;
	out = arena_alloc(a, sealed.n - NONCE - TAG + 1);
	if (!out)
		return CEIR_ENOMEM;
	derive_key(r, key);
	int bad = crypto_aead_xchacha20poly1305_ietf_decrypt(out, &n, NULL, in + NONCE, sealed.n - NONCE, (const uint8_t *)code.p, code.n, in, key);
	sodium_memzero(key, sizeof key);
	if (bad)
		return CEIR_ECORRUPT;
	*password = (struct str){(const char *)out, (size_t)n};
	return CEIR_OK;
}
