#!/usr/bin/python3
"""A day of a country, end to end: deliveries of two operators, grey phones, a clone, a stolen phone, lists and deltas, a policy, a kill."""
import json
import os
import subprocess
import time

from country import CASE, HEAD, NOKIA, Country, day, line, subscriber
from harness import OPERATOR, OPERATOR2, ROOT, SLOW, TAC, eventually, imei, main

UNREGISTERED = 600          # of each operator: together enough for the guard
REGISTERED = 20


class Triplets(Country):
    """The tests build upon one another, in the order of their numbers."""

    def base(self, network, phones, first):
        """A subscriber base: registered phones used for three weeks, and phones nobody registered."""
        text = HEAD
        for n in range(phones):
            text += line(imei(TAC, 100 + n), *subscriber(network, n), day(-20)) + line(imei(TAC, 100 + n), *subscriber(network, n), day(0))
        for n in range(UNREGISTERED):
            text += line(imei(NOKIA, first + n), *subscriber(network, 1000 + first + n), day(0))
        return text

    def phone(self, n):
        return imei(TAC, 100 + n)

    def test_01_two_full_deliveries(self):
        self.register(range(100, 100 + REGISTERED))
        self.deliver(self.base("25501", REGISTERED, 0), "full", "operator1")
        self.deliver(self.base("25503", 0, 1000), "full", "operator2")
        self.assertEqual(set(self.colours(*[self.phone(n) for n in range(REGISTERED)])), {("white", "registered")})
        self.assertEqual(set(self.colours(*[imei(NOKIA, n) for n in (0, UNREGISTERED - 1, 1000, 1000 + UNREGISTERED - 1)])),
                         {("grey", "unregistered-seen")})
        f = self.session("lea1").info("verdict", imei(NOKIA, 0)).fields()
        self.assertEqual((f["colour"], f["noticed"], f["block"], f["subscribers"]), ("grey", day(0), day(90), "1"))
        for account, network in (("operator1", "25501"), ("operator2", "25503")):
            grey = self.list("grey", account=account)
            self.assertEqual(len(grey.rows), UNREGISTERED)
            self.assertEqual({r[1][:5] for r in grey.rows}, {network})
            self.assertEqual({r[3] for r in grey.rows}, {day(90)})
            self.assertEqual(self.list("black", account=account).rows, [])
            self.settled(account)
        type(self).seq = self.list("grey").sequence
        # The same once more, under another name: nothing changes.
        code, again = self.post(self.base("25501", REGISTERED, 0), "full", "operator1", "&id=again")
        self.assertEqual(code, 200)
        self.assertEqual(self.list("grey").sequence, self.seq)

    def test_02_sightings_turn_an_unknown_phone_grey_at_once(self):
        number = imei(NOKIA, 7000)
        self.assertEqual(self.colours(number), [("unknown", "never-heard")])
        self.code(self.session("lea1").info("imei", number), 2303)
        self.sight(number, *subscriber("25501", 7000))
        sent = time.monotonic()
        self.assert_colour(number, "grey", "unregistered-seen")
        self.assertLess(time.monotonic() - sent, 10 * SLOW)
        f = self.session("lea1").info("imei", number).fields()
        self.assertEqual((f["state"]["colour"], f["state"]["reason"]), ("grey", "unregistered-seen"))

    def test_03_a_clone_is_caught_and_the_genuine_subscriber_kept(self):
        number = self.phone(1)
        before = self.list("exceptions")
        for n in range(4):
            self.sight(number, *subscriber("25503", 8000 + n), account="operator2")
        self.assert_colour(number, "grey", "clone")
        exceptions = self.list("exceptions")
        self.assertEqual(exceptions.rows, [[number[:14], *subscriber("25501", 1)]])
        self.assertEqual(self.list("exceptions", account="operator2").rows, [])
        # Who holds the copies is told, with a date; the genuine one is not.
        self.assertEqual(len(self.list("grey", account="operator2").of(number)), 4)
        self.assertEqual(self.list("grey").of(number), [])
        self.assertEqual(before.apply(self.list("exceptions", before.sequence)), exceptions.table())
        f = self.session("lea1").info("verdict", number).fields()
        self.assertEqual((f["reason"], f["block"]), ("clone", day(30)))
        self.assertIn("The subscriber who has used this IMEI longest is not blocked", f["explanation"])

    def test_04_a_stolen_phone_a_watch_and_a_golden_one(self):
        stolen, watched, golden = self.phone(2), self.phone(3), imei(NOKIA, 5)
        before = {a: self.list("black", account=a) for a in ("operator1", "operator2")}
        self.code(self.session("lea1").create("listing", {"imei": stolen, "colour": "black", "reason": "stolen", "ground": "case 12"}), 1000)
        self.code(self.session("lea1").create("watch", {"imei": watched, "ground": "case 13"}), 1000)
        self.code(self.session("admin").create("golden", {"id": golden}), 1000)
        for account, old in before.items():
            new = self.list("black", account=account)
            self.assertEqual(new.rows, [[stolen[:14], day(0), "stolen"]])
            delta = self.list("black", old.sequence, account)
            self.assertEqual(delta.of(stolen), [["added", stolen[:14], day(0), "stolen"]])
            self.assertEqual(old.apply(delta), new.table())
        self.sight(stolen, *subscriber("25501", 2))
        self.assertEqual(self.colours(stolen), [("black", "stolen")])
        self.messages("lea1")
        self.sight(watched, *subscriber("25501", 3))
        told = eventually(lambda: self.messages("lea1"), lambda m: m)
        self.assertIn(watched, told[0])
        eventually(lambda: self.colours(golden)[0][0], "white")
        self.assertEqual(self.list("grey").of(golden), [])
        self.assertEqual(self.session("lea1").info("verdict", golden).fields()["colour"], "white")

    def test_05_deltas_acknowledgements_and_files(self):
        self.settled()
        self.settled("operator2")
        delta = self.list("grey", self.seq)
        self.assertEqual(len(delta.of(imei(NOKIA, 7000))), 1)
        # Nothing new: 304.
        status, headers, body = self.curl("/v1/lists/grey")
        status, again, body = self.curl("/v1/lists/grey", "-H", "If-None-Match: " + headers["etag"])
        self.assertEqual((status, body), (304, b""))
        status, _, body = self.curl("/v1/lists/grey", "-H", "Accept-Encoding: zstd")
        self.assertEqual(subprocess.run(["zstd", "-dc"], input=body, capture_output=True, check=True).stdout.decode().splitlines()[0],
                         "imei,imsi,msisdn,block_date,reasons")
        for query in ("?format=xml", "?since=%d&format=xml" % self.seq):
            status, _, body = self.curl("/v1/lists/grey" + query)
            p = subprocess.run(["xmllint", "--noout", "--schema", os.path.join(ROOT, "schemas", "listfile-1.0.xsd"), "-"], input=body,
                               capture_output=True)
            self.assertEqual(p.returncode, 0, p.stderr)
        for account in ("operator1", "operator2"):
            for files in self.outbox(account).values():
                self.signed(account, files[-1][2])
        ack = "/v1/lists/grey/ack"
        state = json.loads(self.curl(ack)[2])
        self.assertEqual(state["lag"], state["seq"])
        put = ("-X", "PUT", "-H", "Content-Type: application/json", "--data")
        self.assertEqual(self.curl(ack, *put, json.dumps({"seq": state["seq"]}))[0], 200)
        self.assertEqual(self.curl(ack, *put, json.dumps({"seq": state["seq"] + 1000}))[0], 400)
        self.assertEqual(json.loads(self.curl(ack)[2])["lag"], 0)
        # Of each delta the operator is told; the first whole files may be older than its account.
        ready = [m for m in self.messages("operator1") if "is ready" in m]
        for kind, files in self.outbox().items():
            for start, to, _ in files:
                told = [m for m in ready if "List %s is ready: changes %d to %d" % (kind, start or 0, to) in m]
                self.assertIn(len(told), (1,) if start is not None else (0, 1), (kind, start, to, ready))

    def test_06_a_policy_is_tried_guarded_and_forced(self):
        admin = self.session("admin")
        self.messages("admin")
        lenient = {"ground": "informing only", "condition": [
            {"name": "malformed", "rule": "malformed", "graceDays": 90, "blocking": "yes"},
            {"name": "clone", "rule": "clone-threshold(imsis=5 days=30)", "graceDays": 30, "blocking": "yes"}]}
        id = self.code(admin.create("policy", lenient), 1000).fields()["id"]
        tried = eventually(lambda: admin.info("policy", id).fields(), lambda f: "dryRun" in f)["dryRun"]
        self.assertEqual(tried["toUnknown"], tried["changes"])
        self.assertEqual(int(tried["changes"]), 2 * UNREGISTERED + 1)
        self.code(admin.update("policy", id, chg={"status": "active"}), 1001)
        eventually(lambda: [m for m in self.messages("admin") if "was not put in force" in m], lambda m: m)
        self.assertEqual(admin.info("policy", id).fields()["status"], "draft")
        self.assertEqual(self.colours(imei(NOKIA, 1)), [("grey", "unregistered-seen")])
        before = self.list("grey")
        self.code(admin.update("policy", id, chg={"status": "active", "force": "yes"}), 1001)
        eventually(lambda: admin.info("policy", id).fields()["status"], "active")
        self.assertEqual(self.colours(imei(NOKIA, 1), self.phone(1)), [("unknown", "never-heard"), ("grey", "clone")])
        now = self.list("grey")
        self.assertEqual(now.rows, [])
        self.assertEqual(before.apply(self.list("grey", before.sequence)), {})
        self.settled()

    def test_07_an_amnesty_for_what_is_in_use(self):
        admin = self.session("admin")
        default = admin.info("policy", "1").fields()
        id = self.code(admin.create("policy", {"ground": "launch", "amnestyFrom": day(0), "amnestyUntil": day(30), "condition": [
            {"name": "malformed", "rule": "malformed", "graceDays": 90, "blocking": "yes"},
            {"name": "not-registered", "rule": "not-registered and not roamer", "graceDays": 90, "blocking": "yes"},
            {"name": "clone", "rule": "clone-threshold(imsis=5 days=30)", "graceDays": 30, "blocking": "yes"}]}), 1000).fields()["id"]
        self.assertEqual(default["status"], "retired")
        self.code(admin.update("policy", id, chg={"status": "active", "force": "yes"}), 1001)
        eventually(lambda: admin.info("policy", id).fields()["status"], "active")
        self.assert_colour(imei(NOKIA, 1), "white", "amnesty")
        self.assertEqual(self.colours(self.phone(1), self.phone(2), self.phone(4)),
                         [("grey", "clone"), ("black", "stolen"), ("white", "registered")])
        self.settled()

    def test_08_a_delivery_held_and_released(self):
        half = HEAD + "".join(line(imei(TAC, 100 + n), *subscriber("25501", n), day(0)) for n in range(REGISTERED))
        id = self.deliver(half, "full", status="held")
        self.code(self.session("admin").update("delivery", id, chg={"status": "released", "ground": "a region was sold"}), 1000)
        f = eventually(lambda: self.delivery(id), lambda f: "classified" in f)
        self.assertEqual((f["status"], f["gone"]), ("applied", str(UNREGISTERED)))

    def test_09_questions_need_a_case(self):
        lea, (imsi, msisdn) = self.session("lea1"), subscriber("25501", 2)
        self.code(lea.query("triplet", [("msisdn", msisdn)]), 2003)
        found = lea.page("triplet", [("msisdn", msisdn), CASE]).items
        self.assertEqual([(t["imei"], t["imsi"], t["operator"]) for t in found], [(self.phone(2), imsi, OPERATOR)])
        self.code(self.session("customs1").query("triplet", [("msisdn", msisdn), CASE]), 2201)

    def test_10_ceirctl_explains(self):
        server = self.world.server
        p = server.ctl("verdict", "info", self.phone(1), account="lea1")
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertIn("Several devices use this IMEI", p.stdout)
        self.assertIn("is not blocked", p.stdout)
        p = server.ctl("--lang", "uk", "verdict", "info", self.phone(1), account="lea1")
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertNotIn("Several devices", p.stdout)
        self.assertIn("grey", p.stdout)

    def test_11_a_number_is_ported(self):
        number, (imsi, msisdn) = imei(NOKIA, 7100), subscriber("25501", 7100)
        self.sight("4711", imsi, msisdn)
        eventually(lambda: len(self.list("grey").of("4711")), 1)
        before = {a: self.list("grey", account=a) for a in ("operator1", "operator2")}
        self.code(self.session("nra1").create("portability", {"from": msisdn, "to": msisdn, "operator": OPERATOR2}), 1000)
        eventually(lambda: len(self.list("grey", account="operator2").of("4711")), 1)
        eventually(lambda: len(self.list("grey").of("4711")), 0)
        for account, old in before.items():
            eventually(lambda: old.apply(self.list("grey", old.sequence, account)), self.list("grey", account=account).table())
        self.assertEqual(self.colours(number), [("unknown", "never-heard")])

    def test_12_killed_and_started_again(self):
        numbers = [self.phone(n) for n in range(6)] + [imei(NOKIA, n) for n in (1, 5, 7000)]
        self.settled()
        colours = self.colours(*numbers)
        lists = {(a, k): self.list(k, account=a).table() for a in ("operator1", "operator2") for k in ("black", "grey", "exceptions", "white")}
        server = self.world.server
        server.kill()
        p = server.verify()
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)
        server.start()
        self.world.forget()
        self.assertEqual(self.colours(*numbers), colours)
        for (account, kind), table in lists.items():
            self.assertEqual(self.list(kind, account=account).table(), table)
        p = server.verify()
        self.assertEqual(p.returncode, 0, "beside the running server: " + p.stdout + p.stderr)
        self.settled()
        self.settled("operator2")


if __name__ == "__main__":
    main()
