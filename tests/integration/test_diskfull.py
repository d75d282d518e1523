#!/usr/bin/python3
"""A disk that is full: commands fail with 2400, nothing is corrupted, service resumes when there is space, without a restart."""
import os
import subprocess
import sys
import threading
import time
import unittest

from harness import (CEIRD, SCREEN_IMEI, SLOW, TAC, Test, World, application_id, devices_xml, folder, imei, main,
                     position, run)

DISK_MIB = 48


def small_disk():
    """A folder on a file system of its own, or the reason why there can be none."""
    path = folder("ceir-disk-")
    p = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm,mode=0700" % DISK_MIB, "none", path], capture_output=True,
                       text=True)
    return (path, None) if p.returncode == 0 else (None, "no small file system: %s" % p.stderr.strip())


class DiskFull(Test):
    @classmethod
    def setUpClass(cls):
        cls.disk, why = small_disk()
        if why:
            raise unittest.SkipTest(why)
        # Only the data folder is on the small disk; logs take no space of it.
        cls.world = World(options=["registry.cache_bytes=1048576"], dir=os.path.join(cls.disk, "var"))
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
