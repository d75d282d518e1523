/*
 * registry_objects.c - the tables of the door: objects, their fields, and which role may do what with them. Pure data and
 * look-ups; ceirctl and the documentation are made from the same tables. Whoever adds a field also adds it to the schema.
 */
#include "registry/registry.h"

#include <string.h>

#include "store/store.h"

#define IMP REG_BIT(REG_ROLE_IMPORTER)
#define CUS REG_BIT(REG_ROLE_CUSTOMS)
#define LEA REG_BIT(REG_ROLE_LEA)
#define TAX REG_BIT(REG_ROLE_TAX)
#define NRA REG_BIT(REG_ROLE_NRA)
#define ADM REG_BIT(REG_ROLE_ADMIN)
#define OPE REG_BIT(REG_ROLE_OPERATOR)
#define POS REG_BIT(REG_ROLE_POS)
#define OFFICES (CUS | LEA | TAX | NRA | ADM)
#define ALL REG_ALL_ROLES
#define PRICES (IMP | CUS | TAX | ADM) /* commercial data: the owner and those who tax it */

#define F(...) {__VA_ARGS__}
#define END F(.name = NULL)
#define CREATED(p) \
	F(.name = "crID", .type = REG_TOKEN, .flags = REG_SERVER | REG_FILTER, .column = p##_CR_ID), \
	F(.name = "crDate", .type = REG_TIME, .flags = REG_SERVER | REG_FILTER | REG_SORT, .column = p##_CR_AT)
#define HISTORY(p) CREATED(p), \
	F(.name = "upID", .type = REG_TOKEN, .flags = REG_SERVER, .column = p##_UP_ID), \
	F(.name = "upDate", .type = REG_TIME, .flags = REG_SERVER, .column = p##_UP_AT)

static const char *const importer_statuses[] = {"active", "suspended", "revoked", NULL};
static const char *const paper_statuses[] = {"valid", "revoked", NULL};
static const char *const tac_statuses[] = {"allocated", "withdrawn", NULL};
static const char *const application_statuses[] = {"staged", "pending", "submitted", "done", "withdrawn", NULL};
static const char *const application_kinds[] = {"import", "personal", NULL};
static const char *const colours[] = {"white", "grey", "black", NULL};
static const char *const all_colours[] = {"unknown", "white", "grey", "black", NULL};
static const char *const reasons[] = {"stolen", "lost", "fraud", "court", "clone", "barred", "evidence", "recovered", "other", NULL};
static const char *const pairs[] = {"only", "except", NULL};
static const char *const stages[] = {"provisional", "confirmed", "recovered", NULL};
static const char *const listing_statuses[] = {"scheduled", "inForce", "ended", NULL};
static const char *const yes_no[] = {"yes", "no", NULL};
static const char *const account_statuses[] = {"active", "suspended", "closed", NULL};
static const char *const roles[] = {"importer", "customs", "lea", "tax", "nra", "admin", "operator", "pos", NULL};
static const char *const device_statuses[] = {"registered", "withdrawn", "importerRevoked", "permitRevoked", "certificateRevoked", NULL};
static const char *const tag_types[] = {"meid", "serial", "eid", NULL};

static const struct reg_field importer_fields[] = {
	F(.name = "id", .type = REG_TOKEN, .flags = REG_KEY | REG_NEEDED | REG_FIXED | REG_FILTER | REG_SORT, .max = 32, .column = IMPORTER_CODE),
	F(.name = "name", .type = REG_TEXT, .flags = REG_NEEDED | REG_FILTER | REG_SORT, .column = IMPORTER_NAME),
	F(.name = "address", .type = REG_TEXT, .column = IMPORTER_ADDRESS),
	F(.name = "country", .type = REG_COUNTRY, .flags = REG_FILTER, .column = IMPORTER_COUNTRY),
	F(.name = "email", .type = REG_TEXT, .column = IMPORTER_EMAIL),
	F(.name = "voice", .type = REG_TOKEN, .max = 32, .column = IMPORTER_VOICE),
	F(.name = "status", .type = REG_ENUM, .flags = REG_FILTER, .choices = importer_statuses, .column = IMPORTER_STATUS),
	HISTORY(IMPORTER), END};

static const struct reg_field position_fields[] = {
	F(.name = "number", .type = REG_UINT, .flags = REG_KEY | REG_NEEDED, .max = 100000, .column = POSITION_NUMBER),
	F(.name = "certificate", .type = REG_TOKEN, .flags = REG_NEEDED, .column = POSITION_CERTIFICATE),
	F(.name = "manufacturer", .type = REG_TEXT, .flags = REG_NEEDED, .column = POSITION_MANUFACTURER),
	F(.name = "model", .type = REG_TEXT, .flags = REG_NEEDED, .column = POSITION_MODEL),
	F(.name = "country", .type = REG_COUNTRY, .flags = REG_NEEDED, .column = POSITION_COUNTRY),
	F(.name = "quantity", .type = REG_UINT, .flags = REG_NEEDED, .max = 100000000, .column = POSITION_QUANTITY),
	F(.name = "price", .type = REG_PRICE, .flags = REG_NEEDED, .see = PRICES, .column = POSITION_PRICE),
	F(.name = "currency", .type = REG_CURRENCY, .flags = REG_NEEDED, .see = PRICES, .column = POSITION_CURRENCY),
	F(.name = "used", .type = REG_UINT, .flags = REG_SERVER, .column = POSITION_USED), END};

static const struct reg_field permit_fields[] = {
	F(.name = "id", .type = REG_TOKEN, .flags = REG_KEY | REG_NEEDED | REG_FIXED | REG_FILTER | REG_SORT, .column = PERMIT_CODE),
	F(.name = "importer", .type = REG_TOKEN, .flags = REG_NEEDED | REG_FIXED | REG_FILTER, .max = 32, .column = PERMIT_IMPORTER),
	F(.name = "issued", .type = REG_DATE, .flags = REG_NEEDED | REG_FIXED | REG_FILTER | REG_SORT, .column = PERMIT_ISSUED),
	F(.name = "exDate", .type = REG_DATE, .flags = REG_NEEDED | REG_FIXED | REG_FILTER | REG_SORT, .column = PERMIT_EX),
	F(.name = "status", .type = REG_ENUM, .flags = REG_FILTER, .choices = paper_statuses, .column = PERMIT_STATUS),
	F(.name = "position", .type = REG_GROUP, .flags = REG_NEEDED | REG_MANY, .fields = position_fields, .column = -1),
	HISTORY(PERMIT), END};

static const struct reg_field certificate_fields[] = {
	F(.name = "id", .type = REG_TOKEN, .flags = REG_KEY | REG_NEEDED | REG_FIXED | REG_FILTER | REG_SORT, .column = CERTIFICATE_CODE),
	F(.name = "issued", .type = REG_DATE, .flags = REG_NEEDED | REG_FIXED | REG_FILTER | REG_SORT, .column = CERTIFICATE_ISSUED),
	F(.name = "exDate", .type = REG_DATE, .flags = REG_NEEDED | REG_FIXED | REG_FILTER | REG_SORT, .column = CERTIFICATE_EX),
	F(.name = "holder", .type = REG_TEXT, .flags = REG_FILTER, .column = CERTIFICATE_HOLDER),
	F(.name = "manufacturer", .type = REG_TEXT, .flags = REG_NEEDED | REG_FILTER, .column = CERTIFICATE_MANUFACTURER),
	F(.name = "model", .type = REG_TEXT, .flags = REG_NEEDED | REG_FILTER, .column = CERTIFICATE_MODEL),
	F(.name = "status", .type = REG_ENUM, .flags = REG_FILTER, .choices = paper_statuses, .column = CERTIFICATE_STATUS),
	F(.name = "tac", .type = REG_TAC, .flags = REG_MANY, .column = -1),
	HISTORY(CERTIFICATE), END};

static const struct reg_field tac_fields[] = {
	F(.name = "id", .type = REG_TAC, .flags = REG_KEY | REG_NEEDED | REG_FIXED | REG_FILTER | REG_SORT, .column = TAC_CODE),
	F(.name = "manufacturer", .type = REG_TEXT, .flags = REG_NEEDED | REG_FILTER | REG_SORT, .column = TAC_MANUFACTURER),
	F(.name = "model", .type = REG_TEXT, .flags = REG_NEEDED | REG_FILTER | REG_SORT, .column = TAC_MODEL),
	F(.name = "brand", .type = REG_TEXT, .flags = REG_FILTER, .column = TAC_BRAND),
	F(.name = "type", .type = REG_TEXT, .flags = REG_FILTER, .column = TAC_TYPE),
	F(.name = "rat", .type = REG_TEXT, .column = TAC_RAT),
	F(.name = "sims", .type = REG_UINT, .max = 5, .column = TAC_SIMS),
	F(.name = "allocated", .type = REG_DATE, .column = TAC_ALLOCATED),
	F(.name = "status", .type = REG_ENUM, .flags = REG_FILTER, .choices = tac_statuses, .column = TAC_STATUS),
	HISTORY(TAC), END};

static const struct reg_field application_fields[] = {
	F(.name = "id", .type = REG_TOKEN, .flags = REG_KEY | REG_SERVER | REG_FILTER | REG_SORT, .column = APPLICATION_CODE),
	F(.name = "kind", .type = REG_ENUM, .flags = REG_FIXED | REG_FILTER, .choices = application_kinds, .column = APPLICATION_KIND),
	F(.name = "importer", .type = REG_TOKEN, .flags = REG_SERVER | REG_FILTER, .max = 32, .column = APPLICATION_IMPORTER),
	F(.name = "permit", .type = REG_TOKEN, .flags = REG_FIXED | REG_FILTER, .column = APPLICATION_PERMIT),
	F(.name = "position", .type = REG_UINT, .flags = REG_FIXED, .max = 100000, .column = APPLICATION_POSITION),
	F(.name = "reference", .type = REG_TOKEN, .flags = REG_FILTER, .column = APPLICATION_REFERENCE),
	F(.name = "status", .type = REG_ENUM, .flags = REG_FILTER, .choices = application_statuses, .column = APPLICATION_STATUS),
	F(.name = "rows", .type = REG_UINT, .flags = REG_SERVER, .column = APPLICATION_ROWS),
	F(.name = "devices", .type = REG_UINT, .flags = REG_SERVER, .column = APPLICATION_DEVICES),
	F(.name = "accepted", .type = REG_UINT, .flags = REG_SERVER, .column = APPLICATION_ACCEPTED),
	F(.name = "refused", .type = REG_UINT, .flags = REG_SERVER, .column = APPLICATION_REFUSED),
	F(.name = "submitted", .type = REG_TIME, .flags = REG_SERVER | REG_FILTER, .column = APPLICATION_SUBMITTED_AT),
	F(.name = "done", .type = REG_TIME, .flags = REG_SERVER, .column = APPLICATION_DONE_AT),
	HISTORY(APPLICATION), END};

static const struct reg_field tag_fields[] = {
	F(.name = "type", .type = REG_ENUM, .flags = REG_KEY | REG_NEEDED, .choices = tag_types, .column = TAG_TYPE),
	F(.name = "value", .type = REG_TOKEN, .flags = REG_NEEDED, .column = TAG_VALUE), END};

static const struct reg_field state_fields[] = {
	F(.name = "colour", .type = REG_ENUM, .choices = all_colours, .column = -1),
	F(.name = "reason", .type = REG_TOKEN, .column = -1),
	F(.name = "since", .type = REG_TIME, .column = -1), END};

#define DEVICE (IMP | OFFICES)
static const struct reg_field imei_fields[] = {
	F(.name = "name", .type = REG_IMEI, .flags = REG_KEY | REG_NEEDED | REG_FIXED | REG_FILTER | REG_SORT, .column = -1),
	F(.name = "imei", .type = REG_IMEI, .flags = REG_MANY | REG_FIXED, .see = DEVICE, .column = -1),
	F(.name = "state", .type = REG_GROUP, .flags = REG_SERVER, .fields = state_fields, .column = -1),
	F(.name = "status", .type = REG_ENUM, .flags = REG_SERVER, .see = DEVICE, .choices = device_statuses, .column = -1),
	F(.name = "importer", .type = REG_TOKEN, .flags = REG_SERVER, .see = DEVICE, .column = -1),
	F(.name = "importerName", .type = REG_TEXT, .flags = REG_SERVER, .see = DEVICE, .column = -1),
	F(.name = "permit", .type = REG_TOKEN, .flags = REG_FIXED, .see = DEVICE, .column = -1),
	F(.name = "permitIssued", .type = REG_DATE, .flags = REG_SERVER, .see = DEVICE, .column = -1),
	F(.name = "certificate", .type = REG_TOKEN, .flags = REG_SERVER, .see = DEVICE, .column = -1),
	F(.name = "certificateIssued", .type = REG_DATE, .flags = REG_SERVER, .see = DEVICE, .column = -1),
	F(.name = "position", .type = REG_UINT, .flags = REG_FIXED, .see = DEVICE, .max = 100000, .column = -1),
	F(.name = "manufacturer", .type = REG_TEXT, .flags = REG_SERVER, .column = -1),
	F(.name = "model", .type = REG_TEXT, .flags = REG_SERVER, .column = -1),
	F(.name = "country", .type = REG_COUNTRY, .flags = REG_SERVER, .see = DEVICE, .column = -1),
	F(.name = "price", .type = REG_PRICE, .flags = REG_SERVER, .see = PRICES, .column = -1),
	F(.name = "currency", .type = REG_CURRENCY, .flags = REG_SERVER, .see = PRICES, .column = -1),
	F(.name = "application", .type = REG_TOKEN, .flags = REG_SERVER | REG_FILTER, .see = DEVICE, .column = -1),
	F(.name = "tag", .type = REG_GROUP, .flags = REG_MANY, .see = DEVICE, .fields = tag_fields, .column = -1),
	F(.name = "crID", .type = REG_TOKEN, .flags = REG_SERVER, .see = DEVICE, .column = -1),
	F(.name = "crDate", .type = REG_TIME, .flags = REG_SERVER, .see = DEVICE, .column = -1), END};

static const struct reg_field listing_fields[] = {
	F(.name = "id", .type = REG_TOKEN, .flags = REG_KEY | REG_SERVER | REG_FILTER | REG_SORT, .column = LISTING_CODE),
	F(.name = "imei", .type = REG_IMEI, .flags = REG_FIXED | REG_FILTER, .column = LISTING_IMEI),
	F(.name = "tac", .type = REG_TAC, .flags = REG_FIXED | REG_FILTER, .column = LISTING_TAC),
	F(.name = "colour", .type = REG_ENUM, .flags = REG_NEEDED | REG_FIXED | REG_FILTER, .choices = colours, .column = LISTING_COLOUR),
	F(.name = "reason", .type = REG_ENUM, .flags = REG_NEEDED | REG_FIXED | REG_FILTER, .choices = reasons, .column = LISTING_REASON),
	F(.name = "ground", .type = REG_TEXT, .flags = REG_NEEDED, .column = LISTING_GROUND),
	F(.name = "pair", .type = REG_ENUM, .flags = REG_FIXED, .choices = pairs, .column = LISTING_PAIR),
	F(.name = "imsi", .type = REG_IMSI, .flags = REG_FIXED, .see = LEA | ADM, .column = LISTING_IMSI),
	F(.name = "msisdn", .type = REG_MSISDN, .flags = REG_FIXED, .see = LEA | ADM, .column = LISTING_MSISDN),
	F(.name = "since", .type = REG_TIME, .flags = REG_FIXED | REG_FILTER, .column = LISTING_SINCE),
	F(.name = "until", .type = REG_TIME, .flags = REG_FILTER, .column = LISTING_UNTIL),
	F(.name = "stage", .type = REG_ENUM, .flags = REG_FILTER, .choices = stages, .column = LISTING_STAGE),
	F(.name = "status", .type = REG_ENUM, .flags = REG_SERVER | REG_FILTER, .choices = listing_statuses, .column = LISTING_STATUS),
	F(.name = "role", .type = REG_ENUM, .flags = REG_SERVER | REG_FILTER, .choices = roles, .column = LISTING_ROLE),
	F(.name = "endID", .type = REG_TOKEN, .flags = REG_SERVER, .column = LISTING_END_ID),
	F(.name = "endDate", .type = REG_TIME, .flags = REG_SERVER, .column = LISTING_END_AT),
	F(.name = "endGround", .type = REG_TEXT, .flags = REG_SERVER, .column = LISTING_END_GROUND),
	HISTORY(LISTING), END};

static const struct reg_field account_fields[] = {
	F(.name = "id", .type = REG_TOKEN, .flags = REG_KEY | REG_NEEDED | REG_FIXED | REG_FILTER | REG_SORT, .max = 16, .column = ACCOUNT_CODE),
	F(.name = "role", .type = REG_ENUM, .flags = REG_NEEDED | REG_FIXED | REG_FILTER, .choices = roles, .column = ACCOUNT_ROLE),
	F(.name = "pw", .type = REG_SECRET, .flags = REG_NEEDED, .column = ACCOUNT_PW),
	F(.name = "importer", .type = REG_TOKEN, .flags = REG_FIXED | REG_FILTER, .max = 32, .column = ACCOUNT_IMPORTER),
	F(.name = "operator", .type = REG_TOKEN, .flags = REG_FIXED | REG_FILTER, .max = 32, .column = ACCOUNT_OPERATOR),
	F(.name = "status", .type = REG_ENUM, .flags = REG_FILTER, .choices = account_statuses, .column = ACCOUNT_STATUS),
	F(.name = "ftps", .type = REG_ENUM, .flags = REG_FILTER, .choices = yes_no, .column = ACCOUNT_FTPS),
	F(.name = "lang", .type = REG_TOKEN, .flags = REG_FILTER, .max = 35, .column = ACCOUNT_LANG), /* RFC 5646 4.4.1: room for 35 characters */
	F(.name = "certificate", .type = REG_HEX32, .flags = REG_MANY, .column = -1),
	F(.name = "lockedUntil", .type = REG_TIME, .flags = REG_SERVER, .column = ACCOUNT_LOCKED_UNTIL),
	F(.name = "lastLogin", .type = REG_TIME, .flags = REG_SERVER, .column = ACCOUNT_LAST_LOGIN),
	HISTORY(ACCOUNT), END};

static const struct reg_field transaction_fields[] = {
	F(.name = "id", .type = REG_TOKEN, .flags = REG_KEY | REG_SERVER, .column = AUDIT_AT),
	F(.name = "seq", .type = REG_UINT, .flags = REG_SERVER | REG_FILTER | REG_SORT, .column = AUDIT_SEQ),
	F(.name = "date", .type = REG_TIME, .flags = REG_SERVER | REG_FILTER, .column = AUDIT_AT),
	F(.name = "account", .type = REG_TOKEN, .flags = REG_SERVER | REG_FILTER, .column = AUDIT_ACCOUNT),
	F(.name = "role", .type = REG_ENUM, .flags = REG_SERVER, .choices = roles, .column = AUDIT_ROLE),
	F(.name = "certificate", .type = REG_HEX32, .flags = REG_SERVER, .column = AUDIT_CERTIFICATE),
	F(.name = "address", .type = REG_TEXT, .flags = REG_SERVER, .column = AUDIT_ADDRESS),
	F(.name = "clTRID", .type = REG_TOKEN, .flags = REG_SERVER | REG_FILTER, .column = AUDIT_CLTRID),
	F(.name = "verb", .type = REG_TOKEN, .flags = REG_SERVER | REG_FILTER, .column = AUDIT_VERB),
	F(.name = "object", .type = REG_TOKEN, .flags = REG_SERVER | REG_FILTER, .column = AUDIT_OBJECT),
	F(.name = "name", .type = REG_TEXT, .flags = REG_SERVER | REG_FILTER, .column = AUDIT_NAME),
	F(.name = "code", .type = REG_UINT, .flags = REG_SERVER | REG_FILTER, .column = AUDIT_CODE),
	F(.name = "requestDigest", .type = REG_HEX32, .flags = REG_SERVER, .column = AUDIT_REQUEST),
	F(.name = "responseDigest", .type = REG_HEX32, .flags = REG_SERVER, .column = AUDIT_RESPONSE),
	F(.name = "hash", .type = REG_HEX32, .flags = REG_SERVER, .column = AUDIT_HASH), END};

/* ---- operators, deliveries, triplets, policy, lists ---- */

static const char *const operator_statuses[] = {"active", "suspended", NULL};
static const char *const delivery_kinds[] = {"full", "delta", NULL};
static const char *const delivery_statuses[] = {"received", "held", "released", "applied", "refused", NULL};
static const char *const policy_statuses[] = {"draft", "active", "retired", NULL};
static const char *const watch_statuses[] = {"active", "ended", NULL};
static const char *const modes[] = {"permissive", "restrictive", NULL};
static const char *const lists[] = {"black", "grey", "exceptions", "white", NULL};
static const char *const episodes_of[] = {"imei", "imsi", "msisdn", NULL};

static const struct reg_field operator_fields[] = {
	F(.name = "id", .type = REG_TOKEN, .flags = REG_KEY | REG_NEEDED | REG_FIXED | REG_FILTER | REG_SORT, .max = 32, .column = OPERATOR_CODE),
	F(.name = "name", .type = REG_TEXT, .flags = REG_NEEDED, .column = OPERATOR_NAME),
	F(.name = "number", .type = REG_UINT, .flags = REG_SERVER, .max = 255, .column = OPERATOR_ID),
	F(.name = "plmn", .type = REG_TOKEN, .flags = REG_MANY, .max = 6, .column = -1),
	F(.name = "status", .type = REG_ENUM, .flags = REG_FILTER, .choices = operator_statuses, .column = OPERATOR_STATUS),
	HISTORY(OPERATOR), END};

static const struct reg_field portability_fields[] = {
	F(.name = "id", .type = REG_TOKEN, .flags = REG_KEY | REG_SERVER | REG_FILTER | REG_SORT, .column = PORTABILITY_CODE),
	F(.name = "from", .type = REG_MSISDN, .flags = REG_NEEDED | REG_FIXED | REG_FILTER | REG_SORT, .column = PORTABILITY_FROM),
	F(.name = "to", .type = REG_MSISDN, .flags = REG_FIXED | REG_FILTER, .column = PORTABILITY_TO),
	F(.name = "operator", .type = REG_TOKEN, .flags = REG_NEEDED | REG_FIXED | REG_FILTER, .max = 32, .column = PORTABILITY_OPERATOR),
	F(.name = "since", .type = REG_DATE, .flags = REG_FIXED, .column = PORTABILITY_SINCE),
	CREATED(PORTABILITY), END};

static const struct reg_field delivery_fields[] = {
	F(.name = "id", .type = REG_TOKEN, .flags = REG_KEY | REG_SERVER | REG_FILTER | REG_SORT, .column = DELIVERY_CODE),
	F(.name = "operator", .type = REG_TOKEN, .flags = REG_SERVER | REG_FILTER, .max = 32, .column = DELIVERY_OPERATOR),
	F(.name = "kind", .type = REG_ENUM, .flags = REG_NEEDED | REG_FIXED | REG_FILTER, .choices = delivery_kinds, .column = DELIVERY_KIND),
	F(.name = "clientID", .type = REG_TOKEN, .flags = REG_FIXED | REG_FILTER, .column = DELIVERY_CLIENT_ID),
	F(.name = "fileName", .type = REG_TEXT, .flags = REG_FIXED, .column = DELIVERY_NAME),
	F(.name = "status", .type = REG_ENUM, .flags = REG_FILTER, .choices = delivery_statuses, .column = DELIVERY_STATUS),
	F(.name = "hold", .type = REG_TEXT, .flags = REG_SERVER | REG_MANY, .column = -1),
	F(.name = "lines", .type = REG_UINT, .flags = REG_SERVER, .column = DELIVERY_LINES),
	F(.name = "taken", .type = REG_UINT, .flags = REG_SERVER, .column = DELIVERY_TAKEN),
	F(.name = "refused", .type = REG_UINT, .flags = REG_SERVER, .column = DELIVERY_REFUSED),
	F(.name = "malformed", .type = REG_UINT, .flags = REG_SERVER, .column = DELIVERY_MALFORMED),
	F(.name = "suspicious", .type = REG_UINT, .flags = REG_SERVER, .column = DELIVERY_SUSPICIOUS),
	F(.name = "new", .type = REG_UINT, .flags = REG_SERVER, .column = DELIVERY_FRESH),
	F(.name = "again", .type = REG_UINT, .flags = REG_SERVER, .column = DELIVERY_AGAIN),
	F(.name = "returned", .type = REG_UINT, .flags = REG_SERVER, .column = DELIVERY_RETURNED),
	F(.name = "gone", .type = REG_UINT, .flags = REG_SERVER, .column = DELIVERY_GONE),
	F(.name = "bytes", .type = REG_UINT, .flags = REG_SERVER, .column = DELIVERY_BYTES),
	F(.name = "digest", .type = REG_HEX32, .flags = REG_SERVER, .column = DELIVERY_DIGEST),
	F(.name = "received", .type = REG_TIME, .flags = REG_SERVER | REG_FILTER, .column = DELIVERY_RECEIVED_AT),
	F(.name = "applied", .type = REG_TIME, .flags = REG_SERVER, .column = DELIVERY_APPLIED_AT),
	F(.name = "classified", .type = REG_TIME, .flags = REG_SERVER, .column = DELIVERY_CLASSIFIED_AT),
	F(.name = "ground", .type = REG_TEXT, .column = DELIVERY_GROUND),
	HISTORY(DELIVERY), END};

static const struct reg_field episode_fields[] = {
	F(.name = "from", .type = REG_TIME, .column = -1), F(.name = "to", .type = REG_TIME, .column = -1), END};

/* query: by imei, imsi or msisdn (one of them is needed), with case (law enforcement, admin), from and to (seen in that time), expand. */
static const struct reg_field triplet_fields[] = {
	F(.name = "id", .type = REG_TOKEN, .flags = REG_SERVER, .column = -1), /* of a batch of sightings; a triplet has no name of its own */
	F(.name = "imei", .type = REG_TOKEN, .flags = REG_SERVER | REG_FILTER, .column = -1),
	F(.name = "imsi", .type = REG_IMSI, .flags = REG_SERVER | REG_FILTER, .column = -1),
	F(.name = "msisdn", .type = REG_MSISDN, .flags = REG_SERVER | REG_FILTER, .column = -1),
	F(.name = "operator", .type = REG_TOKEN, .flags = REG_SERVER | REG_FILTER, .max = 32, .column = -1),
	F(.name = "homeOperator", .type = REG_TOKEN, .flags = REG_SERVER, .max = 32, .column = -1),
	F(.name = "first", .type = REG_TIME, .flags = REG_SERVER, .column = -1),
	F(.name = "last", .type = REG_TIME, .flags = REG_SERVER, .column = -1),
	F(.name = "event", .type = REG_TOKEN, .flags = REG_SERVER, .column = -1),
	F(.name = "rat", .type = REG_TOKEN, .flags = REG_SERVER, .column = -1),
	F(.name = "cell", .type = REG_TOKEN, .flags = REG_SERVER, .column = -1),
	F(.name = "episode", .type = REG_GROUP, .flags = REG_SERVER | REG_MANY, .fields = episode_fields, .column = -1),
	F(.name = "change", .type = REG_TOKEN, .flags = REG_SERVER | REG_MANY, .column = -1),
	F(.name = "case", .type = REG_TEXT, .flags = REG_SERVER | REG_FILTER, .max = 64, .column = -1),
	F(.name = "from", .type = REG_TIME, .flags = REG_SERVER | REG_FILTER, .column = -1),
	F(.name = "to", .type = REG_TIME, .flags = REG_SERVER | REG_FILTER, .column = -1),
	F(.name = "of", .type = REG_ENUM, .flags = REG_SERVER | REG_FILTER, .choices = episodes_of, .column = -1),
	F(.name = "sightings", .type = REG_UINT, .flags = REG_SERVER, .column = -1),
	F(.name = "refused", .type = REG_UINT, .flags = REG_SERVER, .column = -1),
	F(.name = "malformed", .type = REG_UINT, .flags = REG_SERVER, .column = -1), END};

static const struct reg_field condition_fields[] = {
	F(.name = "name", .type = REG_TOKEN, .flags = REG_KEY | REG_NEEDED, .max = 32, .column = -1),
	F(.name = "rule", .type = REG_TEXT, .flags = REG_NEEDED, .column = -1),
	F(.name = "graceDays", .type = REG_UINT, .max = 3650, .column = -1),
	F(.name = "blocking", .type = REG_ENUM, .choices = yes_no, .column = -1),
	F(.name = "sticky", .type = REG_ENUM, .choices = yes_no, .column = -1), END};

static const struct reg_field outcome_fields[] = {
	F(.name = "date", .type = REG_TIME, .column = -1),
	F(.name = "imeis", .type = REG_UINT, .column = -1),
	F(.name = "changes", .type = REG_UINT, .column = -1),
	F(.name = "toWhite", .type = REG_UINT, .column = -1),
	F(.name = "toGrey", .type = REG_UINT, .column = -1),
	F(.name = "toBlack", .type = REG_UINT, .column = -1),
	F(.name = "toUnknown", .type = REG_UINT, .column = -1), END};

#define PARAM(n, m) F(.name = n, .type = REG_UINT, .flags = REG_FIXED, .max = m, .column = -1)
static const struct reg_field policy_fields[] = {
	F(.name = "id", .type = REG_TOKEN, .flags = REG_KEY | REG_SERVER | REG_FILTER | REG_SORT, .column = POLICY_ROW_CODE),
	F(.name = "status", .type = REG_ENUM, .flags = REG_FILTER, .choices = policy_statuses, .column = POLICY_ROW_STATUS),
	F(.name = "ground", .type = REG_TEXT, .flags = REG_NEEDED, .column = POLICY_ROW_GROUND),
	F(.name = "mode", .type = REG_ENUM, .flags = REG_FIXED, .choices = modes, .column = -1),
	PARAM("graceDays", 3650), F(.name = "noticeDays", .type = REG_UINT, .flags = REG_FIXED | REG_MANY, .max = 3650, .column = -1),
	PARAM("lookbackDays", 3650), PARAM("gapDays", 3650), PARAM("keepEpisodeDays", 36500), PARAM("roamerDays", 366),
	F(.name = "amnestyFrom", .type = REG_DATE, .flags = REG_FIXED, .column = -1),
	F(.name = "amnestyUntil", .type = REG_DATE, .flags = REG_FIXED, .column = -1),
	PARAM("guardShare", 1000), PARAM("gateEmpty", 1000), PARAM("gateUnclean", 1000), PARAM("gateForeign", 1000), PARAM("gateSize", 1000),
	PARAM("gateZeros", 1000),
	F(.name = "homeMCC", .type = REG_TOKEN, .flags = REG_FIXED | REG_MANY, .max = 3, .column = -1),
	F(.name = "countryCode", .type = REG_TOKEN, .flags = REG_FIXED, .max = 3, .column = -1),
	F(.name = "condition", .type = REG_GROUP, .flags = REG_FIXED | REG_MANY, .fields = condition_fields, .column = -1),
	F(.name = "force", .type = REG_ENUM, .choices = yes_no, .column = -1),
	F(.name = "dryRun", .type = REG_GROUP, .flags = REG_SERVER, .fields = outcome_fields, .column = -1),
	F(.name = "active", .type = REG_TIME, .flags = REG_SERVER, .column = POLICY_ROW_ACTIVE_AT),
	HISTORY(POLICY_ROW), END};

static const struct reg_field golden_fields[] = {
	F(.name = "id", .type = REG_IMEI, .flags = REG_KEY | REG_NEEDED | REG_FIXED, .column = -1),
	CREATED(GOLDEN), END};

static const struct reg_field watch_fields[] = {
	F(.name = "id", .type = REG_TOKEN, .flags = REG_KEY | REG_SERVER | REG_FILTER | REG_SORT, .column = WATCH_CODE),
	F(.name = "imei", .type = REG_IMEI, .flags = REG_NEEDED | REG_FIXED | REG_FILTER, .column = WATCH_IMEI),
	F(.name = "ground", .type = REG_TEXT, .flags = REG_NEEDED, .column = WATCH_GROUND),
	F(.name = "until", .type = REG_TIME, .column = WATCH_UNTIL),
	F(.name = "status", .type = REG_ENUM, .flags = REG_SERVER | REG_FILTER, .choices = watch_statuses, .column = WATCH_STATUS),
	F(.name = "lastSeen", .type = REG_TIME, .flags = REG_SERVER, .column = WATCH_LAST_SEEN),
	HISTORY(WATCH), END};

/* info: the state of a list, of the operator that asks; admin names one. query: the files that were made. */
static const struct reg_field list_fields[] = {
	F(.name = "id", .type = REG_ENUM, .flags = REG_KEY | REG_NEEDED | REG_FIXED | REG_FILTER, .choices = lists, .column = LIST_FILE_LIST),
	F(.name = "operator", .type = REG_TOKEN, .flags = REG_FIXED | REG_FILTER, .max = 32, .column = LIST_FILE_OPERATOR),
	F(.name = "seq", .type = REG_UINT, .flags = REG_SERVER, .column = -1),
	F(.name = "ackSeq", .type = REG_UINT, .max = INT64_MAX, .column = -1),
	F(.name = "ackDate", .type = REG_TIME, .flags = REG_SERVER, .column = -1),
	F(.name = "lag", .type = REG_UINT, .flags = REG_SERVER, .column = -1),
	F(.name = "from", .type = REG_UINT, .flags = REG_SERVER, .column = LIST_FILE_FROM),
	F(.name = "to", .type = REG_UINT, .flags = REG_SERVER, .column = LIST_FILE_TO),
	F(.name = "fileName", .type = REG_TEXT, .flags = REG_SERVER, .column = LIST_FILE_NAME),
	F(.name = "rows", .type = REG_UINT, .flags = REG_SERVER, .column = LIST_FILE_ROWS),
	F(.name = "bytes", .type = REG_UINT, .flags = REG_SERVER, .column = LIST_FILE_BYTES),
	F(.name = "digest", .type = REG_HEX32, .flags = REG_SERVER, .column = LIST_FILE_DIGEST),
	F(.name = "date", .type = REG_TIME, .flags = REG_SERVER | REG_FILTER | REG_SORT, .column = LIST_FILE_AT), END};

static const char *const remote_tls[] = {"explicit", "implicit", NULL};
static const char *const remote_formats[] = {"csv", "xml", NULL};
static const char *const remote_packings[] = {"none", "gzip", "zstd", NULL};
static const char *const remote_statuses[] = {"active", "suspended", NULL};

static const struct reg_field pushed_fields[] = {
	F(.name = "list", .type = REG_ENUM, .choices = lists, .column = -1),
	F(.name = "seq", .type = REG_UINT, .column = -1), END};

#define FOLDER(n, col) F(.name = n, .type = REG_TEXT, .flags = REG_CLEARS, .max = 255, .column = col)
static const struct reg_field remote_fields[] = {
	F(.name = "id", .type = REG_TOKEN, .flags = REG_KEY | REG_NEEDED | REG_FIXED | REG_FILTER | REG_SORT, .max = 32, .column = REMOTE_CODE),
	F(.name = "account", .type = REG_TOKEN, .flags = REG_NEEDED | REG_FIXED | REG_FILTER | REG_SORT, .max = 16, .column = REMOTE_ACCOUNT),
	F(.name = "host", .type = REG_TEXT, .flags = REG_NEEDED | REG_FILTER, .max = 253, .column = REMOTE_HOST),
	F(.name = "port", .type = REG_UINT, .max = 65535, .column = REMOTE_PORT),
	F(.name = "tls", .type = REG_ENUM, .choices = remote_tls, .column = REMOTE_TLS),
	F(.name = "user", .type = REG_TOKEN, .flags = REG_NEEDED, .column = REMOTE_USER),
	F(.name = "pw", .type = REG_SECRET, .flags = REG_NEEDED, .column = REMOTE_PW),
	F(.name = "ca", .type = REG_TEXT, .flags = REG_CLEARS | REG_LINES, .max = 16384, .column = REMOTE_CA),
	FOLDER("listsTo", REMOTE_LISTS_TO), FOLDER("answersTo", REMOTE_ANSWERS_TO), FOLDER("fetchFrom", REMOTE_FETCH_FROM),
	F(.name = "list", .type = REG_ENUM, .flags = REG_MANY, .choices = lists, .column = -1),
	F(.name = "format", .type = REG_ENUM, .choices = remote_formats, .column = REMOTE_FORMAT),
	F(.name = "packing", .type = REG_ENUM, .choices = remote_packings, .column = REMOTE_PACKING),
	F(.name = "keep", .type = REG_ENUM, .choices = yes_no, .column = REMOTE_KEEP),
	F(.name = "interval", .type = REG_UINT, .max = 86400, .column = REMOTE_INTERVAL),
	F(.name = "status", .type = REG_ENUM, .flags = REG_FILTER, .choices = remote_statuses, .column = REMOTE_STATUS),
	F(.name = "failures", .type = REG_UINT, .flags = REG_SERVER | REG_FILTER, .column = REMOTE_FAILURES),
	F(.name = "error", .type = REG_TEXT, .flags = REG_SERVER, .column = REMOTE_ERROR),
	F(.name = "failed", .type = REG_TIME, .flags = REG_SERVER | REG_FILTER, .column = REMOTE_FAILED_AT),
	F(.name = "done", .type = REG_TIME, .flags = REG_SERVER | REG_FILTER, .column = REMOTE_DONE_AT),
	F(.name = "pushed", .type = REG_GROUP, .flags = REG_SERVER | REG_MANY, .fields = pushed_fields, .column = -1),
	HISTORY(REMOTE), END};

static const struct reg_field matched_fields[] = {
	F(.name = "name", .type = REG_TOKEN, .column = -1), F(.name = "blocking", .type = REG_ENUM, .choices = yes_no, .column = -1), END};

/* Explains a verdict. */
static const struct reg_field verdict_fields[] = {
	F(.name = "id", .type = REG_TOKEN, .flags = REG_KEY | REG_NEEDED, .column = -1),
	F(.name = "colour", .type = REG_ENUM, .flags = REG_SERVER, .choices = all_colours, .column = -1),
	F(.name = "reason", .type = REG_TOKEN, .flags = REG_SERVER, .column = -1),
	F(.name = "since", .type = REG_TIME, .flags = REG_SERVER, .column = -1),
	F(.name = "change", .type = REG_UINT, .flags = REG_SERVER, .column = -1),
	F(.name = "transaction", .type = REG_TOKEN, .flags = REG_SERVER, .column = -1),
	F(.name = "policy", .type = REG_UINT, .flags = REG_SERVER, .column = -1),
	F(.name = "firstSeen", .type = REG_TIME, .flags = REG_SERVER, .column = -1),
	F(.name = "lastSeen", .type = REG_TIME, .flags = REG_SERVER, .column = -1),
	F(.name = "subscribers", .type = REG_UINT, .flags = REG_SERVER, .see = LEA | NRA | ADM, .column = -1),
	F(.name = "noticed", .type = REG_DATE, .flags = REG_SERVER, .column = -1),
	F(.name = "block", .type = REG_DATE, .flags = REG_SERVER, .column = -1),
	F(.name = "condition", .type = REG_GROUP, .flags = REG_SERVER | REG_MANY, .fields = matched_fields, .column = -1),
	F(.name = "explanation", .type = REG_TEXT, .flags = REG_SERVER | REG_MANY, .column = -1), END};

#define URI(name) "urn:ceir:params:xml:ns:" name "-1.0"

/* The rights. What a line does not name is refused: 2201 when the object has the verb, 2101 when it has not. */
static const struct reg_object importer_object = {.name = "importer", .uri = URI("importer"), .fields = importer_fields,
	.may = {[REG_CHECK] = CUS | ADM, [REG_INFO] = IMP | OFFICES, [REG_QUERY] = OFFICES, [REG_CREATE] = CUS, [REG_UPDATE] = CUS,
		[REG_DELETE] = CUS},
	.own = {[REG_INFO] = IMP}};
static const struct reg_object permit_object = {.name = "permit", .uri = URI("permit"), .fields = permit_fields,
	.may = {[REG_CHECK] = CUS | ADM, [REG_INFO] = IMP | CUS | TAX | LEA | ADM, [REG_QUERY] = IMP | CUS | TAX | LEA | ADM,
		[REG_CREATE] = CUS, [REG_UPDATE] = CUS, [REG_DELETE] = CUS, [REG_RENEW] = CUS},
	.own = {[REG_INFO] = IMP, [REG_QUERY] = IMP}};
static const struct reg_object certificate_object = {.name = "certificate", .uri = URI("certificate"), .fields = certificate_fields,
	.may = {[REG_CHECK] = NRA | CUS | ADM, [REG_INFO] = IMP | OFFICES, [REG_QUERY] = IMP | OFFICES, [REG_CREATE] = NRA, [REG_UPDATE] = NRA,
		[REG_DELETE] = NRA, [REG_RENEW] = NRA}};
static const struct reg_object tac_object = {.name = "tac", .uri = URI("tac"), .fields = tac_fields,
	.may = {[REG_CHECK] = ALL, [REG_INFO] = ALL, [REG_QUERY] = IMP | OFFICES | OPE, [REG_CREATE] = NRA, [REG_UPDATE] = NRA, [REG_DELETE] = NRA}};
static const struct reg_object application_object = {.name = "application", .uri = URI("application"), .fields = application_fields,
	.may = {[REG_INFO] = IMP | CUS | TAX | ADM | POS, [REG_QUERY] = IMP | CUS | TAX | ADM | POS, [REG_CREATE] = IMP | CUS | POS,
		[REG_UPDATE] = IMP | CUS | POS, [REG_DELETE] = IMP | CUS | POS},
	.own = {[REG_INFO] = IMP | POS, [REG_QUERY] = IMP | POS, [REG_UPDATE] = IMP | POS, [REG_DELETE] = IMP | POS}};
static const struct reg_object imei_object = {.name = "imei", .uri = "urn:ietf:params:xml:ns:imei-1.0", .fields = imei_fields,
	.may = {[REG_CHECK] = ALL, [REG_INFO] = ALL, [REG_QUERY] = IMP | OFFICES, [REG_CREATE] = IMP, [REG_UPDATE] = IMP | CUS,
		[REG_DELETE] = IMP | CUS, [REG_TRANSFER] = IMP},
	.own = {[REG_INFO] = IMP, [REG_QUERY] = IMP, [REG_UPDATE] = IMP, [REG_DELETE] = IMP}};
static const struct reg_object listing_object = {.name = "listing", .uri = URI("listing"), .fields = listing_fields,
	.may = {[REG_INFO] = CUS | LEA | NRA | ADM, [REG_QUERY] = CUS | LEA | NRA | ADM, [REG_CREATE] = LEA | NRA, [REG_UPDATE] = LEA | NRA,
		[REG_DELETE] = LEA | NRA}};
static const struct reg_object account_object = {.name = "account", .uri = URI("account"), .fields = account_fields,
	.may = {[REG_CHECK] = ADM, [REG_INFO] = ALL, [REG_QUERY] = ADM, [REG_CREATE] = ADM, [REG_UPDATE] = ADM, [REG_DELETE] = ADM},
	.own = {[REG_INFO] = ALL & ~ADM}};
static const struct reg_object transaction_object = {.name = "transaction", .uri = URI("transaction"), .fields = transaction_fields,
	.may = {[REG_INFO] = ALL, [REG_QUERY] = ALL}, .own = {[REG_INFO] = ALL & ~ADM, [REG_QUERY] = ALL & ~ADM}};
static const struct reg_object operator_object = {.name = "operator", .uri = URI("operator"), .fields = operator_fields,
	.may = {[REG_CHECK] = ADM, [REG_INFO] = OFFICES | OPE, [REG_QUERY] = OFFICES | OPE, [REG_CREATE] = ADM, [REG_UPDATE] = ADM}};
static const struct reg_object portability_object = {.name = "portability", .uri = URI("portability"), .fields = portability_fields,
	.may = {[REG_INFO] = NRA | ADM, [REG_QUERY] = NRA | ADM, [REG_CREATE] = NRA | ADM, [REG_DELETE] = NRA | ADM}};
static const struct reg_object delivery_object = {.name = "delivery", .uri = URI("delivery"), .fields = delivery_fields,
	.may = {[REG_INFO] = OPE | ADM, [REG_QUERY] = OPE | ADM, [REG_CREATE] = OPE, [REG_UPDATE] = ADM},
	.own = {[REG_INFO] = OPE, [REG_QUERY] = OPE}};
static const struct reg_object triplet_object = {.name = "triplet", .uri = URI("triplet"), .fields = triplet_fields,
	.may = {[REG_QUERY] = LEA | ADM | OPE, [REG_CREATE] = OPE}, .own = {[REG_QUERY] = OPE}};
static const struct reg_object policy_object = {.name = "policy", .uri = URI("policy"), .fields = policy_fields,
	.may = {[REG_INFO] = OFFICES, [REG_QUERY] = OFFICES, [REG_CREATE] = ADM, [REG_UPDATE] = ADM, [REG_DELETE] = ADM}};
static const struct reg_object golden_object = {.name = "golden", .uri = URI("golden"), .fields = golden_fields,
	.may = {[REG_CHECK] = ADM, [REG_CREATE] = ADM, [REG_DELETE] = ADM}};
static const struct reg_object watch_object = {.name = "watch", .uri = URI("watch"), .fields = watch_fields,
	.may = {[REG_INFO] = LEA, [REG_QUERY] = LEA, [REG_CREATE] = LEA, [REG_UPDATE] = LEA, [REG_DELETE] = LEA}};
static const struct reg_object list_object = {.name = "list", .uri = URI("list"), .fields = list_fields,
	.may = {[REG_INFO] = OPE | ADM, [REG_QUERY] = OPE | ADM, [REG_UPDATE] = OPE}, .own = {[REG_INFO] = OPE, [REG_QUERY] = OPE}};
static const struct reg_object remote_object = {.name = "remote", .uri = URI("remote"), .fields = remote_fields,
	.may = {[REG_CHECK] = ADM, [REG_INFO] = OPE | ADM, [REG_QUERY] = OPE | ADM, [REG_CREATE] = ADM, [REG_UPDATE] = ADM, [REG_DELETE] = ADM},
	.own = {[REG_INFO] = OPE, [REG_QUERY] = OPE}};
static const struct reg_object verdict_object = {.name = "verdict", .uri = URI("verdict"), .fields = verdict_fields,
	.may = {[REG_INFO] = OFFICES}};

const struct reg_object *const reg_objects[] = {&imei_object, &importer_object, &permit_object, &certificate_object, &tac_object,
	&application_object, &listing_object, &account_object, &transaction_object, &operator_object, &portability_object, &delivery_object,
	&triplet_object, &policy_object, &golden_object, &watch_object, &list_object, &remote_object, &verdict_object, NULL};

const struct reg_object *reg_object_by_name(struct str name)
{
	for (size_t i = 0; reg_objects[i]; i++)
		if (str_eq_c(name, reg_objects[i]->name))
			return reg_objects[i];
	return NULL;
}

const struct reg_object *reg_object_by_uri(struct str uri)
{
	for (size_t i = 0; reg_objects[i]; i++)
		if (str_eq_c(uri, reg_objects[i]->uri))
			return reg_objects[i];
	return NULL;
}

bool reg_object_has_secret(const struct reg_object *o)
{
	for (const struct reg_field *f = o->fields; f->name; f++)
		if (f->type == REG_SECRET)
			return true;
	return false;
}

const struct reg_field *reg_field_find(const struct reg_field *fields, struct str name)
{
	for (; fields->name; fields++)
		if (str_eq_c(name, fields->name))
			return fields;
	return NULL;
}

const char *reg_type_expects(enum reg_type type)
{
	static const char *const texts[REG_GROUP + 1] = {
		[REG_IMEI] = N_("Expected an IMEI: 15 digits with a correct check digit"),
		[REG_TAC] = N_("Expected a TAC: 8 digits"),
		[REG_IMSI] = N_("Expected an IMSI: 14 or 15 digits"),
		[REG_MSISDN] = N_("Expected a phone number: 5 to 15 digits"),
		[REG_DATE] = N_("Expected an existing date as YYYY-MM-DD"),
		[REG_TIME] = N_("Expected a date and time as YYYY-MM-DDThh:mm:ssZ"),
		[REG_UINT] = N_("Expected a whole number in the allowed range"),
		[REG_PRICE] = N_("Expected an amount of at most 12 digits, a point and at most 4 decimals"),
		[REG_CURRENCY] = N_("Expected a currency code of ISO 4217: three capital letters"),
		[REG_COUNTRY] = N_("Expected a country code of ISO 3166-1: two capital letters"),
		[REG_ENUM] = N_("Expected one of the values that the schema names"),
		[REG_SECRET] = N_("Expected a password of 6 to 128 characters"),
		[REG_HEX32] = N_("Expected a SHA-256 fingerprint: 64 hexadecimal digits"),
	};

	return texts[type];
}

const char *reg_list_name(unsigned list)
{
	return list < REG_LISTS ? lists[list] : NULL;
}

const char *reg_role_name(unsigned role)
{
	return role > REG_ROLE_NONE && role < REG_ROLES ? roles[role - 1] : "none";
}

const char *reg_verb_name(unsigned verb)
{
	static const char *const names[REG_VERBS] = {"hello", "login", "logout", "poll", "check", "info", "create", "update", "delete",
		"renew", "transfer", "query"};
	return verb < REG_VERBS ? names[verb] : "unknown";
}

const char *reg_code_text(unsigned code)
{
	static const struct {
		enum reg_code code;
		const char *text;
	} texts[] = {
		{REG_DONE, N_("Command completed successfully")},
		{REG_PENDING, N_("Command completed successfully; action pending")},
		{REG_NO_MESSAGES, N_("Command completed successfully; no messages")},
		{REG_MESSAGE, N_("Command completed successfully; ack to dequeue")},
		{REG_BYE, N_("Command completed successfully; ending session")},
		{REG_UNKNOWN_COMMAND, N_("Unknown command")},
		{REG_SYNTAX, N_("Command syntax error")},
		{REG_USE, N_("Command use error")},
		{REG_MISSING, N_("Required parameter missing")},
		{REG_RANGE, N_("Parameter value range error")},
		{REG_VALUE, N_("Parameter value syntax error")},
		{REG_VERSION, N_("Unimplemented protocol version")},
		{REG_UNIMPL_COMMAND, N_("Unimplemented command")},
		{REG_UNIMPL_OPTION, N_("Unimplemented option")},
		{REG_UNIMPL_EXTENSION, N_("Unimplemented extension")},
		{REG_BILLING, N_("Billing failure")},
		{REG_NOT_RENEWABLE, N_("Object is not eligible for renewal")},
		{REG_NOT_TRANSFERABLE, N_("Object is not eligible for transfer")},
		{REG_AUTHENTICATION, N_("Authentication error")},
		{REG_AUTHORIZATION, N_("Authorization error")},
		{REG_AUTHINFO, N_("Invalid authorization information")},
		{REG_PENDING_TRANSFER, N_("Object pending transfer")},
		{REG_NO_PENDING_TRANSFER, N_("Object not pending transfer")},
		{REG_EXISTS, N_("Object exists")},
		{REG_NOT_FOUND, N_("Object does not exist")},
		{REG_STATUS, N_("Object status prohibits operation")},
		{REG_ASSOCIATION, N_("Object association prohibits operation")},
		{REG_POLICY, N_("Parameter value policy error")},
		{REG_UNIMPL_OBJECT, N_("Unimplemented object service")},
		{REG_DATA_POLICY, N_("Data management policy violation")},
		{REG_FAILED, N_("Command failed")},
		{REG_FAILED_CLOSING, N_("Command failed; server closing connection")},
		{REG_AUTH_CLOSING, N_("Authentication error; server closing connection")},
		{REG_LIMIT_CLOSING, N_("Session limit exceeded; server closing connection")},
	};
	for (size_t i = 0; i < CEIR_COUNT(texts); i++)
		if (texts[i].code == code)
			return texts[i].text;
	return NULL;
}
