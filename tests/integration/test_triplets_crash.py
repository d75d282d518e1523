#!/usr/bin/python3
"""kill -9 in the middle of deliveries, sightings, classification, policies and lists, again and again. Every delivery that was answered is there exactly
once, the register is sound as it is found and after the start, the change log has no gaps, files in the outboxes are whole and one goes on
where the other ends, and in the end they say what the lists say."""
import http.client
import json
import random
import ssl
import threading
import time

from country import CASE, CODES, HEAD, NOKIA, TAC, Country, day, line, subscriber
from harness import SANITIZED, SLOW, Closed, Session, eventually, imei, main, sqlite

DELIVERIES = 25          # of one operator in a round, at most: what is examined must not grow with the speed of the machine
ROUNDS = {None: 12, "libtsan": 4}.get(SANITIZED, 6)


class Feeder(threading.Thread):
    """An operator that delivers and sends sightings until the server is gone. Every phone has subscribers of its own number."""

    def __init__(self, server, account, first, seed):
        super().__init__()
        self.server, self.account, self.random = server, account, random.Random(seed)
        self.network = "25501" if account == "operator1" else "25503"
        self.next = first
        self.sent, self.answered, self.fault = {}, {}, None
        self.seen = []           # of sightings that were answered

    def request(self, method, path, body, type):
        self.connection.request(method, path, body.encode(), {"Content-Type": type, "Client-Transaction-Id": Session.cltrid()})
        r = self.connection.getresponse()
        return r.status, json.loads(r.read())

    def deliver(self):
        n = self.random.choice([20, 100, 500])
        id, text = "%s-%d" % (self.account, self.next), HEAD
        for i in range(self.next, self.next + n):
            text += line(imei(NOKIA, i % 1000000), *subscriber(self.network, i), day(0))
        self.sent[id] = (n, text)
        self.next += n
        status, d = self.request("POST", "/v1/deliveries?kind=delta&id=" + id, text, "text/csv")
        if status not in (200, 202):
            raise AssertionError("%s: %d %r" % (id, status, d))
        self.answered[id] = d["id"]

    def sight(self):
        # New subscribers of phones that many use, so that grey ones and clones get more.
        i = self.next
        self.next += 1
        number, (imsi, msisdn) = imei(TAC, 500 + i % 40), subscriber(self.network, 50000000 + i)
        status, d = self.request("POST", "/v1/sightings", json.dumps([{"imei": number, "imsi": imsi, "msisdn": msisdn}]), "application/json")
        if status != 200:
            raise AssertionError("sighting: %d %r" % (status, d))
        self.seen.append((number, imsi, msisdn))
        if len(self.answered) == DELIVERIES:
            time.sleep(0.02)

    def run(self):
        context = ssl.create_default_context(cafile=self.server.ca)
        context.load_cert_chain(self.server.key(self.account) + ".crt", self.server.key(self.account) + ".key")
        self.connection = http.client.HTTPSConnection(self.server.http_host, self.server.http_port, context=context, timeout=60)
        try:
            while True:
                if self.random.random() < 0.2 and len(self.answered) < DELIVERIES:
                    self.deliver()
                else:
                    self.sight()
        except (OSError, http.client.HTTPException):
            pass
        except Exception as e:
            self.fault = repr(e)
        finally:
            self.connection.close()


class Police(threading.Thread):
    """Listings of phones that networks see at the same time."""

    def __init__(self, session, seed):
        super().__init__()
        self.session, self.random, self.open, self.fault = session, random.Random(seed), [], None

    def run(self):
        try:
            while True:
                if len(self.open) > 5:
                    r = self.session.delete("listing", self.open.pop(0), "<listing:ground>over</listing:ground>")
                else:
                    number = imei(TAC, 500 + self.random.randrange(40)) if self.random.random() < 0.7 else imei(NOKIA, self.random.randrange(5000))
                    r = self.session.create("listing", {"imei": number, "colour": self.random.choice(["black", "grey"]), "reason": "stolen",
                                                        "ground": "case"})
                    self.open.append(r.fields()["id"])
                if r.code != 1000:
                    self.fault = repr(r)
                    return
        except (Closed, OSError):
            pass
        except Exception as e:
            self.fault = repr(e)


class Crash(Country):
    def test_kill_9_in_the_middle_of_everything(self):
        self.random = random.Random(4711)
        deliveries = sightings = 0
        for n in range(ROUNDS):
            with self.subTest(round=n):
                d, s = self.round(n)
                deliveries, sightings = deliveries + d, sightings + s
        self.finish()
        files = sum(len(f) for a in CODES for f in self.outbox(a).values())
        print("%d kills: %d deliveries and %d sightings answered, %d list files" % (ROUNDS, deliveries, sightings, files))
        self.assertGreater(deliveries, ROUNDS // 2)

    def round(self, n):
        w = self.world
        threads = [Feeder(w.server, "operator1", 1000000 * n, n), Feeder(w.server, "operator2", 1000000 * n + 500000, 1000 + n),
                   Police(w.fresh("lea1"), n)]
        for t in threads:
            t.start()
        if n % 3 == 1:
            self.policy(n)
        # Every third lives long enough for files of the outbox.
        time.sleep(self.random.uniform(0.05, 0.6 if n % 3 else 2.5) * max(1, SLOW / 2))
        w.server.kill()
        for t in threads:
            t.join(120)
            self.assertIsNone(t.fault)
        threads[2].session.close()
        w.forget()
        p = w.server.verify()
        self.assertEqual(p.returncode, 0, "as found: " + p.stdout + p.stderr)
        w.server.start()
        p = w.server.verify()
        self.assertEqual(p.returncode, 0, "after the start: " + p.stdout + p.stderr)
        self.gaps()
        for a in CODES:
            self.check_outbox(a)
        for t in threads[:2]:
            self.examine(t)
        return sum(len(t.answered) for t in threads[:2]), sum(len(t.seen) for t in threads[:2])

    def policy(self, n):
        """A draft is put in force while all that goes on: the kill may come before, within or after."""
        admin = self.session("admin")
        r = admin.create("policy", {"ground": "round %d" % n, "guardShare": 1000, "condition": [
            {"name": "malformed", "rule": "malformed", "graceDays": 90, "blocking": "yes"},
            {"name": "not-registered", "rule": "not-registered", "graceDays": 30 + n, "blocking": "yes" if n % 2 else "no"},
            {"name": "clone", "rule": "clone-threshold(imsis=%d days=30)" % (3 + n % 4), "graceDays": 30, "blocking": "yes"}]})
        self.code(r, 1000)
        self.code(admin.update("policy", r.fields()["id"], chg={"status": "active", "force": "yes"}), 1001)

    def gaps(self):
        rows = sqlite(self.world.server, "SELECT seq, 1 FROM change UNION ALL SELECT first, n FROM change_block ORDER BY 1")
        at = 1
        for first, n in rows:
            self.assertEqual(first, at)
            at = first + n

    def examine(self, feeder):
        """Everything that was answered is there, once; what was not answered can be sent again and is there once then."""
        admin = self.session("admin")
        for id, code in self.random.sample(sorted(feeder.answered.items()), min(25, len(feeder.answered))):
            f = eventually(lambda: admin.info("delivery", code).fields(), lambda f: f["status"] == "applied")
            n = feeder.sent[id][0]
            self.assertEqual((f["clientID"], f["lines"], f["new"], f["again"]), (id, str(n), str(n), "0"))
        for id, (n, text) in feeder.sent.items():
            if id in feeder.answered and self.random.random() < 0.9:
                continue
            status, d = self.post(text, account=feeder.account, parameters="&id=" + id)
            self.assertIn(status, (200, 202))
            if id in feeder.answered:
                self.assertEqual((status, d["id"]), (200, feeder.answered[id]))
            f = eventually(lambda: admin.info("delivery", d["id"]).fields(), lambda f: f["status"] == "applied")
            self.assertEqual((f["new"], f["again"]), (str(n), "0"))
        lea = self.session("lea1")
        for number, imsi, msisdn in self.random.sample(feeder.seen, min(5, len(feeder.seen))):
            found = lea.page("triplet", [("msisdn", msisdn), CASE]).items
            self.assertEqual([(t["imei"], t["imsi"]) for t in found], [(number, imsi)])

    def finish(self):
        """When everything has come to rest the outboxes hold what the lists say, and verdicts are what the rules say."""
        for a in CODES:
            self.settled(a)
        p = self.world.server.verify()
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)


if __name__ == "__main__":
    main()
