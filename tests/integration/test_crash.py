#!/usr/bin/python3
"""kill -9 under load, again and again: after each restart the register is sound, everything that was answered is there, and nothing
that was not answered is there by half."""
import random
import threading
import time

from harness import (PERMIT, SANITIZED, SCREEN_IMEI, SLOW, TAC, TIMEOUT, Closed, Test, World, application_id, devices_xml,
                     document, imei, main, object_command, position, rows)

ROUNDS = {None: 50, "libtsan": 5}.get(SANITIZED, 8)
AHEAD = 4  # frames under way per session
CHECK = object_command("check", "imei", "<imei:name>%s</imei:name>" % SCREEN_IMEI)


class Writer(threading.Thread):
    """A session that keeps some commands under way until the server is gone. sent: clTRID -> what; answered: clTRID -> response."""

    def __init__(self, session, name):
        super().__init__()
        self.session, self.name, self.n = session, name, 0
        self.sent, self.answered, self.fault = {}, {}, None

    def next(self):
        """(body of the command, what a check needs to know of it)"""
        raise NotImplementedError

    def take(self, response):
        """An answer arrived."""

    def run(self):
        under_way = []
        try:
            while True:
                while len(under_way) < AHEAD:
                    cltrid = "%s-%05d" % (self.name, self.n)
                    self.n += 1
                    body, what = self.next()
                    self.sent[cltrid] = what
                    under_way.append(cltrid)
                    self.session.send(document(body, cltrid))
                r = self.session.receive()
                cltrid = under_way.pop(0)
                if r.cltrid != cltrid:
                    self.fault = "answer to %s, expected %s" % (r.cltrid, cltrid)
                    return
                self.answered[cltrid] = r
                self.take(r)
        except Closed:
            pass
        except Exception as e:
            self.fault = repr(e)


class Lister(Writer):
    """Listings, some of which are ended again."""

    def __init__(self, *args, first):
        super().__init__(*args)
        self.serial = first
        self.open = []

    def next(self):
        if len(self.open) > 20:
            id = self.open.pop(0)
            return (object_command("delete", "listing",
                                   "<listing:id>%s</listing:id><listing:ground>%s-%05d</listing:ground>" % (
                id, self.name, self.n - 1)), ("end", id))
        number = imei("35999999", self.serial)
        self.serial += 1
        return (object_command("create", "listing",
                               "<listing:imei>%s</listing:imei><listing:colour>black</listing:colour><listing:reason>stolen"
                               "</listing:reason><listing:ground>%s-%05d</listing:ground>" % (number, self.name, self.n - 1)),
                ("create", number))

    def take(self, r):
        if r.data is not None:
            self.open.append(r.fields()["id"])


class Applicant(Writer):
    """Whole applications of two devices, of which the second has a wrong digit."""

    def __init__(self, *args, first):
        super().__init__(*args)
        self.serial = first

    def next(self):
        number = imei(TAC, self.serial)
        self.serial += 1
        fields = "<application:permit>%s</application:permit><application:position>1</application:position>" % PERMIT
        return object_command("create", "application", fields + "<application:reference>%s-%05d</application:reference>" % (
            self.name, self.n - 1) + devices_xml([number, "123456789012345"])), number


class Stager(Writer):
    """One application, filled by many commands."""

    def __init__(self, *args, application):
        super().__init__(*args)
        self.application = application

    def next(self):
        return object_command("update", "application",
                              "<application:id>%s</application:id><application:add>%s</application:add>" % (
            self.application, devices_xml([imei(TAC, 1)] * 3))), 3


class Checker(Writer):
    def next(self):
        return CHECK, None


class Crash(Test):
    @classmethod
    def setUpClass(cls):
        cls.world = w = World()
        cls.random = random.Random(4711)
        w.ok(w.session("customs1").update("permit", PERMIT, chg={"position": dict(position(), quantity=10000000)}))

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def test_kill_9_under_load(self):
        answered = unanswered = kept = 0
        for n in range(ROUNDS):
            with self.subTest(round=n):
                a, u, k = self.round(n)
                answered, unanswered, kept = answered + a, unanswered + u, kept + k
        print("%d rounds: %d commands answered, %d not, of which %d were kept" % (ROUNDS, answered, unanswered, kept))
        self.assertGreater(answered, ROUNDS * 10)

    def round(self, n):
        w = self.world
        staged = application_id(w.ok(w.session("importer1").create("application", {"permit": PERMIT, "position": 1,
                                                                                   "status": "staged"})))
        last = w.session("admin").page("transaction", sort="seq", descending=True, limit=1).items[0]
        writers = [Lister(w.fresh("lea1"), "L%d-%d" % (n, i), first=1 + n * 20000 + i * 5000) for i in range(3)]
        writers.append(Applicant(w.fresh("importer1"), "A%d" % n, first=1 + n * 10000))
        writers.append(Stager(w.fresh("importer1"), "S%d" % n, application=staged))
        writers.append(Checker(w.fresh("operator1"), "C%d" % n))
        for t in writers:
            t.start()
        self.answers(writers, self.random.randrange(10, 500 if SLOW == 1 else 250))
        w.server.kill()
        for t in writers:
            t.join(60)
            self.assertIsNone(t.fault)
            t.session.close()
        w.forget()
        p = w.server.verify()
        self.assertEqual(p.returncode, 0, "as found: " + p.stdout + p.stderr)
        w.server.start()
        p = w.server.verify()
        self.assertEqual(p.returncode, 0, "after the start: " + p.stdout + p.stderr)
        return self.examine(writers, staged, int(last["seq"]))

    def answers(self, writers, n):
        """Until so many were given: a kill comes at any point, and what is to be examined is as much on a fast machine as on a slow one."""
        deadline = time.monotonic() + TIMEOUT
        while sum(len(t.answered) for t in writers) < n and any(t.is_alive() for t in writers):
            self.assertLess(time.monotonic(), deadline, "fewer than %d answers" % n)
            time.sleep(0.002)

    def examine(self, writers, staged, last):
        admin = self.world.session("admin")
        log = admin.all("transaction", [("seq", "gt", last)], limit=1000)
        by_id = {t["id"]: t for t in log}
        by_cltrid = {}
        for t in log:
            if "clTRID" in t:
                self.assertNotIn(t["clTRID"], by_cltrid, "twice in the log")
                by_cltrid[t["clTRID"]] = t
        # Every answer stands in the log with its outcome.
        for t in writers:
            for cltrid, r in t.answered.items():
                entry = by_id.get(r.svtrid)
                self.assertIsNotNone(entry, "%s was answered %d and is not in the log" % (cltrid, r.code))
                self.assertEqual((entry["clTRID"], entry["code"]), (cltrid, str(r.code)))
                self.assertIn(r.code, (1000, 1001), r)
        self.listings(admin, [t for t in writers if isinstance(t, Lister)], by_cltrid)
        for t in writers:
            if isinstance(t, Applicant):
                self.applications(t, by_cltrid)
            elif isinstance(t, Stager):
                self.stager(t, staged, by_cltrid)
        answered = sum(len(t.answered) for t in writers)
        left = [c for t in writers for c in t.sent if c not in t.answered]
        return answered, len(left), len([c for c in left if c in by_cltrid])

    def listings(self, admin, writers, log):
        began = min(self.date(log, t) for t in writers if t.answered) if any(t.answered for t in writers) else None
        items = admin.all("listing", [("crDate", "ge", began)] if began else [], limit=1000)
        by_ground = {}
        for i in items:
            self.assertNotIn(i["ground"], by_ground)
            by_ground[i["ground"]] = i
        by_id = {i["id"]: i for i in items}
        for t in writers:
            for cltrid, (what, subject) in t.sent.items():
                kept = cltrid in log and log[cltrid]["code"] == "1000"
                if cltrid in t.answered:
                    self.assertTrue(kept)
                if what == "create":
                    # The effect is there exactly when the log says so.
                    self.assertEqual(cltrid in by_ground, kept, cltrid)
                    if kept:
                        self.assertEqual(by_ground[cltrid]["imei"], subject)
                        if cltrid in t.answered:
                            self.assertEqual(by_ground[cltrid]["id"], t.answered[cltrid].fields()["id"])
                elif subject in by_id:
                    self.assertEqual(by_id[subject]["status"], "ended" if kept else "inForce", cltrid)
            # Verdicts follow, as answered by the table that was built anew.
            numbers = [s for c, (w, s) in t.sent.items() if w == "create"][-50:]
            verdicts = self.world.session("operator1").verdicts(*numbers) if numbers else {}
            for cltrid, (what, number) in t.sent.items():
                if number in verdicts:
                    in_force = cltrid in by_ground and by_ground[cltrid]["status"] == "inForce"
                    self.assertEqual(verdicts[number][2], "black" if in_force else "unknown", cltrid)

    def date(self, log, t):
        return min(log[c]["date"] for c in t.answered)

    def applications(self, t, log):
        s = self.world.session("importer1")
        of = {}
        for a in s.all("application", [("reference", "prefix", t.name + "-")], limit=1000):
            of.setdefault(a["reference"], []).append(a)
        for cltrid, number in t.sent.items():
            found = of.get(cltrid, [])
            kept = cltrid in log and log[cltrid]["code"] in ("1000", "1001")
            self.assertEqual(len(found), int(kept), cltrid)
            if cltrid in t.answered:
                self.assertTrue(kept)
                self.assertEqual(found[0]["id"], application_id(t.answered[cltrid]))
            if kept:
                done = s.wait_application(found[0]["id"]).fields()
                self.assertEqual((done["rows"], done["accepted"], done["refused"]), ("2", "1", "1"))
            self.assertEqual(s.colour(number)[0], "white" if kept else "unknown")
        used = self.world.session("customs1").info("permit", PERMIT).fields()["position"]["used"]
        self.assertEqual(int(used), len(self.world.session("admin").all("imei", [("name", "prefix", TAC)], limit=1000)))

    def stager(self, t, staged, log):
        s = self.world.session("importer1")
        kept = [c for c in t.sent if c in log]
        for c in t.answered:
            self.assertIn(c, kept)
        r = s.info("application", staged, rows=10000)
        self.assertEqual(int(r.fields()["rows"]), 3 * len(kept))
        self.assertEqual(len(rows(r)), min(10000, 3 * len(kept)))
        self.code(s.delete("application", staged), 1000)


if __name__ == "__main__":
    main()
