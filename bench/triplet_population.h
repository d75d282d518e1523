/*
 * triplet_population.h - which triplets exist in the bench's country. Pure arithmetic: triplet i is computed, not looked up, so
 * half a billion need no memory, any program can ask for any of them, and the same settings always give the same country.
 *
 * The country: TRIPLET_TACS models, the first with a hundred times the devices of the last; 1.3 triplets an IMEI (a phone with two
 * SIMs, a SIM that moved to another phone); up to four operators with their own MNC and number blocks. With noise also: clones (0.5
 * % of the IMEIs: 5 to 40 IMSIs on one), SIM boxes (four modems, 400 IMSIs of one operator, their MSISDNs in a row), foreign
 * roamers (1 %), IMEIs whose TAC was never allocated (0.1 %) or is a test TAC (0.01 %), and lines that are not as they should be
 * (0.2 %, TRIPLET_BADS kinds in turn).
 *
 * Every triplet but those of refused lines is distinct. After a change (settings.change > 0) that share of all triplets, of those
 * that are nothing but a phone with its SIM, has gone, and as many new ones are there: half of them other subscribers on the same
 * phones, half SIM swaps (the MSISDN stays, the IMSI is new). All others are the same, with the same index.
 */
#ifndef CEIR_TRIPLET_POPULATION_H
#define CEIR_TRIPLET_POPULATION_H

#include "base/base.h"
#include "ident/ident.h"

#define TRIPLET_TACS 5000u        /* of phones, sold; */
#define TRIPLET_MODEM_TACS 20u    /* of modems: SIM boxes have no others */
#define TRIPLET_STRANGE_TACS 500u /* never allocated */
#define TRIPLET_OPERATORS 4u
#define TRIPLET_BOX_IMEIS 4u
#define TRIPLET_BOX_IMSIS 400u

struct population_settings {
	uint64_t triplets; /* lines, all kinds together; 1..1,000,000,000 */
	uint64_t seed;
	unsigned operators; /* 1..TRIPLET_OPERATORS */
	double change;      /* share 0..0.5 */
	bool noise;         /* clones, SIM boxes and all the rest */
};

enum population_kind {
	POPULATION_PLAIN,  /* a phone and its SIM */
	POPULATION_SECOND, /* a further triplet of such a phone */
	POPULATION_CLONE,
	POPULATION_SIMBOX,
	POPULATION_FOREIGN,
	POPULATION_UNALLOCATED,
	POPULATION_TEST,
	POPULATION_BAD, /* struct population_triplet.bad says how */
	POPULATION_KINDS
};

enum population_bad {
	BAD_IMEI_EMPTY,    /* refused */
	BAD_IMEI_SHORT,    /* 13 digits: taken, malformed */
	BAD_IMEI_LETTERS,  /* taken, malformed */
	BAD_IMEI_ZEROS,    /* taken, malformed */
	BAD_IMEI_SAME,     /* taken, malformed */
	BAD_IMEI_EXPONENT, /* refused, as all that follow */
	BAD_IMSI_EMPTY,
	BAD_IMSI_SHORT,
	BAD_MSISDN_LETTERS,
	BAD_COLUMNS,
	TRIPLET_BADS
};
bool population_bad_refused(enum population_bad bad);

struct population_triplet {
	enum population_kind kind;
	enum population_bad bad; /* POPULATION_BAD only; the numbers are then those that would have been right */
	bool changed;            /* it is one of the new ones after a change */
	uint8_t op;              /* 1..operators */
	struct imei imei;
	struct imsi imsi;
	struct msisdn msisdn;
};

/* What the settings come to. */
struct population_layout {
	uint64_t lines[POPULATION_KINDS]; /* of each kind, in the order of their indexes */
	uint64_t devices;                 /* IMEIs of phones: plain, clones, roamers */
	uint64_t clones, boxes, changed;
};

struct population;
/* NULL: memory. The settings must be in their ranges (asserted). Read-only afterwards: any thread. */
struct population *population_new(const struct population_settings *s);
void population_free(struct population *p);
void population_get_layout(const struct population *p, struct population_layout *out);

/* The index of the line that stands at a position, both 0..triplets-1: each once, in no order. */
uint64_t population_index(const struct population *p, uint64_t position);
/* Triplet i, 0..triplets-1. */
void population_get(const struct population *p, uint64_t i, struct population_triplet *out);
/* Its operator only. */
uint8_t population_operator(const struct population *p, uint64_t i);

/* Device 0..devices-1: phones, then clones from first_clone on, then roamers' phones. */
struct imei population_device(const struct population *p, uint64_t device);
/* The device at a position, 0..devices-1: each once, those of one TAC side by side. */
uint64_t population_device_at(const struct population *p, uint64_t position);
/* In the register, when that share of all devices is; never a roamer's. The same devices for the same seed and share. */
bool population_is_registered(const struct population *p, uint64_t device, double share);
/* IMEI of clone c, and how many IMSIs it has. */
struct imei population_clone(const struct population *p, uint64_t clone, unsigned *imsis);
/* SIM box b: the IMEIs of its modems, its operator, and its first MSISDN: TRIPLET_BOX_IMSIS stand in a row. */
void population_box(
	const struct population *p, uint64_t box, struct imei imeis[TRIPLET_BOX_IMEIS], uint8_t *op, struct msisdn *first);

/* TAC number 0..TRIPLET_TACS+TRIPLET_MODEM_TACS-1 of those that are allocated; the rest up to TRIPLET_STRANGE_TACS more are not. */
struct tac population_tac(const struct population *p, uint32_t number);

#endif
