"""What tests of triplets share: HTTP by curl, deliveries, lists as rows, deltas applied to them, outboxes."""
import csv
import hashlib
import io
import json
import os
import re
import subprocess
import time

from harness import OPERATOR, OPERATOR2, PERMIT, ROOT, TAC, TIMEOUT, Session, Test, World, eventually, folder, imei

NOKIA = "35148820"          # of the world: allocated, and nobody imports it
CASE = ("case", "120260000000123")
LISTS = {"black": 1, "grey": 3, "exceptions": 3, "white": 1}  # columns of the key
CODES = {"operator1": OPERATOR, "operator2": OPERATOR2}


def line(number, imsi, msisdn, at=""):
    return "%s,%s,%s,%s\n" % (number, imsi, msisdn, at)


def subscriber(network, n):
    """(IMSI, MSISDN) of subscriber n of network 25501 or 25503."""
    return "%s%010d" % (network, n), "38050%07d" % n


def day(days):
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() + days * 86400))


HEAD = "imei,imsi,msisdn,time\n"


class List:
    """Rows of a list or a delta; keys as the receiver's register keeps them."""

    def __init__(self, name, text, headers=None):
        self.name, self.headers = name, headers or {}
        table = list(csv.reader(io.StringIO(text)))
        self.columns, self.rows = table[0], table[1:]
        self.sequence = int(self.headers.get("ceir-sequence-to", 0))

    def key(self, row):
        return tuple(row[:LISTS[self.name]])

    def table(self):
        return {self.key(r): r for r in self.rows}

    def put_into(self, table):
        """A delta's rows put in and taken out."""
        for change, *row in self.rows:
            if change == "removed":
                table.pop(self.key(row), None)
            elif change != "notice":
                table[self.key(row)] = row

    def apply(self, delta):
        table = self.table()
        delta.put_into(table)
        return table

    def of(self, number):
        return [r for r in self.rows if number[:14] in r[:2]]


class Country(Test):
    options = ["lists.interval_s=1", "lists.outbox_keep=10000"]

    @classmethod
    def setUpClass(cls):
        cls.world = w = World(options=cls.options)
        w.account("operator2", role="operator", operator=OPERATOR2)
        cls.files = folder("ceir-triplets-")
        cls.chains = {}         # (account, list): what check_outbox() has seen

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def session(self, name):
        return self.world.session(name)

    # HTTP

    def curl(self, path, *args, account="operator1"):
        """(status, headers, body)"""
        s = self.world.server
        command = ["curl", "-sS", "-i", "--http1.1", "--cacert", s.ca, "--cert", s.key(account) + ".crt", "--key", s.key(account) + ".key",
                   "-H", "Expect:", "-H", "Client-Transaction-Id: " + Session.cltrid()]
        out = subprocess.run(command + list(args) + ["https://%s:%d%s" % (s.http_host, s.http_port, path)], capture_output=True, timeout=120)
        self.assertEqual(out.returncode, 0, out.stderr)
        head, _, body = out.stdout.partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        return int(first.split()[1]), {k.lower(): v.strip() for k, _, v in (h.partition(":") for h in rest)}, body

    def post(self, text, kind="delta", account="operator1", parameters=""):
        path = os.path.join(self.files, "body")
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        status, _, body = self.curl("/v1/deliveries?kind=%s%s" % (kind, parameters), "-X", "POST", "-T", path, "-H", "Content-Type: text/csv",
                                    account=account)
        return status, json.loads(body)

    def deliver(self, text, kind="delta", account="operator1", status="applied"):
        code, d = self.post(text, kind, account)
        self.assertEqual(code, 202, d)
        if status == "applied":
            eventually(lambda: "classified" in self.delivery(d["id"]), True)
        self.assertEqual(self.delivery(d["id"])["status"], status)
        return d["id"]

    def delivery(self, id):
        return self.session("admin").info("delivery", id).fields()

    def sight(self, number, imsi, msisdn, account="operator1"):
        body = json.dumps([{"imei": number, "imsi": imsi, "msisdn": msisdn}])
        status, _, out = self.curl("/v1/sightings", "-X", "POST", "--data-binary", body, "-H", "Content-Type: application/json", account=account)
        self.assertEqual(status, 200, out)

    def list(self, name, since=None, account="operator1"):
        status, headers, body = self.curl("/v1/lists/%s%s" % (name, "" if since is None else "?since=%d" % since), account=account)
        self.assertEqual(status, 200, body)
        self.assertEqual(headers["etag"].strip('"'), hashlib.sha256(body).hexdigest())
        found = List(name, body.decode(), headers)
        self.assertEqual(int(headers["ceir-rows"]), len(found.rows))
        return found

    # verdicts

    def colours(self, *numbers):
        """[(colour, reason)]"""
        v = self.session("lea1").verdicts(*numbers)
        return [v[n][2:] for n in numbers]

    def assert_colour(self, number, colour, reason):
        eventually(lambda: self.colours(number)[0], (colour, reason))

    def register(self, serials):
        devices = [[imei(TAC, n)] for n in serials]
        r, done = self.session("importer1").submit(devices, PERMIT, 1)
        self.assertEqual(done.fields()["accepted"], str(len(devices)), done)

    def messages(self, name):
        """All messages that wait, acknowledged."""
        s, texts = self.session(name), []
        while True:
            r = s.poll()
            if r.code == 1300:
                return texts
            self.code(r, 1301)
            texts.append("".join(r.msgq.itertext()))
            self.code(s.poll(ack=r.msgq.get("id")), 1000, 1300)

    # outboxes

    def outbox(self, account="operator1"):
        """{list: [(from, to, name)]} of what is shown; from None: the whole list."""
        box = os.path.join(self.world.server.dir, "outbox", CODES[account])
        files = {}
        for name in sorted(os.listdir(box) if os.path.isdir(box) else []):
            m = re.fullmatch(r"(\w+)-(?:full|delta-(\d+))-(\d+)\.csv\.zst", name)
            if name.startswith(".") or name.endswith(".sig"):
                continue
            self.assertIsNotNone(m, name)
            files.setdefault(m.group(1), []).append((None if m.group(2) is None else int(m.group(2)), int(m.group(3)), name))
        return files

    def check_outbox(self, account="operator1"):
        """Every file is whole, each list once whole and then without a gap; {list: (up to, table)}. Goes on where it was last time."""
        box = os.path.join(self.world.server.dir, "outbox", CODES[account])
        for kind, files in self.outbox(account).items():
            at, table = self.chains.get((account, kind), (None, {}))
            for start, to, name in sorted(files, key=lambda f: (f[0] is not None, f[1])):
                if at is not None and to <= at:
                    continue
                self.assertEqual(start, at, "%s in %r" % (name, files))
                with open(os.path.join(box, name), "rb") as f:
                    data = f.read()
                with open(os.path.join(box, name + ".sig"), encoding="ascii") as f:
                    about = json.load(f)
                self.assertEqual((about["sha256"], about["bytes"], about["to"], about["list"]),
                                 (hashlib.sha256(data).hexdigest(), len(data), to, kind))
                found = List(kind, subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True).stdout.decode())
                self.assertEqual(len(found.rows), about["rows"])
                if at is None:
                    table = found.table()
                else:
                    found.put_into(table)
                at = to
                self.chains[account, kind] = (at, table)
        return {kind: state for (a, kind), state in self.chains.items() if a == account}

    def signed(self, account, name):
        """As the operator checks it, with nothing of ceir."""
        box = os.path.join(self.world.server.dir, "outbox", CODES[account])
        p = subprocess.run([os.path.join(ROOT, "docs", "examples", "check_list.sh"), os.path.join(self.world.server.dir, "keys", "audit-sign.pub"),
                            CODES[account], os.path.join(box, name), os.path.join(box, name + ".sig")], capture_output=True, text=True)
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)
        self.assertIn("good", p.stdout)

    def settled(self, account="operator1"):
        """Waits until the outbox of grey and black says what the lists say."""
        def differences():
            box = self.check_outbox(account)
            found = {}
            for kind in ("black", "grey", "exceptions"):
                now, shown = self.list(kind, account=account).table(), box[kind][1] if kind in box else None
                if shown != now:
                    found[kind] = "no file" if shown is None else [(k, shown.get(k), now.get(k)) for k in sorted({*now, *shown}) if shown.get(k) != now.get(k)][:10]
            return found
        eventually(differences, {}, TIMEOUT)
