/*
 * ctl_session.c - see ctl_session.h.
 */
#include "ctl/ctl_session.h"

#include <stdarg.h>
#include <string.h>

#include "ctl/ctl_answer.h"
#include "ctl/ctl_xml.h"

#define TIMEOUT_S 60u    /* default of --timeout */
#define PLAIN_PW_MAX 16u /* RFC 5730 pwType: longer ones go through RFC 8807 */
#define LOGINSEC_URI "urn:ietf:params:xml:ns:epp:loginSec-1.0"

void ctl_complain(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fputs("ceirctl: ", stderr);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
	va_end(ap);
}

/* ---- login ------------------------------------------------------------------------------------------------------------ */

/* A string or an array of strings, each as an element. */
static void put_uris(struct buf *b, const char *element, const json_t *uris)
{
	size_t i;
	json_t *e;

	if (json_is_string(uris))
		ctl_xml_element(b, NULL, element, str_of(json_string_value(uris)));
	json_array_foreach((json_t *)(uintptr_t)uris, i, e) ctl_xml_element(b, NULL, element, str_of(json_string_value(e)));
}

static bool has_uri(const json_t *uris, const char *uri)
{
	size_t i;
	json_t *e;

	if (json_is_string(uris))
		return strcmp(json_string_value(uris), uri) == 0;
	json_array_foreach((json_t *)(uintptr_t)uris, i, e) if (strcmp(json_string_value(e), uri) == 0) return true;
	return false;
}

/* Passwords that the base schema has no room for stand in the extension (RFC 8807 4.1), a fixed word in their place. */
static void put_passwords(struct buf *b, struct buf *extension, struct str pw, struct str newpw, bool secure)
{
	bool pw_long = secure && pw.n > PLAIN_PW_MAX, new_long = secure && newpw.n > PLAIN_PW_MAX;

	ctl_xml_element(b, NULL, "pw", pw_long ? STR("[LOGIN-SECURITY]") : pw);
	if (newpw.p)
		ctl_xml_element(b, NULL, "newPW", new_long ? STR("[LOGIN-SECURITY]") : newpw);
	if (!pw_long && !new_long)
		return;
	buf_c(extension, "<extension><loginSec:loginSec xmlns:loginSec=\"" LOGINSEC_URI "\">");
	if (pw_long)
		ctl_xml_element(extension, "loginSec", "pw", pw);
	if (new_long)
		ctl_xml_element(extension, "loginSec", "newPW", newpw);
	buf_c(extension, "</loginSec:loginSec></extension>");
}

/* Everything the greeting offers is asked for. */
static void put_login(struct buf *b, const json_t *greeting, const char *user, struct str pw, struct str newpw, const char *lang)
{
	const json_t *objects = json_object_get(greeting, "objURI");
	const json_t *extensions = json_object_get(json_object_get(greeting, "svcExtension"), "extURI");
	struct buf extension = BUF_INIT(0);

	ctl_frame_begin(b);
	buf_c(b, "<login>");
	ctl_xml_element(b, NULL, "clID", str_of(user));
	put_passwords(b, &extension, pw, newpw, has_uri(extensions, LOGINSEC_URI));
	buf_c(b, "<options>");
	ctl_xml_element(b, NULL, "version", STR("1.0"));
	ctl_xml_element(b, NULL, "lang", str_of(lang));
	buf_c(b, "</options><svcs>");
	put_uris(b, "objURI", objects);
	if (extensions) {
		buf_c(b, "<svcExtension>");
		put_uris(b, "extURI", extensions);
		buf_c(b, "</svcExtension>");
	}
	buf_c(b, "</svcs></login>");
	buf_str(b, buf_view(&extension));
	ctl_frame_end(b);
	b->failed = b->failed || extension.failed;
	buf_free(&extension);
}

static enum ctl_exit login(struct ctl_session *s, const struct ctl_args *a, const struct ctl_target *t, struct str newpw)
{
	struct buf pw = BUF_INIT(0), xml = BUF_INIT(0);
	json_t *greeting = NULL, *answer = NULL;
	enum ctl_exit result = CTL_USAGE;
	enum ceir_err err;

	err = ctl_secret_read(t->password_file[0] ? t->password_file : "-", "password", &pw);
	if (err) {
		ctl_complain("password of %s from %s: %s", t->user, t->password_file[0] ? t->password_file : "standard input",
			ceir_err_text(err));
		goto out;
	}
	if (ctl_answer_parse(epp_client_greeting(s->epp), &greeting)) {
		ctl_complain("the server's greeting is not EPP");
		result = CTL_CONNECTION;
		goto out;
	}
	put_login(&xml, greeting, t->user, buf_view(&pw), newpw, a->lang ? a->lang : "en");
	result = ctl_send(s, &xml);
	if (result == CTL_OK)
		result = ctl_receive(s, &answer);
	if (result == CTL_OK && !ctl_answer_good(answer))
		result = ctl_show(s, answer);
out:
	json_decref(greeting);
	json_decref(answer);
	if (pw.p)
		explicit_bzero(pw.p, pw.cap);
	if (xml.p)
		explicit_bzero(xml.p, xml.cap);
	buf_free(&pw);
	buf_free(&xml);
	return result;
}

/* ---- opening and closing ------------------------------------------------------------------------------------------------ */

enum ctl_exit ctl_session_open(struct ctl_session *s, const struct ctl_args *a, const struct ctl_target *t, struct str newpw)
{
	char why[256] = "";
	uint64_t timeout_s = TIMEOUT_S;
	enum ctl_exit result;
	enum ceir_err err;

	*s = (struct ctl_session){.json = a->json};
	if (a->timeout && str_u64(str_of(a->timeout), 86400, &timeout_s)) {
		ctl_complain("--timeout wants seconds, 0 to 86400 (0: wait for ever)");
		return CTL_USAGE;
	}
	err = tls_client_new(t->ca, t->cert[0] ? t->cert : NULL, t->key[0] ? t->key : NULL, &s->tls);
	if (err) {
		ctl_complain("cannot use the certificates (%s, %s): %s", t->ca, t->cert[0] ? t->cert : "none of ours",
			ceir_err_text(err));
		return CTL_USAGE;
	}
	err = epp_client_connect(s->tls, t->host, t->port, (unsigned)timeout_s * 1000, &s->epp, why, sizeof(why));
	if (err) {
		ctl_complain("%s port %s: %s", t->host, t->port, why[0] ? why : ceir_err_text(err));
		ctl_session_close(s);
		return CTL_CONNECTION;
	}
	result = t->may_login ? login(s, a, t, newpw) : CTL_OK;
	s->logged_in = t->may_login && result == CTL_OK;
	if (result != CTL_OK)
		ctl_session_close(s);
	return result;
}

/* The answer is waited for, so that the server never writes to nobody; what it says does not matter any more. */
static void logout(struct ctl_session *s)
{
	struct buf xml = BUF_INIT(0);
	struct str answer;

	ctl_frame_begin(&xml);
	buf_c(&xml, "<logout/>");
	ctl_frame_end(&xml);
	if (!xml.failed && !epp_client_send(s->epp, buf_view(&xml)))
		(void)!epp_client_receive(s->epp, &answer);
	buf_free(&xml);
}

void ctl_session_close(struct ctl_session *s)
{
	if (s->logged_in)
		logout(s);
	s->logged_in = false;
	epp_client_close(s->epp);
	tls_client_free(s->tls);
	s->epp = NULL;
	s->tls = NULL;
}

/* ---- commands ------------------------------------------------------------------------------------------------------------ */

enum ctl_exit ctl_send(struct ctl_session *s, const struct buf *xml)
{
	enum ceir_err err = xml->failed ? CEIR_ENOMEM : epp_client_send(s->epp, buf_view(xml));

	if (err)
		ctl_complain("sending: %s", ceir_err_text(err));
	s->logged_in = s->logged_in && !err;
	return err ? CTL_CONNECTION : CTL_OK;
}

enum ctl_exit ctl_receive(struct ctl_session *s, json_t **json)
{
	struct str xml;
	enum ceir_err err = epp_client_receive(s->epp, &xml);

	if (err) {
		s->logged_in = false;
		ctl_complain("waiting for the answer: %s", ceir_err_text(err));
		return CTL_CONNECTION;
	}
	err = ctl_answer_parse(xml, json);
	if (err)
		ctl_complain("the server's answer is not EPP");
	return err ? CTL_CONNECTION : CTL_OK;
}

enum ctl_exit ctl_show(const struct ctl_session *s, const json_t *json)
{
	if (s->json)
		ctl_print_json(json);
	else
		ctl_print_answer(json);
	return ctl_answer_good(json) ? CTL_OK : CTL_REFUSED;
}

enum ctl_exit ctl_transact(struct ctl_session *s, const struct buf *xml)
{
	json_t *json = NULL;
	enum ctl_exit result = ctl_send(s, xml);

	if (result == CTL_OK)
		result = ctl_receive(s, &json);
	if (result == CTL_OK)
		result = ctl_show(s, json);
	json_decref(json);
	return result;
}
