/* base_err.c - the error enum's texts, and the end of a program whose invariants are broken. */
#include "base/base.h"

#include <errno.h>
#include <stdlib.h>

static const char *const err_texts[] = {
	[-CEIR_OK] = "success",
	[-CEIR_ENOMEM] = "out of memory",
	[-CEIR_EIO] = "input/output error",
	[-CEIR_ENOSPC] = "no space left on device",
	[-CEIR_EINVAL] = "malformed value",
	[-CEIR_ERANGE] = "value out of range",
	[-CEIR_ENOENT] = "does not exist",
	[-CEIR_EEXIST] = "exists already",
	[-CEIR_EPERM] = "not permitted",
	[-CEIR_ECORRUPT] = "stored data is corrupt",
	[-CEIR_ECLOSED] = "closed",
	[-CEIR_ETIMEOUT] = "timed out",
	[-CEIR_ELIMIT] = "limit exceeded",
	[-CEIR_ETLS] = "TLS failure",
	[-CEIR_ESTATE] = "not possible in the present state",
	[-CEIR_ESTORE] = "database failure",
};

const char *ceir_err_text(enum ceir_err err)
{
	int i = -(int)err;

	return i >= 0 && i < (int)CEIR_COUNT(err_texts) ? err_texts[i] : "unknown error";
}

enum ceir_err ceir_err_of_errno(int errno_value)
{
	switch (errno_value) {
	case 0:
		return CEIR_OK;
	case ENOMEM:
		return CEIR_ENOMEM;
	case ENOSPC:
	case EDQUOT:
		return CEIR_ENOSPC;
	case ENOENT:
	case ENOTDIR:
		return CEIR_ENOENT;
	case EEXIST:
	case ENOTEMPTY:
		return CEIR_EEXIST;
	case EACCES:
	case EPERM:
	case EROFS:
		return CEIR_EPERM;
	case EPIPE:
	case ECONNRESET:
		return CEIR_ECLOSED;
	case ETIMEDOUT:
		return CEIR_ETIMEOUT;
	case EMFILE:
	case ENFILE:
	case EFBIG:
		return CEIR_ELIMIT;
	default:
		return CEIR_EIO;
	}
}

void ceir_assert_fail(const char *expression, const char *file, int line)
{
	log_error("base", "assertion failed at %s:%d: %s", file, line, expression);
	abort();
}
