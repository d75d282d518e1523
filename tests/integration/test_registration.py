#!/usr/bin/python3
"""Registration and verdicts: the customer's screen, applications with every reason of refusal, quantities, ripples, transfer, listings."""
import csv
import io
import os
import threading
import time

from harness import (IMPORTER, IMPORTER2, PERMIT, ROOT, SCREEN_IMEI, SLOW, TAC, Test, World, application_id, as_list,
                     bad_luhn, checks, devices_xml, eventually, folder, imei, less, luhn, main, position, rows)


class Base(Test):
    options = []

    @classmethod
    def setUpClass(cls):
        cls.world = World(options=cls.options)
        cls.connect()
        cls.count = 0

    @classmethod
    def connect(cls):
        w = cls.world
        cls.importer, cls.other = w.session("importer1"), w.session("importer2")
        cls.customs, cls.nra, cls.lea = w.session("customs1"), w.session("nra1"), w.session("lea1")
        cls.pos, cls.admin, cls.operator = w.session("pos1"), w.session("admin"), w.session("operator1")

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def imeis(self, n, tac=TAC):
        """IMEIs that nobody used before."""
        cls = type(self)
        first, cls.count = cls.count, cls.count + n
        return [imei(tac, 400000 + first + i) for i in range(n)]

    def permit(self, id, importer=IMPORTER, issued="2016-01-01", ex="2035-12-31", **pos):
        self.code(self.customs.create("permit", {"id": id, "importer": importer, "issued": issued, "exDate": ex,
                                                 "position": position(**pos)}),
                  1000)
        return id

    def certificate(self, id, issued="2016-01-01", ex="2035-12-31", manufacturer="Samsung", model="GT-P3100", tac=TAC):
        fields = {"id": id, "issued": issued, "exDate": ex, "manufacturer": manufacturer, "model": model}
        if tac:
            fields["tac"] = tac
        self.code(self.nra.create("certificate", fields), 1000)
        return id

    def apply(self, devices, permit=PERMIT, number=1, s=None):
        """An application to its end; {imei as typed: code of refusal or None}."""
        s = s or self.importer
        r, done = s.submit(devices, permit, number)
        self.code(r, 1001)
        id = application_id(r)
        return id, done.fields(), [(row[1], row[3]) for row in rows(s.info("application", id, rows=10000))]

    def refused(self, devices, code, **kw):
        if isinstance(devices, str):
            devices = [devices]
        _, done, results = self.apply(devices, **kw)
        self.assertEqual({c for _, c in results}, {code}, results)
        self.assertEqual(done["accepted"], "0")


class Screen(Base):
    """Importer, permit, certificate, position and IMEI of the customer's own example screen, entered and shown back."""

    def test_the_screen(self):
        id, done, results = self.apply([SCREEN_IMEI])
        self.assertEqual(results, [(SCREEN_IMEI, None)])
        for s in (self.importer, self.customs, self.world.session("tax1"), self.admin):
            f = s.info("imei", SCREEN_IMEI).fields()
            self.assertEqual(f["name"], SCREEN_IMEI)
            self.assertEqual((f["importer"], f["importerName"]), ("8978140007623", "Company-Importer-of-mobile-devices"))
            self.assertEqual((f["permit"], f["permitIssued"]), ("CT07-287/062", "2015-12-12"))
            self.assertEqual((f["certificate"], f["certificateIssued"]), ("UAT.888.0162779-18", "2015-12-09"))
            self.assertEqual((f["position"], f["manufacturer"], f["model"], f["country"]), ("1", "Samsung", "GT-P3100", "KR"))
            self.assertEqual((f["price"], f["currency"]), ("4800.00", "UAH"))
            self.assertEqual(f["application"], id)
            self.assertEqual((f["status"], f["state"]["colour"], f["state"]["reason"]), ("registered", "white", "registered"))
            self.assertEqual(f["crID"], "importer1")
            self.assertTrue(f["state"]["since"] and f["crDate"])
        self.assertEqual(self.customs.info("permit", PERMIT).fields()["position"]["used"], "1")

    def test_the_customers_sample(self):
        with open(os.path.join(ROOT, "examples/epp-check-request.xml"), "rb") as f:
            r = self.importer.raw(f.read())
        self.code(r, 1000)
        self.assertEqual(r.codes, [1000])
        self.assertEqual(r.cltrid, "USER-1275850648")
        self.assertEqual(r.msg, "Command completed successfully")
        self.assertRegex(r.svtrid, r"\AUKR-\d{14}")
        self.assertEqual([c["name"] for c in checks(r)], ["352106050544203", "352106150345703"])
        for c in checks(r):
            self.assertIn((c["avail"], c["reason"]), ((False, "Object exists"), (True, "Object is not valid"), (True, None)))


class Applications(Base):
    def test_in_one_command(self):
        numbers = self.imeis(20)
        r = self.importer.create("application", {"permit": PERMIT, "position": 1, "reference": "our-1"},
                                 extra=devices_xml(numbers))
        self.code(r, 1001)
        id = application_id(r)
        f = self.importer.wait_application(id).fields()
        self.assertEqual((f["kind"], f["importer"], f["permit"], f["position"], f["reference"], f["status"]),
                         ("import", IMPORTER, PERMIT, "1", "our-1", "done"))
        self.assertEqual((f["rows"], f["devices"], f["accepted"], f["refused"]), ("20", "20", "20", "0"))
        self.assertTrue(f["submitted"] and f["done"])
        for n in numbers:
            self.assertEqual(self.operator.colour(n), ("white", "registered"))

    def test_staged(self):
        numbers = self.imeis(30)
        id = application_id(self.code(self.importer.create("application", {"permit": PERMIT, "position": 1,
                                                                           "status": "staged"}), 1000))
        for i in range(0, 30, 10):
            self.code(self.importer.update("application", id, add=devices_xml(numbers[i:i + 10])), 1000)
        f = self.importer.info("application", id).fields()
        self.assertEqual((f["status"], f["rows"]), ("staged", "30"))
        self.assertEqual({r[2] for r in rows(self.importer.info("application", id, rows=100))}, {"pending"})
        self.assertEqual(self.operator.colour(numbers[0])[0], "unknown")
        self.code(self.importer.update("application", id, chg={"status": "submitted"}), 1001, 1000)
        self.assertEqual(self.importer.wait_application(id).fields()["accepted"], "30")
        self.code(self.importer.update("application", id, add=devices_xml(self.imeis(1))), 2304)
        self.code(self.importer.update("application", id, chg={"status": "submitted"}), 2304)

    def test_staged_without_rows(self):
        id = application_id(self.code(self.importer.create("application", {"permit": PERMIT, "position": 1,
                                                                           "status": "staged"}), 1000))
        self.code(self.importer.update("application", id, chg={"status": "submitted"}), 2304, 2003)
        # What comes without rows is staged, for rows to follow.
        r = self.code(self.importer.create("application", {"permit": PERMIT, "position": 1}), 1000)
        self.assertEqual(self.importer.info("application", application_id(r)).fields()["status"], "staged")
        fields = {"permit": PERMIT, "position": 1, "status": "submitted"}
        self.code(self.importer.create("application", fields), 2003, 2304)

    def test_withdrawn_before_it_is_submitted(self):
        numbers = self.imeis(2)
        r = self.code(self.importer.create("application", {"permit": PERMIT, "position": 1, "status": "staged"},
                                           extra=devices_xml(numbers)), 1000)
        id = application_id(r)
        self.code(self.importer.delete("application", id), 1000)
        self.assertEqual(self.importer.info("application", id).fields()["status"], "withdrawn")
        self.code(self.importer.update("application", id, chg={"status": "submitted"}), 2304)
        self.code(self.importer.delete("application", id), 2304)
        self.assertEqual(self.operator.colour(numbers[0])[0], "unknown")

    def test_done_is_not_withdrawn(self):
        id, _, _ = self.apply(self.imeis(1))
        self.code(self.importer.delete("application", id), 2304)

    def test_papers_that_do_not_fit(self):
        d = devices_xml(self.imeis(1))
        for fields, code in (({"permit": "no-such-permit", "position": 1}, 2303), ({"permit": PERMIT, "position": 99}, 2303),
                             ({"position": 1}, 2003), ({"permit": PERMIT}, 2003),
                             ({"permit": PERMIT, "position": 100001}, 2004),
                             ({"permit": PERMIT, "position": "first"}, 2005), ({"permit": PERMIT, "position": 1,
                                                                                "status": "done"}, 2004)):
            self.code(self.importer.create("application", fields, extra=d), code)

    def test_somebody_elses_permit(self):
        self.code(self.other.create("application", {"permit": PERMIT, "position": 1}, extra=devices_xml(self.imeis(1))), 2303,
                  2201)

    def test_somebody_elses_application(self):
        id, _, _ = self.apply(self.imeis(1))
        for r in (self.other.info("application", id), self.other.info("application", id, rows=10),
                  self.other.update("application", id, chg={"reference": "x"}), self.other.delete("application", id)):
            self.code(r, 2201, 2303)

    def test_results_page_by_page(self):
        good = self.imeis(25)
        mixed = [n if i % 5 else bad_luhn(n) for i, n in enumerate(good)]
        id, done, results = self.apply(mixed)
        self.assertEqual((done["accepted"], done["refused"]), ("20", "5"))
        paged, after = [], 0
        while True:
            page = rows(self.importer.info("application", id, after=after, rows=7))
            if not page:
                break
            self.assertLessEqual(len(page), 7)
            paged += page
            after = page[-1][0]
        self.assertEqual([p[0] for p in paged], list(range(1, 26)))
        self.assertEqual([p[1] for p in paged], mixed)
        for i, p in enumerate(paged):
            self.assertEqual(p[2:4], ("accepted", None) if i % 5 else ("refused", "luhn"))
            self.assertEqual(bool(p[4]), not i % 5)
        self.assertEqual(rows(self.importer.info("application", id)), [])
        self.assertEqual(rows(self.importer.info("application", id, after=10 ** 18, rows=5)), [])

    def test_reasons_in_the_sessions_language(self):
        id, _, _ = self.apply([bad_luhn(self.imeis(1)[0])])
        with self.world.fresh("importer1", lang="uk") as s:
            row = rows(s.info("application", id, rows=1))[0]
        self.assertEqual(row[3], "luhn")
        self.assertRegex(row[4], "[а-яіїєґ]")

    def test_a_message_when_it_is_done(self):
        id, _, _ = self.apply(self.imeis(1))
        r = self.importer.poll()
        while r.code == 1301 and id not in "".join(r.msgq.itertext()):
            self.importer.poll(ack=r.msgq.get("id"))
            r = self.importer.poll()
        self.code(r, 1301)

    def test_many_rows_in_parts(self):
        n = less(40000, 4000)
        numbers = [imei("35210605", 1 + i) for i in range(n)]
        self.permit("MANY-1", quantity=n)
        id = application_id(self.code(self.importer.create("application", {"permit": "MANY-1", "position": 1,
                                                                           "status": "staged"}), 1000))
        for i in range(0, n, 5000):
            self.code(self.importer.update("application", id, add=devices_xml(numbers[i:i + 5000])), 1000)
        self.code(self.importer.update("application", id, chg={"status": "submitted"}), 1000, 1001)
        f = self.importer.wait_application(id).fields()
        self.assertEqual((f["accepted"], f["refused"]), (str(n), "0"))
        self.assertEqual(self.customs.info("permit", "MANY-1").fields()["position"]["used"], str(n))
        self.assertEqual(self.operator.colour(numbers[n // 2]), ("white", "registered"))
        self.assertEqual(rows(self.importer.info("application", id, after=n - 1, rows=10))[0][:3], (n, numbers[-1], "accepted"))


class Refusals(Base):
    def test_form(self):
        good = self.imeis(1)[0]
        for bad, code in ((good[:14], "too-short"), (good + "0", "too-long"), (bad_luhn(good), "luhn"),
                          (good[:14] + "x", "not-digits"),
                          ("3521O6050544203", "not-digits"), ("000000000000000", "all-same"), ("", "empty"),
                          (good[:13], "too-short"),
                          (good + "00", "too-long")):
            with self.subTest(imei=bad):
                self.refused(bad, code)

    def test_repeated_digits_pass_luhn_and_are_no_phone(self):
        for d in "0123456789":
            number = d * 14 + luhn(d * 14)
            self.assertIn(self.apply([number])[2][0][1], ("all-same", "test-tac", "tac-unknown"))

    def test_test_tac(self):
        self.refused(imei("00101700", 1), "test-tac")

    def test_tac_unknown(self):
        self.refused(imei("86999999", 1), "tac-unknown")

    def test_tac_withdrawn(self):
        self.code(self.nra.create("tac", {"id": "35210699", "manufacturer": "Samsung", "model": "GT-P3100",
                                          "status": "withdrawn"}), 1000)
        self.refused(imei("35210699", 1), "tac-withdrawn")

    def test_another_model(self):
        self.code(self.nra.create("tac", {"id": "35210698", "manufacturer": "Samsung", "model": "GT-I9300"}), 1000)
        self.assertIn(self.apply([imei("35210698", 1)])[2][0][1], ("model-mismatch", "tac-not-covered"))

    def test_not_covered(self):
        """The certificate lists TACs, and is for another model; the position names the right one."""
        self.certificate("REF-C1", manufacturer="Samsung", model="GT-P3110", tac="35210600")
        self.permit("REF-P1", certificate="REF-C1")
        self.refused(self.imeis(1), "tac-not-covered", permit="REF-P1")

    def test_twice_in_one_application(self):
        a, b = self.imeis(2)
        _, done, results = self.apply([a, b, a, a])
        self.assertEqual(results, [(a, None), (b, None), (a, "duplicate"), (a, "duplicate")])

    def test_twice_in_one_application_far_apart(self):
        numbers = self.imeis(1)
        id = application_id(self.code(self.importer.create("application", {"permit": PERMIT, "position": 1,
                                                                           "status": "staged"}), 1000))
        for _ in range(3):
            self.code(self.importer.update("application", id, add=devices_xml(numbers)), 1000)
        self.importer.update("application", id, chg={"status": "submitted"})
        self.importer.wait_application(id)
        self.assertEqual([r[3] for r in rows(self.importer.info("application", id, rows=10))], [None, "duplicate", "duplicate"])

    def test_registered_already(self):
        numbers = self.imeis(1)
        self.apply(numbers)
        self.refused(numbers, "registered")
        self.permit("REG-2", importer=IMPORTER2)
        r, _ = self.other.submit(numbers, "REG-2", 1)
        info = self.other.info("application", application_id(r), rows=1)
        self.assertEqual(rows(info)[0][3], "registered")
        self.assertNotIn(IMPORTER.encode(), info.raw)  # by whom is not said

    def test_blacklisted(self):
        number = self.imeis(1)[0]
        self.code(self.lea.create("listing", {"imei": number, "colour": "black", "reason": "stolen", "ground": "x"}), 1000)
        self.refused(number, "blacklisted")

    def test_grey_is_no_obstacle(self):
        number = self.imeis(1)[0]
        self.code(self.lea.create("listing", {"imei": number, "colour": "grey", "reason": "other", "ground": "x"}), 1000)
        self.assertEqual(self.apply([number])[2], [(number, None)])

    def test_permit(self):
        today = time.strftime("%Y-%m-%d", time.gmtime())
        self.permit("EXP-1", ex="2018-03-01")
        self.refused(self.imeis(1), "permit-expired", permit="EXP-1")
        self.permit("NOTYET-1", issued="2034-01-01")
        self.refused(self.imeis(1), "permit-not-yet-valid", permit="NOTYET-1")
        self.permit("REVOKED-1")
        self.code(self.customs.update("permit", "REVOKED-1", chg={"status": "revoked"}), 1000)
        self.refused(self.imeis(1), "permit-revoked", permit="REVOKED-1")
        # Both days included.
        self.permit("TODAY-1", issued=today, ex=today)
        self.assertEqual(self.apply(self.imeis(1), permit="TODAY-1")[1]["accepted"], "1")

    def test_certificate(self):
        self.certificate("OLD-C", ex="2018-03-01")
        self.permit("OLD-P", certificate="OLD-C")
        self.refused(self.imeis(1), "certificate-expired", permit="OLD-P")
        self.certificate("NEW-C", issued="2034-01-01")
        self.permit("NEW-P", certificate="NEW-C")
        self.refused(self.imeis(1), "certificate-not-yet-valid", permit="NEW-P")
        self.certificate("BAD-C")
        self.permit("BAD-P", certificate="BAD-C")
        self.code(self.nra.update("certificate", "BAD-C", chg={"status": "revoked"}), 1000)
        self.refused(self.imeis(1), "certificate-revoked", permit="BAD-P")

    def test_importer(self):
        self.permit("SUS-P", importer=IMPORTER2)
        self.code(self.customs.update("importer", IMPORTER2, chg={"status": "suspended"}), 1000)
        try:
            self.refused(self.imeis(1), "importer-inactive", permit="SUS-P", s=self.other)
        finally:
            self.code(self.customs.update("importer", IMPORTER2, chg={"status": "active"}), 1000)

    def test_position_taken_away_after_submitting(self):
        self.code(self.customs.create("permit", {"id": "POS-1", "importer": IMPORTER, "issued": "2016-01-01",
                                                 "exDate": "2035-12-31",
                                                 "position": [position(1), position(2)]}), 1000)
        r = self.code(self.importer.create("application", {"permit": "POS-1", "position": 2, "status": "staged"},
                                           extra=devices_xml(self.imeis(1))), 1000)
        id = application_id(r)
        removed = self.customs.update("permit", "POS-1", rem={"position": {"number": 2}})
        if removed.code == 1000:
            self.importer.update("application", id, chg={"status": "submitted"})
            self.importer.wait_application(id)
            self.assertEqual(rows(self.importer.info("application", id, rows=1))[0][3], "position-missing")
        else:
            self.code(removed, 2305)

    def test_quantity(self):
        self.permit("QTY-1", quantity=3)
        numbers = self.imeis(5)
        _, done, results = self.apply(numbers, permit="QTY-1")
        self.assertEqual([c for _, c in results], [None, None, None, "quantity", "quantity"])
        self.assertEqual(self.customs.info("permit", "QTY-1").fields()["position"]["used"], "3")
        self.refused(self.imeis(1), "quantity", permit="QTY-1")
        # A unit given back can be used again.
        self.code(self.importer.delete("imei", numbers[0]), 1000)
        used = self.customs.info("permit", "QTY-1").fields()["position"]["used"]
        self.assertIn(used, ("2", "3"))

    def test_a_refused_device_costs_no_unit(self):
        self.permit("QTY-2", quantity=2)
        a, b, c = self.imeis(3)
        _, done, results = self.apply([bad_luhn(a), a, a, b, c], permit="QTY-2")
        self.assertEqual([code for _, code in results], ["luhn", None, "duplicate", None, "quantity"])


class MultiSim(Base):
    def test_counts_once(self):
        self.permit("SIM-1", quantity=2)
        n = self.imeis(8)
        id, done, results = self.apply([tuple(n[0:2]), tuple(n[2:7]), n[7]], permit="SIM-1")
        self.assertEqual([c for _, c in results], [None] * 7 + ["quantity"])
        self.assertEqual((done["devices"], done["rows"]), ("3", "8"))
        info = rows(self.importer.info("application", id, rows=10))
        self.assertEqual([r[5] for r in info], [True, False, True, False, False, False, False, True])
        self.assertEqual(self.customs.info("permit", "SIM-1").fields()["position"]["used"], "2")
        self.assertEqual(sorted([n[2]] + as_list(self.importer.info("imei", n[2]).fields()["imei"])), sorted(n[2:7]))

    def test_one_bad_imei_refuses_the_device(self):
        a, b, c = self.imeis(3)
        _, done, results = self.apply([(a, bad_luhn(b)), c])
        self.assertEqual([code for _, code in results], ["device-partner", "luhn", None])
        self.assertEqual(self.operator.colour(a)[0], "unknown")

    def test_six_are_too_many(self):
        _, done, results = self.apply([tuple(self.imeis(6))])
        self.assertEqual({code for _, code in results}, {"too-many-imeis"})

    def test_the_same_twice_in_a_device(self):
        a = self.imeis(1)[0]
        _, done, results = self.apply([(a, a)])
        self.assertEqual([code for _, code in results], ["device-partner", "duplicate"])

    def test_two_phones_declared_as_one(self):
        self.code(self.nra.create("tac", {"id": "35210697", "manufacturer": "Samsung", "model": "GT-I9100"}), 1000)
        self.certificate("MIX-C", tac=[TAC, "35210697"])
        self.permit("MIX-P", certificate="MIX-C")
        _, done, results = self.apply([(self.imeis(1)[0], imei("35210697", 1))], permit="MIX-P")
        self.assertEqual(done["accepted"], "0")
        self.assertTrue({code for _, code in results} & {"device-mixed", "model-mismatch"}, results)


class Races(Base):
    def test_the_last_unit(self):
        """Two sessions apply for the last unit at the same moment: exactly one gets it."""
        rounds = less(50, 8)
        sessions = [self.world.fresh("importer1") for _ in range(2)]
        for n in range(rounds):
            permit = self.permit("RACE-%d" % n, quantity=1)
            numbers = self.imeis(2)
            barrier, ids = threading.Barrier(2), [None, None]

            def one(i):
                barrier.wait()
                ids[i] = sessions[i].create("application", {"permit": permit, "position": 1}, extra=devices_xml([numbers[i]]))
            threads = [threading.Thread(target=one, args=(i,)) for i in range(2)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            accepted = sum(int(sessions[i].wait_application(application_id(ids[i])).fields()["accepted"]) for i in range(2))
            self.assertEqual(accepted, 1, "round %d" % n)
            self.assertEqual(self.customs.info("permit", permit).fields()["position"]["used"], "1")

    def test_the_last_unit_by_single_commands(self):
        rounds = less(50, 8)
        sessions = [self.world.fresh("importer1") for _ in range(2)]
        for n in range(rounds):
            permit = self.permit("RACE-S%d" % n, quantity=1)
            numbers = self.imeis(2)
            barrier, answers = threading.Barrier(2), [None, None]

            def one(i):
                barrier.wait()
                answers[i] = sessions[i].create("imei", {"name": numbers[i], "permit": permit, "position": 1}).code
            threads = [threading.Thread(target=one, args=(i,)) for i in range(2)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual(sorted(answers), [1000, 2306], "round %d" % n)

    def test_the_same_imei(self):
        sessions = [self.world.fresh("importer1") for _ in range(2)]
        for n in range(less(30, 5)):
            number = self.imeis(1)[0]
            barrier, answers = threading.Barrier(2), [None, None]

            def one(i):
                barrier.wait()
                answers[i] = sessions[i].create("imei", {"name": number, "permit": PERMIT, "position": 1}).code
            threads = [threading.Thread(target=one, args=(i,)) for i in range(2)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual(sorted(answers), [1000, 2302])


class Csv(Base):
    """Applications as CSV files, by ceirctl."""

    def submit(self, data, *more, check=0):
        path = os.path.join(folder(), "application.csv")
        with open(path, "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        return self.world.server.ctl("application", "submit", path, "--permit", PERMIT, "--position", "1", *more,
                                     account="importer1", check=check, timeout=600)

    def newest(self):
        """Ids are A and a number; as texts A1000 comes before A999."""
        return max((a["id"] for a in self.importer.all("application", limit=1000)), key=lambda id: int(id[1:]))

    def outcome(self, numbers):
        return [self.operator.colour(n)[0] for n in numbers]

    def test_plain(self):
        n = self.imeis(3)
        self.submit("imei\n" + "\n".join(n) + "\n")
        eventually(lambda: self.outcome(n), ["white"] * 3)

    def test_without_header_and_last_newline(self):
        n = self.imeis(2)
        self.submit("\n".join(n))
        eventually(lambda: self.outcome(n), ["white"] * 2)

    def test_bom_crlf_quotes_and_spaces(self):
        n = self.imeis(4)
        self.submit(b"\xef\xbb\xbf" + ('"imei"\r\n"%s"\r\n %s \r\n\r\n"%s"\r\n%s\r\n' % tuple(n)).encode())
        eventually(lambda: self.outcome(n), ["white"] * 4)

    def test_several_imeis_of_a_device(self):
        n = self.imeis(3)
        self.submit("imei,imei2\n%s,%s\n%s,\n" % tuple(n))
        eventually(lambda: self.outcome(n), ["white"] * 3)
        self.assertEqual(as_list(self.importer.info("imei", n[0]).fields()["imei"]), [n[1]])
        self.assertNotIn("imei", self.importer.info("imei", n[2]).fields())

    def test_nul_bytes_and_rubbish_leave_the_good_rest(self):
        n = self.imeis(2)
        p = self.submit(b"imei\n" + n[0].encode() + b"\n35210\x00605054420\n\xff\xfe\xfd\n<&>\n" + b"9" * 5000 + b"\n" + n[1].encode() + b"\n",
                        check=None)
        self.assertIn(p.returncode, (0, 1), p.stderr)
        eventually(lambda: self.outcome(n), ["white"] * 2)

    def test_result_as_csv(self):
        n = self.imeis(3)
        out = os.path.join(folder(), "result.csv")
        p = self.submit("imei\n%s\n%s\n%s\n" % (n[0], bad_luhn(n[1]), n[2]), "--json", check=None)
        self.assertIn(p.returncode, (0, 1))
        id = self.newest()
        self.importer.wait_application(id)
        text = self.world.server.ctl("application", "result", id, "--csv", "-", account="importer1", check=0).stdout
        table = list(csv.reader(io.StringIO(text.lstrip("\ufeff"))))
        joined = {c: row for row in table for c in row}
        self.assertIn("accepted", joined[n[0]])
        self.assertIn("luhn", joined[bad_luhn(n[1])])
        self.assertIn("accepted", joined[n[2]])
        self.assertEqual(len([r for r in table if any(x in r for x in ("accepted", "refused"))]), 3)

    def test_an_empty_file(self):
        for data in ("", "imei\n", "\n\n\n"):
            p = self.submit(data, check=None)
            self.assertIn(p.returncode, (1, 2), p.stdout)

    def test_no_file(self):
        p = self.world.server.ctl("application", "submit", "/nonexistent.csv", "--permit", PERMIT, "--position", "1",
                                  account="importer1")
        self.assertEqual(p.returncode, 2, p.stderr)

    def test_a_million_bad_lines(self):
        """Each gets its reason, none stops the rest; smaller in slow builds."""
        n = less(1000000, 20000) if SLOW == 1 else 20000
        good = self.imeis(1)[0]
        bad = bad_luhn(good)
        data = "imei\n" + "".join("%s%06d%s\n" % (bad[:8], i % 1000000, "x") for i in range(n)) + good + "\n"
        self.submit(data, check=None)
        id = self.newest()
        f = self.importer.wait_application(id).fields()
        self.assertEqual((f["rows"], f["accepted"], f["refused"]), (str(n + 1), "1", str(n)))
        self.assertEqual(rows(self.importer.info("application", id, after=n, rows=1))[0][1:3], (good, "accepted"))
        self.assertEqual(rows(self.importer.info("application", id, after=n // 2, rows=1))[0][3], "not-digits")


class Personal(Base):
    def test_waits_for_customs(self):
        n = self.imeis(1)
        r = self.code(self.pos.create("application", {"kind": "personal", "reference": "flight-PS101"}, extra=devices_xml(n)),
                      1001)
        id = application_id(r)
        self.assertEqual(self.pos.info("application", id).fields()["status"], "pending")
        self.assertEqual(self.operator.colour(n[0])[0], "unknown")
        self.code(self.pos.update("application", id, chg={"status": "submitted"}), 2201, 2304)
        self.assertEqual([a["id"] for a in self.customs.all("application", [("status", "pending")])], [id])
        self.code(self.customs.update("application", id, chg={"status": "submitted"}), 1001, 1000)
        self.customs.wait_application(id)
        self.assertEqual(self.operator.colour(n[0]), ("white", "registered"))
        r = self.pos.poll()
        self.assertIn(id, "".join(self.code(r, 1301).msgq.itertext()))

    def test_refused_by_customs(self):
        n = self.imeis(1)
        id = application_id(self.code(self.pos.create("application", {"kind": "personal"}, extra=devices_xml(n)), 1001))
        self.code(self.customs.delete("application", id), 1000)
        self.assertEqual(self.pos.info("application", id).fields()["status"], "withdrawn")
        self.assertEqual(self.operator.colour(n[0])[0], "unknown")

    def test_a_few_devices_only(self):
        self.code(self.pos.create("application", {"kind": "personal"}, extra=devices_xml(self.imeis(3))), 2306)

    def test_by_customs_itself(self):
        n = self.imeis(1)
        r = self.code(self.customs.create("application", {"kind": "personal"}, extra=devices_xml(n)), 1001)
        self.assertEqual(self.customs.wait_application(application_id(r)).fields()["accepted"], "1")

    def test_importers_have_permits(self):
        self.code(self.importer.create("application", {"kind": "personal"}, extra=devices_xml(self.imeis(1))), 2201, 2306)
        self.code(self.pos.create("application", {"kind": "import", "permit": PERMIT, "position": 1},
                                  extra=devices_xml(self.imeis(1))), 2201)
        self.code(self.pos.create("application", {"kind": "personal", "permit": PERMIT, "position": 1},
                                  extra=devices_xml(self.imeis(1))), 2306)


class Ripples(Base):
    """What becomes of devices when a paper is revoked: they keep their history, their verdict is derived anew."""

    def devices(self, permit, s=None, n=3):
        numbers = self.imeis(n)
        self.assertEqual(self.apply(numbers, permit=permit, s=s)[1]["accepted"], str(n))
        return numbers

    def becomes(self, numbers, colour, reason, status):
        for n in numbers:
            eventually(lambda: self.operator.colour(n), (colour, reason))
            f = self.admin.info("imei", n).fields()
            self.assertEqual((f["state"]["colour"], f["state"]["reason"], f["status"]), (colour, reason, status))
            self.assertTrue(f["permit"] and f["application"])

    def test_permit(self):
        n = self.devices(self.permit("RIP-1"))
        self.code(self.customs.update("permit", "RIP-1", chg={"status": "revoked"}), 1000, 1001)
        self.becomes(n, "grey", "permit-revoked", "permitRevoked")
        self.code(self.customs.update("permit", "RIP-1", chg={"status": "valid"}), 1000, 1001)
        self.becomes(n, "white", "registered", "registered")

    def test_certificate(self):
        self.certificate("RIP-C")
        n = self.devices(self.permit("RIP-2", certificate="RIP-C"))
        self.code(self.nra.update("certificate", "RIP-C", chg={"status": "revoked"}), 1000, 1001)
        self.becomes(n, "grey", "certificate-revoked", "certificateRevoked")
        self.code(self.nra.update("certificate", "RIP-C", chg={"status": "valid"}), 1000, 1001)
        self.becomes(n, "white", "registered", "registered")

    def test_importer(self):
        n = self.devices(self.permit("RIP-3", importer=IMPORTER2), s=self.other)
        self.code(self.customs.update("importer", IMPORTER2, chg={"status": "revoked"}), 1000, 1001)
        self.becomes(n, "grey", "importer-revoked", "importerRevoked")
        self.code(self.customs.update("importer", IMPORTER2, chg={"status": "active"}), 1000, 1001)
        self.becomes(n, "white", "registered", "registered")

    def test_suspending_an_importer_leaves_its_devices(self):
        n = self.devices(self.permit("RIP-4", importer=IMPORTER2), s=self.other, n=1)
        self.code(self.customs.update("importer", IMPORTER2, chg={"status": "suspended"}), 1000, 1001)
        time.sleep(0.5)
        self.assertEqual(self.operator.colour(n[0]), ("white", "registered"))
        self.code(self.customs.update("importer", IMPORTER2, chg={"status": "active"}), 1000, 1001)

    def test_a_black_listing_stays_black(self):
        n = self.devices(self.permit("RIP-5"), n=1)[0]
        self.code(self.lea.create("listing", {"imei": n, "colour": "black", "reason": "stolen", "ground": "x"}), 1000)
        self.code(self.customs.update("permit", "RIP-5", chg={"status": "revoked"}), 1000, 1001)
        time.sleep(0.5)
        self.assertEqual(self.operator.colour(n), ("black", "stolen"))

    def test_withdrawing_a_device_and_registering_it_again(self):
        a, b = self.imeis(2)
        self.apply([(a, b)])
        self.code(self.importer.delete("imei", a), 1000)
        for n in (a, b):
            self.assertEqual(self.operator.colour(n), ("grey", "withdrawn"))
        self.assertEqual(self.apply([(a, b)])[2], [(a, None), (b, None)])
        for n in (a, b):
            self.assertEqual(self.operator.colour(n), ("white", "registered"))

    def test_customs_may_withdraw(self):
        n = self.devices(PERMIT, n=1)[0]
        self.code(self.customs.delete("imei", n), 1000)
        self.assertEqual(self.operator.colour(n), ("grey", "withdrawn"))


class Transfer(Base):
    """RFC 5730 2.9.3.4: who takes over asks; who holds approves."""

    def device(self):
        n = self.imeis(2)
        self.apply([tuple(n)])
        return n

    def status(self, r):
        """Importers deal with each other as importers: reID and acID are theirs, not their staff's accounts."""
        f = r.fields()
        return f["trStatus"], f["reID"], f.get("acID")

    def test_approved(self):
        a, b = self.device()
        r = self.code(self.other.transfer("request", a), 1001)
        self.assertEqual(self.status(r)[:2], ("pending", IMPORTER2))
        self.code(self.other.transfer("request", a), 2300)
        self.assertEqual(self.status(self.code(self.other.transfer("query", a), 1000))[0], "pending")
        self.assertEqual(self.status(self.code(self.importer.transfer("query", a), 1000))[0], "pending")
        # Who holds it is told.
        r = self.importer.poll()
        while r.code == 1301 and a not in "".join(r.body.itertext()):
            self.importer.poll(ack=r.msgq.get("id"))
            r = self.importer.poll()
        self.code(r, 1301)
        self.code(self.other.transfer("approve", a), 2201)
        self.code(self.importer.transfer("cancel", a), 2201)
        r = self.code(self.importer.transfer("approve", a), 1000)
        self.assertEqual(self.status(r), ("clientApproved", IMPORTER2, IMPORTER))
        for n in (a, b):
            self.assertEqual(self.admin.info("imei", n).fields()["importer"], IMPORTER2)
            self.code(self.importer.info("imei", n), 2201, 2303)
            self.code(self.other.info("imei", n), 1000)
            self.assertEqual(self.operator.colour(n), ("white", "registered"))
        self.code(self.importer.transfer("approve", a), 2301, 2201)
        # Who asked is told.
        r = self.other.poll()
        while r.code == 1301 and a not in "".join(r.body.itertext()):
            self.other.poll(ack=r.msgq.get("id"))
            r = self.other.poll()
        self.code(r, 1301)

    def test_of_an_importer_with_a_long_name(self):
        """Its name has 32 characters, an account's at most 16: both stand in the answer."""
        long = "X" * 32
        self.code(self.customs.create("importer", {"id": long, "name": "Long"}), 1000)
        self.world.account("importer3", role="importer", importer=long)
        third = self.world.session("importer3")
        a, _ = self.device()
        self.assertEqual(self.status(self.code(third.transfer("request", a), 1001))[1], long)
        self.code(self.importer.transfer("reject", a), 1000)

    def test_rejected_and_cancelled(self):
        a, b = self.device()
        self.code(self.other.transfer("request", a), 1001)
        self.assertEqual(self.status(self.code(self.importer.transfer("reject", a), 1000))[0], "clientRejected")
        self.assertEqual(self.admin.info("imei", a).fields()["importer"], IMPORTER)
        self.code(self.other.transfer("request", b), 1001)
        self.assertEqual(self.status(self.code(self.other.transfer("cancel", b), 1000))[0], "clientCancelled")
        self.code(self.importer.transfer("approve", b), 2301)
        self.assertEqual(self.admin.info("imei", b).fields()["importer"], IMPORTER)

    def test_not_possible(self):
        a, _ = self.device()
        self.code(self.importer.transfer("request", a), 2106, 2002, 2201, 2306)  # one's own
        self.code(self.other.transfer("request", self.imeis(1)[0]), 2303)
        self.code(self.other.transfer("query", a), 2301, 2303, 2201)
        self.code(self.importer.transfer("approve", a), 2301)
        self.code(self.importer.transfer("reject", a), 2301)
        self.code(self.other.transfer("request", "123"), 2005)


class Listings(Base):
    def listing(self, s=None, **fields):
        return self.code((s or self.lea).create("listing", dict({"reason": "stolen", "ground": "case 7"}, **fields)),
                         1000).fields()["id"]

    def end(self, id, s=None):
        self.code((s or self.lea).delete("listing", id, extra="<listing:ground>ended</listing:ground>"), 1000)

    def test_black(self):
        for registered in (False, True):
            n = self.imeis(1)[0]
            before = ("unknown", "never-heard")
            if registered:
                self.apply([n])
                before = ("white", "registered")
            self.assertEqual(self.operator.colour(n), before)
            for reason, verdict in (("stolen", "stolen"), ("lost", "lost"), ("court", "listed-black"),
                                    ("fraud", "listed-black")):
                id = self.listing(imei=n, colour="black", reason=reason)
                self.assertEqual(self.operator.colour(n), ("black", verdict))
                state = self.lea.info("imei", n).fields()["state"]
                self.assertEqual((state["colour"], state["reason"]), ("black", verdict))
                self.end(id)
                self.assertEqual(self.operator.colour(n), before)

    def test_check_says_whether_it_can_be_registered(self):
        n = self.imeis(1)[0]
        self.listing(imei=n, colour="black")
        self.assertEqual(self.operator.verdicts(n)[n][2:], ("black", "stolen"))

    def test_grey(self):
        n = self.imeis(1)[0]
        id = self.listing(imei=n, colour="grey", reason="other")
        self.assertEqual(self.operator.colour(n), ("grey", "listed-grey"))
        self.end(id)
        self.apply([n])
        self.listing(imei=n, colour="grey", reason="other")
        self.assertEqual(self.operator.colour(n), ("grey", "listed-grey"))

    def test_white(self):
        n = self.imeis(1)[0]
        id = self.listing(self.nra, imei=n, colour="white", reason="evidence")
        self.assertEqual(self.operator.colour(n), ("white", "listed-white"))
        black = self.listing(imei=n, colour="black")
        self.assertEqual(self.operator.colour(n), ("black", "stolen"))
        self.end(black)
        self.assertEqual(self.operator.colour(n), ("white", "listed-white"))
        self.end(id, self.nra)
        self.assertEqual(self.operator.colour(n)[0], "unknown")

    def test_several_of_one_colour(self):
        n = self.imeis(1)[0]
        ids = [self.listing(imei=n, colour="black", reason="lost"), self.listing(imei=n, colour="black", reason="stolen")]
        self.assertEqual(self.operator.colour(n)[0], "black")
        self.end(ids[0])
        self.assertEqual(self.operator.colour(n), ("black", "stolen"))
        self.end(ids[1])
        self.assertEqual(self.operator.colour(n)[0], "unknown")

    def time(self, s):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + s))

    def test_scheduled_until(self):
        n = self.imeis(1)[0]
        id = self.listing(imei=n, colour="black", since=self.time(3 + SLOW / 2), until=self.time(6 + 2 * SLOW))
        self.assertEqual(self.lea.info("listing", id).fields()["status"], "scheduled")
        self.assertEqual(self.operator.colour(n)[0], "unknown")
        eventually(lambda: self.operator.colour(n)[0], "black")
        self.assertEqual(self.lea.info("listing", id).fields()["status"], "inForce")
        eventually(lambda: self.operator.colour(n)[0], "unknown")
        f = self.lea.info("listing", id).fields()
        self.assertEqual(f["status"], "ended")
        self.assertTrue(f["endDate"])

    def test_the_end_is_moved(self):
        n = self.imeis(1)[0]
        id = self.listing(imei=n, colour="black")
        self.code(self.lea.update("listing", id, chg={"until": self.time(2 + SLOW)}), 1000)
        eventually(lambda: self.operator.colour(n)[0], "unknown")

    def test_scheduled_and_ended_before(self):
        n = self.imeis(1)[0]
        id = self.listing(imei=n, colour="black", since=self.time(3600))
        self.end(id)
        self.assertEqual(self.operator.colour(n)[0], "unknown")
        self.assertEqual(self.lea.info("listing", id).fields()["status"], "ended")

    def test_a_barred_tac(self):
        tac = "35148820"
        id = self.listing(self.nra, tac=tac, colour="black", reason="barred")
        number = imei(tac, 600001)
        self.assertEqual(self.operator.colour(number), ("black", "barred-tac"))
        self.assertEqual(self.operator.colour(imei(TAC, 999999))[0], "unknown")
        # A listing of its own comes first, and the bar comes back behind it.
        own = self.listing(imei=number, colour="black", reason="stolen")
        self.assertEqual(self.operator.colour(number), ("black", "stolen"))
        self.end(own)
        self.assertEqual(self.operator.colour(number), ("black", "barred-tac"))
        self.end(id, self.nra)
        self.assertEqual(self.operator.colour(number)[0], "unknown")

    def test_registering_under_a_barred_tac(self):
        id = self.listing(self.nra, tac=TAC, colour="black", reason="barred")
        n = self.imeis(1)
        self.assertEqual(self.apply(n)[2], [(n[0], "blacklisted")])
        self.end(id, self.nra)

    def test_pairs_do_not_change_the_verdict_for_everybody(self):
        a, b = self.imeis(2)
        self.apply([a, b])
        self.listing(imei=a, colour="black", pair="except", imsi="255010123456789")
        self.listing(imei=b, colour="black", pair="only", imsi="255010123456789")
        self.assertIn(self.operator.colour(a)[0], ("white", "black"))
        self.assertEqual(self.operator.colour(b)[0], "white")

    def test_everything_is_there_after_a_restart(self):
        n = self.imeis(3)
        self.apply(n[:1])
        self.listing(imei=n[1], colour="black")
        bar = self.listing(self.nra, tac="35148820", colour="black", reason="barred")
        before = {x: self.operator.colour(x) for x in n + [imei("35148820", 5)]}
        self.world.forget()
        self.assertEqual(self.world.server.stop(), 0)
        self.world.server.start()
        self.connect()
        self.assertEqual({x: self.operator.colour(x) for x in before}, before)
        self.end(bar, self.nra)

    def test_killed_with_an_application_in_work(self):
        """What was submitted is done after a crash, once."""
        n = less(20000, 2000)
        numbers = [imei(TAC, 1 + i) for i in range(n)]
        self.permit("KILL-1", quantity=n)
        r = self.code(self.importer.create("application", {"permit": "KILL-1", "position": 1, "status": "staged"}), 1000)
        id = application_id(r)
        for i in range(0, n, 5000):
            self.code(self.importer.update("application", id, add=devices_xml(numbers[i:i + 5000])), 1000)
        self.code(self.importer.update("application", id, chg={"status": "submitted"}), 1000, 1001)
        self.world.server.kill()
        self.world.forget()
        self.world.server.start()
        self.connect()
        f = self.importer.wait_application(id).fields()
        self.assertEqual((f["accepted"], f["refused"]), (str(n), "0"))
        self.assertEqual(self.customs.info("permit", "KILL-1").fields()["position"]["used"], str(n))


class Small(Base):
    """A server that takes few rows."""
    options = ["registry.max_application_rows=50", "epp.max_names=20"]

    def test_more_rows_than_the_server_takes(self):
        n = self.imeis(60)
        r = self.importer.create("application", {"permit": PERMIT, "position": 1, "status": "staged"}, extra=devices_xml(n[:20]))
        id = application_id(self.code(r, 1000))
        self.code(self.importer.update("application", id, add=devices_xml(n[20:40])), 1000)
        self.code(self.importer.update("application", id, add=devices_xml(n[40:60])), 2306)
        self.assertEqual(self.importer.info("application", id).fields()["rows"], "40")
        self.code(self.importer.update("application", id, add=devices_xml(n[40:50])), 1000)
        self.assertEqual(self.importer.info("application", id).fields()["rows"], "50")
        r = self.importer.create("application", {"permit": PERMIT, "position": 1}, extra=devices_xml(self.imeis(21)))
        self.code(r, 2004, 2306)


if __name__ == "__main__":
    main()
