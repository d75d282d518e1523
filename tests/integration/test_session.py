#!/usr/bin/python3
"""Sessions of RFC 5730 and 5734: greeting, login and its refusals, order of commands, transaction ids, limits, poll."""
import datetime
import re
import threading
import time

from harness import (EPP, IMEI_URI, OBJECT_URIS, PASSWORD, QUERY_URI, SCREEN_IMEI, SLOW, TAC, Closed, Session, Test,
                     World, checks, document, eventually, imei, less, login_xml, main, object_command)

CHECK = object_command("check", "imei", "<imei:name>%s</imei:name>" % SCREEN_IMEI)
Q = "{%s}" % EPP


class Base(Test):
    options = ["auth.lock_s=2"]

    @classmethod
    def setUpClass(cls):
        cls.world = World(options=cls.options)
        cls.server = cls.world.server

    @classmethod
    def tearDownClass(cls):
        cls.world.close()


class Greeting(Base):
    def greeting(self, r):
        self.assertEqual(r.kind, "greeting")
        g = r.body
        self.assertTrue(g.findtext(Q + "svID"))
        date = g.findtext(Q + "svDate")
        self.assertRegex(date, r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z\Z")
        when = datetime.datetime.fromisoformat(date.replace("Z", "+00:00"))
        self.assertLess(abs((datetime.datetime.now(datetime.timezone.utc) - when).total_seconds()), 30)
        menu = g.find(Q + "svcMenu")
        self.assertEqual([v.text for v in menu.findall(Q + "version")], ["1.0"])
        self.assertEqual(sorted(l.text for l in menu.findall(Q + "lang")), ["en", "uk"])
        self.assertEqual(menu.find(Q + "lang").text, "en")
        self.assertEqual(sorted(o.text for o in menu.findall(Q + "objURI")), sorted(OBJECT_URIS))
        self.assertIsNotNone(g.find(Q + "dcp"))
        return r

    def test_at_connect_hello_before_and_after_login(self):
        with self.server.session("lea1") as s:
            self.greeting(s.greeting)
            self.greeting(s.hello())
            self.code(s.login("lea1", PASSWORD), 1000)
            self.greeting(s.hello())
            self.greeting(s.hello())

    def test_names_the_query_extension(self):
        with self.server.session() as s:
            uris = [e.text for e in s.greeting.body.iter(Q + "extURI")]
            self.assertIn(QUERY_URI, uris)

    def test_date_moves(self):
        with self.server.session() as s:
            first = s.greeting.body.findtext(Q + "svDate")
            time.sleep(0.01)
            self.assertNotEqual(s.hello().body.findtext(Q + "svDate"), first)

    def test_the_answer_is_utf8_without_bom(self):
        with self.server.session() as s:
            self.assertTrue(s.greeting.raw.startswith(b"<?xml"))
            self.assertIn(b"UTF-8", s.greeting.raw[:60])


class Login(Base):
    def refused(self, name, code, cert="lea1", pw=PASSWORD, **kw):
        with self.server.session(cert) as s:
            return self.code(s.login(name, pw, **kw), code)

    def test_bad_name_bad_password_wrong_certificate_and_none_read_the_same(self):
        answers = [
            self.refused("nobody1", 2200),
            self.refused("lea1", 2200, pw="Wrong.horse-9"),
            self.refused("tax1", 2200, cert="lea1"),
            self.refused("tax1", 2200, cert=None),
        ]
        self.world.fresh("lea1").close()
        shapes = {re.sub(rb"<trID>.*</trID>", b"", a.raw) for a in answers}
        self.assertEqual(len(shapes), 1, shapes)

    def test_bad_name_and_bad_password_take_the_same_time(self):
        def duration(name):
            with self.server.session("nra1") as s:
                begun = time.monotonic()
                self.code(s.login(name, "Wrong.horse-9"), 2200)
                return time.monotonic() - begun
        self.world.account("timing1", role="nra")
        with_account, without = [], []
        for _ in range(5):
            without.append(duration("nobody1"))
            with_account.append(duration("timing1"))
            with self.server.session("timing1") as s:
                eventually(lambda: s.login("timing1", PASSWORD).code, 1000)
        a, b = min(with_account), min(without)
        self.assertLess(max(a, b), 3 * min(a, b) + 0.02, (with_account, without))

    def test_unknown_version(self):
        self.refused("lea1", 2100, version="2.0")
        self.refused("lea1", 2100, version="1.1")

    def test_unknown_language(self):
        r = self.refused("lea1", 2102, lang="fr")
        self.detail(r, "lang")

    def test_unknown_object(self):
        r = self.refused("lea1", 2307, objs=[IMEI_URI, "urn:ietf:params:xml:ns:domain-1.0"])
        self.assertIn("domain-1.0", self.detail(r, "objURI").value)

    def test_unknown_extension(self):
        r = self.refused("lea1", 2103, exts=["urn:ietf:params:xml:ns:secDNS-1.1"])
        self.assertIn("secDNS", self.detail(r, "extURI").value)

    def test_known_extension(self):
        with self.server.session("lea1") as s:
            self.code(s.login("lea1", PASSWORD, exts=[QUERY_URI]), 1000)

    def test_missing_parts(self):
        for drop in ("clID", "pw", "options", "svcs", "version", "lang", "objURI"):
            xml = login_xml("lea1", PASSWORD, objs=[IMEI_URI])
            xml = re.sub(r"<%s>.*?</%s>" % (drop, drop), "", xml)
            with self.server.session("lea1") as s:
                self.assertIn(s.raw(xml).code, (2003, 2001), drop)

    def test_lengths(self):
        for name, code in (("ab", 2005), ("a" * 17, 2005)):
            self.refused(name, code)
        self.refused("lea1", 2005, pw="short")
        self.refused("lea1", 2005, pw="a" * 17)

    def test_refused_login_then_a_good_one(self):
        with self.server.session("tax1") as s:
            self.code(s.login("tax1", "Wrong.horse-9"), 2200)
            self.code(s.command(CHECK), 2002)
            self.code(s.login("tax1", PASSWORD), 1000)
            self.code(s.command(CHECK), 1000)

    def test_too_many_failures_close_the_connection(self):
        with self.server.session("nra1") as s:
            codes = []
            for _ in range(6):
                r = s.login("nobody2", "Wrong.horse-9")
                codes.append(r.code)
                if r.code == 2501:
                    break
            self.assertEqual(codes[-1], 2501)
            self.assertIn(len(codes), (3, 4))
            self.assertEqual(set(codes[:-1]), {2200})
            self.assertTrue(s.closed(10 * SLOW))

    def test_lockout_and_its_end(self):
        self.world.account("locked1", role="lea")
        for _ in range(4): # more than auth.max_failed_logins, each on a connection of its own
            with self.server.session("locked1") as s:
                self.assertIn(s.login("locked1", "Wrong.horse-9").code, (2200, 2501))
        with self.server.session("locked1") as s:
            self.code(s.login("locked1", PASSWORD), 2200, 2501)
        info = self.world.session("admin").info("account", "locked1").fields()
        self.assertIn("lockedUntil", info)
        time.sleep(2.5)
        with self.server.session("locked1") as s:
            self.code(s.login("locked1", PASSWORD), 1000)

    def test_a_locked_account_can_be_freed_by_nobody_guessing(self):
        """Failures with the wrong certificate do not lock: else a stranger could lock everybody out."""
        self.world.account("victim1", role="lea")
        for _ in range(5):
            with self.server.session("tax1") as s:
                s.login("victim1", "Wrong.horse-9")
        with self.server.session("victim1") as s:
            self.code(s.login("victim1", PASSWORD), 1000)

    def test_new_password(self):
        self.world.account("fresh1", role="customs")
        with self.server.session("fresh1") as s:
            self.code(s.login("fresh1", PASSWORD, newpw="Another.horse-8"), 1000)
        with self.server.session("fresh1") as s:
            self.code(s.login("fresh1", PASSWORD), 2200)
            self.code(s.login("fresh1", "Another.horse-8"), 1000)

    def test_a_refused_login_changes_no_password(self):
        self.world.account("fresh2", role="customs")
        with self.server.session("fresh2") as s:
            self.code(s.login("fresh2", "Wrong.horse-9", newpw="Another.horse-8"), 2200)
            self.code(s.login("fresh2", PASSWORD, newpw="Another.horse-8", version="2.0"), 2100)
            self.code(s.login("fresh2", PASSWORD), 1000)

    def test_long_passwords(self):
        """RFC 8807: what has no room in <pw> stands in the extension."""
        uri = "urn:ietf:params:xml:ns:epp:loginSec-1.0"
        with self.server.session() as s:
            self.assertIn(uri, [e.text for e in s.greeting.body.iter(Q + "extURI")])
        old, new = "a much longer passphrase, with spaces", "another one that is much longer than sixteen"
        self.world.account("long1", role="tax", pw=old)

        def login(pw, newpw=None, exts=(QUERY_URI, uri)):
            plain = login_xml("long1", "[LOGIN-SECURITY]", newpw="[LOGIN-SECURITY]" if newpw else None, exts=list(exts), cltrid="LONG-1")
            more = "<l:newPW>%s</l:newPW>" % newpw if newpw else ""
            sec = '<extension><l:loginSec xmlns:l="%s"><l:pw>%s</l:pw>%s</l:loginSec></extension>' % (uri, pw, more)
            with self.server.session("long1") as s:
                return s.raw(plain.replace("<clTRID>", sec + "<clTRID>")).code
        self.assertEqual(login(old), 1000)
        self.assertEqual(login(old[:-1]), 2200)
        self.assertEqual(login(old, new), 1000)
        self.assertEqual(login(old), 2200)
        self.assertEqual(login(new), 1000)

    def test_twice(self):
        with self.world.fresh("tax1") as s:
            self.code(s.login("tax1", PASSWORD), 2002)
            self.code(s.command(CHECK), 1000)

    def test_pos_needs_no_certificate(self):
        with self.server.session() as s:
            self.code(s.login("pos1", PASSWORD), 1000)
            self.code(s.command(CHECK), 1000)

    def test_a_suspended_account(self):
        self.world.account("gone1", role="tax")
        admin = self.world.session("admin")
        with self.world.fresh("gone1") as s:
            self.code(admin.update("account", "gone1", chg={"status": "suspended"}), 1000)
            # The running session ends with its next command at the latest.
            try:
                r = s.command(CHECK)
                self.assertIn(r.code, (2201, 2500, 2501))
                self.assertTrue(s.closed(10 * SLOW))
            except Closed:
                pass
        with self.server.session("gone1") as s:
            self.code(s.login("gone1", PASSWORD), 2200)
        self.code(admin.update("account", "gone1", chg={"status": "active"}), 1000)
        with self.server.session("gone1") as s:
            self.code(s.login("gone1", PASSWORD), 1000)

    def test_rolling_over_a_certificate(self):
        self.world.account("roll1", role="tax")
        admin = self.world.session("admin")
        old = admin.info("account", "roll1").fields()["certificate"]
        new = self.server.cert("roll1-2")
        with self.server.session("roll1-2") as s:
            self.code(s.login("roll1", PASSWORD), 2200)
        self.code(admin.update("account", "roll1", add={"certificate": new}), 1000)
        for name in ("roll1", "roll1-2"):
            with self.server.session(name) as s:
                self.code(s.login("roll1", PASSWORD), 1000)
        self.code(admin.update("account", "roll1", rem={"certificate": old}), 1000)
        with self.server.session("roll1") as s:
            self.code(s.login("roll1", PASSWORD), 2200)
        with self.server.session("roll1-2") as s:
            self.code(s.login("roll1", PASSWORD), 1000)


class Languages(Base):
    def test_ukrainian(self):
        for lang in ("uk", "ua", "UK", "uk-UA"):
            with self.server.session("tax1") as s:
                r = self.code(s.login("tax1", PASSWORD, lang=lang), 1000)
                self.assertEqual(r.msg, "Команду виконано успішно", lang)
                self.assertTrue(r.lang.lower().startswith("uk"), r.lang)
                self.assertEqual(s.command(CHECK).msg, "Команду виконано успішно")

    def test_english(self):
        with self.world.fresh("tax1", lang="en") as s:
            r = s.command(CHECK)
            self.assertEqual((r.msg, r.lang), ("Command completed successfully", "en"))

    def test_refusals_and_reasons(self):
        with self.world.fresh("tax1", lang="uk") as s:
            r = s.create("listing", {"imei": SCREEN_IMEI, "colour": "black", "reason": "stolen", "ground": "x"})
            self.code(r, 2201)
            self.assertRegex(r.msg, "[а-яіїєґ]")
            c = checks(s.check("imei", "35210605054420"))[0]
            self.assertRegex(c["reason"], "[а-яіїєґ]")
            r = s.info("imei", "12345")
            self.code(r, 2005)
            self.assertRegex(self.detail(r, "name").reason, "[а-яіїєґ]")
            self.assertRegex(s.logout().msg, "[а-яіїєґ]")

    def test_every_code_seen_is_translated(self):
        english, ukrainian = {}, {}
        for lang, texts in (("en", english), ("uk", ukrainian)):
            with self.world.fresh("tax1", lang=lang) as s:
                for r in (s.poll(), s.poll(ack="no-such"), s.login("tax1", PASSWORD), s.info("permit", "none"), s.raw("<x/>"),
                          s.command("<nonsense/>", cltrid=None), s.logout()):
                    texts[r.code] = r.msg
        for code, text in english.items():
            self.assertNotEqual(text, ukrainian[code], code)


class Order(Base):
    def test_commands_before_login(self):
        for body in (CHECK, "<logout/>", '<poll op="req"/>', object_command("info", "permit", "<permit:id>x</permit:id>")):
            with self.server.session("lea1") as s:
                self.code(s.command(body), 2002)
                self.code(s.login("lea1", PASSWORD), 1000)

    def test_logout_closes(self):
        with self.world.fresh("lea1") as s:
            r = self.code(s.logout(), 1500)
            self.assertTrue(r.cltrid)
            self.assertTrue(s.closed(10 * SLOW))

    def test_nothing_after_logout_is_done(self):
        with self.world.fresh("lea1") as s:
            listing = object_command("create", "listing",
                                     "<listing:imei>%s</listing:imei><listing:colour>black</listing:colour>"
                                     "<listing:reason>stolen</listing:reason><listing:ground>after logout</listing:ground>" % SCREEN_IMEI)
            s.send_bytes(Session.frame(document("<logout/>", "BYE-1")) + Session.frame(document(listing, "AFTER-LOGOUT")))
            self.assertEqual(s.receive().code, 1500)
            self.assertTrue(s.closed(10 * SLOW))
        self.assertEqual(self.world.session("tax1").colour(SCREEN_IMEI)[0], "unknown")

    def test_a_namespace_that_was_not_announced(self):
        with self.server.session("nra1") as s:
            self.code(s.login("nra1", PASSWORD, objs=[IMEI_URI]), 1000)
            self.code(s.command(CHECK), 1000)
            self.code(s.info("permit", "x"), 2002)


class TransactionIds(Base):
    def test_client_id(self):
        s = self.world.session("tax1")
        for tr in ("abc", "x" * 64, "a b", "наказ-7", "<&>\"'"):
            self.assertEqual(s.command(CHECK, cltrid=tr).cltrid, tr)

    def test_absent(self):
        r = self.world.session("tax1").command(CHECK, cltrid=None)
        self.code(r, 1000)
        self.assertIsNone(r.cltrid)
        self.assertTrue(r.svtrid)

    def test_not_one(self):
        s = self.world.session("tax1")
        for tr in ("", "ab", "x" * 65):
            r = s.raw(document(CHECK, tr))
            self.code(r, 2005, 2001)
            self.assertTrue(r.svtrid)

    def test_a_transform_needs_one(self):
        lea = self.world.session("lea1")
        r = lea.create("listing", {"imei": SCREEN_IMEI, "colour": "grey", "reason": "other", "ground": "no id"}, cltrid=None)
        self.code(r, 2003)
        self.detail(r, "clTRID")

    def test_server_id(self):
        s = self.world.session("tax1")
        seen = set()
        for _ in range(50):
            r = s.command(CHECK)
            m = re.match(r"\AUKR-(\d{14})\w*[\w-]*\Z", r.svtrid)
            self.assertTrue(m, r.svtrid)
            self.assertLessEqual(len(r.svtrid), 64)
            when = datetime.datetime.strptime(m.group(1), "%Y%m%d%H%M%S")
            self.assertLess(abs((datetime.datetime.utcnow() - when).total_seconds()), 30)
            self.assertNotIn(r.svtrid, seen)
            seen.add(r.svtrid)

    def test_unique_across_sessions(self):
        seen, faults = [], []

        def one():
            try:
                with self.world.fresh("tax1") as s:
                    for _ in range(less(300, 50)):
                        seen.append(s.command(CHECK).svtrid)
            except Exception as e:
                faults.append(e)
        threads = [threading.Thread(target=one) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(faults, [])
        self.assertEqual(len(seen), len(set(seen)))

    def test_also_with_a_syntax_error(self):
        s = self.world.session("tax1")
        r = s.raw(document("<check><imei:check xmlns:imei='%s'><imei:wrong/></imei:check></check>" % IMEI_URI, "READABLE-1"))
        self.code(r, 2001, 2003)
        self.assertEqual(r.cltrid, "READABLE-1")
        self.assertTrue(r.svtrid)


class Frames(Base):
    def test_200_pipelined_in_order(self):
        s = self.world.session("tax1")
        ids = ["PIPE-%03d" % i for i in range(200)]
        s.send_bytes(b"".join(Session.frame(document(CHECK, i)) for i in ids))
        self.assertEqual([s.receive().cltrid for _ in ids], ids)

    def test_200_pipelined_reads_and_writes_in_order(self):
        lea = self.world.session("lea1")
        frames, ids = b"", []
        for i in range(200):
            tr = "MIX-%03d" % i
            ids.append(tr)
            body = CHECK if i % 3 else object_command(
                "create", "listing", "<listing:imei>%s</listing:imei><listing:colour>grey</listing:colour>"
                "<listing:reason>other</listing:reason><listing:ground>%s</listing:ground>" % (imei(TAC, 700000 + i), tr))
            frames += Session.frame(document(body, tr))
        lea.send_bytes(frames)
        answers = [lea.receive() for _ in ids]
        self.assertEqual([a.cltrid for a in answers], ids)
        self.assertEqual({a.code for a in answers}, {1000})

    def test_byte_by_byte(self):
        s = self.world.session("tax1")
        for b in Session.frame(document(CHECK, "BYTES-1")):
            s.send_bytes(bytes([b]))
        self.assertEqual(s.receive().cltrid, "BYTES-1")

    def test_the_length_alone_first(self):
        s = self.world.session("tax1")
        data = Session.frame(document(CHECK, "SPLIT-1"))
        for part in (data[:2], data[2:4], data[4:5], data[5:]):
            s.send_bytes(part)
            time.sleep(0.05)
        self.assertEqual(s.receive().cltrid, "SPLIT-1")

    def test_any_prefix_works_and_none_is_needed(self):
        s = self.world.session("tax1")
        plain = document('<check><check xmlns="%s"><name>%s</name></check></check>' % (IMEI_URI, SCREEN_IMEI), "PLAIN-1")
        self.code(s.raw(plain), 1000)
        odd = ('<e:epp xmlns:e="%s" xmlns:zz="%s"><e:command><e:check><zz:check><zz:name>%s</zz:name></zz:check></e:check>'
               '<e:clTRID>ODD-1</e:clTRID></e:command></e:epp>' % (EPP, IMEI_URI, SCREEN_IMEI))
        self.assertEqual(self.code(s.raw(odd), 1000).cltrid, "ODD-1")

    def test_comments_instructions_and_cdata(self):
        s = self.world.session("tax1")
        doc = ('<?xml version="1.0"?><!-- a --><?x y?><epp xmlns="%s"><!-- b --><command><check><i:check xmlns:i="%s">'
               '<i:name><![CDATA[%s]]></i:name><!-- c --></i:check></check><clTRID>CD<!-- d -->ATA-1</clTRID></command></epp><!-- e -->'
               % (EPP, IMEI_URI, SCREEN_IMEI))
        r = self.code(s.raw(doc), 1000)
        self.assertEqual(r.cltrid, "CDATA-1")


class Limits(Base):
    options = ["epp.idle_timeout_s=2", "auth.max_sessions_account=3", "epp.max_sessions=40", "epp.max_sessions_address=30"]

    def test_idle_session_is_told_and_closed(self):
        with self.world.fresh("lea1") as s:
            begun = time.monotonic()
            self.assertTrue(s.closed(20 * SLOW))
            self.assertGreater(time.monotonic() - begun, 1.5)

    def test_an_active_session_stays(self):
        with self.world.fresh("lea1") as s:
            for _ in range(6):
                time.sleep(0.6)
                self.code(s.command(CHECK), 1000)

    def test_sessions_of_one_account(self):
        held = [self.world.fresh("nra1") for _ in range(3)]
        try:
            with self.server.session("nra1") as s:
                self.code(s.login("nra1", PASSWORD), 2502)
                self.assertTrue(s.closed(10 * SLOW))
        finally:
            for s in held:
                s.logout()
                s.close()
        # The places are free again.
        eventually(lambda: self._once("nra1"), 1000)

    def _once(self, name):
        """None: the server has not yet noticed that the places are free."""
        try:
            with self.server.session(name) as s:
                return s.login(name, PASSWORD).code
        except Closed:
            return None

    def test_sessions_of_one_address(self):
        held, refused = [], None
        try:
            for _ in range(32):
                s = self.server.session(greet=False)
                try:
                    first = s.receive()
                except Closed:
                    refused = "closed"
                    break
                held.append(s)
                if first.kind == "response":
                    refused = first.code
                    break
            self.assertEqual(refused, 2502)
        finally:
            for s in held:
                s.close()
        eventually(lambda: self._once("tax1"), 1000)


class Lifetime(Base):
    options = ["epp.session_lifetime_s=10"]

    def test_a_session_does_not_live_for_ever(self):
        """However busy it is."""
        with self.world.fresh("lea1") as s:
            begun = time.monotonic()
            codes = []
            try:
                while time.monotonic() - begun < 30 * SLOW:
                    codes.append(s.command(CHECK).code)
                    time.sleep(0.1)
            except Closed:
                pass
            self.assertLess(time.monotonic() - begun, 20 * SLOW)
            self.assertGreater(time.monotonic() - begun, 8)
            self.assertEqual(set(codes) - {2500}, {1000})
        self.world.forget()


class Poll(Base):
    def message(self):
        """Makes a message for importer1: an application that is done. Its id."""
        s = self.world.session("importer1")
        r, done = s.submit([SCREEN_IMEI], "CT07-287/062", 1)
        self.code(r, 1000, 1001)
        return done.fields()["id"]

    def test_empty(self):
        s = self.world.session("lea1")
        r = self.code(s.poll(), 1300)
        self.assertIsNone(r.msgq)

    def test_ack_of_nothing(self):
        s = self.world.session("lea1")
        self.code(s.poll(ack="12345"), 2303)
        self.code(s.poll(ack="nonsense"), 2303, 2005)

    def test_ack_without_id(self):
        r = self.world.session("lea1").command('<poll op="ack"/>')
        self.code(r, 2003)

    def test_bad_op(self):
        self.code(self.world.session("lea1").command('<poll op="nonsense"/>'), 2001, 2004)

    def test_message_stays_until_acked(self):
        ids = [self.message(), self.message()]
        s = self.world.session("importer1")
        r = eventually(s.poll, lambda r: r.code == 1301 and int(r.msgq.get("count")) >= 2)
        count = int(r.msgq.get("count"))
        again = s.poll()
        self.assertEqual(again.msgq.get("id"), r.msgq.get("id"))
        self.assertTrue(r.msgq.findtext(Q + "qDate"))
        self.assertIn(ids[0], r.msgq.findtext(Q + "msg"))
        self.assertEqual(r.msgq.find(Q + "msg").get("lang", "en"), "en")
        # In the session's language; in another session of the account the same queue.
        with self.world.fresh("importer1", lang="uk") as other:
            u = other.poll()
            self.assertEqual(u.msgq.get("id"), r.msgq.get("id"))
            self.assertRegex("".join(u.msgq.find(Q + "msg").itertext()), "[а-яіїєґ]")
        # Somebody else's queue is not ours.
        self.code(self.world.session("lea1").poll(ack=r.msgq.get("id")), 2303)
        a = self.code(s.poll(ack=r.msgq.get("id")), 1000)
        self.assertEqual(int(a.msgq.get("count")), count - 1)
        self.code(s.poll(ack=r.msgq.get("id")), 2303)
        left = s.poll()
        self.assertIn(ids[1], left.msgq.findtext(Q + "msg"))
        while left.code == 1301:
            self.code(s.poll(ack=left.msgq.get("id")), 1000)
            left = s.poll()
        self.code(left, 1300)

    def test_survives_a_restart(self):
        id = self.message()
        self.world.forget()
        self.assertEqual(self.server.stop(), 0)
        self.server.start()
        s = self.world.session("importer1")
        r = s.poll()
        while r.code == 1301 and id not in r.msgq.findtext(Q + "msg"):
            s.poll(ack=r.msgq.get("id"))
            r = s.poll()
        self.code(r, 1301)


if __name__ == "__main__":
    main()
