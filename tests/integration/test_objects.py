#!/usr/bin/python3
"""Every object with good and bad values: check, create, info, update, renew, delete, and queries over each."""
import csv
import io
import os
import time

from harness import (ACCOUNTS, CERTIFICATE, IMPORTER, IMPORTER2, OBJECTS, OPERATOR, OPERATOR2, PASSWORD, PERMIT, TAC, TIMEOUT, Test, World,
                     as_list, checks, folder, imei, main, object_command, position)

EX = "2035-12-31"
LONG = "x" * 256


class Base(Test):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        for account in ACCOUNTS:
            setattr(cls, account[:-1] if account not in ("importer1", "importer2") else account, cls.world.session(account))
        cls.admin = cls.world.session("admin")

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def bad(self, s, obj, good, cases):
        """cases: (field, value, codes); a value of None leaves the field out. Each is refused, names the field, and makes nothing."""
        for field, value, *codes in cases:
            with self.subTest(field=field, value=value):
                fields = {k: v for k, v in dict(good, **{field: value}).items() if v is not None}
                r = self.code(s.create(obj, fields), *codes)
                self.detail(r, field)
        key = next(iter(good))
        if key == "id":
            self.code(self.admin.info(obj, good["id"]), 2303)

    def missing(self, s, obj, good):
        for field in good:
            with self.subTest(missing=field):
                r = self.code(s.create(obj, {k: v for k, v in good.items() if k != field}), 2003)
                self.detail(r, field)

    def avail(self, s, obj, name):
        r = self.code(s.check(obj, name), 1000)
        return checks(r)[0]["avail"]


class Importers(Base):
    GOOD = {"id": "1000", "name": "Handset Trading"}

    def test_life(self):
        s = self.customs
        fields = {"id": "2000", "name": "Імпортер & Co <\"ТОВ\">", "address": "1 Main St", "country": "UA",
                  "email": "a@b.example",
                  "voice": "+380.441234567"}
        self.assertTrue(self.avail(s, "importer", "2000"))
        r = self.code(s.create("importer", fields), 1000)
        self.assertEqual(r.fields()["id"], "2000")
        self.assertFalse(self.avail(s, "importer", "2000"))
        f = self.code(s.info("importer", "2000"), 1000).fields()
        for k, v in fields.items():
            self.assertEqual(f[k], v)
        self.assertEqual((f["status"], f["crID"]), ("active", "customs1"))
        self.assertNotIn("upID", f)
        self.code(s.update("importer", "2000", chg={"name": "Renamed", "status": "suspended"}), 1000)
        f = s.info("importer", "2000").fields()
        self.assertEqual((f["name"], f["status"], f["upID"], f["address"]), ("Renamed", "suspended", "customs1", "1 Main St"))
        self.code(s.delete("importer", "2000"), 1000)
        self.code(s.info("importer", "2000"), 2303)
        self.assertTrue(self.avail(s, "importer", "2000"))

    def test_bad_values(self):
        self.bad(self.customs, "importer", self.GOOD, [
            ("id", "x" * 33, 2005), ("name", LONG, 2005), ("name", "", 2005), ("country", "UKR", 2005), ("country", "ua", 2005), ("country", "U1", 2005), ("voice", "x" * 33, 2005), ("status", "nonsense", 2004, 2005)])

    def test_missing(self):
        self.missing(self.customs, "importer", self.GOOD)

    def test_twice(self):
        self.code(self.customs.create("importer", {"id": IMPORTER, "name": "Again"}), 2302)
        self.assertNotEqual(self.customs.info("importer", IMPORTER).fields()["name"], "Again")

    def test_unknown(self):
        for r in (self.customs.info("importer", "none"), self.customs.update("importer", "none", chg={"name": "x"}),
                  self.customs.delete("importer", "none")):
            self.code(r, 2303)

    def test_linked(self):
        self.code(self.customs.delete("importer", IMPORTER), 2305)
        self.code(self.customs.info("importer", IMPORTER), 1000)

    def test_check_of_many(self):
        names = ["none-%d" % i for i in range(2000)] + [IMPORTER]
        found = checks(self.code(self.customs.check("importer", *names), 1000))
        self.assertEqual([c["name"] for c in found], names)
        self.assertEqual([c["avail"] for c in found], [True] * 2000 + [False])
        self.assertTrue(found[-1]["reason"])

    def test_white_space_and_case(self):
        """xsd:token: space around a name is not part of it; case is."""
        self.code(self.customs.info("importer", "  %s\n" % IMPORTER), 1000)
        self.code(self.customs.create("importer", {"id": "case-1", "name": "x"}), 1000)
        self.code(self.customs.info("importer", "CASE-1"), 2303)


class Permits(Base):
    GOOD = {"id": "PB-1", "importer": IMPORTER, "issued": "2016-01-01", "exDate": EX, "position": position()}

    def test_life(self):
        s = self.customs
        good = dict(self.GOOD, id="PA-1", position=[position(1), position(7, price="0.0001", currency="EUR", quantity=1)])
        self.assertTrue(self.avail(s, "permit", "PA-1"))
        self.code(s.create("permit", good), 1000)
        self.assertFalse(self.avail(s, "permit", "PA-1"))
        f = s.info("permit", "PA-1").fields()
        self.assertEqual((f["importer"], f["issued"], f["exDate"], f["status"]), (IMPORTER, "2016-01-01", EX, "valid"))
        self.assertEqual([p["number"] for p in f["position"]], ["1", "7"])
        self.assertEqual(f["position"][0]["used"], "0")
        self.assertEqual(float(f["position"][0]["price"]), 4800.0)
        self.assertEqual(float(f["position"][1]["price"]), 0.0001)
        self.code(s.update("permit", "PA-1", add={"position": position(9)}, rem={"position": {"number": 7}},
                           chg={"position": {"number": 1, "quantity": 5}}), 1000)
        f = s.info("permit", "PA-1").fields()
        self.assertEqual([(p["number"], p["quantity"]) for p in f["position"]], [("1", "5"), ("9", "1000")])
        r = self.code(s.renew("permit", "PA-1", EX, "2040-06-30"), 1000)
        self.assertEqual(r.fields()["exDate"], "2040-06-30")
        self.assertEqual(s.info("permit", "PA-1").fields()["exDate"], "2040-06-30")
        self.code(s.delete("permit", "PA-1"), 1000)
        self.code(s.info("permit", "PA-1"), 2303)

    def test_price_is_shown_as_written(self):
        self.assertEqual(self.customs.info("permit", PERMIT).fields()["position"]["price"], "4800.00")

    def test_bad_values(self):
        self.bad(self.customs, "permit", self.GOOD, [
            ("issued", "2016-02-30", 2005), ("issued", "2015-02-29", 2005), ("issued", "16-01-01", 2005),
            ("issued", "2016-13-01", 2005),
            ("issued", "2016-1-1", 2005), ("issued", "01.01.2016", 2005), ("issued", "", 2005),
            ("issued", "1899-12-31", 2004, 2005),
            ("exDate", "2035-04-31", 2005), ("exDate", "2016-01-01Z", 2005), ("exDate", "2015-12-31", 2004, 2306),
            ("importer", "no-such-importer", 2303, 2306, 2305), ("importer", "x" * 33, 2005), ("id", "x" * 65, 2005),
            ("id", "", 2005),
            ("status", "nonsense", 2004, 2005)])

    def test_bad_positions(self):
        for field, value, *codes in [
                ("price", "-1", 2005, 2004), ("price", "1e3", 2005), ("price", "1,5", 2005), ("price", "0.00001", 2005, 2004),
                ("price", "1000000000000", 2004, 2005), ("price", "9" * 40, 2004, 2005), ("price", "", 2005),
                ("price", "NaN", 2005),
                ("price", "INF", 2005), ("price", ".5", 2005),
                ("currency", "UA", 2005), ("currency", "uah", 2005), ("currency", "UAHX", 2005),
                ("country", "KOR", 2005), ("country", "k r", 2005),
                ("quantity", "-1", 2005), ("quantity", "100000001", 2004), ("quantity", "18446744073709551616", 2004, 2005),
                ("quantity", "1.5", 2005), ("quantity", "ten", 2005), ("number", "100001", 2004), ("number", "-1", 2005),
                ("model", LONG, 2005), ("certificate", "no-such-certificate", 2303, 2306, 2305)]:
            with self.subTest(field=field, value=value):
                r = self.code(self.customs.create("permit", dict(self.GOOD, position=dict(position(), **{field: value}))),
                              *codes)
                self.detail(r, field)
        self.code(self.customs.info("permit", "PB-1"), 2303)

    def test_largest_values(self):
        self.code(self.customs.create("permit",
                                      dict(self.GOOD, id="P" * 64, position=position(100000, price="999999999999.9999",
                                                                                             quantity=100000000))), 1000)
        f = self.customs.info("permit", "P" * 64).fields()["position"]
        self.assertEqual((f["price"], f["quantity"], f["number"]), ("999999999999.9999", "100000000", "100000"))

    def test_missing(self):
        self.missing(self.customs, "permit", self.GOOD)
        for field in position():
            with self.subTest(field=field):
                r = self.customs.create("permit", dict(self.GOOD, position={k: v for k, v in position().items() if k != field}))
                self.detail(self.code(r, 2003), field)

    def test_the_same_position_twice(self):
        self.code(self.customs.create("permit", dict(self.GOOD, id="PD-1", position=[position(1), position(1)])), 2302, 2306,
                  2004, 2005)
        self.code(self.customs.info("permit", "PD-1"), 2303)
        self.code(self.customs.update("permit", PERMIT, add={"position": position(1)}), 2302, 2306, 2004)

    def test_positions_that_are_not_there(self):
        self.code(self.customs.update("permit", PERMIT, rem={"position": {"number": 77}}), 2303)
        self.code(self.customs.update("permit", PERMIT, chg={"position": {"number": 77, "quantity": 1}}), 2303)

    def test_fixed_fields(self):
        for field, value in (("importer", IMPORTER2), ("issued", "2017-01-01"), ("exDate", "2039-01-01")):
            self.code(self.customs.update("permit", PERMIT, chg={field: value}), 2001, 2306)

    def test_an_update_that_fails_changes_nothing(self):
        before = self.customs.info("permit", PERMIT).fields()
        self.code(self.customs.update("permit", PERMIT, add={"position": position(5)}, rem={"position": {"number": 77}}), 2303)
        self.assertEqual(self.customs.info("permit", PERMIT).fields(), before)

    def test_twice(self):
        self.code(self.customs.create("permit", dict(self.GOOD, id=PERMIT)), 2302)

    def test_renewing(self):
        self.code(self.customs.create("permit", dict(self.GOOD, id="PR-1")), 1000)
        self.code(self.customs.renew("permit", "PR-1", "2034-12-31", "2036-12-31"), 2004, 2306, 2105)  # curExDate is another
        self.code(self.customs.renew("permit", "PR-1", EX, "2036-02-30"), 2005)
        self.code(self.customs.renew("permit", "PR-1", EX, EX), 2004, 2306, 2105)  # not later
        self.code(self.customs.renew("permit", "none", EX, "2036-12-31"), 2303)
        self.assertEqual(self.customs.info("permit", "PR-1").fields()["exDate"], EX)
        self.code(self.customs.update("permit", "PR-1", chg={"status": "revoked"}), 1000)
        self.code(self.customs.renew("permit", "PR-1", EX, "2036-12-31"), 2304, 2105)

    def test_linked(self):
        self.code(self.customs.create("permit", dict(self.GOOD, id="PL-1")), 1000)
        r, _ = self.importer1.submit([imei(TAC, 500001)], "PL-1", 1)
        self.code(r, 1000, 1001)
        self.code(self.customs.delete("permit", "PL-1"), 2305)
        self.code(self.customs.update("permit", "PL-1", rem={"position": {"number": 1}}), 2305)
        self.code(self.customs.update("permit", "PL-1", chg={"position": {"number": 1, "quantity": 0}}), 2305, 2306, 2004)
        self.assertEqual(self.customs.info("permit", "PL-1").fields()["position"]["used"], "1")

    def test_of_a_revoked_importer(self):
        self.code(self.customs.create("importer", {"id": "3000", "name": "x"}), 1000)
        self.code(self.customs.update("importer", "3000", chg={"status": "revoked"}), 1000)
        self.code(self.customs.create("permit", dict(self.GOOD, id="PX-1", importer="3000")), 2304, 2305, 2306)

    def test_many_positions(self):
        many = [position(n) for n in range(1, 301)]
        self.code(self.customs.create("permit", dict(self.GOOD, id="PM-1", position=many)), 1000)
        self.assertEqual(len(self.customs.info("permit", "PM-1").fields()["position"]), 300)


class Certificates(Base):
    GOOD = {"id": "CB-1", "issued": "2016-01-01", "exDate": EX, "manufacturer": "Nokia", "model": "6310i"}

    def test_life(self):
        s = self.nra
        good = dict(self.GOOD, id="CA-1", holder="Holder", tac=["35148820", "35154900"])
        self.assertTrue(self.avail(s, "certificate", "CA-1"))
        self.code(s.create("certificate", good), 1000)
        f = s.info("certificate", "CA-1").fields()
        self.assertEqual((f["status"], f["holder"], sorted(f["tac"])), ("valid", "Holder", ["35148820", "35154900"]))
        self.code(s.update("certificate", "CA-1", add={"tac": "35148821"}, rem={"tac": "35154900"}, chg={"holder": "Other"}),
                  1000)
        f = s.info("certificate", "CA-1").fields()
        self.assertEqual((f["holder"], sorted(f["tac"])), ("Other", ["35148820", "35148821"]))
        r = self.code(s.renew("certificate", "CA-1", EX, "2041-01-01"), 1000)
        self.assertEqual(r.fields()["exDate"], "2041-01-01")
        self.code(s.update("certificate", "CA-1", chg={"status": "revoked"}), 1000)
        self.code(s.delete("certificate", "CA-1"), 1000)
        self.code(s.info("certificate", "CA-1"), 2303)

    def test_bad_values(self):
        self.bad(self.nra, "certificate", self.GOOD, [
            ("issued", "2100-02-29", 2005), ("exDate", "2015-01-01", 2004, 2306), ("tac", "1234567", 2005),
            ("tac", "123456789", 2005),
            ("tac", "1234567x", 2005), ("model", "", 2005), ("manufacturer", LONG, 2005), ("status", "valid ish", 2004, 2005)])

    def test_missing(self):
        self.missing(self.nra, "certificate", self.GOOD)

    def test_the_same_tac_twice(self):
        r = self.nra.create("certificate", dict(self.GOOD, id="CD-1", tac=["35148820", "35148820"]))
        self.code(r, 2302, 2306, 2004, 2005)

    def test_linked(self):
        self.code(self.nra.delete("certificate", CERTIFICATE), 2305)

    def test_twice_and_unknown(self):
        self.code(self.nra.create("certificate", dict(self.GOOD, id=CERTIFICATE)), 2302)
        self.code(self.nra.info("certificate", "none"), 2303)


class Tacs(Base):
    GOOD = {"id": "35000001", "manufacturer": "Nokia", "model": "3310"}

    def test_life(self):
        s = self.nra
        good = {"id": "01124500", "manufacturer": "Apple", "model": "iPhone", "brand": "iPhone", "type": "smartphone",
                "rat": "GSM", "sims": 1,
                "allocated": "2007-06-01"}
        self.assertTrue(self.avail(s, "tac", "01124500"))
        self.code(s.create("tac", good), 1000)
        f = s.info("tac", "01124500").fields()
        for k, v in good.items():
            self.assertEqual(f[k], str(v))
        self.assertEqual(f["status"], "allocated")
        self.code(s.update("tac", "01124500", chg={"rat": "GSM UMTS", "status": "withdrawn"}), 1000)
        self.assertEqual(s.info("tac", "01124500").fields()["status"], "withdrawn")
        self.code(s.delete("tac", "01124500"), 1000)
        self.code(s.info("tac", "01124500"), 2303)

    def test_bad_values(self):
        self.bad(self.nra, "tac", self.GOOD, [("sims", "6", 2004), ("sims", "-1", 2005), ("sims", "x", 2005),
                                              ("allocated", "2007-06-31", 2005),
                                              ("model", "", 2005), ("brand", LONG, 2005), ("status", "x", 2004, 2005)])
        for id in ("1234567", "123456789", "1234567x", "", "12 45678", "-1234567"):
            self.detail(self.code(self.nra.create("tac", dict(self.GOOD, id=id)), 2005), "id")

    def test_missing(self):
        self.missing(self.nra, "tac", self.GOOD)

    def test_twice(self):
        self.code(self.nra.create("tac", dict(self.GOOD, id=TAC)), 2302)

    def test_linked(self):
        r, _ = self.importer1.submit([imei(TAC, 500100)], PERMIT, 1)
        self.code(r, 1000, 1001)
        self.code(self.nra.delete("tac", TAC), 2305)


class Accounts(Base):
    GOOD = {"id": "acct0", "role": "lea", "pw": PASSWORD}

    def test_life(self):
        s = self.admin
        fp = "ab" * 32
        self.assertTrue(self.avail(s, "account", "acct1"))
        self.code(s.create("account", dict(self.GOOD, id="acct1", certificate=[fp, "cd" * 32])), 1000)
        self.assertFalse(self.avail(s, "account", "acct1"))
        f = s.info("account", "acct1").fields()
        self.assertEqual((f["role"], f["status"], f["crID"]), ("lea", "active", "admin"))
        self.assertEqual(sorted(c.lower() for c in f["certificate"]), sorted([fp, "cd" * 32]))
        self.assertNotIn("pw", f)
        self.code(s.update("account", "acct1", rem={"certificate": fp}, chg={"status": "suspended", "pw": "Another.horse-7"}),
                  1000)
        f = s.info("account", "acct1").fields()
        self.assertEqual((f["status"], f["certificate"]), ("suspended", "cd" * 32))
        self.code(s.delete("account", "acct1"), 1000)
        # Who did something stands in the audit log for ever: an account is closed, not forgotten, and its name not given again.
        r = s.info("account", "acct1")
        if r.code == 1000:
            self.assertEqual(r.fields()["status"], "closed")
            self.code(s.update("account", "acct1", chg={"status": "active"}), 2304)
            self.code(s.create("account", dict(self.GOOD, id="acct1")), 2302)
        else:
            self.code(r, 2303)

    def test_bad_values(self):
        self.bad(self.admin, "account", self.GOOD, [
            ("role", "king", 2004, 2005), ("pw", "short", 2005), ("pw", "x" * 129, 2005), ("certificate", "abc", 2005),
            ("certificate", "g" * 64, 2005), ("importer", "no-such", 2303, 2305, 2306), ("status", "x", 2004, 2005)])
        for id in ("ab", "a" * 17, ""):
            self.detail(self.code(self.admin.create("account", dict(self.GOOD, id=id)), 2005), "id")

    def test_missing(self):
        self.missing(self.admin, "account", self.GOOD)

    def test_an_importers_account_needs_an_importer(self):
        r = self.code(self.admin.create("account", dict(self.GOOD, role="importer")), 2003)
        self.detail(r, "importer")

    def test_an_operators_account_needs_an_operator(self):
        r = self.code(self.admin.create("account", dict(self.GOOD, role="operator")), 2003)
        self.detail(r, "operator")

    def test_an_importer_for_another_role(self):
        self.code(self.admin.create("account", dict(self.GOOD, role="lea", importer=IMPORTER)), 2306, 2004, 2308)

    def test_the_last_admin_cannot_lock_everybody_out(self):
        self.code(self.admin.update("account", "admin", chg={"status": "suspended"}), 2304, 2305, 2306, 2308)
        self.code(self.admin.delete("account", "admin"), 2304, 2305, 2306, 2308)
        self.code(self.admin.poll(), 1300, 1301)

    def test_own_account(self):
        self.assertEqual(self.lea.info("account", "lea1").fields()["role"], "lea")

    def test_twice(self):
        self.code(self.admin.create("account", dict(self.GOOD, id="lea1")), 2302)


class Listings(Base):
    def good(self, n, **more):
        return dict({"imei": imei(TAC, n), "colour": "black", "reason": "stolen", "ground": "case %d" % n}, **more)

    def test_life(self):
        s = self.lea
        r = self.code(s.create("listing", self.good(100001, stage="provisional")), 1000)
        id = r.fields()["id"]
        f = s.info("listing", id).fields()
        self.assertEqual((f["imei"], f["colour"], f["reason"], f["stage"], f["status"], f["role"], f["crID"]),
                         (imei(TAC, 100001), "black", "stolen", "provisional", "inForce", "lea", "lea1"))
        self.assertTrue(f["since"])
        self.code(s.update("listing", id, chg={"stage": "confirmed", "ground": "case 100001, court"}), 1000)
        f = s.info("listing", id).fields()
        self.assertEqual((f["stage"], f["ground"], f["upID"]), ("confirmed", "case 100001, court", "lea1"))
        self.code(s.delete("listing", id, extra="<listing:ground>recovered</listing:ground>"), 1000)
        f = s.info("listing", id).fields()
        self.assertEqual((f["status"], f["endID"], f["endGround"], f["ground"]),
                         ("ended", "lea1", "recovered", "case 100001, court"))
        self.assertTrue(f["endDate"])
        self.code(s.delete("listing", id, extra="<listing:ground>again</listing:ground>"), 2304)
        self.code(s.update("listing", id, chg={"stage": "provisional"}), 2304)

    def test_ending_needs_a_ground(self):
        id = self.code(self.lea.create("listing", self.good(100010)), 1000).fields()["id"]
        self.detail(self.code(self.lea.delete("listing", id), 2003), "ground")
        self.assertEqual(self.lea.info("listing", id).fields()["status"], "inForce")

    def test_stages_go_forward(self):
        id = self.code(self.lea.create("listing", self.good(100011, stage="confirmed")), 1000).fields()["id"]
        self.code(self.lea.update("listing", id, chg={"stage": "provisional"}), 2304)
        self.code(self.lea.update("listing", id, chg={"stage": "recovered"}), 1000)
        self.assertEqual(self.lea.info("listing", id).fields()["status"], "ended")
        self.assertEqual(self.lea.colour(imei(TAC, 100011))[0], "unknown")

    def test_bad_values(self):
        self.bad(self.lea, "listing", self.good(100002), [
            ("colour", "red", 2004, 2005), ("reason", "dislike", 2004, 2005), ("ground", "", 2005), ("ground", LONG, 2005),
            ("stage", "x", 2004, 2005), ("since", "2026-02-30T00:00:00Z", 2005), ("since", "2026-01-01", 2005),
            ("since", "2026-01-01T25:00:00Z", 2005), ("until", "yesterday", 2005),
            ("until", "2020-01-01T00:00:00Z", 2004, 2306)])
        for bad in ("35210605054420", "3521060505442033", "352106050544204", "35210605054420A", "", "000000000000000",
                    "111111111111116"):
            r = self.code(self.lea.create("listing", self.good(100002, imei=bad)), 2005, 2004, 2306)
            self.detail(r, "imei")
        self.assertEqual(self.admin.page("listing", [("imei", imei(TAC, 100002))]).items, [])

    def test_until_before_since(self):
        r = self.lea.create("listing", self.good(100003, since="2030-01-02T00:00:00Z", until="2030-01-01T00:00:00Z"))
        self.code(r, 2004, 2306)

    def test_missing(self):
        for field in ("colour", "reason", "ground"):
            r = self.lea.create("listing", {k: v for k, v in self.good(100004).items() if k != field})
            self.detail(self.code(r, 2003), field)

    def test_neither_imei_nor_tac_and_both(self):
        good = self.good(100005)
        self.code(self.lea.create("listing", {k: v for k, v in good.items() if k != "imei"}), 2003)
        self.code(self.lea.create("listing", dict(good, tac=TAC)), 2306, 2004, 2308, 2001)

    def test_pairs(self):
        good = self.good(100006)
        self.code(self.lea.create("listing", dict(good, pair="only")), 2003)
        self.code(self.lea.create("listing", dict(good, imsi="255010123456789")), 2003, 2306)
        for imsi in ("1234567890123", "1234567890123456", "25501012345678x"):
            self.code(self.lea.create("listing", dict(good, pair="only", imsi=imsi)), 2005)
        for msisdn in ("1234", "1234567890123456", "+", "38050123456x", "++380501234567"):
            self.code(self.lea.create("listing", dict(good, pair="only", msisdn=msisdn)), 2005)
        for pair in ("only", "except"):
            self.code(self.lea.create("listing", dict(good, pair=pair, imsi="255010123456789", msisdn="+380501234567")), 1000)

    def test_unknown(self):
        self.code(self.lea.info("listing", "none"), 2303)
        self.code(self.lea.delete("listing", "none", extra="<listing:ground>x</listing:ground>"), 2303)
        self.code(self.lea.update("listing", "none", chg={"ground": "x"}), 2303)


class Devices(Base):
    def test_life(self):
        s = self.importer1
        a, b = imei(TAC, 200001), imei(TAC, 200002)
        r = self.code(s.create("imei", {"name": a, "imei": b, "permit": PERMIT, "position": 1,
                                        "tag": {"type": "serial", "value": "SN1"}}), 1000)
        self.assertEqual(r.fields()["name"], a)
        for name, other in ((a, b), (b, a)):
            f = s.info("imei", name).fields()
            self.assertEqual((f["name"], f["imei"], f["status"], f["state"]["colour"]), (name, other, "registered", "white"))
        self.assertEqual(s.info("imei", a).fields()["tag"], {"type": "serial", "value": "SN1"})
        self.code(s.update("imei", a, add={"tag": {"type": "meid", "value": "A1000012345678"}},
                           rem={"tag": {"type": "serial", "value": "SN1"}}), 1000)
        self.assertEqual(s.info("imei", a).fields()["tag"], {"type": "meid", "value": "A1000012345678"})
        self.code(s.create("imei", {"name": a, "permit": PERMIT, "position": 1}), 2302)
        self.code(s.create("imei", {"name": b, "permit": PERMIT, "position": 1}), 2302)
        self.code(s.delete("imei", a), 1000)
        f = self.admin.info("imei", a).fields() # it is nobody's any more
        self.assertEqual((f["status"], f["state"]["colour"], f["state"]["reason"]), ("withdrawn", "grey", "withdrawn"))
        self.assertEqual(self.importer1.colour(b), ("grey", "withdrawn"))
        self.code(s.delete("imei", a), 2303, 2304)

    def test_bad(self):
        s = self.importer1
        good = imei(TAC, 200010)
        for bad in (good[:14], good + "0", good[:14] + "x", good[:14] + str((int(good[14]) + 1) % 10), "000000000000000"):
            r = self.code(s.create("imei", {"name": bad, "permit": PERMIT, "position": 1}), 2005, 2004, 2306)
            self.detail(r, "name")
        self.code(s.create("imei", {"name": good, "permit": "none", "position": 1}), 2303, 2306)
        self.code(s.create("imei", {"name": good, "permit": PERMIT, "position": 77}), 2303, 2306)
        self.code(s.create("imei", {"name": good, "position": 1}), 2003)
        self.code(s.create("imei", {"name": good, "permit": PERMIT}), 2003)
        self.code(s.create("imei", {"name": good, "imei": [imei(TAC, 200010 + i) for i in range(1, 6)], "permit": PERMIT,
                                    "position": 1}),
                  2306, 2004)
        self.code(s.create("imei", {"name": good, "imei": good, "permit": PERMIT, "position": 1}), 2306, 2302, 2004)
        self.code(s.create("imei", {"name": imei("35148820", 1), "permit": PERMIT, "position": 1}), 2306)  # another model
        self.code(s.create("imei", {"name": imei("35999999", 1), "permit": PERMIT, "position": 1}), 2306)  # nobody's TAC
        for type, value in (("meid", "123"), ("meid", "G1000012345678"), ("nonsense", "1"), ("serial", "")):
            r = s.create("imei", {"name": good, "permit": PERMIT, "position": 1, "tag": {"type": type, "value": value}})
            self.code(r, 2004, 2005, 2306)
        self.code(s.info("imei", good), 2303)
        self.assertEqual(s.colour(good)[0], "unknown")

    def test_a_refused_command_leaves_no_gap_in_the_change_log(self):
        """The tag is refused when the device's verdicts are written already: numbers of the log must go back with their rows."""
        a, b = imei(TAC, 200050), imei(TAC, 200051)
        fields = {"name": a, "imei": b, "permit": PERMIT, "position": 1}
        self.code(self.importer1.create("imei", dict(fields, tag={"type": "meid", "value": "123"})), 2005)
        self.assertEqual(self.importer1.colour(a)[0], "unknown")
        self.code(self.importer1.create("imei", fields), 1000)
        p = self.world.server.verify()
        self.assertEqual(p.returncode, 0, p.stdout)

    def test_with_somebody_elses_permit(self):
        self.code(self.importer2.create("imei", {"name": imei(TAC, 200020), "permit": PERMIT, "position": 1}), 2201, 2303, 2306)

    def test_registered_by_another_is_refused_and_says_not_by_whom(self):
        number = imei(TAC, 200030)
        self.code(self.importer1.create("imei", {"name": number, "permit": PERMIT, "position": 1}), 1000)
        self.code(self.customs.create("permit", {"id": "DEV-2", "importer": IMPORTER2, "issued": "2016-01-01", "exDate": EX,
                                                 "position": position()}), 1000)
        r = self.code(self.importer2.create("imei", {"name": number, "permit": "DEV-2", "position": 1}), 2302)
        self.assertNotIn(IMPORTER.encode(), r.raw)
        self.assertNotIn(b"importer1", r.raw)
        self.assertNotIn(PERMIT.encode(), r.raw)

    def test_check(self):
        s = self.importer1
        number = imei(TAC, 200040)
        self.code(s.create("imei", {"name": number, "permit": PERMIT, "position": 1}), 1000)
        v = s.verdicts(number, imei(TAC, 200041), number[:14], number + "0", "abc",
                       number[:14] + str((int(number[14]) + 1) % 10))
        self.assertEqual(v[number], (False, "Object exists", "white", "registered"))
        self.assertEqual(v[imei(TAC, 200041)], (True, None, "unknown", "never-heard"))
        for name in v:
            if name not in (number, imei(TAC, 200041)):
                self.assertEqual(v[name], (True, "Object is not valid", None, None), name)

    def test_info_of_what_is_not_there(self):
        self.code(self.lea.info("imei", imei(TAC, 299999)), 2303)


class Operators(Base):
    GOOD = {"id": "MNO-B", "name": "Operator", "plmn": "25577"}

    def test_life(self):
        s = self.admin
        self.assertTrue(self.avail(s, "operator", "MNO-A"))
        self.code(s.create("operator", {"id": "MNO-A", "name": "Оператор & Co", "plmn": ["25510", "255011"]}), 1000)
        self.assertFalse(self.avail(s, "operator", "MNO-A"))
        f = self.operator.info("operator", "MNO-A").fields()
        self.assertEqual((f["name"], f["status"], f["number"], sorted(f["plmn"]), f["crID"]),
                         ("Оператор & Co", "active", "3", ["255011", "25510"], "admin"))
        self.code(s.update("operator", "MNO-A", add={"plmn": "25512"}, rem={"plmn": "255011"}, chg={"status": "suspended"}), 1000)
        f = s.info("operator", "MNO-A").fields()
        self.assertEqual((f["status"], sorted(f["plmn"]), f["upID"]), ("suspended", ["25510", "25512"], "admin"))
        self.code(s.delete("operator", "MNO-A"), 2101)

    def test_bad_values(self):
        self.bad(self.admin, "operator", self.GOOD, [
            ("id", "x" * 33, 2005), ("name", "", 2005), ("plmn", "2551", 2005), ("plmn", "2551234", 2005), ("plmn", "2551x", 2005),
            ("plmn", "25501", 2302), ("status", "closed", 2004, 2005)])
        self.missing(self.admin, "operator", {k: v for k, v in self.GOOD.items() if k != "plmn"})
        self.code(self.admin.create("operator", dict(self.GOOD, id=OPERATOR)), 2302)
        self.code(self.admin.update("operator", OPERATOR, rem={"plmn": "25503"}), 2303)
        self.assertEqual(self.admin.info("operator", OPERATOR2).fields()["plmn"], "25503")

    def test_an_account_of_an_operator_that_is_not_there(self):
        r = self.code(self.admin.create("account", {"id": "opx", "role": "operator", "pw": PASSWORD, "operator": "none"}), 2303)
        self.detail(r, "operator")


class Portability(Base):
    GOOD = {"from": "380681234567", "operator": OPERATOR}

    def test_life(self):
        s = self.nra
        id = self.code(s.create("portability", {"from": "+380500000000", "to": "380509999999", "operator": OPERATOR, "since": "2026-01-01"}),
                       1000).fields()["id"]
        f = s.info("portability", id).fields()
        self.assertEqual((f["from"], f["to"], f["operator"], f["since"], f["crID"]),
                         ("380500000000", "380509999999", OPERATOR, "2026-01-01", "nra1"))
        one = self.code(s.create("portability", {"from": "380501234567", "operator": OPERATOR2}), 1000).fields()["id"]
        self.assertEqual([i["id"] for i in self.admin.all("portability", [("from", "380501234567")])], [one])
        self.assertEqual([i["id"] for i in self.admin.all("portability", [("operator", OPERATOR2)])], [one])
        self.code(s.create("portability", {"from": "380501234567", "operator": OPERATOR}), 2302)
        self.code(s.delete("portability", one), 1000)
        self.code(s.info("portability", one), 2303)
        self.code(s.create("portability", {"from": "380501234567", "operator": OPERATOR}), 1000)

    def test_bad_values(self):
        self.bad(self.nra, "portability", self.GOOD, [
            ("from", "1234", 2005), ("from", "38068123456x", 2005), ("from", "0681234567", 2005), ("from", "1" * 16, 2005),
            ("to", "38068123456", 2004), ("to", "380681234566", 2004), ("operator", "none", 2303), ("since", "2026-02-30", 2005)])
        self.missing(self.nra, "portability", self.GOOD)
        self.assertEqual(self.admin.page("portability", [("from", "380681234567")]).items, [])


class Policies(Base):
    def draft(self, **fields):
        return self.code(self.admin.create("policy", dict({"ground": "trial"}, **fields)), 1000).fields()["id"]

    def wait(self, id, what):
        deadline = time.monotonic() + TIMEOUT
        while True:
            f = self.admin.info("policy", id).fields()
            if what(f):
                return f
            self.assertLess(time.monotonic(), deadline, f)
            time.sleep(0.05)

    def test_1_the_first_version(self):
        f = self.admin.info("policy", "1").fields()
        self.assertEqual((f["status"], f["mode"], f["graceDays"], f["noticeDays"], f["homeMCC"], f["countryCode"]),
                         ("active", "permissive", "90", ["75", "50", "25", "1"], "255", "380"))
        self.assertIn("malformed", [c["name"] for c in f["condition"]])

    def test_2_life(self):
        id = self.draft(mode="restrictive", noticeDays=[20, 2], homeMCC=["255", "259"], amnestyFrom="2026-01-01", amnestyUntil="2026-06-30",
                        condition=[{"name": "malformed", "rule": "malformed", "blocking": "yes", "graceDays": 30},
                                   {"name": "mine", "rule": "clone-threshold(imsis=9 days=10) and not test-tac"}])
        f = self.wait(id, lambda f: "dryRun" in f)
        self.assertEqual((f["status"], f["mode"], f["noticeDays"], f["homeMCC"], f["amnestyFrom"], f["graceDays"]),
                         ("draft", "restrictive", ["20", "2"], ["255", "259"], "2026-01-01", "90"))
        mine = [c for c in f["condition"] if c["name"] == "mine"][0]
        self.assertEqual((mine["rule"], mine["blocking"], mine["sticky"], mine["graceDays"]),
                         ("clone-threshold(imsis=9 days=10) and not test-tac", "no", "no", "90"))
        self.assertEqual(len(f["condition"]), 2)
        self.assertEqual(f["dryRun"]["changes"], "0")
        self.code(self.admin.update("policy", id, chg={"ground": "decided"}), 1000)
        self.code(self.admin.update("policy", id, chg={"status": "active"}), 1001)
        f = self.wait(id, lambda f: f["status"] == "active")
        self.assertEqual(f["ground"], "decided")
        self.assertTrue(f["active"])
        self.wait("1", lambda f: f["status"] == "retired")
        self.code(self.admin.delete("policy", id), 2304)
        self.code(self.admin.update("policy", "1", chg={"status": "active"}), 2304)
        # Told to admin: tried, and in force.
        texts = []
        while True:
            r = self.admin.poll()
            if r.code == 1300:
                break
            texts.append(r.raw.decode())
            self.admin.poll(ack=r.msgq.get("id"))
        self.assertTrue(any("Policy %s was tried" % id in t for t in texts), texts)
        self.assertTrue(any("Policy %s is in force" % id in t for t in texts), texts)

    def test_3_drafts_are_deleted(self):
        id = self.draft()
        self.code(self.admin.delete("policy", id), 1000)
        self.code(self.admin.info("policy", id), 2303)
        self.assertEqual(int(self.draft()), int(id) + 1)

    def test_4_bad_values(self):
        before = self.admin.page("policy", count="only").count
        for field, value, *codes in [
                ("mode", "strict", 2004, 2005), ("graceDays", "3651", 2004), ("graceDays", "-1", 2005), ("noticeDays", ["5", "10"], 2004),
                ("lookbackDays", "0", 2004), ("guardShare", "1001", 2004), ("homeMCC", "25", 2005), ("countryCode", "0", 2005),
                ("amnestyUntil", "2025-12-31", 2004), ("status", "active", 2306), ("force", "yes", 2306),
                ("condition", {"name": "x", "rule": "nonsense"}, 2005), ("condition", {"name": "x", "rule": "malformed and"}, 2005)]:
            with self.subTest(field=field, value=value):
                self.detail(self.code(self.admin.create("policy", {"ground": "g", field: value}), *codes), field)
        self.detail(self.code(self.admin.create("policy", {"mode": "permissive"}), 2003), "ground")
        self.assertEqual(self.admin.page("policy", count="only").count, before)


class Golden(Base):
    def test_life(self):
        number, s = imei(TAC, 400001), self.admin
        self.assertTrue(self.avail(s, "golden", number))
        r = self.code(s.create("golden", {"id": number}), 1000)
        self.assertEqual(r.fields()["id"], number)
        self.assertFalse(self.avail(s, "golden", number))
        self.code(s.create("golden", {"id": number}), 2302)
        self.code(s.delete("golden", number), 1000)
        self.assertTrue(self.avail(s, "golden", number))
        self.code(s.delete("golden", number), 2303)

    def test_never_blocked(self):
        number = imei(TAC, 400002)
        self.code(self.lea.create("listing", {"imei": number, "colour": "black", "reason": "stolen", "ground": "g"}), 1000)
        self.assertEqual(self.pos.colour(number)[0], "black")
        self.code(self.admin.create("golden", {"id": number}), 1000)
        deadline = time.monotonic() + TIMEOUT
        # Not even that it is golden.
        while self.pos.colour(number) != ("white", "listed-white"):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)

    def test_bad_values(self):
        for bad in ("352106050544204", "35210605054420", "x", "000000000000000"):
            self.detail(self.code(self.admin.create("golden", {"id": bad}), 2005), "id")
            self.assertFalse(self.avail(self.admin, "golden", bad))

    def test_nothing_tells_whom(self):
        number = imei(TAC, 400003)
        self.code(self.admin.create("golden", {"id": number}), 1000)
        self.code(self.admin.check("golden", number), 1000)
        for t in self.admin.all("transaction", [("object", "golden")]):
            self.assertEqual(t["name"], "golden")
        self.assertNotIn(number[:14], self.world.server.log())
        for name in ("ceir.db", "ceir.db-wal"):
            with open(os.path.join(self.world.server.dir, name), "rb") as f:
                self.assertNotIn(number[:14].encode(), f.read())


class Watches(Base):
    def test_life(self):
        s, number = self.lea, imei(TAC, 410001)
        id = self.code(s.create("watch", {"imei": number, "ground": "case 1", "until": "2099-01-01T00:00:00Z"}), 1000).fields()["id"]
        f = s.info("watch", id).fields()
        self.assertEqual((f["imei"], f["ground"], f["status"], f["until"][:10], f["crID"]), (number, "case 1", "active", "2099-01-01", "lea1"))
        self.code(s.update("watch", id, chg={"ground": "case 2"}), 1000)
        self.assertEqual([i["id"] for i in s.all("watch", [("imei", number)])], [id])
        self.code(s.delete("watch", id), 1000)
        f = s.info("watch", id).fields()
        self.assertEqual((f["status"], f["ground"]), ("ended", "case 2"))
        self.code(s.delete("watch", id), 2304)
        self.assertEqual(s.colour(number)[0], "unknown")

    def test_bad_values(self):
        good = {"imei": imei(TAC, 410002), "ground": "case 3"}
        self.bad(self.lea, "watch", good, [("imei", "352106050544204", 2005), ("imei", "1", 2005), ("ground", "", 2005),
                                           ("until", "2020-01-01T00:00:00Z", 2004), ("until", "soon", 2005)])
        self.missing(self.lea, "watch", good)
        self.assertEqual(self.lea.page("watch", [("imei", imei(TAC, 410002))]).items, [])

    def test_seen(self):
        number = imei(TAC, 410003)
        id = self.code(self.lea.create("watch", {"imei": number, "ground": "case 4"}), 1000).fields()["id"]
        self.world.deliver("operator1", "imei,imsi,msisdn\n%s,255011234567890,380501111111\n" % number[:14])
        deadline = time.monotonic() + TIMEOUT
        while True:
            r = self.lea.poll()
            if r.code == 1301 and ("watch %s" % id).encode() in r.raw:
                break
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        self.assertIn(number.encode(), r.raw)
        self.assertTrue(self.lea.info("watch", id).fields()["lastSeen"])


class Remotes(Base):
    GOOD = {"id": "MNO-1", "account": "operator1", "host": "ftp.example.org", "user": "ceir", "pw": PASSWORD}

    def good(self, id, **more):
        return dict(self.GOOD, id=id, **more)

    def ca(self):
        with open(self.world.server.ca, encoding="ascii") as f:
            return f.read()

    def test_life(self):
        s = self.admin
        self.assertTrue(self.avail(s, "remote", "r-1"))
        r = self.code(s.create("remote", self.good("r-1", port=2121, status="suspended", ca=self.ca(), listsTo="/lists", fetchFrom="/out", answersTo="/answers",
                                                    list=["black", "white"], keep="yes", interval=30)), 1000)
        self.assertEqual(r.fields()["id"], "r-1")
        self.assertFalse(self.avail(s, "remote", "r-1"))
        f = self.operator.info("remote", "r-1").fields()
        want = {"account": "operator1", "host": "ftp.example.org", "port": "2121", "tls": "explicit", "user": "ceir", "listsTo": "/lists",
                "answersTo": "/answers", "fetchFrom": "/out", "list": ["black", "white"], "format": "csv", "packing": "zstd", "keep": "yes",
                "interval": "30", "status": "suspended", "failures": "0", "crID": "admin"}
        self.assertEqual({k: f.get(k) for k in want}, want)
        # As XML hands it on, line ends are spaces; out comes PEM again.
        self.assertEqual(f["ca"].strip(), self.ca().strip())
        for absent in ("pw", "error", "failed", "done", "pushed"):
            self.assertNotIn(absent, f)
        self.code(s.update("remote", "r-1", add={"list": "grey"}, rem={"list": "black"}, chg={"format": "xml", "packing": "none", "answersTo": ""}), 1000)
        f = self.operator.info("remote", "r-1").fields()
        self.assertEqual((f["list"], f["format"], f["packing"], f["upID"]), (["grey", "white"], "xml", "none", "admin"))
        self.assertNotIn("answersTo", f)
        self.detail(self.code(s.update("remote", "r-1", chg={"host": "other.example.org"}), 2003), "pw")
        self.code(s.update("remote", "r-1", chg={"host": "192.0.2.7", "pw": "another password"}), 1000)
        self.assertEqual([i["host"] for i in s.all("remote", [("id", "r-1")])], ["192.0.2.7"])
        self.code(s.delete("remote", "r-1"), 1000)
        self.code(s.info("remote", "r-1"), 2303)

    def test_usual_values(self):
        s = self.admin
        self.code(s.create("remote", self.good("r-2", tls="implicit", listsTo="in")), 1000)
        f = s.info("remote", "r-2").fields()
        self.assertEqual((f["port"], f["interval"], f["keep"], f["list"]), ("990", "60", "no", ["black", "grey", "exceptions"]))
        self.assertNotIn("fetchFrom", f)
        self.code(s.delete("remote", "r-2"), 1000)

    def test_bad_values(self):
        good = self.good("r-3", fetchFrom="out")
        self.bad(self.admin, "remote", good, [
            ("id", "x" * 33, 2005), ("account", "nobody1", 2303), ("account", "x", 2005), ("host", "a b", 2005), ("host", "h" * 254, 2005),
            ("host", "127.1", 2005), ("port", 0, 2004, 2005), ("port", 65536, 2004, 2005), ("port", "ftp", 2005), ("tls", "none", 2004, 2005),
            ("user", "", 2005), ("user", "u" * 65, 2005), ("pw", "short", 2005), ("ca", "no certificate", 2005), ("fetchFrom", "../out", 2005),
            ("fetchFrom", "x" * 256, 2005), ("list", "red", 2004, 2005), ("format", "pdf", 2004, 2005), ("packing", "zip", 2004, 2005),
            ("keep", "x", 2004, 2005), ("interval", 9, 2004, 2005), ("interval", 86401, 2004, 2005), ("status", "closed", 2004, 2005)])
        r = self.code(self.admin.create("remote", dict(good, answersTo="out/")), 2306)
        self.detail(r, "fetchFrom")
        r = self.code(self.admin.create("remote", dict(good, account="importer1", listsTo="l")), 2306)
        self.detail(r, "listsTo")
        r = self.code(self.admin.create("remote", self.good("r-3")), 2003)
        self.detail(r, "listsTo")
        self.missing(self.admin, "remote", self.good("r-3"))
        self.assertEqual(self.admin.page("remote", [("id", "r-3")]).items, [])

    def test_the_password_stays_inside(self):
        secret = "never-seen-again-8"
        self.code(self.admin.create("remote", self.good("r-4", pw=secret, fetchFrom="out")), 1000)
        self.code(self.admin.update("remote", "r-4", chg={"pw": secret + "9"}), 1000)
        self.assertNotIn(secret.encode(), self.admin.info("remote", "r-4").raw)
        self.assertNotIn(secret.encode(), self.admin.query("remote").raw)
        self.assertNotIn(secret, self.world.server.log())
        for name in ("ceir.db", "ceir.db-wal"):
            with open(os.path.join(self.world.server.dir, name), "rb") as f:
                self.assertNotIn(secret.encode(), f.read())
        self.code(self.admin.delete("remote", "r-4"), 1000)

    def test_ceirctl(self):
        ctl, dir = self.world.server.ctl, folder("ceir-remote-")
        with open(os.path.join(dir, "pw"), "w", encoding="ascii") as f:
            f.write(PASSWORD + "\n")
        with open(os.path.join(dir, "bad"), "wb") as f:
            f.write(b"\xff\xfe")
        pw = ("--pw-file", os.path.join(dir, "pw"))
        ctl("remote", "create", "r-5", "--account", "operator1", "--remote-host", "ftp.example.org", "--remote-user", "ceir", *pw, "--ca-file", self.world.server.ca, "--listsTo",
            "/lists", "--fetchFrom", "/out", check=0)
        self.assertEqual(self.admin.info("remote", "r-5").fields()["ca"].strip(), self.ca().strip())
        ctl("remote", "update", "r-5", "--add-list", "white", "--fetchFrom", "", check=0)
        f = self.admin.info("remote", "r-5").fields()
        self.assertEqual(f["list"], ["black", "grey", "exceptions", "white"])
        self.assertNotIn("fetchFrom", f)
        p = ctl("remote", "update", "r-5", "--remote-host", "other.example.org", check=1)
        self.assertIn("pw", p.stderr)
        for args, said in ((("--pw", PASSWORD), "--pw"), (("--ca-file", os.path.join(dir, "none")), "--ca-file"),
                           (("--ca-file", os.path.join(dir, "bad")), "--ca-file"), (("--host-file", "x"), "--host-file")):
            self.assertIn(said, ctl("remote", "update", "r-5", "--keep", "yes", *args, check=2).stderr)
        out = ctl("export", "remote", "--columns", "id,host,list,ca,pushed.seq", "--filter", "id = r-5", check=0).stdout
        rows = list(csv.reader(io.StringIO(out, newline="")))
        self.assertEqual(rows[0], ["id", "host", "list", "ca", "pushed.seq"])
        self.assertEqual(rows[1][:3] + rows[1][4:], ["r-5", "ftp.example.org", "black grey exceptions white", ""])
        self.assertIn("BEGIN CERTIFICATE", rows[1][3])
        # ceirctl's own options have these names; an import has columns.
        self.assertIn("--remote-port number", ctl("remote", "create", "--help", check=0).stdout)
        with open(os.path.join(dir, "remotes.csv"), "w", encoding="ascii") as f:
            f.write("id,account,host,user,listsTo,list\nr-6,operator1,::1,ceir,/in,grey white\n")
        ctl("remote", "import", os.path.join(dir, "remotes.csv"), *pw, "--remote-port", "2121", check=0)
        f = self.admin.info("remote", "r-6").fields()
        self.assertEqual((f["host"], f["port"], f["user"], f["list"]), ("::1", "2121", "ceir", ["grey", "white"]))
        ctl("remote", "delete", "r-5", check=0)
        ctl("remote", "delete", "r-6", check=0)


class Questions(Base):
    """The objects that are asked only: triplet, list, verdict, delivery."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.number = imei(TAC, 420001)
        cls.id = cls.world.deliver("operator1", "imei,imsi,msisdn\n%s,255011234567890,380501111111\n" % cls.number[:14], id="DAY-1")["id"]
        deadline = time.monotonic() + TIMEOUT
        while cls.admin.info("delivery", cls.id).fields()["status"] != "applied":
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def test_delivery(self):
        f = self.operator.info("delivery", self.id).fields()
        self.assertEqual((f["operator"], f["kind"], f["clientID"], f["status"], f["lines"], f["taken"], f["new"]),
                         (OPERATOR, "delta", "DAY-1", "applied", "1", "1", "1"))
        self.assertEqual([i["id"] for i in self.operator.all("delivery", [("clientID", "DAY-1")])], [self.id])
        self.code(self.admin.update("delivery", self.id, chg={"status": "released", "ground": "x"}), 2304)

    def test_triplet(self):
        items = self.lea.page("triplet", [("imsi", "255011234567890"), ("case", "case 9")]).items
        self.assertEqual([(i["imei"], i["imsi"], i["msisdn"], i["operator"]) for i in items],
                         [(self.number, "255011234567890", "380501111111", OPERATOR)])
        self.code(self.lea.query("triplet", [("imsi", "255011234567890")]), 2003) # no case
        self.code(self.lea.query("triplet", [("case", "case 9")]), 2003)

    def test_list(self):
        for s, element in ((self.operator, ""), (self.admin, "<list:operator>%s</list:operator>" % OPERATOR)):
            f = self.code(s.command(object_command("info", "list", "<list:id>grey</list:id>" + element)), 1000).fields()
            self.assertEqual((f["id"], f["operator"]), ("grey", OPERATOR))
        self.detail(self.code(self.admin.info("list", "grey"), 2003), "operator")
        self.code(self.operator.info("list", "red"), 2004, 2005)
        seq = int(f["seq"])
        self.code(self.operator.update("list", "grey", chg="<list:ackSeq>%d</list:ackSeq>" % seq), 1000)
        self.assertEqual(self.operator.info("list", "grey").fields()["ackSeq"], str(seq))

    def test_verdict(self):
        f = self.code(self.nra.info("verdict", self.number), 1000).fields()
        self.assertEqual((f["id"], f["policy"]), (self.number, "1"))
        self.assertTrue(as_list(f["explanation"]))
        self.code(self.nra.info("verdict", "nonsense"), 2005)


class Queries(Base):
    """Filter, sort, page by cursor and count, on every object."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        w = cls.world
        for i in range(25):
            w.ok(cls.nra.create("tac", {"id": "3590%04d" % i, "manufacturer": "Maker %d" % (i % 3), "model": "Model %02d" % i,
                                        "type": "tablet" if i % 2 else "modem"}))
            w.ok(cls.customs.create("importer", {"id": "Q%03d" % i, "name": "Name %02d" % (24 - i),
                                                 "country": "UA" if i % 2 else "PL"}))
            w.ok(cls.lea.create("listing", {"imei": imei("35900000", i + 1), "colour": "black" if i % 2 else "grey",
                                            "reason": "lost", "ground": "q"}))
        w.ok(cls.importer1.submit([imei(TAC, 300000 + i) for i in range(25)], PERMIT, 1)[0], 1000, 1001)

    KEYS = {"imei": "name"}

    def test_all_pages_are_the_whole_and_in_order(self):
        for obj in OBJECTS:
            if obj in ("triplet", "golden", "watch", "verdict"): # found by number only, never listed, not admin's
                continue
            with self.subTest(object=obj):
                counted = obj != "transaction" # it grows with each query
                key = self.KEYS.get(obj, "id")
                whole = [i[key] for i in self.admin.all(obj, limit=1000)]
                paged = [i[key] for i in self.admin.all(obj, limit=4)]
                self.assertEqual(paged[:len(whole)] if obj == "transaction" else paged, whole)
                if counted:
                    self.assertEqual(self.admin.page(obj, count="only").count, len(whole))
                    self.assertEqual(self.admin.page(obj, count=True, limit=1).count, len(whole))
                self.assertEqual(len(whole), len(set(whole)))

    def test_default_limit(self):
        self.assertLessEqual(len(self.admin.page("transaction").items), 100)

    def test_sort(self):
        names = [i["name"] for i in self.admin.all("importer", sort="name", limit=3)]
        self.assertEqual(names, sorted(names))
        names = [i["name"] for i in self.admin.all("importer", sort="name", descending=True, limit=3)]
        self.assertEqual(names, sorted(names, reverse=True))
        ids = [i["id"] for i in self.admin.all("tac", sort="id", descending=True, limit=7)]
        self.assertEqual(ids, sorted(ids, reverse=True))
        numbers = [i["name"] for i in self.admin.all("imei", sort="name", descending=True, limit=7)]
        self.assertEqual(numbers, sorted(numbers, reverse=True))

    def test_sort_with_equal_values_loses_nothing(self):
        ids = [i["id"] for i in self.admin.all("tac", sort="manufacturer", limit=2)]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertEqual(len(ids), self.admin.page("tac", count="only").count)
        makers = [i["manufacturer"] for i in self.admin.all("tac", sort="manufacturer", descending=True, limit=2)]
        self.assertEqual(makers, sorted(makers, reverse=True))

    def test_filters(self):
        q = self.admin
        self.assertEqual(len(q.all("importer", [("country", "PL")])), 13)
        self.assertEqual(len(q.all("importer", [("country", "PL"), ("id", "prefix", "Q00")])), 5)
        self.assertEqual([i["id"] for i in q.all("importer", [("name", "Name 07")])], ["Q017"])
        self.assertEqual([i["id"] for i in q.all("tac", [("id", "ge", "35900005"), ("id", "lt", "35900008")])],
                         ["35900005", "35900006", "35900007"])
        self.assertEqual([i["id"] for i in q.all("tac", [("id", "gt", "35900005"), ("id", "le", "35900007")])],
                         ["35900006", "35900007"])
        self.assertEqual(len(q.all("tac", [("manufacturer", "Maker 1"), ("type", "ne", "modem")], limit=2)), 4)
        self.assertEqual(len(q.all("listing", [("colour", "grey")], limit=5)), 13)
        self.assertEqual([i["imei"] for i in q.all("listing", [("imei", imei("35900000", 7))])], [imei("35900000", 7)])
        self.assertEqual(len(q.all("permit", [("exDate", "lt", "2030-01-01")])), 0)
        self.assertEqual(len(q.all("permit", [("exDate", "gt", "2030-01-01")])), 1)
        self.assertEqual([i["name"] for i in q.all("imei", [("name", imei(TAC, 300003))])], [imei(TAC, 300003)])
        self.assertEqual(len(q.all("imei", [("name", "prefix", TAC)], limit=4)), 25)
        self.assertEqual(len(q.all("account", [("role", "importer")])), 2)
        self.assertEqual(q.page("account", [("role", "importer")], count="only").count, 2)
        self.assertTrue(all(t["verb"] == "query" for t in q.all("transaction", [("verb", "query")])))
        done = q.all("application", [("status", "done")])
        self.assertEqual(len(done), 1)
        self.assertEqual(len(q.all("imei", [("application", done[0]["id"])])), 25)
        self.assertEqual(q.page("imei", [("application", done[0]["id"])], count="only").count, 25)
        self.assertEqual(len(self.importer1.all("imei", limit=4)), 25)

    def test_filters_that_are_wrong(self):
        q = self.admin
        for obj, f in (("importer", ("address", "x")), ("permit", ("exDate", "2030-02-30")), ("listing", ("colour", "red")),
                       ("listing", ("imei", "12")), ("account", ("pw", PASSWORD)), ("transaction", ("seq", "x")),
                       ("tac", ("id", "eq", "123"))):
            with self.subTest(object=obj, filter=f):
                self.code(q.query(obj, [f]), 2004, 2005, 2306, 2102)

    def test_injection(self):
        for text in ("' or 1=1 --", "%", "_", '"', "\\", "*", "x'; drop table importer; --"):
            self.assertEqual(self.admin.page("importer", [("name", text)]).items, [], text)
            self.assertEqual(self.admin.page("importer", [("name", "prefix", text)]).items, [], text)
        self.code(self.admin.info("importer", IMPORTER), 1000)

    def test_a_cursor_of_another_query(self):
        cursor = self.admin.page("tac", limit=2).next
        self.assertTrue(cursor)
        self.code(self.admin.query("importer", cursor=cursor), 2004, 2005, 2306, 1000)
        self.code(self.admin.query("tac", sort="model", cursor=cursor), 2004, 2005, 2306, 1000)

    def test_a_cursor_stands_while_objects_come_and_go(self):
        first = self.admin.page("tac", [("id", "prefix", "3590")], limit=10)
        self.code(self.nra.delete("tac", "35900003"), 1000)
        self.code(self.nra.create("tac", {"id": "35900003", "manufacturer": "Maker 0", "model": "Model 03"}), 1000)
        second = self.admin.page("tac", [("id", "prefix", "3590")], limit=10, cursor=first.next)
        self.assertEqual([i["id"] for i in second.items], ["3590%04d" % i for i in range(10, 20)])

    def test_a_transaction_id(self):
        r = self.admin.query("tac", limit=1)
        self.assertTrue(r.cltrid and r.svtrid)
        self.assertNotEqual(r.cltrid, r.svtrid)


if __name__ == "__main__":
    main()
