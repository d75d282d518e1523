#!/usr/bin/python3
"""The programs' contract: what init makes, what run says and does on signals, what verify finds, what ceirctl's exit status means."""
import json
import os
import re
import shutil
import signal
import socket
import stat
import threading
import time

from harness import (Closed, Session, document, CEIRCTL, CEIRD, FAST, ROOT, SCREEN_IMEI, Server, TIMEOUT, Test, World,
                     eventually, folder, main, run, sqlite)


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


class Init(Test):
    def test_makes_the_files_with_their_modes(self):
        dir = os.path.join(folder(), "var")
        run(CEIRD, "init", dir, check=0)
        self.assertEqual(mode(dir), 0o700)
        self.assertEqual(mode(os.path.join(dir, "keys")), 0o700)
        for name in ("ceir.conf", "ceir.db", "keys/ca.crt", "keys/ca.key", "keys/server.crt", "keys/server.key",
                     "keys/admin.crt",
                     "keys/admin.key", "keys/admin.password"):
            self.assertTrue(os.path.isfile(os.path.join(dir, name)), name)
        for name in ("ceir.db", "keys/ca.key", "keys/server.key", "keys/admin.key", "keys/admin.password"):
            self.assertEqual(mode(os.path.join(dir, name)) & 0o077, 0, name)
        pw = open(os.path.join(dir, "keys/admin.password"), encoding="ascii").read()
        self.assertRegex(pw, r"\A\S{12,16}\n\Z")
        conf = open(os.path.join(dir, "ceir.conf"), encoding="utf-8").read()
        self.assertIn("127.0.0.1:7700", conf)
        for section in ("epp", "registry", "auth", "tls", "log"):
            self.assertRegex(conf, r"(?m)^\[%s\]" % section)

    def test_two_registers_have_different_keys(self):
        dirs = [os.path.join(folder(), "var") for _ in range(2)]
        for d in dirs:
            run(CEIRD, "init", d, check=0)
        for name in ("keys/ca.key", "keys/admin.password", "keys/server.key"):
            self.assertNotEqual(*[open(os.path.join(d, name), "rb").read() for d in dirs])

    def test_refuses_a_folder_that_is_not_empty(self):
        dir = folder()
        with open(os.path.join(dir, "precious"), "w", encoding="ascii") as f:
            f.write("keep me")
        p = run(CEIRD, "init", dir, check=1)
        self.assertIn("not empty", p.stderr)
        self.assertEqual(os.listdir(dir), ["precious"])

    def test_takes_a_folder_that_is_empty(self):
        dir = folder()
        os.chmod(dir, 0o755)
        run(CEIRD, "init", dir, check=0)
        self.assertEqual(mode(dir), 0o700)

    def test_a_second_init_changes_nothing(self):
        dir = os.path.join(folder(), "var")
        run(CEIRD, "init", dir, check=0)
        before = open(os.path.join(dir, "keys/ca.key"), "rb").read()
        run(CEIRD, "init", dir, check=1)
        self.assertEqual(open(os.path.join(dir, "keys/ca.key"), "rb").read(), before)

    def test_where_the_folder_cannot_be_made(self):
        run(CEIRD, "init", "/nonexistent/ceir", check=1)

    def test_usage(self):
        for args in ([], ["nonsense"], ["init"], ["run"], ["init", "a", "b"], ["verify"], ["cert", "x"]):
            self.assertEqual(run(CEIRD, *args).returncode, 2, args)
        self.assertEqual(run(CEIRD, "--help").returncode, 0)
        self.assertEqual(run(CEIRD, "--version").returncode, 0)


class Run(Test):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_ready_names_the_address(self):
        with self.server.session("admin") as s:
            self.assertEqual(s.greeting.kind, "greeting")

    def test_sigterm_and_sigint_end_with_0(self):
        for sig in (signal.SIGTERM, signal.SIGINT):
            server = Server()
            with server.admin():
                server.process.send_signal(sig)
                self.assertEqual(server.process.wait(TIMEOUT), 0)
            self.assertEqual(server.verify().returncode, 0)

    def test_sigterm_answers_what_is_pending(self):
        """What was sent before is answered in order: done, or 2500 and the end. A session without a command under way is closed."""
        server = Server()
        idle, busy = server.admin(), server.admin()
        ids = ["STOP-%03d" % i for i in range(300)]
        frames = [Session.frame(document('<poll op="req"/>', i)) for i in ids]
        busy.send_bytes(b"".join(frames))
        server.process.send_signal(signal.SIGTERM)
        answers = []
        try:
            while len(answers) < len(ids):
                answers.append(busy.receive())
        except Closed:
            pass
        self.assertEqual([a.cltrid for a in answers], ids[:len(answers)])
        codes = [a.code for a in answers]
        self.assertTrue(set(codes) <= {1300, 2500}, codes)
        self.assertEqual(codes, sorted(codes), "something was done after the end was announced")
        self.assertTrue(idle.closed())
        self.assertEqual(server.process.wait(TIMEOUT), 0)
        self.assertEqual(server.verify().returncode, 0)

    def test_sigterm_with_a_silent_peer(self):
        server = Server()
        silent = socket.create_connection((server.host, server.port))
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(server.process.wait(TIMEOUT), 0)
        self.assertLess(time.monotonic() - begun, TIMEOUT / 2)
        silent.close()

    def test_sighup_reads_the_certificates_again(self):
        server = Server()
        s = server.admin()
        before = server.session().sock.getpeercert(binary_form=True)
        run(CEIRD, "cert", server.dir, "server-2", "--server", "--host", "localhost", "--host", "127.0.0.1", check=0)
        for end in ("crt", "key"):
            os.replace(server.key("server-2") + "." + end, server.key("server") + "." + end)
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: server.session().sock.getpeercert(binary_form=True) != before, True)
        self.code(s.poll(), 1300, 1301)

        # Rubbish in the files changes nothing.
        good = server.session().sock.getpeercert(binary_form=True)
        with open(server.key("server") + ".crt", "w", encoding="ascii") as f:
            f.write("rubbish\n")
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: "old ones stay" in server.log(), True)
        self.assertEqual(server.session().sock.getpeercert(binary_form=True), good)
        self.assertEqual(server.stop(), 0)

    def test_a_second_server_on_the_folder_is_refused(self):
        p = run(CEIRD, "run", self.server.dir, "-o", "epp.listen=127.0.0.1:0", check=1)
        self.assertIn("another ceird", p.stderr)

    def test_the_port_is_taken(self):
        other = Server(start=False)
        p = run(CEIRD, "run", other.dir, "-o", "epp.listen=127.0.0.1:%d" % self.server.port, check=1)
        self.assertIn("listen", p.stderr)

    def test_wrong_settings(self):
        other = Server(start=False)
        for o in ("epp.listen", "epp.nonsense=1", "nonsense=1", "epp.max_sessions=many", "epp.max_sessions=0",
                  "epp.require_cltrid=strict",
                  "epp.listen=nonsense", "epp.listen=127.0.0.1:99999", "log.level=loud", "registry.svtrid_prefix=a b"):
            p = run(CEIRD, "run", other.dir, "-o", o, timeout=TIMEOUT)
            self.assertIn(p.returncode, (1, 2), "%s\n%s" % (o, p.stderr))
            self.assertTrue(p.stderr.strip(), o)
            self.assertNotIn("ready", p.stdout)

    def test_wrong_conf_names_the_line(self):
        other = Server(start=False)
        with open(os.path.join(other.dir, "ceir.conf"), "a", encoding="ascii") as f:
            f.write("\n[epp]\nnonsense = 1\n")
        p = run(CEIRD, "run", other.dir, check=1)
        self.assertRegex(p.stderr, r"ceir\.conf.*\d+")

    def test_not_a_register(self):
        dir = folder()
        self.assertEqual(run(CEIRD, "run", dir).returncode, 1)
        self.assertEqual(run(CEIRD, "verify", dir).returncode, 1)

    def test_logs_as_json(self):
        server = Server(options=["log.format=json", "log.level=info"])
        server.admin().logout()
        server.stop()
        lines = server.log().splitlines()
        self.assertTrue(lines)
        for line in lines:
            self.assertIsInstance(json.loads(line), dict)
        self.assertNotIn(server.admin_password, server.log())

    def test_conf_of_init_is_taken_back(self):
        """The file with every default is a good file: a server runs on it alone, on the default port when that is free."""
        other = Server(start=False)
        self.assertIn("7700", open(os.path.join(other.dir, "ceir.conf"), encoding="utf-8").read())
        p = run(CEIRD, "verify", other.dir)
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)


class Verify(Test):
    """A sound register verifies; each kind of tampering is found and named."""

    @classmethod
    def setUpClass(cls):
        world = World()
        importer, lea = world.session("importer1"), world.session("lea1")
        world.ok(importer.submit([SCREEN_IMEI], "CT07-287/062", 1)[0], 1000, 1001)
        for n in range(3):
            world.ok(lea.create("listing", {"imei": SCREEN_IMEI, "colour": "black", "reason": "stolen",
                                            "ground": "case %d" % n}))
        world.close()
        cls.origin = world.server.dir

    def copy(self):
        dir = os.path.join(folder(), "var")
        shutil.copytree(self.origin, dir)
        return Server(dir=dir, init=False, start=False)

    def faulty(self, server, *words):
        p = server.verify()
        self.assertEqual(p.returncode, 1, p.stdout + p.stderr)
        self.assertTrue(p.stdout.strip() + p.stderr.strip())
        for w in words:
            self.assertRegex((p.stdout + p.stderr).lower(), w)

    def table(self, server, word):
        names = [r[0] for r in sqlite(server, "select name from sqlite_master where type='table'") if word in r[0]]
        self.assertTrue(names, word)
        return min(names, key=len)

    def columns(self, server, table):
        return [r[1] for r in sqlite(server, "pragma table_info(%s)" % table)]

    def test_sound(self):
        self.assertEqual(self.copy().verify().returncode, 0)

    def test_a_changed_audit_row(self):
        for column in ("account", "cltrid", "code", "address", "verb", "name"):
            server = self.copy()
            sqlite(server, "update audit set %s = 4711 where rowid = (select max(rowid) - 3 from audit)" % column)
            self.faulty(server, "audit|chain")

    def test_a_deleted_audit_row(self):
        server = self.copy()
        sqlite(server, "delete from audit where rowid = (select max(rowid) - 3 from audit)")
        self.faulty(server, "audit|chain")

    def test_the_first_audit_row_deleted(self):
        server = self.copy()
        sqlite(server, "delete from audit where rowid = (select min(rowid) from audit)")
        self.faulty(server, "audit|chain")

    def test_an_inserted_audit_row(self):
        server = self.copy()
        names = ", ".join(c for c in self.columns(server, "audit") if c != "seq")
        sqlite(server, "insert into audit select (select max(seq) + 1 from audit), %s from audit where seq = 1" %
               names.replace("at,", "at + 7,", 1))
        self.faulty(server, "audit|chain")

    def test_a_changed_change_row(self):
        server = self.copy()
        table = self.table(server, "change")
        sqlite(server, "update %s set verdict = verdict + 1 where seq = (select max(seq) from %s)" % (table, table))
        self.faulty(server, "change|verdict")

    def test_a_deleted_change_row(self):
        server = self.copy()
        table = self.table(server, "change")
        sqlite(server, "delete from %s where seq = (select min(seq) from %s)" % (table, table))
        self.faulty(server, "change")

    def test_a_changed_verdict(self):
        server = self.copy()
        table = self.table(server, "imei")
        sqlite(server, "update %s set verdict = 0" % table)
        self.faulty(server, "verdict|change")

    def test_a_listing_removed_behind_the_back(self):
        server = self.copy()
        sqlite(server, "delete from listing")
        self.faulty(server, "verdict|rule|imei")

    def test_an_application_that_does_not_exist(self):
        server = self.copy()
        sqlite(server, "delete from application")
        self.faulty(server, "application|reference|foreign")

    def test_flipped_bytes(self):
        """Bytes of the database overwritten on the disk: found, wherever they are used, or harmless; never a crash."""
        server = self.copy()
        path = os.path.join(server.dir, "ceir.db")
        pages = os.path.getsize(path) // 4096
        found = 0
        for page in range(1, pages, max(1, pages // 12)):
            shutil.copy(os.path.join(self.origin, "ceir.db"), path)
            for end in ("-wal", "-shm"):
                if os.path.exists(path + end):
                    os.remove(path + end)
            with open(path, "r+b") as f:
                f.seek(page * 4096)
                f.write(bytes(255 - b for b in open(path, "rb").read()[page * 4096:page * 4096 + 64]))
            p = server.verify()
            self.assertIn(p.returncode, (0, 1), p.stderr)
            found += p.returncode
        self.assertGreater(found, 0)

    def test_not_a_database(self):
        server = self.copy()
        with open(os.path.join(server.dir, "ceir.db"), "wb") as f:
            f.write(b"This is no database. " * 1000)
        self.faulty(server)
        self.assertEqual(run(CEIRD, "run", server.dir, "-o", "epp.listen=127.0.0.1:0", timeout=TIMEOUT).returncode, 1)

    def test_verify_beside_a_running_server(self):
        server = Server()
        with server.admin() as s:
            stop = threading.Event()

            def load():
                while not stop.is_set():
                    s.poll()
                    s.create("account", {"id": "someone", "role": "customs", "pw": "short"})
            t = threading.Thread(target=load)
            t.start()
            try:
                for _ in range(5):
                    p = server.verify()
                    self.assertEqual(p.returncode, 0, p.stdout + p.stderr)
            finally:
                stop.set()
                t.join()
        server.stop()


class Ctl(Test):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.server = cls.world.server

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def test_0_done(self):
        p = self.server.ctl("imei", "check", SCREEN_IMEI, check=0)
        self.assertIn(SCREEN_IMEI, p.stdout)

    def test_1_refused(self):
        p = self.server.ctl("listing", "create", "--imei", SCREEN_IMEI, "--colour", "black", "--reason", "stolen", "--ground",
                            "x", check=1)
        self.assertIn("2201", p.stdout + p.stderr)

    def test_1_not_found(self):
        self.server.ctl("permit", "info", "no-such-permit", check=1)

    def test_1_wrong_password(self):
        path = os.path.join(folder(), "pw")
        with open(path, "w", encoding="ascii") as f:
            f.write("not-the-password\n")
        p = self.server.ctl("imei", "check", SCREEN_IMEI, account="lea1", password_file=path, check=1)
        self.assertIn("2200", p.stdout + p.stderr)
        # A success clears the count, so the account is not locked for the other tests.
        self.server.ctl("imei", "check", SCREEN_IMEI, account="lea1", check=0)

    def test_2_usage(self):
        for args in ([], ["nonsense"], ["imei"], ["imei", "nonsense", "x"], ["imei", "check"],
                     ["listing", "create", "--nonsense", "1"],
                     ["permit", "info"]):
            p = self.server.ctl(*args)
            self.assertEqual(p.returncode, 2, "%s\n%s%s" % (args, p.stdout, p.stderr))

    def test_3_no_connection(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        key = self.server.key("admin")
        p = run(CEIRCTL, "--host", "127.0.0.1", "--port", port, "--ca", self.server.ca, "--cert", key + ".crt", "--key",
                key + ".key",
                "--user", "admin", "--password-file", key + ".password", "imei", "check", SCREEN_IMEI, check=3)
        self.assertTrue(p.stderr.strip())

    def test_3_another_authority(self):
        other = Server(start=False)
        key = self.server.key("admin")
        run(CEIRCTL, "--host", self.server.host, "--port", self.server.port, "--ca", other.ca, "--cert", key + ".crt", "--key",
            key + ".key",
            "--user", "admin", "--password-file", key + ".password", "imei", "check", SCREEN_IMEI, check=3)

    def test_json(self):
        doc = json.loads(self.server.ctl("--json", "imei", "check", SCREEN_IMEI, "352106050544204", check=0).stdout)
        text = json.dumps(doc)
        self.assertIn(SCREEN_IMEI, text)
        self.assertIn("352106050544204", text)
        doc = json.loads(self.server.ctl("--json", "permit", "info", "CT07-287/062", check=0).stdout)
        self.assertIn("2015-12-12", json.dumps(doc))
        p = self.server.ctl("--json", "permit", "info", "no-such-permit", check=1)
        self.assertIn("2303", json.dumps(json.loads(p.stdout)))

    def test_json_has_the_values_whatever_they_hold(self):
        name = 'A "quoted" <name> & більше \\ '.strip()
        self.server.ctl("importer", "create", "--id", "100200", "--name", name, account="customs1", check=0)
        doc = json.loads(self.server.ctl("--json", "importer", "info", "100200", check=0).stdout)
        self.assertIn(name, re.sub(r'\\u([0-9a-f]{4})', lambda m: chr(int(m.group(1), 16)),
                                   json.dumps(doc, ensure_ascii=False)).replace(
            '\\"', '"').replace("\\\\", "\\"))

    def test_raw_epp_with_the_customers_sample(self):
        with open(os.path.join(ROOT, "examples/epp-check-request.xml"), encoding="utf-8") as f:
            p = self.server.ctl("epp", input=f.read(), check=0)
        self.assertIn("<clTRID>USER-1275850648</clTRID>", p.stdout)
        self.assertIn("352106150345703", p.stdout)
        self.assertIn('code="1000"', p.stdout)

    def test_raw_epp_with_two_documents(self):
        with open(os.path.join(ROOT, "examples/epp-check-request.xml"), encoding="utf-8") as f:
            one = f.read()
        p = self.server.ctl("epp", input=one + "\n" + one.replace("1275850648", "1275850649"), check=0)
        self.assertIn("USER-1275850648", p.stdout)
        self.assertIn("USER-1275850649", p.stdout)

    def test_raw_epp_refused(self):
        with open(os.path.join(ROOT, "examples/epp-check-request.xml"), encoding="utf-8") as f:
            one = f.read().replace("imei:check", "imei:nonsense")
        self.server.ctl("epp", input=one, check=1)

    def test_dir(self):
        """--dir finds certificate, key and password of admin by itself; the address is that of ceir.conf."""
        server = Server(start=False)
        conf = os.path.join(server.dir, "ceir.conf")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        text = open(conf, encoding="utf-8").read().replace("127.0.0.1:7700", "127.0.0.1:%d" % port)
        text = re.sub(r"(?m)^#? ?listen *=.*$", "listen = 127.0.0.1:%d" % port, text, count=1) # of section [epp]
        with open(conf, "w", encoding="utf-8") as f:
            f.write(text)
        FAST_listen = [o for o in FAST if not o.startswith("epp.listen")]
        saved, FAST[:] = list(FAST), FAST_listen
        try:
            server.start()
        finally:
            FAST[:] = saved
        self.assertEqual(server.port, port)
        p = run(CEIRCTL, "--dir", server.dir, "imei", "check", SCREEN_IMEI, check=0)
        self.assertIn(SCREEN_IMEI, p.stdout)
        server.stop()


if __name__ == "__main__":
    main()
