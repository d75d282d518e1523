#!/usr/bin/python3
"""Deliveries as operators send them: with curl over HTTPS, packed, streamed, repeated, held, killed in the middle; and through the inbox."""
import gzip
import json
import os
import subprocess
import time

from harness import (OPERATOR, PASSWORD, TAC, Session, Test, World, eventually, folder, imei, less, main)

CASE = ("case", "120260000000123")


class Base(Test):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.operator, cls.admin, cls.lea = (cls.world.session(n) for n in ("operator1", "admin", "lea1"))
        cls.files = folder("ceir-delivery-")
        cls.next = 0

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def lines(self, n, at=None):
        """n lines of subscribers that nobody delivered before, or from a place of their own."""
        cls = type(self)
        first, cls.next = (cls.next, cls.next + n) if at is None else (at, cls.next)
        return "imei,imsi,msisdn\n" + "".join("%s,25501%010d,38050%07d\n" % (imei(TAC, 100000 + i), i, i) for i in range(first, first + n))

    def file(self, name, data):
        path = os.path.join(self.files, name)
        with open(path, "wb") as f:
            f.write(data.encode() if isinstance(data, str) else data)
        return path

    def curl(self, path, *args, account="operator1", cltrid=True):
        """(status, headers, body)"""
        s = self.world.server
        command = ["curl", "-sS", "-i", "--http1.1", "--cacert", s.ca, "-H", "Expect:"]
        if account:
            command += ["--cert", s.key(account) + ".crt", "--key", s.key(account) + ".key"]
        if cltrid:
            command += ["-H", "Client-Transaction-Id: " + Session.cltrid()]
        out = subprocess.run(command + list(args) + ["https://%s:%d%s" % (s.http_host, s.http_port, path)], capture_output=True, timeout=120)
        self.assertEqual(out.returncode, 0, out.stderr)
        head, _, body = out.stdout.partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        return int(first.split()[1]), {k.lower(): v.strip() for k, _, v in (h.partition(":") for h in rest)}, body

    def post(self, data, kind="delta", parameters="", account="operator1", args=(), type="text/csv"):
        path = self.file("body", data)
        status, headers, body = self.curl("/v1/deliveries?kind=%s%s" % (kind, parameters), "-X", "POST", "-T", path, "-H",
                                          "Transfer-Encoding: chunked", "-H", "Content-Type: " + type, *args, account=account)
        return status, headers, json.loads(body)

    def state(self, id):
        return self.admin.info("delivery", id).fields()

    def wait(self, id, status="applied"):
        eventually(lambda: self.state(id)["status"], status)
        return self.state(id)


class Deliveries(Base):
    def test_a_delivery_is_taken_and_applied(self):
        status, headers, d = self.post(self.lines(50), parameters="&id=A-1", args=("-H", 'Content-Disposition: attachment; filename="base.csv"'))
        self.assertEqual((status, d["status"], d["kind"], d["taken"], d["clientID"], d["fileName"]),
                         (202, "received", "delta", 50, "A-1", "base.csv"))
        self.assertEqual(headers["location"], "/v1/deliveries/" + d["id"])
        f = self.wait(d["id"])
        self.assertEqual((f["new"], f["again"], f["gone"], f["refused"]), ("50", "0", "0", "0"))
        status, _, body = self.curl(headers["location"])
        self.assertEqual((status, json.loads(body)["new"]), (200, 50))
        self.assertEqual(self.curl(headers["location"], account="lea1")[0], 403)
        eventually(lambda: "classified" in self.state(d["id"]), True)

    def test_packed_bodies(self):
        text = self.lines(300)
        status, _, d = self.post(gzip.compress(text.encode()), type="application/gzip")
        self.assertEqual((status, d["lines"]), (202, 300))
        zstd = subprocess.run(["zstd", "-c"], input=self.lines(300).encode(), capture_output=True, check=True).stdout
        status, _, d = self.post(zstd, type="application/zstd")
        self.assertEqual((status, d["lines"]), (202, 300))
        # Cut off: refused as a whole, and nothing of it stays.
        status, _, d = self.post(zstd[:-20], type="application/zstd")
        self.assertEqual((status, d["code"]), (400, 2005))

    def test_the_same_twice(self):
        text = self.lines(20)
        status, _, d = self.post(text, parameters="&id=TWICE")
        again, _, e = self.post(text, parameters="&id=TWICE")
        self.assertEqual((status, again, e["id"]), (202, 200, d["id"]))
        other, _, e = self.post(text)
        self.assertEqual((other, e["id"]), (200, d["id"]))
        other, _, e = self.post(self.lines(21), parameters="&id=TWICE")
        self.assertEqual((other, e["code"]), (409, 2302))

    def test_bad_lines_come_back_as_a_file(self):
        status, _, d = self.post(self.lines(10) + "1,2,3\n,255010000000001,380501234567\n")
        self.assertEqual((status, d["taken"], d["refused"]), (202, 10, 2))
        status, headers, body = self.curl("/v1/deliveries/%s/rejects" % d["id"])
        self.assertEqual((status, headers["content-type"]), (200, "text/csv; charset=utf-8"))
        rows = body.decode().splitlines()
        self.assertEqual(rows[0], "line,field,code,reason,original")
        self.assertTrue(rows[1].startswith("12,") and '"1,2,3"' in rows[1], rows)
        self.assertTrue(rows[2].startswith("13,imei,imei-empty,"), rows)
        status, _, d = self.post("colour,price\nred,1\n")
        self.assertEqual((status, d["code"]), (400, 2005))

    def test_a_full_one_that_looks_wrong_waits(self):
        n = less(4000, 2000)
        first = self.post(self.lines(n, 500000), kind="full")[2]
        self.wait(first["id"])
        status, _, d = self.post(self.lines(n // 2, 500000), kind="full")
        self.assertEqual((status, d["status"], len(d["hold"])), (202, "held", 1))
        self.code(self.operator.update("delivery", d["id"], chg={"status": "released", "ground": "mine"}), 2201)
        self.code(self.admin.update("delivery", d["id"], chg={"status": "released"}), 2003)
        self.code(self.admin.update("delivery", d["id"], chg={"status": "released", "ground": "a region was sold"}), 1000)
        self.assertGreaterEqual(int(self.wait(d["id"])["gone"]), n // 2)
        status, _, d = self.post(self.lines(n // 4, 500000), kind="full")
        self.code(self.admin.update("delivery", d["id"], chg={"status": "refused", "ground": "cut off"}), 1000)
        self.assertEqual(self.state(d["id"])["status"], "refused")

    def test_an_operator_without_certificate_gives_its_password(self):
        self.code(self.admin.create("account", {"id": "feed1", "role": "operator", "operator": OPERATOR, "pw": PASSWORD}), 1000)
        status, _, d = self.post(self.lines(5), account=None, args=("-u", "feed1:" + PASSWORD))
        self.assertEqual((status, d["taken"]), (202, 5))
        self.assertEqual(self.post(self.lines(5), account=None, args=("-u", "feed1:wrong-one-9"))[0], 401)
        # One that has a certificate must show it.
        self.assertEqual(self.post(self.lines(5), account=None, args=("-u", "operator1:" + PASSWORD))[0], 401)
        self.assertEqual(self.post(self.lines(5), account="lea1")[0], 403)

    def test_sightings_are_found_at_once(self):
        number = imei(TAC, 900001)
        body = json.dumps([{"imei": number, "imsi": "255017000000001", "msisdn": "380507000001", "rat": "lte", "event": "call"},
                           {"imei": "12", "imsi": "1"}])
        status, _, out = self.curl("/v1/sightings", "-X", "POST", "--data-binary", body, "-H", "Content-Type: application/json")
        answer = json.loads(out)
        self.assertEqual((status, answer["sightings"], answer["refused"]), (200, 1, 1))
        row = self.lea.page("triplet", [("msisdn", "380507000001"), CASE]).items[0]
        self.assertEqual((row["imei"], row["imsi"], row["operator"], row["rat"], row["event"], row["change"]),
                         (number, "255017000000001", OPERATOR, "lte", "call", "new"))
        self.code(self.lea.query("triplet", [("msisdn", "380507000001")]), 2003)
        self.code(self.world.session("customs1").query("triplet", [("msisdn", "380507000001"), CASE]), 2201)
        status, _, _ = self.curl("/v1/sightings", "-X", "POST", "--data-binary", "[]", "-H", "Content-Type: application/json")
        self.assertEqual(status, 400)

    def test_the_inbox(self):
        box = os.path.join(self.world.server.dir, "inbox", OPERATOR)
        eventually(lambda: os.path.isdir(os.path.join(box, "done")), True)
        part = os.path.join(box, "full-1.csv.gz.part")
        with open(part, "wb") as f:
            f.write(gzip.compress((self.lines(30) + "1,2,3\n").encode()))
        os.rename(part, part[:-5])
        answer = os.path.join(box, "done", "full-1.csv.gz.answer.json")
        eventually(lambda: os.path.exists(answer), True)
        with open(answer, encoding="utf-8") as f:
            d = json.load(f)
        self.assertEqual((d["code"], d["kind"], d["taken"], d["refused"]), (1001, "full", 30, 1))
        self.assertTrue(os.path.exists(os.path.join(box, "done", "full-1.csv.gz.rejects.csv")))
        eventually(lambda: os.listdir(box).count("full-1.csv.gz"), 0)
        self.assertIn(self.state(d["id"])["crID"], "inbox")
        # In the language of the operator's accounts, when those that have one have the same.
        self.world.ok(self.world.session("admin").update("account", "operator1", chg={"lang": "uk"}))
        for name, language, expected in (("what.csv", None, "[а-яі]{4}"), ("else.csv", "en", "^Param")):
            if language:
                self.world.account("operator9", role="operator", operator=OPERATOR, lang=language)
            with open(os.path.join(box, name), "w", encoding="ascii"):
                pass
            answer = os.path.join(box, "refused", name + ".answer.json")
            eventually(lambda: os.path.exists(answer), True)
            with open(answer, encoding="utf-8") as f:
                self.assertRegex(json.load(f)["message"], expected)


class Killed(Base):
    """What was answered 202 is there after a kill, once; what was not can be sent again."""

    def test_kill_after_the_answer(self):
        server = self.world.server
        for round in range(less(6, 2)):
            n = 3000
            text = self.lines(n)
            status, _, d = self.post(text, parameters="&id=K-%d" % round)
            self.assertEqual(status, 202)
            time.sleep(0.02 * round)
            server.kill()
            server.start()
            self.world.forget()
            type(self).admin = self.world.session("admin")
            f = self.wait(d["id"])
            self.assertEqual((f["new"], f["again"]), (str(n), "0"))
            status, _, again = self.post(text, parameters="&id=K-%d" % round)
            self.assertEqual((status, again["id"]), (200, d["id"]))
        self.assertEqual(server.stop(), 0)
        out = server.verify()
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        server.start()
        self.world.forget()


if __name__ == "__main__":
    main()
