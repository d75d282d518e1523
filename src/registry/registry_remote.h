/* registry_remote.h - what the files of the object `remote` share. */
#ifndef CEIR_REGISTRY_REMOTE_H
#define CEIR_REGISTRY_REMOTE_H

#include "registry/registry_internal.h"

/* ---- registry_remote_check.c: texts that go into another machine's commands ---- */

/* A DNS name (RFC 1123 2.1; its last label begins with a letter, so that nobody reads a number in it), or an IPv4 or IPv6 literal. */
bool reg_remote_host_good(struct str host);
/* No control character, no way up ("..", behind / or \). */
bool reg_remote_folder_good(struct str folder);
bool reg_remote_password_good(struct str password);
/* The same folder written in two ways? */
bool reg_remote_folder_same(struct str a, struct str b);
/*
 * One or more certificates in PEM (RFC 7468), whose line ends may have become spaces; text around them is left out. *pem: as PEM again, in the
 * arena. CEIR_EINVAL: not certificates, or something else among them; CEIR_ERANGE: longer than max.
 */
enum ceir_err reg_remote_pem(struct arena *a, struct str text, size_t max, struct str *pem) CEIR_MUST_USE;

/*
 * The password as it is stored: a random nonce, then XChaCha20-Poly1305 under a key derived from keys/audit.key, with the remote's code bound in:
 * moved to another remote's row it does not open. In the arena.
 */
enum ceir_err reg_remote_seal(const struct registry *r, struct str code, struct str password, struct arena *a, struct str *sealed) CEIR_MUST_USE;
/* CEIR_ECORRUPT: of another remote, sealed under another key, or damaged. */
enum ceir_err reg_remote_unseal(const struct registry *r, struct str code, struct str sealed, struct arena *a, struct str *password) CEIR_MUST_USE;

/* ---- registry_remote_face.c ---- */

/* Ways of a row of remote_file. */
#define REMOTE_WAY_LIST "list"

struct reg_remote_file {
	int64_t id;                   /* 0: there is none */
	int64_t size, mtime_s;
};
enum ceir_err reg_remote_file_find(struct store_conn *db, int64_t remote, const char *way, struct str name, struct reg_remote_file *out)
	CEIR_MUST_USE;

/* Names of lists between spaces, as REG_BIT(enum reg_list_kind). */
unsigned reg_remote_lists(struct store_val names);

#endif
