#!/usr/bin/python3
"""`ceirctl export`: many pages of a query as CSV, XLSX and XML, read back with Python's own libraries; columns, filters, files, refusals."""
import csv
import io
import json
import os
import pty
import stat
import subprocess
import xml.etree.ElementTree as ET
import zipfile

from harness import CEIRCTL, CERTIFICATE, IMPORTER, PERMIT, SCREEN_IMEI, TAC, TIMEOUT, Test, World, eventually, folder, imei, less, main

MANY = less(2100, 1200)     # more than a page of 1,000
RECORDS = "{urn:ceir:params:xml:ns:records-1.0}"
SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
NAMES = ["Phones, Ltd", 'The "Best" <Phones> & Sons', "Київські телефони", "=1+1", "+380441234567", "Plain Trading"]
FIELDS = "id name address country email voice status crID crDate upID upDate".split()


def name_of(n):
    return "%s %d" % (NAMES[n % len(NAMES)], n)


def rows_of(text):
    return [r for r in csv.reader(io.StringIO(text, newline=""))]


def sheet_of(path):
    """Rows of the first sheet; every cell must be a text."""
    with zipfile.ZipFile(path) as z:
        assert z.testzip() is None
        sheet = ET.fromstring(z.read("xl/worksheets/sheet1.xml"))
    rows = []
    for row in sheet.find(SHEET + "sheetData"):
        cells = {}
        for cell in row:
            assert cell.get("t") == "inlineStr", ET.tostring(cell)
            cells[cell.get("r").rstrip("0123456789")] = "".join(cell.itertext())
        rows.append(cells)
    columns = list(rows[0])
    return [[row.get(c, "") for c in columns] for row in rows]


def records_of(path, columns):
    root = ET.parse(path).getroot()
    assert root.tag == RECORDS + "records", root.tag
    return root.get("type"), [[r.findtext(RECORDS + c, "") for c in columns] for r in root]


class Export(Test):
    @classmethod
    def setUpClass(cls):
        cls.world = World(options=["files.still_s=0"])
        cls.dir = folder("ceir-export-")
        out = io.StringIO()
        w = csv.writer(out)
        w.writerow(["id", "name", "address", "country"])
        for n in range(MANY):
            w.writerow(["imp%06d" % n, name_of(n), "", "UA" if n % 2 else "PL"])
        p = cls.world.server.ctl("importer", "import", "-", input=out.getvalue(), account="customs1", check=0)
        assert "importer: %d made, 0 refused" % MANY in p.stderr, p.stderr
        cls.world.session("importer1").submit([SCREEN_IMEI, (imei(TAC, 1), imei(TAC, 2))], PERMIT, 1)

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def ctl(self, *args, account="customs1", **kw):
        return self.world.server.ctl(*args, account=account, **kw)

    def path(self, name):
        return os.path.join(self.dir, name)

    def left(self, name):
        """Files of that name, also unfinished ones."""
        return [f for f in os.listdir(self.dir) if f.startswith(name)]

    def test_csv_on_standard_output_has_what_the_query_has(self):
        p = self.ctl("export", "importer", check=0)
        have = rows_of(p.stdout)
        self.assertEqual(have[0], FIELDS)
        items = self.world.session("customs1").all("importer", limit=1000)
        self.assertEqual(len(items), MANY + 2)
        self.assertEqual(have[1:], [[i.get(f, "") for f in FIELDS] for i in items])
        self.assertEqual([r[1] for r in have if r[0].startswith("imp")], [name_of(n) for n in range(MANY)])
        self.assertEqual(p.stderr, "importer: %d rows\n" % (MANY + 2))
        self.assertEqual(self.ctl("--quiet", "export", "importer", check=0).stderr, "")

    def test_three_forms_hold_the_same(self):
        columns = ["id", "name", "country"]
        want = rows_of(self.ctl("export", "importer", "--columns", "id,name,country", check=0).stdout)
        for name, options in (("a.csv", ()), ("a.xlsx", ()), ("a.xml", ()), ("a.txt", ("--format", "xml"))):
            path = self.path(name)
            p = self.ctl("export", "importer", "--columns", "id, name,country", "--out", path, *options, check=0)
            self.assertEqual(p.stdout, "")
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            self.assertEqual(self.left(name), [name])
            if name == "a.csv":
                with open(path, encoding="utf-8", newline="") as f:
                    self.assertEqual(rows_of(f.read()), want)
            elif name == "a.xlsx":
                self.assertEqual(sheet_of(path), want)
            else:
                self.assertEqual(records_of(path, columns), ("importer", want[1:]))

    def test_filters_and_order_are_those_of_query(self):
        p = self.ctl("export", "importer", "--filter", "country = PL", "--filter", "id ^ imp", "--sort", "name", "--desc", "--columns", "name,id",
                     check=0)
        want = sorted(([name_of(n), "imp%06d" % n] for n in range(0, MANY, 2)), key=lambda r: r[0].encode(), reverse=True)
        self.assertEqual(rows_of(p.stdout)[1:], want)
        self.assertEqual(rows_of(self.ctl("export", "importer", "--filter", "id = nobody", "--columns", "id", check=0).stdout), [["id"]])

    def test_groups_repeated_fields_and_secrets(self):
        p = self.ctl("export", "certificate", "--columns", "id,tac,model", account="nra1", check=0)
        self.assertEqual(rows_of(p.stdout), [["id", "tac", "model"], [CERTIFICATE, TAC, "GT-P3100"]])
        customs = self.world.session("customs1")
        row = {"number": 2, "certificate": CERTIFICATE, "manufacturer": "Samsung", "model": "a b", "country": "VN", "quantity": 5, "price": "1.00",
               "currency": "UAH"}
        self.code(customs.update("permit", PERMIT, add={"position": row}), 1000)
        p = self.ctl("export", "permit", "--columns", "id,position.number,position.model,position.country", check=0)
        self.assertEqual(rows_of(p.stdout)[1:], [[PERMIT, "1 2", "GT-P3100 a b", "KR VN"]])
        # Without a wish there are no groups; of a secret there is nothing at all.
        self.assertEqual(rows_of(self.ctl("export", "permit", check=0).stdout)[0], "id importer issued exDate status crID crDate upID upDate".split())
        p = self.ctl("export", "account", account="admin", check=0)
        self.assertNotIn("pw", rows_of(p.stdout)[0])
        self.assertEqual(self.ctl("export", "account", "--columns", "id,pw", account="admin").returncode, 2)
        self.assertIn("customs1", [r[0] for r in rows_of(p.stdout)])

    def test_devices_with_several_imeis(self):
        p = self.ctl("export", "imei", "--columns", "name,imei,state.colour,permit,crID", account="importer1", check=0)
        one, two = imei(TAC, 1), imei(TAC, 2)
        # "imei": the others of the device.
        self.assertEqual(sorted(r[:2] for r in rows_of(p.stdout)[1:]), [[one, two], [two, one], [SCREEN_IMEI, ""]])
        self.assertEqual({tuple(r[2:]) for r in rows_of(p.stdout)[1:]}, {("white", PERMIT, "importer1")})

    def test_what_was_exported_can_be_imported(self):
        path = self.path("again.csv")
        self.ctl("export", "importer", "--out", path, check=0)
        other = World()
        try:
            # Two are there in every World.
            p = other.server.ctl("importer", "import", path, account="customs1", check=1)
            self.assertIn("importer: %d made, 2 refused, 0 lines left out" % MANY, p.stderr)
            self.assertIn("%s: the server fills these itself; they are passed over: crID crDate upID upDate\n" % path, p.stderr)
            have = other.server.ctl("export", "importer", "--columns", "id,name,address,country,status", account="customs1", check=0).stdout
        finally:
            other.close()
        self.assertEqual(have, self.ctl("export", "importer", "--columns", "id,name,address,country,status", check=0).stdout)

    def test_tacs_in_the_layout_of_the_gsma(self):
        """What is read as gsma_tac: pipes, dates as 05-Jan-2015; read again it changes nothing."""
        nra = self.world.session("nra1")
        tac = {"id": "35999901", "manufacturer": "A|B", "model": "C \"1\"", "brand": "Dé", "type": "Tablet", "rat": "GSM, LTE", "allocated": "2015-01-05"}
        self.code(nra.create("tac", tac), 1000)
        path = self.path("gsma_tac.txt")
        self.ctl("export", "tac", "--layout", "gsma", "--out", path, account="nra1", check=0)
        with open(path, encoding="utf-8", newline="") as f:
            rows = list(csv.reader(f, delimiter="|"))
        self.assertEqual(rows[0], "tac manufacturer model_name bands allocation_date device_type brand_name".split())
        self.assertIn(["35999901", "A|B", 'C "1"', "GSM, LTE", "05-Jan-2015", "Tablet", "Dé"], rows)
        self.assertEqual(len(rows) - 1, len(rows_of(self.ctl("export", "tac", "--columns", "id", account="nra1", check=0).stdout)) - 1)
        before = nra.info("tac", "35999901").fields()
        folder = os.path.join(self.world.server.dir, "files", "nra1", "ftp")
        eventually(lambda: os.path.isdir(os.path.join(folder, "out", "lists")), True)
        os.rename(path, os.path.join(folder, "in", "gsma_tac-back.txt"))
        answer = os.path.join(folder, "out", "gsma_tac-back.txt.answer.csv")
        eventually(lambda: os.path.exists(answer), True)
        with open(answer, encoding="utf-8", newline="") as f:
            self.assertEqual({r["code"] for r in csv.DictReader(f)}, {"1000"})
        after = nra.info("tac", "35999901").fields()
        self.assertEqual({k: after[k] for k in tac}, {k: before[k] for k in tac})
        for bad in (("importer",), ("tac", "--columns", "id"), ("tac", "--format", "xlsx")):
            self.assertEqual(self.ctl("export", *bad, "--layout", "gsma", account="nra1").returncode, 2)
        self.assertEqual(self.ctl("export", "tac", "--layout", "dirbs", account="nra1").returncode, 2)

    def test_a_file_that_is_there_stays(self):
        path = self.path("there.csv")
        with open(path, "w", encoding="ascii") as f:
            f.write("old")
        p = self.ctl("export", "importer", "-o", path, check=2)
        self.assertIn("is there already; --overwrite replaces it", p.stderr)
        with open(path, encoding="ascii") as f:
            self.assertEqual(f.read(), "old")
        # A refusal on the way takes nothing away either.
        self.ctl("export", "importer", "-o", path, "--overwrite", "--filter", "voice = 1", check=1)
        with open(path, encoding="ascii") as f:
            self.assertEqual(f.read(), "old")
        p = self.ctl("--json", "export", "importer", "-o", path, "--overwrite", check=0)
        self.assertEqual(json.loads(p.stdout), {"object": "importer", "rows": MANY + 2, "format": "csv", "file": path})
        with open(path, encoding="utf-8", newline="") as f:
            self.assertEqual(len(rows_of(f.read())), MANY + 3)
        self.assertEqual(self.left("there"), ["there.csv"])
        os.mkdir(self.path("folder.csv"))
        self.assertIn("not a regular file", self.ctl("export", "importer", "--out", self.path("folder.csv"), "--overwrite", check=2).stderr)
        self.assertIn("No such file", self.ctl("export", "importer", "--out", self.path("none/a.csv"), check=2).stderr)

    def test_refusals_leave_no_file(self):
        p = self.ctl("export", "importer", "--filter", "voice = 1", "--out", self.path("refused.xlsx"), check=1)
        self.assertIn("2004", p.stderr)
        p = self.ctl("export", "account", "--out", self.path("refused.xml"), account="importer1", check=1)
        self.assertIn("2201", p.stderr)
        self.assertEqual(self.left("refused"), [])
        # On standard output there is the table, and nothing else.
        p = self.ctl("--json", "export", "importer", "--filter", "voice = 1", check=1)
        self.assertEqual(p.stdout, "")
        self.assertIn("2004", p.stderr)

    def test_usage(self):
        for args, said in ((["verdict"], "it has no query"), (["golden"], "it has no query"), (["nothing"], 'no object "nothing"'), ([], "one object"),
                           (["importer", "permit"], "one object"), (["importer", "--format", "xls"], "csv, xlsx or xml"),
                           (["importer", "--format", "xlsx"], "--out FILE.xlsx"), (["importer", "--columns", "id,nothing"], '"nothing"'),
                           (["importer", "--columns", ""], "names none"), (["importer", "--columns", "id,id"], "twice"),
                           (["importer", "--columns", "name.id"], '"name.id"'), (["permit", "--columns", "position"], "position.number"),
                           (["permit", "--columns", "position.nothing"], '"position.nothing"'), (["importer", "--filter", "id"], "--filter wants"),
                           (["importer", "--limit", "5"], "no option --limit")):
            p = self.ctl("export", *args, check=2)
            self.assertIn(said, p.stderr, args)
            self.assertEqual(p.stdout, "")
        self.assertIn("export OBJECT", self.ctl("--help", check=0).stdout)
        text = self.ctl("export", "permit", "--help", check=0).stdout
        self.assertIn("ceirctl export permit\n", text)
        self.assertIn(" position.price ", text)
        self.assertIn("ceirctl export permit\n", self.ctl("permit", "--help", check=0).stdout)
        self.assertNotIn("ceirctl export", self.ctl("verdict", "--help", check=0).stdout)

    def test_a_terminal_sees_a_bar(self):
        s, key = self.world.server, self.world.server.key("customs1")
        master, slave = pty.openpty()
        p = subprocess.Popen([CEIRCTL, "--host", s.host, "--port", str(s.port), "--ca", s.ca, "--cert", key + ".crt", "--key", key + ".key", "--user",
                              "customs1", "--password-file", key + ".password", "export", "importer", "--out", self.path("bar.csv")], stderr=slave)
        os.close(slave)
        seen = b""
        try:
            while True:
                piece = os.read(master, 4096)
                if not piece:
                    break
                seen += piece
        except OSError: # the other end is closed
            pass
        os.close(master)
        self.assertEqual(p.wait(TIMEOUT), 0)
        self.assertIn(b"exporting ###", seen)
        self.assertIn(b"importer: %d rows" % (MANY + 2), seen)

    def test_the_reader_goes_away(self):
        s, key = self.world.server, self.world.server.key("customs1")
        p = subprocess.run(["bash", "-c", '"$@" | head -n 1; exit ${PIPESTATUS[0]}', "-", CEIRCTL, "--host", s.host, "--port", str(s.port), "--ca", s.ca,
                            "--cert", key + ".crt", "--key", key + ".key", "--user", "customs1", "--password-file", key + ".password", "export",
                            "importer"], capture_output=True, text=True, timeout=TIMEOUT)
        self.assertEqual(p.stdout.strip(), ",".join(FIELDS))
        self.assertNotIn("Sanitizer", p.stderr)

    def test_importers_see_their_own_permits(self):
        p = self.ctl("export", "permit", "--columns", "id,importer", account="importer1", check=0)
        self.assertEqual(rows_of(p.stdout)[1:], [[PERMIT, IMPORTER]])
        self.assertEqual(rows_of(self.ctl("export", "permit", "--columns", "id,importer", account="importer2", check=0).stdout)[1:], [])


if __name__ == "__main__":
    main()
