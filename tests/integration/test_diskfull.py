#!/usr/bin/python3
"""A disk that is full: commands fail with 2400, files wait, nothing is corrupted, service resumes when there is space, without a restart."""
import csv
import io
import os
import subprocess
import sys
import threading
import time
import unittest
import zipfile

from harness import (CEIRD, IMEI_URI, IMPORTER, PERMIT, SCREEN_IMEI, SLOW, TAC, Test, World, application_id, devices_xml, document, eventually, folder, imei, main,
                     position, run, sqlite)

DISK_MIB = 48
DISK_FILES = 1000


def small_disk():
    """A folder on a file system of its own, or the reason why there can be none."""
    path = folder("ceir-disk-")
    p = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm,nr_inodes=%d,mode=0700" % (DISK_MIB, DISK_FILES), "none", path], capture_output=True,
                       text=True)
    return (path, None) if p.returncode == 0 else (None, "no small file system: %s" % p.stderr.strip())


class DiskFull(Test):
    @classmethod
    def setUpClass(cls):
        cls.disk, why = small_disk()
        if why:
            raise unittest.SkipTest(why)
        # Only the data folder is on the small disk; logs take no space of it.
        cls.world = World(options=["registry.cache_bytes=1048576", "files.still_s=0"], dir=os.path.join(cls.disk, "var"))
        cls.serial = 0

    @classmethod
    def tearDownClass(cls):
        if not cls.disk:
            return
        cls.free_all()
        try:
            cls.world.close()
        finally:
            subprocess.run(["umount", "-l", cls.disk], check=False)

    @classmethod
    def filler(cls):
        return os.path.join(cls.disk, "filler")

    @classmethod
    def fill(cls, leave=0):
        """Takes all the space but so many bytes."""
        with open(cls.filler(), "ab", buffering=0) as f:
            try:
                while True:
                    f.write(b"\0" * 65536)
            except OSError:
                pass
            try:
                while True:
                    f.write(b"\0" * 512)
            except OSError:
                pass
            if leave:
                f.truncate(max(0, f.tell() - leave))

    @classmethod
    def free_all(cls):
        if os.path.exists(cls.filler()):
            os.remove(cls.filler())

    @classmethod
    def release(cls, bytes):
        os.truncate(cls.filler(), max(0, os.path.getsize(cls.filler()) - bytes))

    @classmethod
    def fill_names(cls):
        """Takes all the disk's files; their folder."""
        where = os.path.join(cls.disk, "names")
        os.mkdir(where)
        try:
            for i in range(2 * DISK_FILES):
                os.close(os.open(os.path.join(where, str(i)), os.O_CREAT | os.O_WRONLY))
        except OSError:
            pass
        return where

    def tearDown(self):
        self.free_all()
        self.assertTrue(self.world.server.alive(), self.world.server.log()[-4000:])

    def listing(self):
        DiskFull.serial += 1
        number = imei(TAC, 900000 + DiskFull.serial)
        return number, {"imei": number, "colour": "black", "reason": "stolen", "ground": "x" * 200}

    def until_full(self, s):
        """Writes until the first 2400; the numbers of those that were answered 1000, and the one that was not."""
        good = []
        while True:
            number, fields = self.listing()
            r = s.create("listing", fields)
            self.code(r, 1000, 2400)
            if r.code == 2400:
                return good, number
            good.append(number)

    def verify(self):
        p = self.world.server.verify()
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)

    def resumes(self, s):
        """Within seconds of there being space, without anything done to the server."""
        deadline = time.monotonic() + 30 * SLOW
        while True:
            number, fields = self.listing()
            r = s.create("listing", fields)
            if r.code == 1000:
                self.assertEqual(s.colour(number)[0], "black")
                return
            self.code(r, 2400)
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)

    def test_commands_fail_and_come_back(self):
        s = self.world.session("lea1")
        for leave in (0, 100000, 1500000):
            self.fill(leave)
            good, bad = self.until_full(s)
            # It stays so, the session stays open, and a read is answered or refused alike, never wrong.
            for _ in range(5):
                self.code(s.create("listing", self.listing()[1]), 2400, 1000)
                r = s.check("imei", SCREEN_IMEI)
                self.code(r, 1000, 2400)
            self.free_all()
            self.resumes(s)
            for number in good[-20:]:
                self.assertEqual(s.colour(number), ("black", "stolen"))
            self.assertEqual(s.colour(bad)[0], "unknown")
            self.assertEqual(self.world.session("admin").all("listing", [("imei", bad)]), [])
            self.verify()

    def test_many_sessions_at_once(self):
        sessions = [self.world.fresh("lea1") for _ in range(6)]
        self.fill(400000)
        answers, faults = [], []

        def write(s):
            try:
                for _ in range(150):
                    number, fields = self.listing_locked()
                    answers.append((number, s.create("listing", fields).code))
            except Exception as e:
                faults.append(repr(e))
        self.lock = threading.Lock()
        threads = [threading.Thread(target=write, args=(s,)) for s in sessions]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(faults, [])
        self.assertTrue({c for _, c in answers} <= {1000, 2400}, {c for _, c in answers})
        self.free_all()
        self.resumes(sessions[0])
        admin = self.world.session("admin")
        listed = {i["imei"] for i in admin.all("listing", limit=1000)}
        for number, code in answers:
            self.assertEqual(number in listed, code == 1000, number)
        self.verify()
        for s in sessions:
            s.close()

    def listing_locked(self):
        with self.lock:
            return self.listing()

    def test_an_application_in_work(self):
        """What was accepted is worked off when there is space again, once."""
        importer, customs = self.world.session("importer1"), self.world.session("customs1")
        n = 5000
        self.code(customs.create("permit", {"id": "FULL-1", "importer": "8978140007623", "issued": "2016-01-01",
                                            "exDate": "2035-12-31",
                                            "position": position(quantity=n)}), 1000)
        r = self.code(importer.create("application", {"permit": "FULL-1", "position": 1, "status": "staged"},
                                      extra=devices_xml([imei(TAC, 100000 + i) for i in range(n)])), 1000)
        id = application_id(r)
        self.fill(60000)
        r = importer.update("application", id, chg={"status": "submitted"})
        self.code(r, 1000, 1001, 2400)
        time.sleep(1)
        self.free_all()
        deadline = time.monotonic() + 60 * SLOW
        while r.code == 2400:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)
            r = importer.update("application", id, chg={"status": "submitted"})
            self.code(r, 1000, 1001, 2400)
        f = importer.wait_application(id).fields()
        self.assertEqual((f["accepted"], f["refused"]), (str(n), "0"))
        self.assertEqual(customs.info("permit", "FULL-1").fields()["position"]["used"], str(n))
        self.verify()

    def test_killed_on_a_full_disk(self):
        s = self.world.session("lea1")
        self.fill(200000)
        good, _ = self.until_full(s)
        self.world.server.kill()
        self.world.forget()
        self.free_all()
        self.verify()
        self.world.server.start()
        s = self.world.session("lea1")
        for number in good[-20:]:
            self.assertEqual(s.colour(number), ("black", "stolen"))

    def test_stopped_on_a_full_disk(self):
        s = self.world.session("lea1")
        self.fill(200000)
        self.until_full(s)
        self.world.forget()
        self.assertIn(self.world.server.stop(), (0, 1))
        self.free_all()
        self.verify()
        self.world.server.start()
        self.resumes(self.world.session("lea1"))

    # ---- files in folders ----

    def ftp(self, account, *path):
        return os.path.join(self.world.server.dir, "files", account, "ftp", *path)

    def upload(self, account, name, data):
        """Ready to be put; put() takes no space. The folder is there within a second of the account."""
        eventually(lambda: os.path.isdir(self.ftp(account, "in")), True)
        with open(self.ftp(account, "in", name + ".part"), "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())

    def put(self, account, name):
        os.rename(self.ftp(account, "in", name + ".part"), self.ftp(account, "in", name))

    def in_log(self, *texts):
        eventually(lambda: [t for t in texts if t not in self.world.server.log()], [])

    def failed(self, account):
        return self.world.server.log().count("files: %s: %s cannot be done now" % (account, self.names[account]))

    def taken_and_failed(self, *accounts):
        """Room is given a page at a time until they are in the queue, and nothing can be done of them."""
        deadline = time.monotonic() + 30 * SLOW
        while not all(self.failed(a) for a in accounts):
            self.assertLess(time.monotonic(), deadline)
            self.release(4096)
            time.sleep(0.1)
        for a in accounts:
            self.assertNotIn(self.names[a], os.listdir(self.ftp(a, "in")))

    def shown(self, account):
        return sorted(n for n in os.listdir(self.ftp(account, "out")) if not n.startswith(".") and n != "lists")

    def rows(self, account, name):
        eventually(lambda: name in self.shown(account), True, 30 * SLOW)
        with open(self.ftp(account, "out", name), encoding="utf-8", newline="") as f:
            return list(csv.DictReader(io.StringIO(f.read())))

    @staticmethod
    def workbook(rows):
        """Of one sheet; texts in the cells."""
        sheet = "".join("<row>%s</row>" % "".join('<c t="inlineStr"><is><t>%s</t></is></c>' % c for c in r) for r in rows)
        main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
        kinds = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
        relation = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="%s" Target="%s"/></Relationships>'
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
            z.writestr("[Content_Types].xml", '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>')
            z.writestr("_rels/.rels", relation % (kinds + "officeDocument", "xl/workbook.xml"))
            z.writestr("xl/workbook.xml", '<workbook %s><sheets><sheet name="a" sheetId="1" r:id="r1"/></sheets></workbook>' % main)
            z.writestr("xl/_rels/workbook.xml.rels", relation % (kinds + "worksheet", "worksheets/sheet1.xml"))
            z.writestr("xl/worksheets/sheet1.xml", "<worksheet %s><sheetData>%s</sheetData></worksheet>" % (main, sheet))
        return out.getvalue()

    @staticmethod
    def documents(round):
        check = '<check><imei:check xmlns:imei="%s"><imei:name>%s</imei:name></imei:check></check>' % (IMEI_URI, SCREEN_IMEI)
        return "".join(document(check, "E-%d-%d" % (round, i)) for i in range(300))

    def documents_are_answered(self, name):
        answer = name + ".answer.xml"
        eventually(lambda: answer in self.shown("admin"), True, 30 * SLOW)
        with open(self.ftp("admin", "out", answer), encoding="utf-8") as f:
            self.assertEqual(f.read().count('<result code="1000">'), 300)

    FILES = {"importer1": "application", "lea1": "stolen_list", "customs1": "permit", "pos1": "check", "operator1": "delta", "admin": "epp"}

    def uploads(self, round):
        """One file of every kind, and longer than the room that is left in these tests."""
        base = 300000 + 10000 * round
        self.names = {account: "%s-%d.%s" % (kind, round, {"check": "xlsx", "epp": "xml"}.get(kind, "csv")) for account, kind in self.FILES.items()}
        permits = "id,importer,issued,exDate,number,certificate,manufacturer,model,country,quantity,price,currency\n" + "".join(
            "FILE-%d-%d,%s,2026-01-01,2035-01-01,1,UAT.888.0162779-18,Samsung,GT-P3100,KR,1,4.50,UAH\n" % (round, i, IMPORTER) for i in range(200))
        texts = {"application": "imei,permit,position\n" + "".join("%s,%s,1\n" % (imei(TAC, base + i), PERMIT) for i in range(200 + round)),
                 "stolen_list": "imei,case\n" + "".join("%s,%s\n" % (imei("35148820", base + i), "K" * 200) for i in range(1500)),
                 "permit": permits,
                 "check": self.workbook([("imei", "note")] + [(SCREEN_IMEI, os.urandom(150).hex()) for _ in range(1500)]),
                 "delta": "imei,imsi,msisdn\n" + "".join("%s,2550112345%05d,380501234567\n" % (imei(TAC, base + i), i) for i in range(500)) + "x,,\n",
                 "epp": self.documents(round)}
        for account, kind in self.FILES.items():
            self.upload(account, self.names[account], texts[kind])

    def all_is_answered(self, round):
        """Each row, once."""
        name = self.names
        self.assertEqual({r["code"] for r in self.rows("importer1", name["importer1"] + ".answer.csv")}, {"1000"})
        stolen = self.rows("lea1", name["lea1"] + ".answer.csv")
        self.assertEqual(([r["code"] for r in stolen], len({r["svTRID"] for r in stolen})), (["1000"] * 1500, 1500))
        self.assertEqual([r["code"] for r in self.rows("customs1", name["customs1"] + ".answer.csv")], ["1000"] * 200)
        self.assertIn(self.rows("operator1", name["operator1"] + ".answer.csv")[0]["code"], ("1000", "1001"))
        answer = name["pos1"] + ".answer.xlsx"
        eventually(lambda: answer in self.shown("pos1"), True, 30 * SLOW)
        with zipfile.ZipFile(self.ftp("pos1", "out", answer)) as z:
            self.assertIsNone(z.testzip())
            self.assertEqual(z.read("xl/worksheets/sheet1.xml").count(b"<row "), 1501)
        self.documents_are_answered(name["admin"])
        for what in ("count(*)", "count(DISTINCT imei)"):
            self.assertEqual(sqlite(self.world.server, "SELECT %s FROM listing WHERE ground LIKE '%s row %%'" % (what, name["lea1"])), [(1500,)])
        self.assertEqual(sqlite(self.world.server, "SELECT count(*) FROM application WHERE rows = %d" % (200 + round)), [(1,)])
        for account in self.FILES:
            self.assertFalse([n for n in os.listdir(self.ftp(account, "in")) if n.endswith((".csv", ".xlsx", ".xml"))])
            eventually(lambda a=account: os.listdir(os.path.join(self.world.server.dir, "files", a, "queue")), [])
            self.assertFalse([n for n in os.listdir(self.ftp(account, "out")) if n.startswith(".")])

    def test_files_1_wait(self):
        self.uploads(1)
        self.fill()
        for account, name in self.names.items():
            self.put(account, name)
        # Not even its name can be written down: it stays where it is.
        self.in_log(*("files: %s: a file of in/ cannot be taken now: no space" % a for a in self.names))
        for account, name in self.names.items():
            self.assertIn(name, os.listdir(self.ftp(account, "in")))
            self.assertEqual(self.shown(account), [])
        self.taken_and_failed("lea1")
        self.assertEqual(self.shown("lea1"), [])
        self.free_all()
        self.all_is_answered(1)
        self.verify()

    def test_files_2_killed(self):
        """Where a file is in the queue, or half done, and its answer half written."""
        self.uploads(2)
        self.fill()
        for account in self.names:
            self.put(account, self.names[account])
        self.taken_and_failed("lea1", "pos1")
        before = self.failed("pos1")
        self.release(200000)
        eventually(lambda: self.failed("pos1") > before, True)
        self.assertNotIn(self.names["pos1"] + ".answer.xlsx", self.shown("pos1"))
        self.world.server.kill()
        self.world.forget()
        self.free_all()
        self.world.server.start()
        self.all_is_answered(2)
        self.verify()

    def test_files_3_no_names(self):
        """A disk that has room and no more files."""
        name = "epp-3.xml"
        self.names = {"admin": name}
        self.upload("admin", name, self.documents(3))
        where = self.fill_names()
        try:
            self.put("admin", name)
            self.in_log("files: admin: a file of in/ cannot be taken now: no space")
            # One for its name in the queue, none for what is done of it; what else the server makes meanwhile may take it.
            queue = os.path.join(self.world.server.dir, "files", "admin", "queue")
            for i in range(20):
                os.remove(os.path.join(where, str(i)))
                eventually(lambda: os.statvfs(self.disk).f_ffree, 0)
                if os.listdir(queue):
                    break
            eventually(lambda: self.failed("admin") > 0 or name + ".answer.xml" in self.shown("admin"), True)
        finally:
            subprocess.run(["rm", "-r", where], check=True)
        self.documents_are_answered(name)

    def test_init_on_a_full_disk(self):
        self.fill()
        dir = os.path.join(self.disk, "second")
        p = run(CEIRD, "init", dir)
        self.assertEqual(p.returncode, 1)
        self.assertTrue(p.stderr.strip())
        self.assertFalse(os.path.exists(dir) and os.listdir(dir), "a half-made folder is left")


if __name__ == "__main__":
    # Who is not root may be so in a name space of their own, and mount there.
    if os.geteuid() != 0 and subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode == 0:
        os.execvp("unshare", ["unshare", "-rm", sys.executable, *sys.argv])
    main()
