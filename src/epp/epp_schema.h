/* epp_schema.h - the XML schemas of ceir, inside the program; and the namespaces the EPP face speaks. */
#ifndef CEIR_EPP_SCHEMA_H
#define CEIR_EPP_SCHEMA_H

#include "base/base.h"

#include <libxml/xmlschemas.h>

#define EPP_URI "urn:ietf:params:xml:ns:epp-1.0"
#define EPP_QUERY_URI "urn:ceir:params:xml:ns:query-1.0"
#define EPP_LOGINSEC_URI "urn:ietf:params:xml:ns:epp:loginSec-1.0"
#define EPP_APPLICATION_URI "urn:ceir:params:xml:ns:application-1.0"

/* Protocol extensions and command-response extensions, as announced in the greeting; bit numbers of epp_services. */
enum epp_extension { EPP_EXT_QUERY, EPP_EXT_LOGINSEC, EPP_EXTENSIONS };
extern const char *const epp_extension_uris[EPP_EXTENSIONS];

/* One schema; made by tools/embed.py. */
struct epp_embedded {
	const char *file;
	const char *uri;
	struct str text;
};
extern const struct epp_embedded epp_embedded[]; /* ends with .file == NULL */

/*
 * All schemas as one, compiled at the first call and kept for the life of the process; read-only, any thread. From then on
 * libxml2 opens nothing from files or the network in this process: whatever it wants to load is looked for among the
 * embedded schemas, and refused otherwise. NULL: memory, or a schema is wrong (logged).
 */
xmlSchemaPtr epp_schema(void);

#endif
