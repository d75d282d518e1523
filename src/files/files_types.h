/* files_types.h - what the records of a file are: type of a name, meaning of a column, row to command. Pure tables and look-ups. */
#ifndef CEIR_FILES_TYPES_H
#define CEIR_FILES_TYPES_H

#include "base/base.h"
#include "exchange/exchange_table.h"
#include "files/files.h"
#include "registry/registry.h"

#define FILES_DEVICE_IMEIS 5 /* of one device, as the door takes them */

/* How the rows of a type are done. */
enum files_way {
	FILES_ROWS,        /* each a command, or several one after the other with the same key one */
	FILES_CHECK,       /* many names a command; nothing changes */
	FILES_APPLICATION, /* all of them one application */
	FILES_DELIVERY,    /* not a table of records: an operator's triplets */
	FILES_EPP,         /* not a table: EPP commands */
};

/* How the text of a cell becomes the text of a field. */
enum files_how {
	FILES_AS_IS,
	FILES_IMEI14,      /* 14 digits get their check digit */
	FILES_DAY,         /* 20261125 or 25-Nov-2026 becomes 2026-11-25; what is no date stays as it is */
	FILES_SINCE,       /* the same, with a time of day */
	FILES_BANDS,       /* "GSM 900,GSM 1800,LTE FDD BAND 3" becomes "GSM, LTE": the technologies */
	FILES_STOLEN,      /* status of a list of stolen phones: colour and stage */
	FILES_REGISTERED,  /* status of a list of registered phones: only final rows register */
	FILES_ACTION,      /* what to do: create, update or delete */
};

enum files_whole {
	FILES_WHOLE_NOT,   /* nothing: part of the name */
	FILES_WHOLE,       /* it is the whole list: what it no longer names is ended */
	FILES_WHOLE_REFUSED, /* the same, which cannot be done: what is there cannot be asked for */
};

/* A column that is not simply a field of the object under its own name. */
struct files_column {
	const char *name;  /* compared without case, spaces, "_" and "-" */
	const char *field; /* NULL: how says it all */
	enum files_how how;
};

struct files_fixed {
	const char *field, *value; /* when no column gives it; "@file": what file and row it came from */
};

struct files_type {
	const char *name;                   /* begins the file's name */
	enum files_way way;
	const char *object;                 /* NULL: none */
	bool foreign;                       /* layout of another program: columns we do not know are passed over, fields are not taken by our names */
	bool put;                           /* what exists already is updated */
	bool replace;                       /* an update ends what there is and makes it anew */
	enum files_whole whole;             /* what a name that says "full" means */
	const char *find;                   /* field by which update and delete find the object when no id is given */
	const struct files_column *columns; /* ends with .name == NULL; NULL: none */
	struct files_fixed fixed[6];        /* ends with .field == NULL */
};
extern const struct files_type files_types[]; /* ends with .name == NULL */

/* By the beginning of a file's name, any case: TYPE, then "-", "_" or "."; the longest that fits. NULL: none. */
const struct files_type *files_type_of(struct str name);
/* Is the next word of the name "full"? *force: and the one behind it "force". Words stand between "-", "_" and ".". */
bool files_name_is_full(struct str name, const struct files_type *t, bool *force);

/* ---- one file's columns ---- */

enum files_target_kind { FILES_IGNORED, FILES_FIELD, FILES_GROUP_FIELD, FILES_DEVICE, FILES_BY_HOW };
struct files_target {
	enum files_target_kind kind;
	enum files_how how;
	const struct files_column *column; /* the line that says so; NULL: none */
	const struct reg_field *field, *group;
};
struct files_plan {
	const struct files_type *type;
	const struct reg_object *object;
	struct files_target targets[TABLE_COLUMNS_MAX];
	size_t n;
	bool has_action, has_groups;
};
/* Our own columns of answers and rejects: in a file that comes back they mean nothing. */
bool files_column_is_ours(struct str name);
/*
 * What each column means. CEIR_EINVAL: why (English, a catalogue key, {0} stands for *what) says what is wrong with which column; *what points
 * into names or is static.
 */
enum ceir_err files_plan_make(const struct files_type *type, const struct str *names, size_t n, struct files_plan *plan, const char **why,
	struct str *what) CEIR_MUST_USE;

/* ---- one row ---- */

/* What a row, or several with the same key, wants. All in the arena given to files_record_add. */
struct files_record {
	enum reg_verb verb;
	struct reg_node *key;          /* NULL: not given */
	struct reg_node *set, **end;   /* all fields but the key of an update or delete */
	struct str find;               /* value of the type's find field; empty: none */
	uint64_t order;                /* hash: records of one subject are done in the order of the file */
	const char *fault;             /* cannot be a command: English, a catalogue key */
	const char *fault_element;
	struct str fault_value;
};
/* The text by which rows belong together, the key's; empty: none. */
struct str files_row_key(const struct files_plan *plan, const struct table_row *row);
/* Adds a row. first: the record is begun by it. source: for "@file". CEIR_ENOMEM. */
enum ceir_err files_record_add(const struct files_plan *plan, const struct table_row *row, bool first, struct str source, struct arena *arena,
	struct files_record *out) CEIR_MUST_USE;
/* Parts the fields of an update: singles into set, those that may repeat into add. */
void files_record_split(struct files_record *r, struct reg_node **set, struct reg_node **add);
/* IMEIs of a row of an application or check; how many. Texts in the arena. */
enum ceir_err files_row_imeis(const struct files_plan *plan, const struct table_row *row, struct arena *arena, struct str imeis[FILES_DEVICE_IMEIS],
	unsigned *n) CEIR_MUST_USE;

#endif
