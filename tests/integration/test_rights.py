#!/usr/bin/python3
"""Who may do what: the table of rights, cell by cell, refusals first; own objects; which fields a role sees.

RIGHTS is written here by hand, from what the offices are for, and not read from the program: a change of rights has to be made twice.
"""
import os
import time

from harness import (ACCOUNTS, CERTIFICATE, IMPORTER, IMPORTER2, OBJECTS, OPERATOR, OPERATOR2, PASSWORD, PERMIT, Page, ROLES, ROOT,
                     SCREEN_IMEI, TAC, TIMEOUT, Test, World, application_id, checks, devices_xml, imei, main, object_command, position)

# "+" may; "o" may, with its own objects; "-" may not (2201). A verb that is not in the table the object does not have (2101).
RIGHTS = """
                        importer customs lea tax nra admin operator pos
    imei check             +        +     +   +   +    +       +     +
    imei info              o        +     +   +   +    +       +     +
    imei query             o        +     +   +   +    +       -     -
    imei create            +        -     -   -   -    -       -     -
    imei update            o        +     -   -   -    -       -     -
    imei delete            o        +     -   -   -    -       -     -
    imei transfer          +        -     -   -   -    -       -     -

    importer check         -        +     -   -   -    +       -     -
    importer info          o        +     +   +   +    +       -     -
    importer query         -        +     +   +   +    +       -     -
    importer create        -        +     -   -   -    -       -     -
    importer update        -        +     -   -   -    -       -     -
    importer delete        -        +     -   -   -    -       -     -

    permit check           -        +     -   -   -    +       -     -
    permit info            o        +     +   +   -    +       -     -
    permit query           o        +     +   +   -    +       -     -
    permit create          -        +     -   -   -    -       -     -
    permit update          -        +     -   -   -    -       -     -
    permit delete          -        +     -   -   -    -       -     -
    permit renew           -        +     -   -   -    -       -     -

    certificate check      -        +     -   -   +    +       -     -
    certificate info       +        +     +   +   +    +       -     -
    certificate query      +        +     +   +   +    +       -     -
    certificate create     -        -     -   -   +    -       -     -
    certificate update     -        -     -   -   +    -       -     -
    certificate delete     -        -     -   -   +    -       -     -
    certificate renew      -        -     -   -   +    -       -     -

    tac check              +        +     +   +   +    +       +     +
    tac info               +        +     +   +   +    +       +     +
    tac query              +        +     +   +   +    +       +     -
    tac create             -        -     -   -   +    -       -     -
    tac update             -        -     -   -   +    -       -     -
    tac delete             -        -     -   -   +    -       -     -

    application info       o        +     -   +   -    +       -     o
    application query      o        +     -   +   -    +       -     o
    application create     +        +     -   -   -    -       -     +
    application update     o        +     -   -   -    -       -     o
    application delete     o        +     -   -   -    -       -     o

    listing info           -        +     +   -   +    +       -     -
    listing query          -        +     +   -   +    +       -     -
    listing create         -        -     +   -   +    -       -     -
    listing update         -        -     +   -   +    -       -     -
    listing delete         -        -     +   -   +    -       -     -

    account check          -        -     -   -   -    +       -     -
    account info           o        o     o   o   o    +       o     o
    account query          -        -     -   -   -    +       -     -
    account create         -        -     -   -   -    +       -     -
    account update         -        -     -   -   -    +       -     -
    account delete         -        -     -   -   -    +       -     -

    transaction info       o        o     o   o   o    +       o     o
    transaction query      o        o     o   o   o    +       o     o

    operator check         -        -     -   -   -    +       -     -
    operator info          -        +     +   +   +    +       +     -
    operator query         -        +     +   +   +    +       +     -
    operator create        -        -     -   -   -    +       -     -
    operator update        -        -     -   -   -    +       -     -

    portability info       -        -     -   -   +    +       -     -
    portability query      -        -     -   -   +    +       -     -
    portability create     -        -     -   -   +    +       -     -
    portability delete     -        -     -   -   +    +       -     -

    delivery info          -        -     -   -   -    +       o     -
    delivery query         -        -     -   -   -    +       o     -
    delivery create        -        -     -   -   -    -       +     -
    delivery update        -        -     -   -   -    +       -     -

    triplet query          -        -     +   -   -    +       o     -
    triplet create         -        -     -   -   -    -       +     -

    policy info            -        +     +   +   +    +       -     -
    policy query           -        +     +   +   +    +       -     -
    policy create          -        -     -   -   -    +       -     -
    policy update          -        -     -   -   -    +       -     -
    policy delete          -        -     -   -   -    +       -     -

    golden check           -        -     -   -   -    +       -     -
    golden create          -        -     -   -   -    +       -     -
    golden delete          -        -     -   -   -    +       -     -

    watch info             -        -     +   -   -    -       -     -
    watch query            -        -     +   -   -    -       -     -
    watch create           -        -     +   -   -    -       -     -
    watch update           -        -     +   -   -    -       -     -
    watch delete           -        -     +   -   -    -       -     -

    list info              -        -     -   -   -    +       o     -
    list query             -        -     -   -   -    +       o     -
    list update            -        -     -   -   -    -       +     -

    remote check           -        -     -   -   -    +       -     -
    remote info            -        -     -   -   -    +       o     -
    remote query           -        -     -   -   -    +       o     -
    remote create          -        -     -   -   -    +       -     -
    remote update          -        -     -   -   -    +       -     -
    remote delete          -        -     -   -   -    +       -     -

    verdict info           -        +     +   +   +    +       -     -
"""
VERBS = ["check", "info", "query", "create", "update", "delete", "renew", "transfer"]


def matrix():
    lines = [l.split() for l in RIGHTS.splitlines() if l.strip()]
    assert lines[0] == ROLES
    return {(l[0], l[1]): dict(zip(ROLES, l[2:])) for l in lines[1:]}


MATRIX = matrix()
ACCOUNT_OF = {"importer": "importer1", "admin": "admin"}
ACCOUNT_OF.update({f["role"]: name for name, f in ACCOUNTS.items() if f["role"] not in ("importer", "admin")})


class Rights(Test):
    """Tests run in the order of their names: refusals before anything is done."""

    REMOTE = {"account": "operator1", "host": "ftp.example.org", "user": "ceir", "pw": PASSWORD, "fetchFrom": "out"}

    @classmethod
    def setUpClass(cls):
        cls.world = w = World()
        cls.n = 0
        importer, lea = w.session("importer1"), w.session("lea1")
        # Two registered devices, one of each importer; a staged application of each; a listing.
        w.ok(w.session("customs1").create("permit", {"id": "OTHER-1", "importer": IMPORTER2, "issued": "2016-01-01",
                                                     "exDate": "2035-12-31",
                                                     "position": position()}))
        r, _ = importer.submit([SCREEN_IMEI], PERMIT, 1)
        cls.done = application_id(w.ok(r, 1000, 1001))
        cls.other_imei = imei(TAC, 800001)
        other = w.session("importer2")
        r, _ = other.submit([cls.other_imei], "OTHER-1", 1)
        cls.other_done = application_id(w.ok(r, 1000, 1001))
        cls.application = application_id(w.ok(importer.create("application", {"permit": PERMIT, "position": 1,
                                                                              "status": "staged"}), 1000, 1001))
        cls.other_application = application_id(w.ok(other.create("application", {"permit": "OTHER-1", "position": 1,
                                                                                 "status": "staged"}),
                                                    1000, 1001))
        r = lea.create("listing", {"imei": imei(TAC, 800002), "colour": "black", "reason": "stolen", "ground": "case 1",
                                   "pair": "only",
                                   "imsi": "255010123456789", "msisdn": "+380501234567"})
        cls.listing = w.ok(r).fields()["id"]
        r = w.session("nra1").create("listing", {"imei": imei(TAC, 800003), "colour": "white", "reason": "evidence",
                                                 "ground": "decision 1"})
        cls.white = w.ok(r).fields()["id"]
        cls.number = w.ok(w.session("nra1").create("portability", {"from": "380501111111", "operator": OPERATOR})).fields()["id"]
        cls.watch = w.ok(lea.create("watch", {"imei": imei(TAC, 800004), "ground": "case 2"})).fields()["id"]
        # A delivery of each operator. Half of one has no IMSI, so that it is held for admin to decide.
        w.account("operator2", role="operator", operator=OPERATOR2)
        for name in ("operator1", "operator2"):
            w.ok(w.session("admin").create("remote", dict(cls.REMOTE, id="of-" + name, account=name)))
        cls.delivery = w.deliver("operator1", "imei,imsi,msisdn\n" + "".join(
            "%s,%s,\n" % (imei(TAC, 800100 + n)[:14], 255010000000000 + n if n % 2 else "") for n in range(1000)))["id"]
        cls.other_delivery = w.deliver("operator2", "imei,imsi,msisdn\n%s,255031234567890,380671111111\n" % imei(TAC, 800006)[:14])["id"]
        deadline = time.monotonic() + TIMEOUT
        # Its classification comes after it, and is a field of the delivery.
        while "classified" not in w.session("admin").info("delivery", cls.other_delivery).fields():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def session(self, role):
        return self.world.session(ACCOUNT_OF[role])

    def unique(self):
        Rights.n += 1
        return Rights.n

    def first_transaction(self, role):
        return self.session(role).page("transaction", limit=1).items[0]["id"]

    def command(self, role, obj, verb, own=True):
        """A command that is right in every respect but, perhaps, who gives it. own=False: about somebody else's object."""
        s, n = self.session(role), self.unique()
        if verb == "query":
            # Importers list their devices by application.
            filters = [("application", self.done)] if obj == "imei" and role == "importer" else []
            if obj == "triplet":
                filters = [("imei", imei(TAC, 800006))] + ([] if role == "operator" else [("case", "case 7")])
            if obj == "list" and role != "operator":
                filters = [("operator", OPERATOR)]
            return s.query(obj, filters)
        if verb == "transfer":
            return s.transfer("request", self.other_imei)
        name = {"imei": SCREEN_IMEI if own else self.other_imei, "importer": IMPORTER if own else IMPORTER2,
                "permit": PERMIT if own else "OTHER-1", "certificate": CERTIFICATE, "tac": TAC,
                "application": self.application if own else self.other_application,
                "listing": self.white if role == "nra" else self.listing,
                "account": ACCOUNT_OF[role] if own else "importer2",
                "transaction": None, "operator": OPERATOR, "portability": self.number, "triplet": None,
                "delivery": self.delivery if own else self.other_delivery, "policy": "1", "golden": imei(TAC, 800007),
                "remote": "of-operator1" if own else "of-operator2", "watch": self.watch, "list": "black", "verdict": SCREEN_IMEI}[obj]
        if obj == "transaction":
            name = self.first_transaction(role if own else "admin")
        if obj == "application" and own and (role == "pos" or role == "customs" and verb == "update"):
            # The public's personal imports, on which customs decide.
            r = self.session("pos").create("application", {"kind": "personal", "status": "staged"})
            name = application_id(self.code(r, 1000, 1001))
        if verb == "check":
            return s.check(obj, name)
        if verb == "info" and obj == "list" and not (own and role == "operator"):
            return s.command(object_command("info", obj, "<list:id>black</list:id><list:operator>%s</list:operator>" % (
                OPERATOR if own else OPERATOR2)))
        if verb == "info":
            return s.info(obj, name)
        if verb == "create":
            return self.create(s, role, obj, n)
        if verb == "renew":
            cur = self.session("admin").info(obj, name).fields()["exDate"]
            return s.renew(obj, name, cur, "20%02d-12-31" % (36 + n % 60))
        if verb == "update":
            return self.update(s, obj, name, n)
        return self.delete(s, role, obj, name, n, own)

    def create(self, s, role, obj, n):
        if obj == "application":
            fields = {"permit": PERMIT, "position": 1} if role == "importer" else {"kind": "personal"}
            return s.create(obj, fields, extra=devices_xml([imei(TAC, 810000 + n)]))
        if obj == "triplet":
            return s.command(object_command("create", obj, ""))
        return s.create(obj, {
            "imei": {"name": imei(TAC, 820000 + n), "permit": PERMIT, "position": 1},
            "importer": {"id": "9%06d" % n, "name": "Somebody"},
            "permit": {"id": "P-%d" % n, "importer": IMPORTER, "issued": "2016-01-01", "exDate": "2035-12-31",
                       "position": position()},
            "certificate": {"id": "C-%d" % n, "issued": "2016-01-01", "exDate": "2035-12-31", "manufacturer": "Samsung",
                            "model": "GT-P3100"},
            "tac": {"id": "35%06d" % n, "manufacturer": "Nokia", "model": "3310"},
            "listing": dict({"imei": imei(TAC, 830000 + n), "ground": "rights"}, **(
                {"colour": "white", "reason": "evidence"} if role == "nra" else {"colour": "grey", "reason": "other"})),
            "account": {"id": "acc%d" % n, "role": "pos", "pw": PASSWORD},
            "operator": {"id": "MNO-%d" % n, "name": "Operator", "plmn": "26%03d" % n},
            "portability": {"from": "38067%07d" % n, "operator": OPERATOR},
            "delivery": {"kind": "delta"}, "policy": {"ground": "rights", "graceDays": 80},
            "remote": dict(self.REMOTE, id="remote-%d" % n), "golden": {"id": imei(TAC, 860000 + n)}, "watch": {"imei": imei(TAC, 870000 + n), "ground": "rights"},
        }[obj])

    def update(self, s, obj, name, n):
        if obj == "imei":
            return s.update(obj, name, add={"tag": {"type": "serial", "value": "SN-%d" % n}}) if n % 2 else s.update(
                obj, name, add={"tag": {"type": "meid", "value": "A%013d" % n}})
        if obj == "application":
            return s.update(obj, name, chg={"reference": "REF-%d" % n})
        return s.update(obj, name, chg={
            "importer": {"address": "%d Main St" % n}, "permit": {"status": "valid"}, "certificate": {"holder": "Holder %d" % n},
            "tac": {"brand": "Brand %d" % n}, "listing": {"ground": "ground %d" % n},
            "account": {"pw": PASSWORD + str(n)[-1]}, "operator": {"name": "Operator %d" % n},
            "delivery": {"status": "released", "ground": "looked at"}, "policy": {"ground": "ground %d" % n},
            "remote": {"user": "ceir%d" % n}, "watch": {"ground": "ground %d" % n}, "list": "<list:ackSeq>0</list:ackSeq>"}[obj])

    def delete(self, s, role, obj, name, n, own):
        """What is there to be deleted is made by who may; a refused deletion must leave the fixtures alone anyhow."""
        ground = "<listing:ground>done</listing:ground>" if obj == "listing" else ""
        if MATRIX[obj, "delete"][role] == "-" or not own:
            return s.delete(obj, name, extra=ground)
        maker = {"importer": "customs", "permit": "customs", "certificate": "nra", "tac": "nra",
                 "listing": "lea" if role != "nra" else "nra",
                 "account": "admin", "imei": "importer", "application": role, "portability": "nra", "policy": "admin",
                 "golden": "admin", "watch": "lea", "remote": "admin"}[obj]
        if obj == "imei":
            number = imei(TAC, 840000 + n)
            self.code(self.session(maker).submit([number], PERMIT, 1)[0], 1000, 1001)
            return s.delete(obj, number)
        if obj == "application":
            fields = {"permit": PERMIT, "position": 1} if role == "importer" else {"kind": "personal"}
            r = self.session(maker).create(obj, dict(fields, status="staged"))
        else:
            r = self.create(self.session(maker), maker, obj, 5000 + n)
        self.code(r, 1000, 1001)
        return s.delete(obj, r.fields()["id"], extra=ground)

    def state(self):
        """All that the register holds, but for the audit log, the times of logins and what the server's own tries at remotes came to."""
        admin = self.session("admin")
        out = {}
        for obj in OBJECTS:
            if (obj, "query") in MATRIX and obj not in ("transaction", "account", "triplet", "list"):
                s = admin if MATRIX[obj, "query"]["admin"] == "+" else self.session("lea")
                out[obj] = s.all(obj, limit=1000)
        out["golden"] = checks(self.code(admin.check("golden", *[imei(TAC, 860000 + n) for n in range(200)]), 1000))
        out["account"] = [{k: v for k, v in a.items() if k != "lastLogin"} for a in admin.all("account")]
        out["remote"] = [{k: v for k, v in r.items() if k not in ("failures", "failed", "error")} for r in out["remote"]]
        return out

    def test_1_refusals(self):
        before = self.state()
        for (obj, verb), cells in MATRIX.items():
            for role in ROLES:
                if cells[role] == "-":
                    with self.subTest(object=obj, verb=verb, role=role):
                        r = self.command(role, obj, verb)
                        self.code(r, 2201)
                        self.assertIsNone(r.resdata)
        self.assertEqual(self.state(), before)

    def test_2_verbs_that_do_not_exist(self):
        for obj in OBJECTS:
            for verb in VERBS:
                if (obj, verb) in MATRIX or verb == "query":
                    continue
                for role in ROLES:
                    with self.subTest(object=obj, verb=verb, role=role):
                        op = ' op="request"' if verb == "transfer" else ""
                        key = "name" if obj == "imei" else "id"
                        r = self.session(role).command(object_command(verb, obj, "<%s:%s>%s</%s:%s>" % (obj, key, "12345678",
                                                                                                        obj, key), op))
                        self.code(r, 2101)

    def test_3_other_peoples_objects(self):
        before = self.state()
        for (obj, verb), cells in MATRIX.items():
            for role in ROLES:
                if cells[role] == "o" and verb != "query":
                    with self.subTest(object=obj, verb=verb, role=role):
                        # 2201, or as if it did not exist: both say nothing about it.
                        r = self.command(role, obj, verb, own=False)
                        self.code(r, 2201, 2303)
                        self.assertIsNone(r.resdata)
        self.assertEqual(self.state(), before)

    def test_4_queries_show_own_objects_only(self):
        for obj, field in (("imei", "importer"), ("permit", "importer"), ("application", "importer")):
            for account, number, done in (("importer1", IMPORTER, self.done), ("importer2", IMPORTER2, self.other_done)):
                items = self.world.session(account).all(obj, [("application", done)] if obj == "imei" else [])
                self.assertTrue(items, obj)
                self.assertEqual({i[field] for i in items}, {number}, obj)
        # Nor do a filter, a count or a sort order reveal the others'.
        s = self.world.session("importer1")
        self.assertEqual(s.page("permit", [("importer", IMPORTER2)], count=True).count, 0)
        self.assertEqual(s.page("permit", [("id", "OTHER-1")]).items, [])
        r = s.query("imei", [("application", self.other_done)])
        self.assertTrue(r.code in (2201, 2303) or Page(r).items == [], r)
        self.assertEqual([i["id"] for i in self.session("operator").all("remote")], ["of-operator1"])
        self.assertEqual(self.session("operator").page("remote", [("account", "operator2")], count=True).count, 0)
        mine = s.page("application", count="only").count
        everybodys = self.session("admin").page("application", count="only").count
        self.assertLess(mine, everybodys)
        for role in ROLES:
            if role != "admin":
                accounts = {t.get("account") for t in self.session(role).all("transaction", limit=1000)}
                self.assertEqual(accounts, {ACCOUNT_OF[role]}, role)

    def test_5_permissions(self):
        for (obj, verb), cells in MATRIX.items():
            for role in ROLES:
                if cells[role] in "+o":
                    with self.subTest(object=obj, verb=verb, role=role):
                        if (obj, verb) == ("imei", "transfer"):
                            r = self.command(role, obj, verb)
                            self.code(r, 1000, 1001)
                            self.code(self.world.session("importer2").transfer("reject", self.other_imei), 1000)
                            continue
                        if (obj, verb) in (("delivery", "create"), ("triplet", "create")):
                            # Right in every respect, but such a thing does not come in a frame (test_deliveries.py).
                            self.code(self.command(role, obj, verb), 2003, 2005, 2306)
                            continue
                        self.code(self.command(role, obj, verb), 1000, 1001)

    def test_6_each_authority_keeps_its_own_list(self):
        """Police: grey and black, of phones. The regulator: white, by a recorded decision, and barred models."""
        number = imei(TAC, 850000)
        lea, nra = self.session("lea"), self.session("nra")
        for s, subject, colour in ((lea, {"imei": number}, "white"), (nra, {"imei": number}, "black"),
                                   (nra, {"imei": number}, "grey"),
                                   (lea, {"tac": "35148820"}, "black"), (nra, {"tac": "35148820"}, "white")):
            self.code(s.create("listing", dict(subject, colour=colour, reason="other", ground="x")), 2201, 2306)
        self.assertEqual(lea.colour(number)[0], "unknown")
        ground = "<listing:ground>x</listing:ground>"
        for s, listing in ((lea, self.white), (nra, self.listing)):
            self.code(s.delete("listing", listing, extra=ground), 2201)
            self.code(s.update("listing", listing, chg={"ground": "x"}), 2201)

    def test_7_admin_cannot_rewrite_history(self):
        admin = self.session("admin")
        id = self.first_transaction("admin")
        for verb in ("create", "update", "delete"):
            r = admin.command(object_command(verb, "transaction", "<transaction:id>%s</transaction:id>" % id))
            self.code(r, 2101)
        self.code(admin.delete("listing", self.listing, extra="<listing:ground>x</listing:ground>"), 2201)

    def test_8_the_page_in_docs_says_the_same(self):
        shown, obj = {}, None
        with open(os.path.join(ROOT, "docs", "rights.md"), encoding="utf-8") as f:
            for line in f:
                cells = [c.strip() for c in line.strip().strip("|").split("|")]
                if line.startswith("## "):
                    obj = line[3:].strip()
                elif line.startswith("|") and cells[0] in VERBS:
                    shown[obj, cells[0]] = dict(zip(ROLES, [{"": "-", "yes": "+", "own": "o"}[c] for c in cells[1:]]))
        self.assertEqual(shown, MATRIX)


class Fields(Test):
    """Which fields a role sees."""

    @classmethod
    def setUpClass(cls):
        cls.world = w = World()
        cls.done = application_id(w.ok(w.session("importer1").submit([SCREEN_IMEI], PERMIT, 1)[0], 1000, 1001))
        cls.pair = w.ok(w.session("lea1").create("listing", {
            "imei": SCREEN_IMEI, "colour": "black", "reason": "stolen", "ground": "case 2", "pair": "only", "imsi": "255010123456789",
            "msisdn": "+380501234567"})).fields()["id"]

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    SEES_PRICES = {"importer", "customs", "tax", "admin"}
    SEES_SUBSCRIBERS = {"lea", "admin"}
    SEES_DEVICES = {"importer", "customs", "lea", "tax", "nra", "admin"}

    def test_prices_of_a_permit(self):
        for role in ("importer", "customs", "tax", "lea", "admin"):
            s = self.world.session(ACCOUNT_OF[role])
            for pos in (s.info("permit", PERMIT).fields()["position"], s.page("permit", [("id", PERMIT)]).items[0]["position"]):
                self.assertEqual("price" in pos, role in self.SEES_PRICES, role)
                self.assertEqual("currency" in pos, role in self.SEES_PRICES, role)
                self.assertIn("quantity", pos)

    def test_fields_of_a_device(self):
        for role in ROLES:
            f = self.world.session(ACCOUNT_OF[role]).info("imei", SCREEN_IMEI).fields()
            self.assertEqual("price" in f, role in self.SEES_PRICES, role)
            self.assertEqual("currency" in f, role in self.SEES_PRICES, role)
            for field in ("importer", "importerName", "permit", "certificate", "status", "application", "crID"):
                self.assertEqual(field in f, role in self.SEES_DEVICES, "%s %s" % (role, field))
            for field in ("state", "manufacturer", "model"):
                self.assertIn(field, f, role)

    def test_queries_hide_what_info_hides(self):
        for role in ("customs", "lea", "tax", "nra", "admin", "importer"):
            items = self.world.session(ACCOUNT_OF[role]).all("imei", [("application", self.done)])
            self.assertEqual(len(items), 1)
            for f in items:
                self.assertEqual("price" in f, role in self.SEES_PRICES, role)

    def test_subscribers_of_a_listing(self):
        for role in ("customs", "nra", "lea", "admin"):
            s = self.world.session(ACCOUNT_OF[role])
            for f in (s.info("listing", self.pair).fields(), s.page("listing", [("id", self.pair)]).items[0]):
                self.assertEqual("imsi" in f, role in self.SEES_SUBSCRIBERS, role)
                self.assertEqual("msisdn" in f, role in self.SEES_SUBSCRIBERS, role)
                self.assertEqual(f["pair"], "only")

    def test_no_password_is_ever_shown(self):
        admin = self.world.session("admin")
        r = admin.query("account", limit=1000)
        self.assertNotIn(PASSWORD.encode(), r.raw)
        self.assertNotIn(b"argon2", r.raw)
        self.assertNotIn(b":pw>", r.raw)
        self.assertNotIn(PASSWORD, self.world.server.log())

    def test_a_filter_does_not_reveal_a_hidden_field(self):
        """What a role does not see it cannot filter by either."""
        customs = self.world.session("customs1")
        for field, value in (("imsi", "255010123456789"), ("msisdn", "+380501234567")):
            r = customs.query("listing", [(field, value)])
            self.assertNotEqual(r.code, 1000)


if __name__ == "__main__":
    main()
