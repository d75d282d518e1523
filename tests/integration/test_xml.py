#!/usr/bin/python3
"""Bad XML in good frames: each is answered with the code RFC 5730 gives, names the element, and the session goes on."""
import http.server
import os
import threading
import time

from harness import (EPP, IMEI_URI, PASSWORD, SCREEN_IMEI, SLOW, Test, World, document, folder, main, object_command,
                     uri)

CHECK = object_command("check", "imei", "<imei:name>%s</imei:name>" % SCREEN_IMEI)


def epp(inner):
    return '<epp xmlns="%s">%s</epp>' % (EPP, inner)


class Xml(Test):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.server = cls.world.server
        cls.s = cls.world.session("nra1")

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def tearDown(self):
        """The session goes on."""
        self.code(self.s.command(CHECK), 1000)

    def refused(self, doc, *codes):
        r = self.s.raw(doc)
        self.code(r, *codes)
        self.assertTrue(r.svtrid)
        return r

    # ---- not XML, or XML that must not be read

    def test_not_well_formed(self):
        for doc in ("", "<", "<epp>", "<epp", "</epp>", "plain words", document(CHECK)[:-1], document(CHECK) + "x",
                    document(CHECK) * 2,
                    epp("<command><check></command></check>"), epp("<a b=c/>"), epp("<a b='1' b='2'/>"), epp("&nbsp;"),
                    epp("&#0;"), epp("<p:x/>"),
                    epp("<command>]]></command>"), epp("\x01"), "<?xml version='9.9'?>" + epp("")):
            if doc:
                self.refused(doc, 2001)

    def test_doctype(self):
        for d in ('<!DOCTYPE epp>', '<!DOCTYPE epp SYSTEM "epp.dtd">', '<!DOCTYPE epp [<!ELEMENT epp ANY>]>',
                  '<!DOCTYPE epp [<!ENTITY a "b">]>',
                  '<!DOCTYPE epp PUBLIC "-//W3C//DTD XHTML 1.0//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">'):
            self.refused('<?xml version="1.0"?>' + d + document(CHECK).split("?>", 1)[1], 2001)

    def test_billion_laughs(self):
        entities = '<!ENTITY a0 "ha">' + "".join('<!ENTITY a%d "%s">' % (i, ("&a%d;" % (i - 1)) * 10) for i in range(1, 12))
        before = self.resident()
        begun = time.monotonic()
        self.refused('<!DOCTYPE epp [%s]>' % entities + epp("<command><check>&a11;</check></command>"), 2001)
        self.assertLess(time.monotonic() - begun, 5 * SLOW)
        self.assertLess(self.resident() - before, 64 << 20)

    def test_quadratic_blowup(self):
        doc = '<!DOCTYPE epp [<!ENTITY a "%s">]>' % ("x" * 60000) + epp("<command><check>%s</check></command>" % ("&a;" * 60000))
        before = self.resident()
        self.refused(doc, 2001)
        self.assertLess(self.resident() - before, 64 << 20)

    def test_a_large_doctype(self):
        before = self.resident()
        self.refused("<!DOCTYPE epp [%s]>" % "".join('<!ENTITY e%d "%s">' % (i, "y" * 40) for i in range(1000)) + epp(""), 2001)
        self.assertLess(self.resident() - before, 64 << 20)

    def resident(self):
        with open("/proc/%d/statm" % self.server.process.pid, encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def test_external_entities_read_no_file(self):
        path = os.path.join(folder(), "secret")
        with open(path, "w", encoding="ascii") as f:
            f.write("SECRET-4711")
        for d in ('<!ENTITY x SYSTEM "file://%s">' % path, '<!ENTITY %% x SYSTEM "file://%s"> %%x;' % path,
                  '<!ENTITY x SYSTEM "/etc/passwd">',
                  '<!ENTITY x PUBLIC "a" "%s">' % path):
            r = self.refused("<!DOCTYPE epp [%s]>" % d + epp("<command><check><imei:check xmlns:imei='%s'><imei:name>&x;</imei:name></imei:check>"
                                                           "</check><clTRID>XXE-1</clTRID></command>" % IMEI_URI), 2001)
            self.assertNotIn(b"SECRET", r.raw)
            self.assertNotIn(b"root:", r.raw)

    def test_nothing_outside_is_opened(self):
        """schemaLocation, xi:include, xml-stylesheet and system identifiers all point at a listener; nobody calls."""
        calls = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                calls.append(self.path)
                self.send_error(404)

            def log_message(self, *_):
                pass
        web = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        try:
            base = "http://127.0.0.1:%d" % web.server_port
            xsi = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
            located = document(CHECK, "LOCATED-1").replace("<epp ", '<epp %s xsi:schemaLocation="%s %s/a.xsd" ' % (xsi, EPP,
                                                                                                                   base))
            self.code(self.s.raw(located), 1000)
            own = document(CHECK.replace("<imei:check ", '<imei:check %s xsi:schemaLocation="urn:x %s/b.xsd" ' % (xsi, base)),
                           "LOCATED-2")
            self.code(self.s.raw(own), 1000)
            self.refused(document(CHECK).replace("<epp ", '<epp %s xsi:noNamespaceSchemaLocation="%s/c.xsd" ' % (xsi, base)),
                         1000, 2001)
            self.refused('<!DOCTYPE epp SYSTEM "%s/d.dtd">' % base + epp(""), 2001)
            self.refused(epp('<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="%s/e.xml"/>' % base), 2001, 2000)
            self.s.raw('<?xml version="1.0"?><?xml-stylesheet href="%s/f.xsl"?>' % base + document(CHECK).split("?>", 1)[1])
            time.sleep(0.3)
            self.assertEqual(calls, [])
        finally:
            web.shutdown()
            thread.join()
            web.server_close()

    # ---- encodings

    def test_utf16(self):
        doc = document(CHECK, "наказ-16").replace("UTF-8", "UTF-16")
        for codec, bom in (("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")):
            r = self.code(self.s.raw(bom + doc.encode(codec)), 1000)
            self.assertEqual(r.cltrid, "наказ-16")

    def test_utf8_with_bom(self):
        self.code(self.s.raw(b"\xef\xbb\xbf" + document(CHECK, "BOM-1").encode()), 1000)

    def test_no_declaration(self):
        self.code(self.s.raw(document(CHECK, "DECL-1").split("?>", 1)[1]), 1000)

    def test_not_the_encoding_it_says(self):
        bad = document(CHECK, "x-\u0457-x").encode().replace("\u0457".encode(), b"\xd1")
        self.refused(bad, 2001)
        for raw in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80"):
            self.refused(document(CHECK, "ID-PLACE").encode().replace(b"PLACE", raw), 2001)
        self.refused(b"\xff\xfe" + document(CHECK).encode("utf-16-le")[:-1], 2001)
        self.refused(document(CHECK).replace("UTF-8", "UTF-16").encode(), 2001)
        self.refused(document(CHECK).replace("UTF-8", "no-such-encoding").encode(), 2001)
        self.refused(document(CHECK).replace("UTF-8", "EBCDIC-US").encode(), 2001)

    # ---- EPP in form, wrong in content

    def test_another_root(self):
        for doc in ("<epp/>", "<epp><command/></epp>", "<html xmlns='%s'/>" % EPP, '<epp xmlns="urn:x"/>',
                    '<command xmlns="%s"/>' % EPP,
                    '<epp xmlns="urn:ietf:params:xml:ns:epp-2.0"><hello/></epp>'):
            self.refused(doc, 2000, 2001, 2100)

    def test_root_without_content(self):
        for inner in ("", "<command/>", "<command></command>", "text", "<command>text</command>", "<extension/>", "<greeting/>",
                      "<response/>",
                      "<hello/><hello/>", "<hello/><command/>"):
            self.refused(epp(inner), 2000, 2001, 2003)

    def test_unknown_verb(self):
        r = self.refused(document("<shred><imei:shred xmlns:imei='%s'/></shred>" % IMEI_URI, "VERB-1"), 2000)
        self.assertEqual(r.cltrid, "VERB-1")

    def test_two_commands_in_one(self):
        self.refused(document(CHECK + CHECK, "TWO-1"), 2001)
        self.refused(epp("<command>%s</command><command>%s</command>" % (CHECK, CHECK)), 2001)

    def test_unknown_object(self):
        r = self.refused(document("<check><d:check xmlns:d='urn:ietf:params:xml:ns:domain-1.0'><d:name>example.com</d:name></d:check></check>",
                                  "OBJECT-1"), 2307)
        self.assertEqual(r.cltrid, "OBJECT-1")
        self.refused(document("<check><d:check xmlns:d='urn:x'/></check>"), 2307)
        self.refused(document("<check><check/></check>"), 2001, 2307)

    def test_a_verb_the_object_does_not_have(self):
        for verb, obj in (("renew", "imei"), ("renew", "tac"), ("check", "application"), ("check", "listing"),
                          ("create", "transaction"),
                          ("delete", "transaction"), ("update", "transaction"), ("renew", "account"), ("renew", "importer")):
            self.refused(document(object_command(verb, obj, "<%s:id>12345678</%s:id>" % (obj, obj)), "VERB-2"), 2101)
        for obj in ("permit", "tac", "account"):
            self.refused(document(object_command("transfer", obj, "<%s:id>12345678</%s:id>" % (obj, obj), ' op="request"'),
                                  "VERB-3"), 2101)

    def test_verbs_that_disagree(self):
        self.refused(document('<check><imei:info xmlns:imei="%s"><imei:name>%s</imei:name></imei:info></check>' % (IMEI_URI,
                SCREEN_IMEI)), 2001)
        self.refused(document('<create><imei:chkData xmlns:imei="%s"/></create>' % IMEI_URI), 2001)

    def test_unknown_extension(self):
        r = self.s.command(CHECK, extension="<s:create xmlns:s='urn:ietf:params:xml:ns:secDNS-1.1'/>")
        self.code(r, 2103)
        r = self.refused(epp("<extension><x:command xmlns:x='urn:example:x-1.0'/></extension>"), 2103, 2000)

    def test_query_with_unknown_things(self):
        self.code(self.s.query("urn:ietf:params:xml:ns:domain-1.0"), 2307)
        self.code(self.s.query("tac", [("nonsense", "1")]), 2005, 2004, 2306, 2102)
        self.code(self.s.query("tac", [("model", "like", "1")]), 2001, 2004)
        self.code(self.s.query("tac", sort="nonsense"), 2005, 2004, 2306, 2102)
        self.code(self.s.query("tac", limit=0), 2004, 2005)
        self.code(self.s.query("tac", limit=1001), 2004)
        self.code(self.s.query("tac", limit="many"), 2005, 2004)
        self.code(self.s.query("tac", cursor="nonsense"), 2005, 2004)

    def test_unknown_element(self):
        r = self.refused(document(object_command("check", "imei", "<imei:number>%s</imei:number>" % SCREEN_IMEI), "ELEM-1"),
                         2001, 2003)
        self.assertEqual(r.cltrid, "ELEM-1")
        r = self.s.create("tac", [("id", "01332700"), ("manufacturer", "Apple"), ("model", "iPhone 5"), ("weight", "112")])
        self.code(r, 2001)
        self.detail(r, "weight")

    def test_unknown_attribute(self):
        self.refused(document(CHECK.replace("<imei:name>", "<imei:name nonsense='1'>")), 2001)

    def test_order_of_elements(self):
        r = self.s.create("tac", [("manufacturer", "Apple"), ("id", "01332700"), ("model", "iPhone 5")])
        self.code(r, 2001, 2003)

    def test_order_of_command(self):
        self.refused(epp("<command><clTRID>ORDER-1</clTRID>%s</command>" % CHECK), 2001)

    def test_text_between_elements(self):
        self.refused(document("words" + CHECK), 2001)

    def test_missing_and_empty(self):
        r = self.refused(document(object_command("check", "imei", "")), 2003, 2001)
        r = self.refused(document(object_command("info", "imei", "")), 2003)
        self.detail(r, "name")
        r = self.refused(document(object_command("info", "imei", "<imei:name/>")), 2005)
        self.detail(r, "name")
        r = self.s.create("tac", {"id": "01332700", "model": "iPhone 5"})
        self.code(r, 2003)
        self.detail(r, "manufacturer")

    def test_hello_and_logout_have_no_content(self):
        """The official schema lets anything pass here (anyType); the text of the RFC does not."""
        self.refused(document("<logout><x/></logout>"), 2001)

    def test_transfer_op(self):
        self.refused(document(object_command("transfer", "imei", "<imei:name>%s</imei:name>" % SCREEN_IMEI), "T-1"), 2003, 2001)
        self.refused(document(object_command("transfer", "imei", "<imei:name>%s</imei:name>" % SCREEN_IMEI, ' op="steal"'),
                              "T-2"), 2001, 2004)

    def test_details_name_element_and_value(self):
        r = self.s.create("tac", {"id": "0133270X", "manufacturer": "Apple", "model": "iPhone 5"})
        self.code(r, 2005)
        d = self.detail(r, "id")
        self.assertEqual((d.uri, d.value, d.children), (uri("tac"), "0133270X", 1))

    def test_details_escape_what_was_sent(self):
        r = self.s.create("tac", {"id": "<&>\"'\u0457", "manufacturer": "Apple", "model": "iPhone 5"})
        self.code(r, 2005)
        self.assertEqual(self.detail(r, "id").value, "<&>\"'\u0457")

    def test_details_are_cut_at_a_character(self):
        for n in range(250, 262):
            r = self.s.create("tac", {"id": "0" * n + "\u0457" * 10, "manufacturer": "Apple", "model": "iPhone 5"})
            self.code(r, 2005)

    # ---- sizes

    def test_deep_nesting(self):
        for depth in (40, 300, 5000, 30000):
            inner = "<a>" * depth + "</a>" * depth
            self.refused(document("<check>%s</check>" % inner), 2001, 2307)
        self.refused("<a>" * 60000, 2001)

    def test_many_attributes(self):
        attributes = " ".join('a%d="1"' % i for i in range(20000))
        self.refused(epp("<command %s/>" % attributes), 2001, 2000, 2003)

    def test_many_namespaces(self):
        self.refused(epp("<command %s/>" % " ".join('xmlns:n%d="urn:%d"' % (i, i) for i in range(10000))), 2001, 2000, 2003)

    def test_a_long_name(self):
        self.refused(epp("<%s/>" % ("n" * 100000)), 2000, 2001)
        self.refused(document("<check><%s:check xmlns:%s='urn:x'/></check>" % ("p" * 60000, "p" * 60000)), 2001, 2307)

    def test_a_long_text(self):
        self.refused(document(object_command("check", "imei", "<imei:name>%s</imei:name>" % ("1" * 500000))), 2005, 2004, 2001)

    def test_many_names(self):
        self.code(self.s.check("imei", *["%015d" % i for i in range(10000)]), 1000)
        self.code(self.s.check("imei", *["%015d" % i for i in range(10001)]), 2004, 2306, 2001)

    def test_many_elements(self):
        self.refused(document(object_command("check", "imei", "<imei:x/>" * 60000)), 2001, 2003)

    # ---- before login

    def test_before_login_form_comes_first(self):
        with self.server.session("nra1") as s:
            self.code(s.raw("<epp"), 2001)
            self.code(s.raw(document("<nonsense/>")), 2000)
            self.code(s.raw(document(CHECK)), 2002)
            self.code(s.raw('<!DOCTYPE epp [<!ENTITY a "b">]>' + epp("<command/>")), 2001)
            self.code(s.login("nra1", PASSWORD), 1000)


if __name__ == "__main__":
    main()
