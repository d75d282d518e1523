/*
 * bench_limits.c - what this machine can do at all, measured beside the benches: no server can be faster than its memory, its
 * disk, its cipher and its scheduler. One JSON line.
 *
 *   bench_limits DIR     DIR: a folder on the disk that will hold the database
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB (1024u * 1024u)

/* ---- memory ------------------------------------------------------------------------------------------------------------- */

/* Larger than any cache, so it is memory that is measured. Bytes read, not read and written. */
static enum ceir_err limit_memcpy(double *gb_s)
{
	const size_t n = 256u * MIB;
	const unsigned rounds = 8;
	char *from = malloc(n), *to = malloc(n);

	if (from && to) {
		memset(from, 1, n);
		memset(to, 2, n);
		int64_t begun_us = clock_mono_us();
		for (unsigned i = 0; i < rounds; i++) {
			memcpy(to, from, n);
			__asm__ volatile("" : : "r"(to) : "memory"); /* a copy nobody reads would be left out */
		}
		*gb_s = (double)n * rounds / (double)(clock_mono_us() - begun_us) / 1e3;
	}
	free(from);
	free(to);
	return from && to ? CEIR_OK : CEIR_ENOMEM;
}

/* ---- disk ---------------------------------------------------------------------------------------------------------------- */

/* A file without a name: nothing is left behind, however this ends. */
static int scratch(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		fprintf(stderr, "bench_limits: cannot make a file in %s: %s\n", dir, strerror(errno));
	return fd;
}

static enum ceir_err limit_write(const char *dir, double *mb_s)
{
	const unsigned blocks = 512;
	char *block = malloc(MIB);
	int fd = scratch(dir);
	enum ceir_err err = fd < 0 ? CEIR_EIO : block ? CEIR_OK : CEIR_ENOMEM;

	if (err == CEIR_OK) {
		memset(block, 0x5a, MIB);
		int64_t begun_us = clock_mono_us();
		for (unsigned i = 0; err == CEIR_OK && i < blocks; i++)
			err = fd_write_all(fd, block, MIB);
		if (err == CEIR_OK && fsync(fd) != 0)
			err = CEIR_EIO;
		*mb_s = (double)blocks * MIB / (double)(clock_mono_us() - begun_us);
	}
	if (fd >= 0)
		close(fd);
	free(block);
	return err;
}

/* What a commit costs at least: append a page, make it durable. */
static enum ceir_err limit_sync(const char *dir, struct bench_hist *hist)
{
	char page[4096];
	int fd = scratch(dir);
	enum ceir_err err = fd < 0 ? CEIR_EIO : CEIR_OK;

	memset(page, 0x5a, sizeof page);
	for (unsigned i = 0; err == CEIR_OK && i < 1000; i++) {
		int64_t begun_us = clock_mono_us();
		err = fd_write_all(fd, page, sizeof page);
		if (err == CEIR_OK && fdatasync(fd) != 0)
			err = CEIR_EIO;
		bench_hist_add(hist, (uint64_t)(clock_mono_us() - begun_us));
	}
	if (fd >= 0)
		close(fd);
	return err;
}

/* ---- cipher --------------------------------------------------------------------------------------------------------------- */

/* AES-128-GCM over records of record_bytes, one core, as GnuTLS does it inside TLS. */
static enum ceir_err limit_gcm(size_t record_bytes, double *mb_s)
{
	unsigned char key[16] = {1}, nonce[12] = {0}, header[5] = {23, 3, 3, 0, 0};
	const gnutls_datum_t key_datum = {key, sizeof key};
	const int64_t long_enough_us = 300000;
	unsigned char *plain = calloc(1, record_bytes), *cipher = malloc(record_bytes + 16);
	gnutls_aead_cipher_hd_t h = NULL;
	uint64_t records = 0;
	int ret = plain && cipher ? gnutls_aead_cipher_init(&h, GNUTLS_CIPHER_AES_128_GCM, &key_datum) : GNUTLS_E_MEMORY_ERROR;
	int64_t begun_us = clock_mono_us(), now_us = begun_us;

	while (ret == 0 && now_us - begun_us < long_enough_us) {
		for (unsigned i = 0; ret == 0 && i < 256; i++, records++) {
			size_t n = record_bytes + 16;
			memcpy(nonce, &records, sizeof records);
			ret = gnutls_aead_cipher_encrypt(
				h, nonce, sizeof nonce, header, sizeof header, 16, plain, record_bytes, cipher, &n);
		}
		now_us = clock_mono_us();
	}
	*mb_s = (double)records * (double)record_bytes / (double)(now_us - begun_us);
	if (h)
		gnutls_aead_cipher_deinit(h);
	free(plain);
	free(cipher);
	return ret == 0 ? CEIR_OK : CEIR_ETLS;
}

/* ---- scheduler -------------------------------------------------------------------------------------------------------------- */

/* One byte goes to another thread and back over two descriptors: what a thread per session pays for each exchange. */
struct echo {
	int in, out;
};

static void *echo_main(void *arg)
{
	const struct echo *e = arg;
	char byte;

	while (read(e->in, &byte, 1) == 1 && write(e->out, &byte, 1) == 1)
		;
	return NULL;
}

/* out and in are our ends. Closing `out` must end the echo. */
static enum ceir_err ping_pong(struct echo *other, int out, int in, struct bench_hist *hist)
{
	pthread_t thread;
	char byte = 'x';
	enum ceir_err err = CEIR_OK;

	if (pthread_create(&thread, NULL, echo_main, other) != 0)
		return CEIR_ENOMEM;
	for (unsigned i = 0; err == CEIR_OK && i < 20000; i++) {
		int64_t begun_us = clock_mono_us();
		if (write(out, &byte, 1) != 1 || read(in, &byte, 1) != 1)
			err = CEIR_EIO;
		bench_hist_add(hist, (uint64_t)(clock_mono_us() - begun_us));
	}
	shutdown(out, SHUT_WR);
	pthread_join(thread, NULL);
	return err;
}

static enum ceir_err limit_threads(struct bench_hist *hist)
{
	int pair[2];
	enum ceir_err err;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return CEIR_EIO;
	err = ping_pong(&(struct echo){pair[1], pair[1]}, pair[0], pair[0], hist);
	close(pair[0]);
	close(pair[1]);
	return err;
}

static enum ceir_err limit_loopback(struct bench_hist *hist)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	const int one = 1;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), near = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
	    far = -1;
	enum ceir_err err = CEIR_EIO;

	if (listener >= 0 && near >= 0 && bind(listener, (struct sockaddr *)&a, sizeof a) == 0 && listen(listener, 1) == 0 &&
		getsockname(listener, (struct sockaddr *)&a, &n) == 0 && connect(near, (struct sockaddr *)&a, sizeof a) == 0 &&
		(far = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0 &&
		setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0 &&
		setsockopt(far, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0)
		err = ping_pong(&(struct echo){far, far}, near, near, hist);
	for (size_t i = 0; i < 3; i++) {
		int fd = (const int[]){listener, near, far}[i];
		if (fd >= 0)
			close(fd);
	}
	return err;
}

/* ---- all of them ---------------------------------------------------------------------------------------------------------------
 */

struct limits {
	double load; /* average number of running threads in the minute before: a busy machine's figures say little */
	double memcpy_gb_s, write_mb_s, gcm_16k_mb_s, gcm_512_mb_s;
	struct bench_hist sync, threads, loopback;
};

static enum ceir_err limits_measure(struct limits *l, const char *dir)
{
	enum ceir_err err;

	if (getloadavg(&l->load, 1) != 1)
		l->load = -1;
	if ((err = limit_memcpy(&l->memcpy_gb_s)) != CEIR_OK || (err = limit_write(dir, &l->write_mb_s)) != CEIR_OK ||
		(err = limit_sync(dir, &l->sync)) != CEIR_OK || (err = limit_gcm(16384, &l->gcm_16k_mb_s)) != CEIR_OK ||
		(err = limit_gcm(512, &l->gcm_512_mb_s)) != CEIR_OK || (err = limit_threads(&l->threads)) != CEIR_OK)
		return err;
	return limit_loopback(&l->loopback);
}

static void print_hist(const char *name, const struct bench_hist *h)
{
	printf(", \"%s\": {\"p50\": %llu, \"p99\": %llu, \"max\": %llu}", name, (unsigned long long)bench_hist_quantile(h, 0.50),
		(unsigned long long)bench_hist_quantile(h, 0.99), (unsigned long long)h->max_us);
}

int main(int argc, char **argv)
{
	struct limits *l = calloc(1, sizeof *l);
	enum ceir_err err;

	if (argc != 2) {
		fprintf(stderr, "Usage: bench_limits DIR\n");
		free(l);
		return 2;
	}
	err = l ? limits_measure(l, argv[1]) : CEIR_ENOMEM;
	if (err == CEIR_OK) {
		printf("{\"name\": \"limits\", \"version\": \"" CEIR_VERSION
		       "\", \"cores\": %ld, \"load_average\": %.2f, \"memcpy_gb_s\": %.2f, \"write_fsync_mb_s\": %.0f",
			sysconf(_SC_NPROCESSORS_ONLN), l->load, l->memcpy_gb_s, l->write_mb_s);
		print_hist("fdatasync_4k_us", &l->sync);
		printf(", \"aes128gcm_16k_mb_s\": %.0f, \"aes128gcm_512_mb_s\": %.0f", l->gcm_16k_mb_s, l->gcm_512_mb_s);
		print_hist("thread_round_trip_us", &l->threads);
		print_hist("loopback_round_trip_us", &l->loopback);
		printf("}\n");
	} else {
		fprintf(stderr, "bench_limits: %s\n", ceir_err_text(err));
	}
	free(l);
	return err == CEIR_OK ? 0 : 1;
}
