#!/usr/bin/python3
"""Files that accounts put into their folders: done as commands, answered beside, each row once (docs/files.md)."""
import calendar
import csv
import io
import os
import time
import zipfile

from harness import (CEIRD, CERTIFICATE, IMEI_URI, IMPORTER, OPERATOR, PERMIT, ROOT, SCREEN_IMEI, SLOW, TAC, TIMEOUT, Server, Test, World, document, eventually, folder, imei,
                     less, main, run, sqlite)

PERMIT_COLUMNS = "id,importer,issued,exDate,number,certificate,manufacturer,model,country,quantity,price,currency\n"


def position_row(permit, number, quantity=10):
    return "%s,%s,2026-01-01,2035-01-01,%s,%s,Samsung,GT-P3100,KR,%s,4.50,UAH\n" % (permit, IMPORTER, number, CERTIFICATE, quantity)


def micros(svtrid):
    """Of a transaction id: when it was."""
    digits = svtrid[-20:]
    return calendar.timegm(time.strptime(digits[:14], "%Y%m%d%H%M%S")) * 1000000 + int(digits[14:])


class Folder:
    """An account's folder, as the account sees it."""

    def __init__(self, server, account):
        self.path = os.path.join(server.dir, "files", account, "ftp")
        self.queue = os.path.join(server.dir, "files", account, "queue")
        eventually(lambda: os.path.isdir(os.path.join(self.path, "out", "lists")), True)

    def held(self, name, text):
        """Put under its name, and the writer's file that is open still."""
        part = os.path.join(self.path, "in", "upload.part")
        f = open(part, "wb", buffering=0)
        f.write(text if isinstance(text, bytes) else text.encode())
        os.rename(part, os.path.join(self.path, "in", name))
        return f

    def put(self, name, text):
        data = text if isinstance(text, bytes) else text.encode()
        part = os.path.join(self.path, "in", "upload.part")
        with open(part, "wb") as f:
            f.write(data)
        os.rename(part, os.path.join(self.path, "in", name))

    def waiting(self):
        return sorted(os.listdir(os.path.join(self.path, "in")))

    def out(self, name):
        return os.path.join(self.path, "out", name)

    def text(self, name):
        eventually(lambda: os.path.exists(self.out(name)), True, 4 * TIMEOUT)
        with open(self.out(name), encoding="utf-8", newline="") as f:
            return f.read()

    def rows(self, name):
        return list(csv.DictReader(io.StringIO(self.text(name))))

    def answer(self, name):
        return self.rows(name + ".answer.csv")

    def rejects(self, name):
        return self.rows(name + ".rejects.csv")

    def has_rejects(self, name):
        return os.path.exists(self.out(name + ".rejects.csv"))


class Files(Test):
    @classmethod
    def setUpClass(cls):
        cls.world = World(options=["lists.interval_s=1", "files.still_s=0"])
        cls.folders = {}

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def of(self, account):
        if account not in self.folders:
            self.folders[account] = Folder(self.world.server, account)
        return self.folders[account]

    def codes(self, rows):
        return [int(r["code"]) for r in rows]

    def test_1_roles(self):
        """All are put in at once: to wait for each to lie still would take long."""
        importer, lea, customs, operator = (self.of(a) for a in ("importer1", "lea1", "customs1", "operator1"))
        nra, pos, admin, tax = (self.of(a) for a in ("nra1", "pos1", "admin", "tax1"))
        good = [imei(TAC, i) for i in range(1, 6)]
        importer.put("application-1.csv", "imei,imei2,permit,position\n" + "".join("%s,,%s,1\n" % (n, PERMIT) for n in good[:3])
                     + "%s,%s,%s,1\n" % (good[3][:14], good[4], PERMIT) + "%s,,%s,1\n" % (good[0], PERMIT) + "359999990000000,,%s,1\n,,%s,1\n" % (PERMIT, PERMIT))
        lea.put("stolen_list.csv", "imei,reporting_date,status\n%s,20261101,\n%s,,pending\n12,,\n" % (imei(TAC, 900)[:14], imei(TAC, 901)))
        customs.put("permit-1.csv", PERMIT_COLUMNS + position_row("P-1", 1) + position_row("P-1", 2) + position_row("P-2", 1, "many") + position_row("P-3", 1))
        operator.put("delta-1.csv", "imei,imsi,msisdn\n%s,255011234567890,380501234567\nx,,\n" % good[0])
        nra.put("GSMA_TAC-november.txt", "TAC|Manufacturer|Model Name|Bands|Allocation Date\n35148820|Nokia|6310|GSM 900,GSM 1800|05-Jan-2001\n"
                "35999999|Acme|One|LTE|06-Feb-2020\n")
        pos.put("check.csv", "shelf;IMEI\nA;%s\nB;35\n" % imei(TAC, 777))
        tax.put("tac-1.csv", "id,manufacturer,model\n11111111,A,B\n22222222,A,B\n")
        admin.put("epp-1.xml", document('<check><imei:check xmlns:imei="%s"><imei:name>%s</imei:name></imei:check></check>' % (IMEI_URI, SCREEN_IMEI), "E-1")
                  + "\n" + document("<logout/>", "E-2") + "\n<epp>")

        rows = importer.answer("application-1.csv")
        self.assertEqual(self.codes(rows), [1000] * 4 + [2306, 2306, 2005])
        self.assertEqual(len({r["svTRID"] for r in rows[:6]}), 1)
        self.assertEqual([r["rejectCode"] for r in importer.rejects("application-1.csv")], ["duplicate", "luhn", "imei"])
        self.assertEqual(self.world.session("lea1").colour(good[4]), ("white", "registered"))

        rows = lea.answer("stolen_list.csv")
        self.assertEqual(self.codes(rows), [1000, 1000, 2005])
        self.assertEqual(self.world.session("lea1").colour(imei(TAC, 900)), ("black", "stolen"))
        self.assertEqual(self.world.session("lea1").colour(imei(TAC, 901)), ("grey", "listed-grey"))
        # The svTRID is the transaction's; it says whose folder it was.
        for r in rows:
            t = self.world.session("lea1").info("transaction", r["svTRID"]).fields()
            self.assertEqual((t["account"], t["address"], t["code"]), ("lea1", "files/lea1", r["code"]))

        # A position that is wrong refuses its permit, and no other.
        self.assertEqual(self.codes(customs.answer("permit-1.csv")), [1000, 1000, 2005, 1000])
        self.assertEqual(len(self.world.session("customs1").info("permit", "P-1").fields()["position"]), 2)

        rows = operator.answer("delta-1.csv")
        self.assertIn(self.codes(rows)[0], (1000, 1001))
        self.assertEqual(self.world.session("operator1").info("delivery", rows[0]["delivery"]).fields()["lines"], "2")
        self.assertIn("imsi-empty", operator.text("delta-1.csv.rejects.csv"))

        self.assertEqual(self.codes(nra.answer("GSMA_TAC-november.txt")), [1000, 1000])
        self.assertEqual(self.world.session("nra1").info("tac", "35148820").fields()["model"], "6310")
        self.assertEqual(self.world.session("nra1").info("tac", "35999999").fields()["allocated"], "2020-02-06")

        rows = pos.answer("check.csv")
        self.assertEqual([(r["shelf"], r["colour"], r["code"]) for r in rows], [("A", "unknown", "1000"), ("B", "", "2005")])

        # Who may not: each row, and each is in the audit log.
        rows = tax.answer("tac-1.csv")
        self.assertEqual(self.codes(rows), [2201, 2201])
        self.assertEqual(self.world.session("admin").info("transaction", rows[1]["svTRID"]).fields()["code"], "2201")

        text = admin.text("epp-1.xml.answer.xml")
        self.assertEqual(text.count("</epp>"), 3)
        for part in ('<result code="1000">', "<clTRID>E-1</clTRID>", '<result code="2002">', '<result code="2001">'):
            self.assertIn(part, text)
        eventually(lambda: sum(len(os.listdir(f.queue)) for f in self.folders.values()), 0)

    def test_1_half_a_base_is_no_delivery(self):
        """A table that cannot be read to its end is refused whole: those in the other half would have gone."""
        text = '<records xmlns="urn:ceir:params:xml:ns:records-1.0" type="triplet">' + "".join(
            "<triplet><imei>%s</imei><imsi>25501123%07d</imsi><msisdn>38050123%04d</msisdn></triplet>" % (imei(TAC, 5000 + n), n * 7919 % 10000000, n)
            for n in range(5000)) + "</records>"
        good, broken = io.BytesIO(), io.BytesIO()
        for out, part in ((good, text), (broken, text[:len(text) // 2])):
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
                z.writestr("base.xml", part)
        before = sqlite(self.world.server, "SELECT count(*) FROM delivery")
        operator = self.of("operator1")
        operator.put("full-broken.zip", broken.getvalue())
        rows = operator.answer("full-broken.zip")
        self.assertEqual([r["code"] for r in rows], ["2001"], rows)
        self.assertEqual(sqlite(self.world.server, "SELECT count(*) FROM delivery"), before)
        # As it was meant.
        operator.put("full-good.zip", good.getvalue())
        self.assertEqual([r["code"] for r in operator.answer("full-good.zip")], ["1001"])

    def test_2_correct_and_send_again(self):
        customs, lea = self.of("customs1"), self.of("lea1")
        corrected = customs.text("permit-1.csv.rejects.csv").replace("many", "70")
        self.assertIn("rejectReason", corrected)
        customs.put("permit-2.csv", corrected)
        # Recovered: a delete that names the phone; one that has no listing; and what is no table at all.
        lea.put("stolen_list-2.csv", "imei,change_type\n%s,remove\n%s,remove\n%s,update\n" % (imei(TAC, 900), imei(TAC, 902), imei(TAC, 901)))
        lea.put("watch-1.xlsx", b"")
        lea.put("holiday.csv", "a,b\n1,2\n")
        lea.put("watch-2.csv", "imei,colour\n1,2\n")
        self.assertEqual(self.codes(customs.answer("permit-2.csv")), [1000])
        self.assertFalse(customs.has_rejects("permit-2.csv"))
        self.assertEqual(self.world.session("customs1").info("permit", "P-2").fields()["position"]["quantity"], "70")
        self.assertEqual(self.codes(lea.answer("stolen_list-2.csv")), [1000, 2303, 1000])
        self.assertEqual(self.world.session("lea1").colour(imei(TAC, 900))[0], "unknown")
        self.assertEqual(self.world.session("lea1").colour(imei(TAC, 901)), ("black", "stolen"))
        for name in ("watch-1.xlsx", "holiday.csv", "watch-2.csv"):
            self.assertEqual(list(lea.answer(name)[0]), ["file", "code", "message"])
            self.assertEqual(self.codes(lea.answer(name)), [2001])
        self.assertIn("colour", lea.answer("watch-2.csv")[0]["message"])

    def test_3_lists(self):
        """An operator's list files are in its folder as long as they are in its outbox."""
        outbox = os.path.join(self.world.server.dir, "outbox", OPERATOR)
        lists = self.of("operator1").out("lists")

        def names(folder):
            return sorted(n for n in os.listdir(folder) if not n.startswith("."))

        eventually(lambda: bool(names(outbox)), True)
        eventually(lambda: names(lists) == names(outbox), True)
        one = names(lists)[0]
        self.assertEqual(os.stat(os.path.join(lists, one)).st_ino, os.stat(os.path.join(outbox, one)).st_ino)
        with open(os.path.join(lists, "stale.csv"), "w", encoding="ascii"):
            pass
        eventually(lambda: os.path.exists(os.path.join(lists, "stale.csv")), False)

    def test_4_hostile(self):
        pos = self.of("pos1")
        where = os.path.join(pos.path, "in")
        os.symlink(os.path.join(self.world.server.dir, "keys", "admin.password"), os.path.join(where, "check-link.csv"))
        os.mkfifo(os.path.join(where, "check-fifo.csv"))
        os.mkdir(os.path.join(where, "check-folder.csv"))
        os.mkdir(pos.out("check-taken.csv.answer.csv"))
        pos.put("check-\n.csv", "imei\n%s\n" % SCREEN_IMEI)
        pos.put("check-taken.csv", "imei\n%s\n" % SCREEN_IMEI)
        pos.put("-check.csv", "imei\n%s\n" % SCREEN_IMEI)
        pos.put("check-nul.csv", b"imei,note\n\0,%s\n%s,\n" % (b"shop " * 20, SCREEN_IMEI.encode()))
        pos.put("check-long.csv", "imei\n" + "9" * 100000 + "\n" + SCREEN_IMEI + "\n")
        self.assertEqual(self.codes(pos.answer("check-_.csv")), [1000])
        self.assertEqual(self.codes(pos.answer("-check.csv")), [2001])
        eventually(lambda: sum(n.startswith("check-taken.csv.0") for n in os.listdir(os.path.join(pos.path, "out"))), 1)
        self.assertEqual(self.codes(pos.answer("check-nul.csv")), [2005, 1000])
        self.assertEqual(self.codes(pos.answer("check-long.csv")), [2005, 1000])
        self.assertEqual(pos.waiting(), ["check-fifo.csv", "check-folder.csv", "check-link.csv"])

    def test_4_written_under_its_name(self):
        """A file that somebody has open for writing waits until they close it; the others do not wait for it."""
        shop = self.of("tax1")
        with shop.held("check-held.csv", "imei\n%s\n" % SCREEN_IMEI) as f:
            # The second was looked at a second later than the first: in/ was gone through to its end meanwhile.
            for name in ("check-1.csv", "check-2.csv"):
                shop.put(name, "imei\n%s\n" % SCREEN_IMEI)
                shop.answer(name)
            self.assertEqual(shop.waiting(), ["check-held.csv"])
            f.write(b"%s\n" % SCREEN_IMEI.encode())
        self.assertEqual(len(shop.answer("check-held.csv")), 2)
        self.assertEqual(shop.waiting(), [])

    def test_5_killed(self):
        """kill -9 in the middle of a long file and of an application: every row is done once, and answered with its transaction."""
        n = less(20000, 2000)
        lea, importer = self.of("lea1"), self.of("importer1")
        lea.put("stolen_list-long.csv", "imei\n" + "".join("%s\n" % imei("35148820", i) for i in range(n)))
        importer.put("application-long.csv", "imei,permit,position\n" + "".join("%s,%s,1\n" % (imei(TAC, 1000 + i), PERMIT) for i in range(900)))

        def begun():
            return any(e.name.endswith(".journal") and e.stat().st_size > 100 for e in os.scandir(lea.queue))

        deadline = time.monotonic() + TIMEOUT
        while not begun() and not os.path.exists(lea.out("stolen_list-long.csv.answer.csv")):
            assert time.monotonic() < deadline
        self.world.forget()
        self.world.server.kill()
        self.world.server.start()
        rows = lea.answer("stolen_list-long.csv")
        self.assertEqual(set(self.codes(rows)), {1000})
        self.assertEqual(len(rows), n)
        listed = sqlite(self.world.server, "SELECT count(*), count(DISTINCT imei) FROM listing WHERE ground LIKE 'stolen_list-long.csv row %'")
        self.assertEqual(listed, [(n, n)])
        # Each svTRID is that of a create of this row.
        trids = {r["svTRID"] for r in rows}
        self.assertEqual(len(trids), n)
        done = sqlite(self.world.server, "SELECT count(*), count(DISTINCT cltrid) FROM audit WHERE verb = 'create' AND object = 'listing' AND code = 1000 "
                      "AND account = 'lea1' AND cltrid LIKE (SELECT substr(cltrid, 1, 35) FROM audit WHERE object = 'listing' ORDER BY seq DESC LIMIT 1) || '%'")
        self.assertEqual(done, [(n, n)])
        t = self.world.session("admin").info("transaction", rows[n // 2]["svTRID"]).fields()
        self.assertEqual(t["clTRID"].split("-")[2], "%da" % (n // 2 + 1))
        rows = importer.answer("application-long.csv")
        self.assertEqual(self.codes(rows), [1000] * 900)
        self.assertEqual(sqlite(self.world.server, "SELECT count(*) FROM application WHERE rows = 900"), [(1,)])
        eventually(lambda: os.listdir(lea.queue) + os.listdir(importer.queue), [])

    def test_6_language(self):
        """An account that has a language is answered in it; the others in files.lang."""
        admin = self.world.session("admin")
        self.world.account("lea2", role="lea", lang="uk")
        uk, en = self.of("lea2"), self.of("lea1")
        for folder in (uk, en):
            folder.put("stolen_list-lang.csv", "imei\n%s\n12\n%s\n" % (imei(TAC, 950 if folder is uk else 951), "9" * 40000))
            folder.put("watch-lang.csv", "colour\n1\n")
            folder.put("check-lang.csv", "imei\n%s\n12\n" % SCREEN_IMEI)
        rows = uk.answer("stolen_list-lang.csv")
        self.assertEqual(self.codes(rows), [1000, 2005, 2005])
        self.assertEqual(rows[0]["message"], "Команду виконано успішно")
        for row in rows[1:]:
            self.assertRegex(row["message"], "[а-яі]{4}")
        for row in uk.rejects("stolen_list-lang.csv"):
            self.assertRegex(row["rejectReason"], "[а-яі]{4}")
        self.assertRegex(uk.answer("watch-lang.csv")[0]["message"], "[а-яі]{4}")
        self.assertRegex(uk.answer("check-lang.csv")[0]["reason"], "[а-яі]{4}")
        self.assertRegex(uk.answer("check-lang.csv")[1]["message"], "[а-яі]{4}")
        for name in ("stolen_list-lang.csv.answer.csv", "stolen_list-lang.csv.rejects.csv", "watch-lang.csv.answer.csv", "check-lang.csv.answer.csv"):
            self.assertNotRegex(en.text(name), "[а-яі]")
        # It may be changed; the next file is answered in it.
        self.world.ok(admin.update("account", "lea2", chg={"lang": "en-GB"}))
        self.assertEqual(admin.info("account", "lea2").fields()["lang"], "en")
        self.assertEqual(admin.update("account", "lea2", chg={"lang": "fr"}).code, 2004)
        self.assertEqual(admin.update("account", "lea2", chg={"lang": "u_k"}).code, 2005)
        uk.put("watch-lang2.csv", "colour\n1\n")
        self.assertNotRegex(uk.text("watch-lang2.csv.answer.csv"), "[а-яі]")

    def copy_while_doing(self, n, round):
        """A backup, begun and ended while rows of a file and documents of another were being done; how many were by then."""
        lea, admin = self.of("lea1"), self.of("admin")
        name = "stolen_list-copied%d.csv" % round
        documents = "".join(document('<check><imei:check xmlns:imei="%s"><imei:name>%s</imei:name></imei:check></check>' % (IMEI_URI, SCREEN_IMEI),
                                     "C-%d-%d" % (round, i)) for i in range(n // 4))
        lea.put(name, "imei\n" + "".join("%s\n" % imei("35148820", 100000 * round + i) for i in range(n)))
        admin.put("epp-copied%d.xml" % round, documents)
        eventually(lambda: sum(e.name.endswith(".journal") and e.stat().st_size > 100 for f in (lea, admin) for e in os.scandir(f.queue)), 2)
        copy = os.path.join(folder(), "copy")
        run(os.path.join(ROOT, "docs", "examples", "backup.py"), self.world.server.dir, copy, check=0)
        names = [os.listdir(os.path.join(copy, "files", a, "queue")) for a in ("lea1", "admin")]
        return (copy, name) if all(len(list(n)) == 3 for n in names) else (copy, None)

    def test_7_backup(self):
        """What is in the queue, in in/ and in out/ is in the copy, and a server of the copy goes on with it: each row once."""
        n, pos = less(10000, 2000), self.of("pos1")
        waits = os.path.join(pos.path, "in", "check-waits.csv")
        with open(waits + ".part", "w", encoding="ascii") as f:
            f.write("imei\n%s\n" % SCREEN_IMEI)
        os.utime(waits + ".part", (0, 0))
        os.link(waits + ".part", os.path.join(pos.path, "other"))    # with two names it is not taken; its copy has one
        os.rename(waits + ".part", waits)
        pos.put("check-answered.csv", "imei\n%s\n" % SCREEN_IMEI)
        pos.answer("check-answered.csv")
        for round in range(1, 6):
            copy, name = self.copy_while_doing(n, round)
            if name:
                break
        self.assertTrue(name, "the files were done before the backup was")
        server = Server(dir=copy, options=["files.still_s=0"], init=False)
        try:
            self.assertEqual(server.verify().returncode, 0)
            before = sqlite(server, "SELECT count(*) FROM listing WHERE ground LIKE '%s row %%'" % name)[0][0]
            lea, admin, shop = (Folder(server, a) for a in ("lea1", "admin", "pos1"))
            rows = lea.answer(name)
            self.assertLess(0, before)
            self.assertEqual(self.codes(rows), [1000] * n)
            self.assertEqual(sqlite(server, "SELECT count(*), count(DISTINCT imei) FROM listing WHERE ground LIKE '%s row %%'" % name), [(n, n)])
            # Every answer is of a transaction that the copy knows.
            done = {r[0] for r in sqlite(server, "SELECT at FROM audit WHERE object = 'listing' AND code = 1000")}
            self.assertEqual([r["svTRID"] for r in rows if micros(r["svTRID"]) not in done], [])
            text = admin.text("epp-copied%d.xml.answer.xml" % round)
            self.assertEqual([text.count("<clTRID>C-%d-%d<" % (round, i)) for i in range(n // 4)], [1] * (n // 4))
            self.assertEqual(self.codes(shop.answer("check-waits.csv")), [1000])
            self.assertEqual(self.codes(shop.answer("check-answered.csv")), [1000])
            lists = os.path.join(copy, "files", "operator1", "ftp", "out", "lists")
            eventually(lambda: [os.stat(os.path.join(lists, i)).st_nlink for i in os.listdir(lists)][:1], [2])
        finally:
            server.stop()
        self.assertEqual(server.verify().returncode, 0)
        os.remove(os.path.join(pos.path, "other"))

    def test_8_documented_types(self):
        with open(os.path.join(ROOT, "docs", "files.md"), encoding="utf-8") as f:
            page = f.read()
        begin, end = "<!-- begin of what ceird file-types prints -->\n", "<!-- end of what ceird file-types prints -->"
        self.assertEqual(page[page.index(begin) + len(begin):page.index(end)], run(CEIRD, "file-types", check=0).stdout)


if __name__ == "__main__":
    main()
