#!/usr/bin/python3
"""The HTTP face of a real ceird, with curl: who may, deliveries in, lists out, strange input, limits, reload, stop; ceirctl deliver and list
get; and docs/http.md, whose every example is run and must be answered as the page says.

An example is a block of shell (curl through the function `ceir` of the page) and a block with the answer: status line, the headers
that matter, the body. What differs from run to run (ids, times, digests) is not compared; ids that the server gives are put into later
examples in place of the documented ones.
"""
import base64
import gzip
import hashlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import zipfile

from harness import CEIRCTL, PASSWORD, ROOT, SCREEN_IMEI, SLOW, TIMEOUT, Test, World, eventually, folder, imei, less, main, run

CURL = shutil.which("curl")
PAGE = os.path.join(ROOT, "docs", "http.md")


def lines(n, first=0, header=True):
    """A delivery of n good lines."""
    text = ["imei,imsi,msisdn"] if header else []
    text += ["%s,%015d,38050%07d" % (imei(35300000 + (first + i) // 1000000, (first + i) % 1000000), 255010000000000 + first + i,
                                      (first + i) % 10000000) for i in range(n)]
    return "\n".join(text) + "\n"


def xml_faults(body):
    """What xmllint says of a list as XML by its published schema; empty: it is valid."""
    p = subprocess.run(["xmllint", "--nonet", "--noout", "--schema", os.path.join(ROOT, "schemas", "listfile-1.0.xsd"), "-"], input=body, capture_output=True)
    return p.stderr.decode() if p.returncode else ""


class Answer:
    """What curl --include printed: the final answer."""

    def __init__(self, raw):
        while True: # interim answers come before it
            head, _, raw = raw.partition(b"\r\n\r\n")
            first, *headers = head.decode("latin-1").split("\r\n")
            self.status = int(first.split(" ")[1])
            if self.status >= 200:
                break
        self.line = first
        self.headers = {}
        for h in headers:
            name, _, value = h.partition(":")
            self.headers[name.strip().lower()] = value.strip()
        self.body = raw

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "%s %r %r" % (self.line, self.headers, self.body[:2000])


class DirbsImporter:
    """What an operator has to read the lists of DIRBS-Core: archives of a folder, CSV files by name, each with the header it must have."""
    HEADERS = {"blacklist": "imei,block_date,reasons", "notifications": "imei,imsi,msisdn,block_date,reasons", "exceptions": "imei,imsi,msisdn"}
    CHANGES = {"blacklist": {"blocked", "unblocked", "changed"}, "notifications": {"new", "resolved", "blacklisted", "no_longer_seen", "changed"},
               "exceptions": {"added", "removed"}}
    COLUMNS = {"imei": "[0-9A-Fa-f*#]{1,16}", "imsi": "[0-9]{1,15}", "msisdn": "[0-9]{0,15}", "block_date": "20[0-9]{6}", "reasons": "[^|]+([|][^|]+)*"}

    def __init__(self, out):
        self.out = out
        self.lists = {}
        self.date = None

    def read(self, data, kind):
        text = data.decode("ascii")
        assert text.endswith("\r\n") and "\n" not in text.replace("\r\n", ""), text[-100:]
        head, *rows = text[:-2].split("\r\n")
        assert head == self.HEADERS[kind], head
        rows = [row.split(",") for row in rows]
        for row in rows:
            assert all(re.fullmatch(self.COLUMNS[c], v) for c, v in zip(head.split(","), row, strict=True)), row
        return rows

    def take(self, run):
        """Applies the deltas of a run to what there was; compares with its whole lists. {(list, change): rows}."""
        name = os.path.basename(run["folder"])
        self.date = re.fullmatch(r"listgen__([0-9]{8}_[0-9]{6})__classid_%d" % run["run"], name).group(1)
        told = {}
        for archive in os.listdir(os.path.join(self.out, name)):
            list = re.fullmatch(self.date + r"_((blacklist)|(notifications|exceptions)_.+)\.zip", archive)
            kind = list.group(2) or list.group(3)
            list = list.group(1)
            with zipfile.ZipFile(os.path.join(self.out, name, archive)) as z:
                files = {f: self.read(z.read(f), kind) for f in z.namelist()}
            whole = files.pop("%s_%s.csv" % (self.date, list))
            begin = "%s_%s_delta_%d_%d_" % (self.date, list, run["base"], run["run"])
            deltas = {f[len(begin):-4]: rows for f, rows in files.items() if f.startswith(begin)}
            assert set(deltas) == self.CHANGES[kind] and len(deltas) == len(files), files
            keys = 1 if kind == "blacklist" else 3
            mine = self.lists.setdefault(list, {})
            for change, rows in deltas.items():
                told[list, change] = rows
                for row in rows:
                    if change in ("blocked", "new", "added"):
                        assert tuple(row[:keys]) not in mine, row
                    else:
                        assert tuple(row[:keys]) in mine, row
                    if change in ("blocked", "new", "added", "changed"):
                        mine[tuple(row[:keys])] = row
                    else:
                        assert mine.pop(tuple(row[:keys])) == row
            assert mine == {tuple(row[:keys]): row for row in whole}, list
        assert len(self.lists) == len(os.listdir(os.path.join(self.out, name)))
        return told


class Client:
    """curl as an account: with its certificate, or with its password."""

    def __init__(self, world, account=None, password=None, user=None):
        self.server = world.server
        self.args = [CURL, "--silent", "--show-error", "--include", "--cacert", self.server.ca, "--max-time", str(int(TIMEOUT * 4))]
        if account:
            key = self.server.key(account)
            self.args += ["--cert", key + ".crt", "--key", key + ".key"]
        if password is not None:
            self.args += ["--user", "%s:%s" % (user, password)]

    def raw(self, path, *more, input=None):
        return subprocess.run(self.args + list(more) + [self.url(path)], input=input, capture_output=True)

    def url(self, path):
        return "https://%s:%d%s" % (self.server.http_host, self.server.http_port, path)

    def __call__(self, path, *more, input=None):
        p = self.raw(path, *more, input=input)
        assert p.returncode == 0, (p.returncode, p.stderr, p.stdout[:2000])
        return Answer(p.stdout)

    def deliver(self, text, query, *headers):
        more = ["--data-binary", "@-", "--header", "Content-Type: text/csv"]
        for h in headers:
            more += ["--header", h]
        return self("/v1/deliveries?" + query, *more, input=text if isinstance(text, bytes) else text.encode())

    def applied(self, id, status="applied"):
        """The delivery's state when it is applied."""
        return eventually(lambda: self("/v1/deliveries/" + id).json(), lambda s: s.get("status") == status, 2 * TIMEOUT)


class Operators(Test):
    """Two of them: one has a certificate, the other a password."""
    options = ["lists.interval_s=1"]

    @classmethod
    def setUpClass(cls):
        cls.world = World(options=cls.options)
        cls.world.account("operator2", certificate=False, role="operator", operator="UA-MNO-2")
        cls.op = Client(cls.world, "operator1")
        cls.other = Client(cls.world, password=PASSWORD, user="operator2")

    @classmethod
    def tearDownClass(cls):
        cls.world.close()


class Http(Operators):
    options = ["lists.interval_s=1", "http.idle_timeout_s=20"]

    def problem(self, answer, status, code=None, field=None):
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers["content-type"], "application/problem+json")
        body = answer.json()
        self.assertEqual(body["status"], status)
        self.assertTrue(body["title"])
        if code:
            self.assertEqual(body["code"], code)
            self.assertEqual(body["svTRID"], answer.headers["server-transaction-id"])
        if field:
            self.assertIn(field, [e["field"] for e in body["errors"]])
        return body

    # ---- who asks ----

    def test_who(self):
        nobody = Client(self.world)
        a = nobody("/v1/lists")
        self.problem(a, 401)
        self.assertIn("Basic", a.headers["www-authenticate"])
        self.assertEqual(self.op("/v1/lists").status, 200)
        self.assertEqual(self.other("/v1/lists").status, 200)
        self.problem(Client(self.world, password="wrong-password", user="operator2")("/v1/lists"), 401, 2200)
        self.problem(Client(self.world, password=PASSWORD, user="nobody")("/v1/lists"), 401, 2200)
        # An account that has a certificate is not let in by its password alone.
        self.problem(Client(self.world, password=PASSWORD, user="operator1")("/v1/lists"), 401, 2200)
        # Nor is one of another role, whatever it has.
        self.problem(Client(self.world, password=PASSWORD, user="customs1")("/v1/lists"), 401, 2200)
        self.problem(Client(self.world, "customs1")("/v1/deliveries?kind=full", "--data-binary", "x", "--header", "Content-Type: text/csv"),
                     403, 2201)

    def test_language(self):
        a = self.op("/v1/deliveries/NONE", "--header", "Accept-Language: uk")
        self.assertRegex(self.problem(a, 404, 2303)["title"], "[а-яі]")
        a = self.op("/v1/deliveries/NONE", "--header", "Accept-Language: de, en;q=0.5")
        self.assertEqual(self.problem(a, 404, 2303)["title"], "Object does not exist")
        # Of an account that has a language, when the request names none there is.
        self.world.account("operator4", certificate=False, role="operator", operator="UA-MNO-1", lang="uk")
        c = Client(self.world, password=PASSWORD, user="operator4")
        for header, expected in (((), "[а-яі]"), (("--header", "Accept-Language: de"), "[а-яі]"), (("--header", "Accept-Language: en"), "^Object does"), ((), "[а-яі]")):
            self.assertRegex(self.problem(c("/v1/deliveries/NONE", *header), 404, 2303)["title"], expected)
        self.world.ok(self.world.session("admin").update("account", "operator4", chg={"status": "closed"}))

    def test_a_suspended_account_is_out(self):
        self.world.account("operator3", certificate=False, role="operator", operator="UA-MNO-1")
        c = Client(self.world, password=PASSWORD, user="operator3")
        self.assertEqual(c("/v1/lists").status, 200)
        self.world.ok(self.world.session("admin").update("account", "operator3", chg={"status": "suspended"}))
        self.assertEqual(c("/v1/lists").status, 401)

    # ---- deliveries ----

    def test_a_delivery_and_its_state(self):
        text = lines(1000) + "123,456,789\n" + lines(1, 5000, header=False)
        a = self.op.deliver(text, "kind=delta&id=first", "Client-Transaction-Id: HTTP-TEST-1", 'Content-Disposition: attachment; filename="a.csv"')
        self.assertEqual(a.status, 202, a)
        self.assertEqual(a.headers["client-transaction-id"], "HTTP-TEST-1")
        id = a.json()["id"]
        self.assertEqual(a.headers["location"], "/v1/deliveries/" + id)
        state = self.op.applied(id)
        self.assertEqual((state["lines"], state["operator"], state["clientID"], state["fileName"]), (1002, "UA-MNO-1", "first", "a.csv"))
        self.assertEqual(state["digest"], hashlib.sha256(text.encode()).hexdigest())
        self.assertEqual(state["bytes"], len(text))
        self.assertEqual(state["new"], state["taken"])
        # The same again changes nothing, by id and by its bytes.
        for query in ("kind=delta&id=first", "kind=delta"):
            again = self.op.deliver(text, query)
            self.assertEqual((again.status, again.json()["id"]), (200, id))
        self.problem(self.op.deliver(lines(3), "kind=delta&id=first"), 409, 2302)
        # What was not taken as it came.
        rejects = self.op("/v1/deliveries/%s/rejects" % id)
        self.assertEqual(rejects.status, 200)
        self.assertTrue(rejects.headers["content-type"].startswith("text/csv"))
        self.assertIn(b"1002", rejects.body)
        # It is nobody else's.
        self.problem(self.other("/v1/deliveries/" + id), 403, 2201)
        self.assertNotIn(id, [d["id"] for d in self.other("/v1/deliveries").json()["items"]])
        self.assertIn(id, [d["id"] for d in self.op("/v1/deliveries?limit=1000").json()["items"]])
        audited = self.world.session("admin").info("transaction", a.headers["server-transaction-id"])
        self.assertEqual(audited.fields()["clTRID"], "HTTP-TEST-1")
        self.assertEqual(audited.fields()["account"], "operator1")

    def test_packed_and_chunked(self):
        for i, (pack, args) in enumerate([
                (gzip.compress, ["Content-Encoding: gzip"]),
                (gzip.compress, ["Content-Type: application/gzip"]),
                (lambda b: subprocess.run(["zstd", "-q", "-c"], input=b, capture_output=True, check=True).stdout, ["Content-Encoding: zstd"]),
                (lambda b: b, ["Transfer-Encoding: chunked"])]):
            if i == 2 and not shutil.which("zstd"):
                continue
            a = self.op.deliver(pack(lines(500, 10000 + 1000 * i).encode()), "kind=delta", *args)
            self.assertEqual(a.status, 202, a)
            self.assertEqual(self.op.applied(a.json()["id"])["taken"], 500)

    def test_what_is_no_delivery(self):
        self.problem(self.op.deliver("", "kind=delta"), 400)
        self.problem(self.op.deliver(b"\x1f\x8b\x08damaged", "kind=delta"), 400)
        self.problem(self.op.deliver("a,b,c\nx,y,z\n", "kind=delta"), 400)
        self.problem(self.op.deliver(lines(1), "kind=some"), 400, 2005, "kind")
        self.problem(self.op.deliver(lines(1), ""), 400, 2003, "kind")
        self.problem(self.op.deliver(lines(1), "kind=full&id=" + "x" * 65), 400, 2005, "id")
        self.problem(self.op.deliver(lines(1), "kind=full", "Content-Encoding: br"), 415, 2102, "Content-Encoding")
        self.problem(self.op("/v1/deliveries?kind=full", "--data-binary", "x"), 415, 2102, "Content-Type")

    def test_a_client_that_goes_away(self):
        before = len(self.op("/v1/deliveries?limit=1000").json()["items"])
        context = ssl.create_default_context(cafile=self.world.server.ca)
        context.load_cert_chain(self.world.server.key("operator1") + ".crt", self.world.server.key("operator1") + ".key")
        for _ in range(6): # more than may be received at once: each must give its place back
            s = context.wrap_socket(socket.create_connection((self.op.server.http_host, self.op.server.http_port)), server_hostname="localhost")
            s.sendall(b"POST /v1/deliveries?kind=full HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + lines(1000).encode())
            s.close()
        a = eventually(lambda: self.op.deliver(lines(10, 30000), "kind=delta"), lambda a: a.status == 202)
        self.op.applied(a.json()["id"])
        self.assertEqual(len(self.op("/v1/deliveries?limit=1000").json()["items"]), before + 1)

    def test_large_and_at_once(self):
        n = less(60000, 6000)
        text = lines(n, 1000000).encode()
        answers, threads = [], []
        for i in range(3):
            client, body = (self.op, text) if i == 0 else (self.other, lines(n // 3, 2000000 + i * n).encode())
            threads.append(threading.Thread(target=lambda c=client, b=body: answers.append((c, c.deliver(b, "kind=delta")))))
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for client, a in answers:
            self.assertEqual(a.status, 202, a)
            self.assertEqual(client.applied(a.json()["id"])["refused"], 0)

    def test_sightings(self):
        body = json.dumps([{"imei": imei(35310000, i), "imsi": "25501%010d" % i, "msisdn": "38050%07d" % i} for i in range(50)])
        send = lambda text, *more: self.op("/v1/sightings", "--data-binary", "@-", "--header", "Content-Type: application/json", *more,
                                           input=text.encode())
        a = send(body, "--header", "Client-Transaction-Id: SIGHT-1")
        self.assertEqual((a.status, a.json()["sightings"]), (200, 50), a)
        again = send(body, "--header", "Client-Transaction-Id: SIGHT-1")
        self.assertEqual(again.json(), a.json())
        self.problem(send("{}"), 400)
        self.problem(send("[]"), 400)
        self.problem(send("nonsense"), 400)
        self.problem(send(""), 400)
        self.problem(self.op("/v1/sightings", "--data-binary", body, "--header", "Content-Type: text/xml"), 415)
        csv = lambda text: self.op("/v1/sightings", "--data-binary", "@-", "--header", "Content-Type: text/csv; charset=utf-8", input=text.encode())
        rows = "imei;imsi\n" + "".join("%s;25501%010d\n" % (imei(35310000, i), i) for i in range(50))
        a = csv(rows + "35310000;1\n")
        self.assertEqual((a.status, a.json()["sightings"], a.json()["refused"]), (200, 50, 1), a)
        self.assertEqual(a.json()["errors"][0]["value"], "52 imsi", a)
        self.problem(csv("imsi;msisdn\n"), 400)
        self.problem(csv("imei;imsi\n"), 400)
        self.problem(send("[" + " " * (5 << 20) + "]"), 413)

    # ---- lists ----

    def test_lists(self):
        a = self.op.deliver(lines(20, 7000000), "kind=delta")
        self.op.applied(a.json()["id"])
        # Not registered: grey from the first sighting on.
        a = eventually(lambda: self.op("/v1/lists/grey"), lambda a: a.body.count(b"\n") > 20)
        self.assertEqual(a.status, 200, a)
        digest = hashlib.sha256(a.body).digest()
        self.assertEqual(a.headers["etag"], '"%s"' % digest.hex())
        self.assertEqual(a.headers["repr-digest"], "sha-256=:%s:" % base64.b64encode(digest).decode())
        self.assertEqual(len(a.headers["ceir-signature"]), 128)
        to = int(a.headers["ceir-sequence-to"])
        self.assertGreater(to, 0)
        self.assertEqual(self.op("/v1/lists/grey", "--header", "If-None-Match: " + a.headers["etag"]).status in (200, 304), True)
        head = self.op("/v1/lists/grey", "--head")
        self.assertEqual((head.status, head.body), (200, b""))
        packed = self.op("/v1/lists/grey", "--header", "Accept-Encoding: gzip")
        self.assertEqual(packed.headers["content-encoding"], "gzip")
        self.assertTrue(gzip.decompress(packed.body))
        xml = self.op("/v1/lists/grey?format=xml")
        self.assertTrue(xml.headers["content-type"].startswith("application/xml"))
        self.assertTrue(xml.body.startswith(b"<?xml"))
        delta = self.op("/v1/lists/grey?since=0&format=xml")
        self.assertIn(b'"added"', delta.body)
        self.assertIn(b"row", xml.body)
        self.assertEqual((xml_faults(xml.body), xml_faults(delta.body)), ("", ""))
        self.assertNotEqual(xml_faults(xml.body.replace(b"row", b"line")), "")
        # From there on nothing, or little, has changed, as soon as what other tests have delivered is classified.
        def from_now():
            now = int(self.op("/v1/lists/grey").headers["ceir-sequence-to"])
            return now, self.op("/v1/lists/grey?since=%d" % now)
        to, delta = eventually(from_now, lambda found: len(found[1].body) < len(a.body))
        self.assertEqual(int(delta.headers["ceir-sequence-from"]), to)
        self.problem(self.op("/v1/lists/grey?since=999999999"), 400, None, "since")
        # Applied; the lag is seen.
        ack = lambda n: self.op("/v1/lists/grey/ack", "--request", "PUT", "--data", '{"seq": %d}' % n, "--header", "Content-Type: application/json")
        self.assertEqual(ack(to).status, 200)
        state = self.op("/v1/lists/grey/ack").json()
        self.assertEqual((state["id"], state["ackSeq"], state["lag"]), ("grey", to, state["seq"] - to))
        self.assertIn("grey", [l["id"] for l in self.op("/v1/lists").json()["items"]])
        self.problem(ack(10 ** 15), 400, 2004)
        # The other operator has none of these subscribers.
        self.assertNotIn(b"380507000000"[:9], self.other("/v1/lists/grey").body)
        # Who is no operator says whose.
        admin = Client(self.world, "admin")
        self.problem(admin("/v1/lists/grey"), 400)
        self.assertEqual(admin("/v1/lists/grey?operator=UA-MNO-1").status, 200)
        self.problem(self.op("/v1/lists/grey?operator=UA-MNO-2"), 403)

    def test_more_lists_at_once_than_connections_to_the_database(self):
        """One list is made at a time: those that wait for it keep nobody else waiting, nor each other for ever."""
        self.op.applied(self.op.deliver(lines(300, 7100000), "kind=delta").json()["id"])
        answers = []
        ask = lambda since: answers.append(self.op("/v1/lists/%s?since=%d&format=xml" % (("grey", "black")[since % 2], since)).status)
        threads = [threading.Thread(target=ask, args=(since,)) for since in range(24)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(answers, [200] * len(threads))

    def test_lists_for_importers_of_dirbs(self):
        """An importer that knows the files of DIRBS-Core and nothing of ours: it keeps its lists by the deltas, and has what the whole lists say."""
        out = folder()
        importer = DirbsImporter(out)
        numbers = range(9100000, 9100006)
        imeis = [lines(1, n, header=False).split(",")[0] for n in numbers]
        a = self.op.deliver("imei,imsi,msisdn\n" + "".join(lines(1, n, header=False) for n in numbers), "kind=delta")
        self.op.applied(a.json()["id"])
        eventually(lambda: all(i[:14].encode() in self.op("/v1/lists/grey").body for i in imeis), True)
        make = ("lists", "--layout", "dirbs", "--out", out, "--operator", "UA-MNO-1=kyiv", "--operator", "UA-MNO-2")
        first = json.loads(self.ctl("--json", *make, account="admin", check=0).stdout)
        self.assertEqual(first["base"], -1)
        importer.take(first)
        self.assertEqual({k[0] for k in importer.lists["notifications_kyiv"]} & {i[:14] for i in imeis}, {i[:14] for i in imeis})
        # One is stolen, one let through for its subscriber, one comes with another SIM.
        lea, nra = self.world.session("lea1"), self.world.session("nra1")
        imsi, msisdn = lines(1, numbers[1], header=False).strip().split(",")[1:3]
        ids = [self.world.ok(lea.create("listing", {"imei": imeis[0], "colour": "black", "reason": "stolen", "ground": "d"})).fields()["id"],
               self.world.ok(nra.create("listing", {"imei": imeis[1], "colour": "white", "reason": "other", "pair": "only", "imsi": imsi, "msisdn": msisdn, "ground": "d"})).fields()["id"]]
        a = self.op.deliver("imei,imsi,msisdn\n%s,255019100999999,380509999999\n" % imeis[2], "kind=delta")
        self.op.applied(a.json()["id"])
        eventually(lambda: b"255019100999999" in self.op("/v1/lists/grey").body, True)
        second = json.loads(self.ctl("--json", *make, account="admin", check=0).stdout)
        self.assertEqual(second["base"], first["run"])
        told = importer.take(second)
        today = time.strftime("%Y%m%d", time.gmtime())
        self.assertIn([imeis[0][:14], today, "stolen"], told["blacklist", "blocked"])
        self.assertIn(imeis[0][:14], [r[0] for r in told["notifications_kyiv", "blacklisted"]])
        self.assertIn([imeis[1][:14], imsi, msisdn], [r[:3] for r in told["notifications_kyiv", "resolved"]])
        self.assertIn([imeis[1][:14], imsi, msisdn], told["exceptions_kyiv", "added"])
        self.assertIn([imeis[2][:14], "255019100999999", "380509999999"], [r[:3] for r in told["notifications_kyiv", "new"]])
        self.assertEqual(importer.lists["exceptions_UA-MNO-2"], {})
        # And back.
        self.world.ok(lea.delete("listing", ids[0], "<listing:ground>found</listing:ground>"))
        third = json.loads(self.ctl("--json", *make, account="admin", check=0).stdout)
        told = importer.take(third)
        self.assertIn([imeis[0][:14], today, "stolen"], told["blacklist", "unblocked"])
        # Killed before its lists were kept, the next run tells from where the one before it has.
        os.rename(os.path.join(out, ".ceir", "last"), os.path.join(out, ".ceir", "old"))
        self.assertEqual(json.loads(self.ctl("--json", *make, account="admin", check=0).stdout)["base"], third["run"])
        self.assertEqual(sorted(os.listdir(os.path.join(out, ".ceir"))), ["last", "lock"])
        self.ctl("lists", "--layout", "dirbs", "--out", out, "--operator", "UA-MNO-1=../x", account="admin", check=2)
        self.ctl("lists", "--layout", "dirbs", "--out", out, account="admin", check=2)
        self.ctl("lists", "--layout", "dirbs", "--out", os.path.join(out, "none"), "--operator", "UA-MNO-1", account="admin", check=2)
        self.ctl("lists", "--layout", "dirbs", "--out", out, "--operator", "UA-MNO-1", account="lea1", check=1)
        # The whole lists over HTTP; deltas are the client's.
        a = self.op("/v1/lists/grey?layout=dirbs")
        self.assertTrue(a.body.startswith(b"imei,imsi,msisdn,block_date,reasons\r\n"))
        self.problem(self.op("/v1/lists/grey?layout=dirbs&since=0"), 400, 2102)
        self.problem(self.op("/v1/lists/grey?layout=csv"), 400, 2005, "layout")

    def test_one_imei(self):
        a = self.op("/v1/imeis/" + SCREEN_IMEI)
        self.assertEqual(a.status, 200, a)
        self.assertEqual(a.json()["imei"], SCREEN_IMEI)
        self.assertIn(a.json()["colour"], ("unknown", "white", "grey", "black"))
        self.problem(self.op("/v1/imeis/123"), 400, 2005, "imei")

    # ---- strange input ----

    def test_strange_requests(self):
        before = self.op("/v1/lists").headers["server-transaction-id"]
        self.problem(self.op("/"), 404)
        self.problem(self.op("/v1/lists/pink"), 404)
        self.problem(self.op("/v1/lists/%zz"), 400)
        a = self.op("/v1/lists", "--request", "DELETE")
        self.problem(a, 405)
        self.assertEqual(a.headers["allow"], "GET, HEAD")
        self.problem(self.op("/v1/lists?nonsense=1"), 400, 2001, "query")
        self.problem(self.op("/v1/deliveries?limit=1001"), 400, 2004, "limit")
        self.problem(self.op("/v1/lists", "--header", "Client-Transaction-Id: x"), 400, 2005, "Client-Transaction-Id")
        self.assertNotEqual(before, None)
        # Heads that are too large, and what is no HTTP at all.
        self.assertIn(self.op.raw("/v1/lists", "--header", "X: " + "x" * 130000).returncode, (0, 52, 55, 56))
        context = ssl.create_default_context(cafile=self.world.server.ca)
        s = context.wrap_socket(socket.create_connection((self.op.server.http_host, self.op.server.http_port)), server_hostname="localhost")
        s.sendall(b"\x00\x01\x02\r\n\r\n")
        s.settimeout(0.5) # an answer, or patience until http.idle_timeout_s: both will do
        try:
            s.recv(1000)
        except OSError:
            pass
        s.close()
        self.assertEqual(self.op("/v1/lists").status, 200)

    def test_the_log_has_no_secrets(self):
        Client(self.world, password="Very-secret-1", user="operator2")("/v1/lists")
        self.assertNotIn("Very-secret-1", self.world.server.log())
        self.assertNotIn(base64.b64encode(b"operator2:Very-secret-1").decode(), self.world.server.log())

    # ---- ceirctl ----

    def ctl(self, *args, **kw):
        s = self.world.server
        key = s.key(kw.pop("account", "operator1"))
        return run(CEIRCTL, "--host", s.http_host, "--port", s.http_port, "--ca", s.ca, "--cert", key + ".crt", "--key", key + ".key", *args, **kw)

    def test_ceirctl_deliver(self):
        dir = folder()
        path = os.path.join(dir, "day.csv")
        with open(path, "w", encoding="ascii") as f:
            f.write(lines(2000, 8000000))
        p = self.ctl("deliver", path, "--kind", "delta", "--id", "day 1/ö", "--wait", check=0)
        self.assertRegex(p.stdout, r"status: +applied")
        self.assertRegex(p.stdout, r"taken: +2000")
        p = self.ctl("--json", "deliver", path, "--kind", "delta", check=0)
        self.assertEqual(json.loads(p.stdout)["status"], "applied")
        p = self.ctl("--json", "deliver", "-", "--kind", "delta", "--wait", input=lines(30, 8100000), check=0)
        self.assertEqual(json.loads(p.stdout)["taken"], 30)
        # Lines that were left out: exit status 1, and they come back.
        rejects = os.path.join(dir, "rejects.csv")
        with open(path, "a", encoding="ascii") as f:
            f.write(lines(1, 8200000, header=False) + "nonsense,x,y\n")
        self.ctl("deliver", path, "--kind", "delta", "--wait", "--rejects", rejects, check=1)
        self.assertIn("nonsense", open(rejects, encoding="utf-8").read())
        p = self.ctl("deliver", path, "--kind", "delta", account="lea1", check=1)
        self.assertIn("2201", p.stderr)
        self.ctl("deliver", path, "--kind", "some", check=2)
        self.ctl("deliver", os.path.join(dir, "none"), "--kind", "full", check=2)
        # By password: an account without a certificate.
        s = self.world.server
        p = run(CEIRCTL, "--host", s.http_host, "--port", s.http_port, "--ca", s.ca, "--user", "operator2", "--password-file",
                s.key("operator2") + ".password", "--json", "deliver", path, "--kind", "delta", check=1)
        self.assertEqual(json.loads(p.stdout)["operator"], "UA-MNO-2")

    def test_ceirctl_list_get(self):
        path = os.path.join(folder(), "black.csv")
        p = self.ctl("--json", "list", "get", "black", "-o", path, check=0)
        about = json.loads(p.stdout)
        with open(path, "rb") as f:
            self.assertEqual(hashlib.sha256(f.read()).hexdigest(), about["digest"])
        self.assertEqual(about["bytes"], os.path.getsize(path))
        p = self.ctl("list", "get", "white", "--since", about["to"], "--format", "xml", check=0)
        self.assertTrue(p.stdout.startswith("<?xml"))
        self.ctl("list", "get", "black", "--packing", "gzip", "-o", path, check=0)
        with gzip.open(path) as f:
            self.assertTrue(f.read())
        self.ctl("list", "get", "pink", check=1)
        self.ctl("list", "get", check=2)


class Life(Test):
    """Servers of their own: limits, passwords switched off, reload, stop."""

    def test_no_http(self):
        w = World(options=["http.listen="])
        self.assertIsNone(w.server.http_port)
        w.close()

    def test_only_certificates(self):
        w = World(options=["http.basic=false"])
        self.assertEqual(Client(w, password=PASSWORD, user="operator1")("/v1/lists").status, 403)
        self.assertEqual(Client(w, "operator1")("/v1/lists").status, 200)
        w.close()

    def test_reload(self):
        w = World()
        s = w.server
        seen = lambda: ssl.get_server_certificate((s.http_host, s.http_port))
        before = seen()
        s.cert("server-2", "--server", "--host", "127.0.0.1")
        for end in ("crt", "key"):
            os.replace(s.key("server-2") + "." + end, s.key("server") + "." + end)
        s.process.send_signal(1)
        eventually(lambda: seen() != before, True)
        self.assertEqual(Client(w, "operator1")("/v1/lists").status, 200)
        w.close()

    def test_a_restart_loses_nothing(self):
        w = World()
        c = Client(w, "operator1")
        a = c.deliver(lines(1000), "kind=full")
        self.assertEqual(a.status, 202)
        w.server.kill()
        w.forget()
        w.server.start()
        c.applied(a.json()["id"])
        self.assertEqual(c.deliver(lines(1000), "kind=full").status, 200)
        w.close()

    def test_stop_while_a_delivery_comes(self):
        w = World()
        s = w.server
        context = ssl.create_default_context(cafile=s.ca)
        context.load_cert_chain(s.key("operator1") + ".crt", s.key("operator1") + ".key")
        c = context.wrap_socket(socket.create_connection((s.http_host, s.http_port)), server_hostname="localhost")
        text = lines(1000).encode()
        c.sendall(b"POST /v1/deliveries?kind=full HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (2 * len(text)) + text)
        time.sleep(0.5 * SLOW)
        c.close()
        w.close()


EXAMPLE = re.compile(r"```sh\n(.*?)```\n+```http\n(.*?)\n?```\n", re.S)
VOLATILE = {"id", "date", "received", "applied", "classified", "crDate", "upDate", "digest", "svTRID", "seq", "to", "from", "ackDate", "ackSeq",
            "lag", "fileName", "bytes", "rows"}
HEADERS_VOLATILE = {"date", "server-transaction-id", "client-transaction-id", "location", "etag", "repr-digest", "ceir-signature", "content-length",
                    "ceir-sequence-from", "ceir-sequence-to", "content-disposition"}


class Docs(Test):
    @classmethod
    def setUpClass(cls):
        cls.world = World(options=["lists.interval_s=1"])
        with open(PAGE, encoding="utf-8") as f:
            cls.page = f.read()

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def play(self, script):
        s = self.world.server
        key = s.key("operator1")
        dir = os.path.join(s.dir, "..", "docs")
        os.makedirs(dir, exist_ok=True)
        prologue = ("set -e; cd %s; ceir() { local path=$1; shift; curl --silent --show-error --include --cacert %s --cert %s.crt --key %s.key "
                    "\"$@\" https://%s:%d$path; }\n" % (dir, s.ca, key, key, s.http_host, s.http_port))
        p = subprocess.run(["bash", "-c", prologue + script], capture_output=True, timeout=4 * TIMEOUT)
        self.assertEqual(p.returncode, 0, (script, p.stderr))
        return Answer(p.stdout)

    def differences(self, want, got, path=""):
        if isinstance(want, dict) and isinstance(got, dict):
            out = [] if set(want) == set(got) else ["%s: %s instead of %s" % (path, sorted(got), sorted(want))]
            for k in set(want) & set(got):
                out += [] if k in VOLATILE else self.differences(want[k], got[k], path + "/" + k)
            return out
        if isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
            return [d for i, w in enumerate(want) for d in self.differences(w, got[i], "%s[%d]" % (path, i))]
        return [] if want == got else ["%s: %r instead of %r" % (path, got, want)]

    def compare(self, answer, want):
        head, _, body = want.partition("\n\n")
        line, *headers = head.split("\n")
        out = [] if answer.line == line else ["%s instead of %s" % (answer.line, line)]
        for h in headers:
            name, _, value = h.partition(": ")
            have = answer.headers.get(name.lower())
            if have is None or (have != value and name.lower() not in HEADERS_VOLATILE):
                out.append("%s: %r instead of %r" % (name, have, value))
        if "json" in answer.headers.get("content-type", ""):
            return out + self.differences(json.loads(body), answer.json())
        if answer.headers.get("content-type") == "application/xml" and xml_faults(answer.body):
            out.append(xml_faults(answer.body))
        # How far the change log had come is as volatile here as in the headers.
        dateless = lambda text: re.sub(r"\d{4}-\d\d-\d\d(T[\d:.]+Z)?", "DATE", re.sub(r' (from|to)="\d+"', r' \1="N"', text)).split()
        have = answer.body.decode()
        return out if dateless(body) == dateless(have) else out + ["%r instead of %r" % (have, body)]

    def test_examples(self):
        examples = EXAMPLE.findall(self.page)
        self.assertEqual(len(examples), self.page.count("```http"), "an example has not the form of the others")
        self.assertGreater(len(examples), 8)
        ids = {}
        for script, want in examples:
            for documented, real in ids.items():
                script = script.replace(documented, real)
            with self.subTest(script=script):
                deadline = time.monotonic() + 20 * SLOW
                while True:
                    answer = self.play(script)
                    found = self.compare(answer, want)
                    if not found or "--data" in script or time.monotonic() > deadline:
                        break
                    time.sleep(0.2)
                documented = re.search(r"(?m)^Location: /v1/deliveries/(\S+)$", want)
                if documented:
                    ids[documented.group(1)] = answer.json()["id"]
                self.assertEqual(found, [], answer)


if __name__ == "__main__":
    main()
