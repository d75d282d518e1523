/*
 * ctl_application.h - rows of an importer's CSV file to devices of an application: pure, so that it can be tested.
 */
#ifndef CEIR_CTL_APPLICATION_H
#define CEIR_CTL_APPLICATION_H

#include "base/base.h"
#include "exchange/exchange.h"

#define CTL_DEVICE_IMEIS 5u    /* of one multi-SIM device */
#define CTL_IMEI_MAX_BYTES 64u /* application-1.0.xsd imeiType: what is longer cannot be sent */

/* Which columns hold IMEIs. */
struct ctl_columns {
	size_t at[CTL_DEVICE_IMEIS];
	unsigned n;
	bool headed; /* the first row was a header; else every column is an IMEI */
};

/* Looks at the first row: columns named "imei", or "imei1" to "imei5". */
void ctl_columns_find(const struct csv_row *first, struct ctl_columns *out);

/*
 * The IMEIs of a row as typed, empty cells left out; *n may be 0 only with a fault. Text that is no IMEI is no fault: the
 * server refuses it with its reason. NULL: fine, else why the row cannot be sent.
 */
const char *ctl_row_device(const struct ctl_columns *c, const struct csv_row *row, struct str imeis[CTL_DEVICE_IMEIS], unsigned *n);

/* Appends <imei>..</imei>, or a <device> of several, in the namespace that is the default there. */
void ctl_device_put(struct buf *b, const struct str *imeis, unsigned n);

#endif
