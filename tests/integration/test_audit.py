#!/usr/bin/python3
"""Accountability: every command in the audit log with what it was and what became of it; the chain; the signed head."""
import hashlib
import json
import os
import re
import shutil

from harness import (CEIRD, PASSWORD, PERMIT, SCREEN_IMEI, TAC, Server, Session, Test, World, document, folder, imei,
                     login_xml, main, object_command, run, sqlite)


class Audit(Test):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.server = cls.world.server
        cls.admin = cls.world.session("admin")

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def of(self, response):
        """The transaction of an answer, as admin sees it."""
        return self.code(self.admin.info("transaction", response.svtrid), 1000).fields()

    def stands(self, response, account, verb, obj=None, **more):
        t = self.of(response)
        want = dict({"id": response.svtrid, "account": account, "verb": verb, "code": str(response.code)}, **more)
        if obj:
            want["object"] = obj
        if response.cltrid:
            want["clTRID"] = response.cltrid
        self.assertEqual({k: t.get(k) for k in want}, want)
        self.assertRegex(t["address"], r"^127\.0\.0\.1:\d+$")
        for digest in ("requestDigest", "responseDigest", "hash"):
            self.assertRegex(t[digest], r"^[0-9a-f]{64}$")
        return t

    def test_each_kind_of_command(self):
        lea = self.world.session("lea1")
        number = imei(TAC, 700001)
        r = lea.create("listing", {"imei": number, "colour": "black", "reason": "stolen", "ground": "case"})
        t = self.stands(r, "lea1", "create", "listing", role="lea")
        self.assertEqual(t["certificate"], self.admin.info("account", "lea1").fields()["certificate"].lower())
        id = r.fields()["id"]
        self.stands(lea.info("listing", id), "lea1", "info", "listing", name=id)
        self.stands(lea.update("listing", id, chg={"ground": "case 2"}), "lea1", "update", "listing", name=id)
        self.stands(lea.delete("listing", id, extra="<listing:ground>x</listing:ground>"), "lea1", "delete", "listing", name=id)
        self.stands(lea.check("imei", number), "lea1", "check", "imei")
        self.stands(lea.query("listing"), "lea1", "query", "listing")
        self.stands(lea.poll(), "lea1", "poll")

    def test_sessions(self):
        with self.server.session("tax1") as s:
            bad = s.login("tax1", "Wrong.horse-9")
            t = self.of(bad)
            self.assertEqual((t["verb"], t["code"]), ("login", "2200"))
            good = s.login("tax1", PASSWORD)
            self.stands(good, "tax1", "login")
            self.stands(s.logout(), "tax1", "logout")

    def test_refused_commands(self):
        tax = self.world.session("tax1")
        r = self.code(tax.create("tac", {"id": "35000000", "manufacturer": "x", "model": "y"}), 2201)
        self.stands(r, "tax1", "create", "tac")
        r = self.code(tax.info("permit", "no-such-permit"), 2303)
        self.stands(r, "tax1", "info", "permit", name="no-such-permit")
        r = self.code(tax.info("imei", "12"), 2005)
        self.stands(r, "tax1", "info", "imei")

    def test_what_was_no_command(self):
        """Bytes that are not EPP are a transaction too: somebody sent them."""
        tax = self.world.session("tax1")
        for doc in ("<epp", "nonsense", "<!DOCTYPE a><a/>", document("<shred/>", "SHRED-1"), "<a>" * 100):
            r = tax.raw(doc)
            t = self.of(r)
            self.assertEqual((t["account"], t["code"]), ("tax1", str(r.code)))

    def test_before_login(self):
        with self.server.session("tax1") as s:
            r = self.code(s.info("permit", PERMIT), 2002)
            t = self.of(r)
            self.assertEqual((t["code"], t.get("account", "")), ("2002", ""))
            self.assertEqual(t["certificate"], self.admin.info("account", "tax1").fields()["certificate"].lower())

    def test_a_repeated_cltrid_is_allowed_and_visible(self):
        tax = self.world.session("tax1")
        a = self.code(tax.check("imei", SCREEN_IMEI, cltrid="AGAIN-1"), 1000)
        b = self.code(tax.check("imei", SCREEN_IMEI, cltrid="AGAIN-1"), 1000)
        self.assertNotEqual(a.svtrid, b.svtrid)
        found = self.admin.all("transaction", [("clTRID", "AGAIN-1")])
        self.assertEqual([t["id"] for t in found], [a.svtrid, b.svtrid])
        self.assertEqual([t["id"] for t in tax.all("transaction", [("clTRID", "AGAIN-1")])], [a.svtrid, b.svtrid])

    def test_numbers_have_no_gaps(self):
        seqs = [int(t["seq"]) for t in self.admin.all("transaction", limit=1000)]
        self.assertEqual(seqs, list(range(seqs[0], seqs[0] + len(seqs))))
        self.assertEqual(seqs[0], 1)

    def test_the_time_of_the_svtrid_is_the_date(self):
        r = self.world.session("tax1").check("imei", SCREEN_IMEI)
        t = self.of(r)
        digits = re.sub(r"\D", "", t["date"])
        self.assertIn(digits[:14], r.svtrid)

    def test_digests_are_of_the_bytes(self):
        """The request's digest can be recomputed by whoever kept the bytes: which hash it is, docs say; equal bytes give equal digests."""
        tax = self.world.session("tax1")
        doc = document(object_command("check", "imei", "<imei:name>%s</imei:name>" % SCREEN_IMEI), "DIGEST-1")
        a, b, c = self.of(tax.raw(doc)), self.of(tax.raw(doc)), self.of(tax.raw(doc.replace("DIGEST-1", "DIGEST-2")))
        self.assertEqual(a["requestDigest"], b["requestDigest"])
        self.assertNotEqual(a["requestDigest"], c["requestDigest"])
        self.assertNotEqual(a["responseDigest"], b["responseDigest"])  # another svTRID
        known = {hashlib.blake2b(doc.encode(), digest_size=32).hexdigest(), hashlib.sha256(doc.encode()).hexdigest()}
        self.assertIn(a["requestDigest"], known)

    def test_a_password_cannot_be_guessed_from_a_digest(self):
        """Requests that hold a password have a keyed digest: else trying words against the log would find it."""
        with self.server.session("tax1") as s:
            doc = login_xml("tax1", PASSWORD, cltrid="KEYED-1")
            t = self.of(self.code(s.raw(doc), 1000))
        known = {hashlib.blake2b(doc.encode(), digest_size=32).hexdigest(), hashlib.sha256(doc.encode()).hexdigest()}
        self.assertNotIn(t["requestDigest"], known)
        self.assertNotIn(PASSWORD, json.dumps(t))

    def test_no_secret_in_the_files(self):
        with open(os.path.join(self.server.dir, "ceir.db"), "rb") as f:
            data = f.read()
        for end in ("-wal",):
            path = os.path.join(self.server.dir, "ceir.db" + end)
            if os.path.exists(path):
                with open(path, "rb") as f:
                    data += f.read()
        self.assertNotIn(PASSWORD.encode(), data)
        self.assertNotIn(self.server.admin_password.encode(), data)

    def test_others_see_only_their_own(self):
        lea = self.world.session("lea1")
        r = self.world.session("tax1").check("imei", SCREEN_IMEI)
        self.code(lea.info("transaction", r.svtrid), 2201, 2303)
        self.assertEqual(lea.all("transaction", [("account", "tax1")]), [])
        self.assertEqual({t.get("account") for t in lea.all("transaction", limit=1000)}, {"lea1"})
        self.assertEqual(lea.page("transaction", [("account", "tax1")], count="only").count, 0)

    def test_a_look_is_a_transaction(self):
        """Whoever looks at subscriber data, or at the log itself, stands in it."""
        r = self.admin.query("transaction", [("account", "lea1")])
        self.stands(r, "admin", "query", "transaction")
        r = self.admin.info("transaction", r.svtrid)
        self.stands(r, "admin", "info", "transaction")

    def test_pipelined_commands_each(self):
        s = self.world.session("tax1")
        body = object_command("check", "imei", "<imei:name>%s</imei:name>" % SCREEN_IMEI)
        s.send_bytes(b"".join(Session.frame(document(body, "EACH-%03d" % i)) for i in range(100)))
        answers = [s.receive() for _ in range(100)]
        log = {t["id"]: t for t in self.admin.all("transaction", [("clTRID", "ge", "EACH-000"), ("clTRID", "le", "EACH-099")],
                                                  limit=1000)}
        self.assertEqual([log[a.svtrid]["clTRID"] for a in answers], ["EACH-%03d" % i for i in range(100)])

    def test_the_chain(self):
        p = self.server.verify()
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)


class Head(Test):
    """The head of the chain, exported and kept elsewhere, shows what the chain alone cannot: that its end was cut off and written anew."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        with cls.server.admin() as s:
            for i in range(20):
                s.poll()
        cls.server.stop()

    def head(self, server):
        path = os.path.join(folder(), "head.json")
        text = run(CEIRD, "audit-head", server.dir, check=0).stdout
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path, json.loads(text)

    def copy(self):
        dir = os.path.join(folder(), "var")
        shutil.copytree(self.server.dir, dir)
        return Server(dir=dir, init=False, start=False)

    def test_is_signed_json(self):
        _, head = self.head(self.server)
        text = json.dumps(head)
        last = sqlite(self.server, "select max(seq) from audit")[0][0]
        self.assertIn(str(last), text)
        self.assertTrue(any("sign" in k.lower() for k in head), text)

    def test_lies_on_the_chain(self):
        path, _ = self.head(self.server)
        server = self.copy()
        self.assertEqual(server.verify("--head", path).returncode, 0)
        server.start()
        with server.admin() as s:
            for _ in range(10):
                s.poll()
            self.assertEqual(server.verify("--head", path).returncode, 0)
        server.stop()
        self.assertEqual(server.verify("--head", path).returncode, 0)

    def test_an_end_that_was_cut_off(self):
        path, _ = self.head(self.server)
        server = self.copy()
        sqlite(server, "delete from audit where seq > (select max(seq) - 5 from audit)")
        self.assertEqual(server.verify("--head", path).returncode, 1)

    def test_an_end_that_was_written_anew(self):
        server = self.copy()
        sqlite(server, "delete from audit where seq > (select max(seq) - 5 from audit)")
        server.start()
        with server.admin() as s:
            for _ in range(10):
                s.poll()
        server.stop()
        self.assertEqual(server.verify().returncode, 0)  # the chain alone is sound again
        path, _ = self.head(self.server)
        p = server.verify("--head", path)
        self.assertEqual(p.returncode, 1)
        self.assertRegex(p.stdout.lower() + p.stderr.lower(), "head")

    def test_a_head_that_was_altered(self):
        path, head = self.head(self.server)
        for key, value in head.items():
            bad = dict(head)
            if isinstance(value, int):
                bad[key] = value - 1
            elif isinstance(value, str) and value:
                bad[key] = ("0" if value[0] != "0" else "1") + value[1:]
            else:
                continue
            with self.subTest(key=key):
                with open(path, "w", encoding="utf-8") as f:
                    json.dump(bad, f)
                self.assertEqual(self.server.verify("--head", path).returncode, 1)
        # A file that is empty is no head either: who asks for a comparison must not be told "sound" without one.
        for text in ("", "{}", "nonsense", "[]", '{"seq": "x"}'):
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            self.assertEqual(self.server.verify("--head", path).returncode, 1, text)

    def test_no_such_file(self):
        self.assertEqual(self.server.verify("--head", "/nonexistent").returncode, 1)

    def test_of_another_register(self):
        path, _ = self.head(self.server)
        other = Server(start=False)
        self.assertEqual(other.verify("--head", path).returncode, 1)


if __name__ == "__main__":
    main()
