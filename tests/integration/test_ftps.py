#!/usr/bin/python3
"""FTPS of a real ceird with its real pure-ftpd, by curl, lftp, openssl and Python: who comes in and what is written about it, uploads whole and
broken off, what an account can reach, what dies with whom.

As root sessions are the user nobody; else ceird makes a user name space, and where that is not allowed the file is skipped and says so.
"""
import ftplib
import glob
import io
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import unittest

import harness
from harness import PASSWORD, TIMEOUT, Test, World, eventually, folder, imei, less, main, run, sqlite

PURE_FTPD = "/usr/sbin/pure-ftpd"
CURL, LFTP, OPENSSL = shutil.which("curl"), shutil.which("lftp"), shutil.which("openssl")


def why_not():
    for name, path in (("pure-ftpd", PURE_FTPD), ("curl", CURL), ("lftp", LFTP), ("openssl", OPENSSL)):
        if not path or not os.path.exists(path):
            return "%s is not installed (tools/packages.txt)" % name
    if os.getuid() != 0 and subprocess.run(["unshare", "-Ur", "true"], capture_output=True).returncode != 0:
        return "neither root nor allowed to make user name spaces: pure-ftpd cannot shut accounts into their folders"
    return None


MISSING = why_not()


def free_ports(n):
    """Data ports below those the system gives away; another test file at the same time has another process number."""
    first = 20000 + (os.getpid() * 400) % 12000
    return "%d-%d" % (first, first + n - 1)


OPTIONS = ["ftps.listen=127.0.0.1:0", "ftps.passive_ports=" + free_ports(400), "ftps.max_clients=200", "ftps.max_clients_address=200",
           "ftps.idle_timeout_s=60", "files.threads=0", "auth.max_sessions_account=150", "log.level=debug"]


class Ftp:
    """An account at a server."""

    def __init__(self, server, account, password=PASSWORD):
        self.server, self.account, self.password = server, account, password

    @property
    def port(self):
        return self.server.ftps_port

    def curl(self, path, *more, input=None, timeout=None):
        args = [CURL, "-sS", "--ssl-reqd", "--cacert", self.server.ca, "--user", "%s:%s" % (self.account, self.password),
                "--max-time", str(int(4 * TIMEOUT)), "ftp://localhost:%d/%s" % (self.port, path)]
        return subprocess.run(args + list(more), input=input, capture_output=True, timeout=timeout)

    def put(self, name, data, *more):
        return self.curl("in/" + name, "-T", "-", *more, input=data)

    def lftp(self, *commands):
        settings = ["set ssl:ca-file %s" % self.server.ca, "set ftp:ssl-force true", "set ftp:ssl-protect-data true", "set net:max-retries 1",
                    "set net:timeout %d" % TIMEOUT, "set cmd:fail-exit true",
                    "open -u %s,%s -p %d ftp://localhost" % (self.account, self.password, self.port)]
        return subprocess.run([LFTP, "--norc", "-c", "; ".join(settings + list(commands))], capture_output=True, text=True, timeout=4 * TIMEOUT)

    def python(self, tls=None):
        """A session of Python's own client, logged in, data channels protected."""
        context = ssl.create_default_context(cafile=self.server.ca)
        if tls:
            context.maximum_version = tls
        f = Client(context=context, timeout=TIMEOUT)
        f.connect("localhost", self.port)
        f.login(self.account, self.password)
        f.prot_p()
        return f

    # behind the server's back

    @property
    def home(self):
        return os.path.join(self.server.dir, "files", self.account, "ftp")

    def inside(self):
        return sorted(n for n in os.listdir(os.path.join(self.home, "in")))

    def taken(self):
        """{name: [content, ...]} of what is in the queue, in the order of its coming: files.threads=0 lets it wait."""
        found = {}
        for path in sorted(glob.glob(os.path.join(self.server.dir, "files", self.account, "queue", "*.data"))):
            with open(path, "rb") as f, open(path[:-5] + ".name", encoding="utf-8") as g:
                found.setdefault(g.read(), []).append(f.read())
        return found

    def takes(self, name):
        """How often the log says that the name was taken."""
        return self.server.log().count("%s: in/%s is taken" % (self.account, name))


class Client(ftplib.FTP_TLS):
    """Data channels take up the control channel's TLS session."""
    reused = None

    def ntransfercmd(self, cmd, rest=None):
        conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        conn = self.context.wrap_socket(conn, server_hostname=self.host, session=self.sock.session)
        self.reused = conn.session_reused
        return conn, size


def daemons(server):
    """Process numbers of everything that belongs to the server's pure-ftpd: its main process names the data folder to its library, and the
    sessions are its children; found by the group they share."""
    found = []
    for status in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(status) as f:
                text = f.read()
            pid = int(text.split(" ")[0])
            name, rest = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:].split(" ")
            with open("/proc/%d/maps" % pid) as f:
                ours = os.path.join(harness.BUILD, "ceir-ftps.so") in f.read()
        except (OSError, ValueError):
            continue
        if name.startswith("pure-ftpd") and ours and rest[0] != "Z":
            found.append((pid, int(rest[1]), int(rest[2])))
    return found


def daemons_of(server):
    """Those whose guard is a child of this ceird; the guard's number is their group."""
    guards = set()
    for path in glob.glob("/proc/%d/task/*/children" % server.process.pid):
        with open(path) as f:
            guards |= {int(p) for p in f.read().split()}
    return [d for d in daemons(server) if d[2] in guards], guards


class Shared:
    """The server of most tests."""
    world = None
    waits = None # a login that was refused and is not answered yet


def setUpModule():
    if MISSING:
        return
    Shared.world = World(options=OPTIONS)
    for name in ("customs1", "lea1", "operator1"):
        World.ok(Shared.world.session("admin").update("account", name, chg={"ftps": "yes"}))


def tearDownModule():
    if not Shared.world:
        return
    if Shared.waits:
        try:
            raise AssertionError("let in: " + Shared.waits.voidresp())
        except ftplib.error_perm as e:
            assert str(e).startswith("530"), e
        Shared.waits.close()
    Shared.world.close()


@unittest.skipIf(MISSING, MISSING)
class FtpsTest(Test):
    @classmethod
    def setUpClass(cls):
        cls.world = Shared.world
        cls.server = cls.world.server
        cls.customs, cls.lea, cls.operator = (Ftp(cls.server, n) for n in ("customs1", "lea1", "operator1"))

    def done(self, p):
        self.assertEqual(p.returncode, 0, (p.stdout, p.stderr))
        return p


class Channels(FtpsTest):
    def test_explicit_tls_up_and_down(self):
        data = os.urandom(300000)
        self.done(self.customs.put("permit-1.csv", data))
        # 226 was answered: it is taken already.
        self.assertEqual(self.customs.taken()["permit-1.csv"], [data])
        self.assertEqual(self.customs.takes("permit-1.csv"), 1)
        self.assertNotIn("permit-1.csv", self.customs.inside())
        answer = os.path.join(self.customs.home, "out", "answer.csv")
        with open(answer, "wb") as f:
            f.write(data)
        os.chmod(answer, 0o600) # as the file face writes
        self.assertEqual(self.done(self.customs.curl("out/answer.csv")).stdout, data)
        self.assertEqual(self.done(self.customs.curl("out/answer.csv", "-r", "1000-")).stdout, data[1000:])
        listing = self.done(self.customs.curl("out/")).stdout.decode()
        self.assertIn("answer.csv", listing)
        self.assertIn("lists", listing)

    def test_lftp(self):
        here = folder()
        with open(os.path.join(here, "check-7.csv"), "w") as f:
            f.write("imei\n" * 1000)
        p = self.customs.lftp("cd in", "lcd %s" % here, "put check-7.csv", "cd ../out", "cls")
        self.done(p)
        self.assertEqual(len(self.customs.taken()["check-7.csv"]), 1)

    def test_empty_file(self):
        self.done(self.customs.put("empty.csv", b""))
        self.assertEqual(self.customs.taken()["empty.csv"], [b""])

    def test_plain_ftp_is_refused(self):
        f = ftplib.FTP(timeout=TIMEOUT)
        f.connect("localhost", self.customs.port)
        before = sqlite(self.server, "SELECT count(*) FROM audit")
        with self.assertRaises(ftplib.Error):
            f.login("customs1", PASSWORD)
        f.close()
        self.assertEqual(sqlite(self.server, "SELECT count(*) FROM audit"), before)
        # A data channel in the open is not to be had either.
        f = ftplib.FTP_TLS(context=ssl.create_default_context(cafile=self.server.ca), timeout=TIMEOUT)
        f.connect("localhost", self.customs.port)
        f.login("customs1", PASSWORD)
        for step in (f.prot_c, lambda: f.retrlines("LIST")):
            try:
                step()
            except ftplib.Error:
                break
        else:
            self.fail("a listing came in the open")
        f.close()

    def test_old_tls_is_refused(self):
        def hello(version):
            return subprocess.run([OPENSSL, "s_client", "-starttls", "ftp", "-connect", "127.0.0.1:%d" % self.customs.port, version,
                                   "-cipher", "DEFAULT@SECLEVEL=0"], input=b"QUIT\r\n", capture_output=True, timeout=TIMEOUT)
        for version in ("-tls1", "-tls1_1"):
            p = hello(version)
            self.assertNotEqual(p.returncode, 0, p.stdout)
            self.assertNotIn(b"Server certificate", p.stdout)
        for version in ("-tls1_2", "-tls1_3"):
            self.assertIn(b"Server certificate", hello(version).stdout)

    def test_tls_session_is_taken_up_by_data_channels(self):
        f = self.customs.python(ssl.TLSVersion.TLSv1_2)
        self.assertEqual(sorted(n for n in f.nlst() if n[0] != "."), ["in", "out"])
        self.assertTrue(f.reused)
        f.quit()


class Uploads(FtpsTest):
    def slow(self, ftp, name, data, seconds=0.6):
        """curl that sends slowly and is killed: part of the file is there."""
        p = subprocess.Popen([CURL, "-sS", "--ssl-reqd", "--cacert", self.server.ca, "--user", "%s:%s" % (ftp.account, PASSWORD), "--limit-rate",
                              "400k", "-T", "-", "ftp://localhost:%d/in/%s" % (ftp.port, name)], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        feeder = threading.Thread(target=self.feed, args=(p, data))
        feeder.start()
        path = os.path.join(ftp.home, "in", name)
        eventually(lambda: os.path.exists(path) and os.path.getsize(path) > 0, True)
        p.kill()
        p.wait()
        feeder.join()
        return path

    @staticmethod
    def feed(p, data):
        try:
            p.stdin.write(data)
            p.stdin.close()
        except OSError:
            pass

    def sessions_over(self):
        """No session of an account is left; each holds its folder as its root."""
        def roots():
            found = set()
            for pid, _, _ in daemons_of(self.server)[0]:
                try:
                    found.add(os.readlink("/proc/%d/root" % pid))
                except OSError:
                    pass
            return found
        eventually(roots, {"/"})

    def test_killed_client_then_resumed(self):
        data = os.urandom(2000000)
        path = self.slow(self.customs, "night.csv", data)
        self.sessions_over()
        part = os.path.getsize(path)
        self.assertTrue(0 < part < len(data))
        self.assertEqual(self.customs.takes("night.csv"), 0)
        # A login does not take it for complete.
        self.done(self.customs.curl("in/"))
        self.assertEqual(self.customs.inside().count("night.csv"), 1)
        source = os.path.join(folder(), "night.csv")
        with open(source, "wb") as f:
            f.write(data)
        self.done(self.customs.curl("in/night.csv", "-C", "-", "-T", source))
        self.assertEqual(self.customs.taken()["night.csv"], [data])
        self.assertEqual(self.customs.takes("night.csv"), 1)

    def test_data_channel_cut_without_close_notify(self):
        f = self.customs.python()
        conn = f.transfercmd("STOR in/cut.csv")
        conn.sendall(b"x" * 100000)
        path = os.path.join(self.customs.home, "in", "cut.csv")
        eventually(lambda: os.path.exists(path) and os.path.getsize(path), 100000)
        socket.socket.shutdown(conn, socket.SHUT_RDWR) # TCP's end, no TLS's
        conn.close()
        with self.assertRaises(ftplib.Error):
            f.voidresp()
        self.assertEqual(self.customs.takes("cut.csv"), 0)
        self.assertIn("cut.csv", self.customs.inside())
        f.delete("in/cut.csv") # the session goes on; a part may be thrown away
        self.assertNotIn("cut.csv", self.customs.inside())
        f.quit()

    def test_aborted(self):
        f = self.customs.python()
        conn = f.transfercmd("STOR in/aborted.csv")
        conn.sendall(b"x" * 1000)
        f.putline("ABOR")
        self.assertEqual(f.getmultiline()[:3], "426")
        conn.close()
        f.close()
        self.sessions_over()
        self.assertEqual(self.customs.takes("aborted.csv"), 0)

    def test_same_name_again_is_another_file(self):
        for data in (b"one\n", b"two\n"):
            self.done(self.customs.put("again.csv", data))
        self.assertEqual(sorted(self.customs.taken()["again.csv"]), [b"one\n", b"two\n"])

    def test_appended(self):
        f = self.customs.python()
        conn = f.transfercmd("STOR in/log.csv")
        conn.sendall(b"first,")
        path = os.path.join(self.customs.home, "in", "log.csv")
        eventually(lambda: os.path.exists(path) and os.path.getsize(path), 6)
        socket.socket.shutdown(conn, socket.SHUT_RDWR)
        conn.close()
        with self.assertRaises(ftplib.Error):
            f.voidresp()
        f.storbinary("APPE in/log.csv", io.BytesIO(b"second"))
        f.quit()
        self.assertEqual(self.customs.taken()["log.csv"], [b"first,second"])

    def test_many_at_once(self):
        """A hundred sessions together, each up and down a small file."""
        n = less(100, 20)
        gate, faults = threading.Barrier(n), []

        def one(i):
            try:
                f = self.customs.python()
                gate.wait(4 * TIMEOUT)
                f.storbinary("STOR in/many-%d.csv" % i, io.BytesIO(b"%d\n" % i))
                f.quit()
            except Exception as e:
                faults.append(repr(e))
                gate.abort()
        threads = [threading.Thread(target=one, args=(i,)) for i in range(n)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(faults, [])
        taken = self.customs.taken()
        for i in range(n):
            self.assertEqual(taken["many-%d.csv" % i], [b"%d\n" % i])

    def test_quota(self):
        """Parts that lie there count; what was taken does not."""
        world_quota = OPTIONS + ["ftps.quota_files=2", "ftps.quota_mib=1"]
        world = World(options=world_quota)
        try:
            World.ok(world.session("admin").update("account", "customs1", chg={"ftps": "yes"}))
            ftp = Ftp(world.server, "customs1")
            for i in range(3):
                self.done(ftp.put("small-%d.csv" % i, b"x"))
            p = ftp.put("large.csv", b"x" * 1500000)
            self.assertNotEqual(p.returncode, 0)
            self.assertEqual(ftp.takes("large.csv"), 0)
            for name in ("a", "b"):
                with open(os.path.join(ftp.home, "in", name), "w") as f:
                    f.write("part")
            p = ftp.put("third.csv", b"x")
            self.assertNotEqual(p.returncode, 0)
            self.assertEqual(ftp.takes("third.csv"), 0)
        finally:
            world.close()


class Walls(FtpsTest):
    def test_only_ones_own_folder(self):
        self.done(self.lea.curl(""))
        secret = os.path.join(self.lea.home, "out", "secret.csv")
        with open(secret, "w") as f:
            f.write("secret\n")
        f = self.customs.python()
        self.assertEqual(sorted(n for n in f.nlst("/") if n[1] != "."), ["/in", "/out"])
        for path in (secret, self.lea.home + "/out/secret.csv", "../../lea1/ftp/out/secret.csv", "/../../lea1/ftp/out/secret.csv",
                     "/etc/passwd", "../../../ceir.conf"):
            with self.assertRaises(ftplib.Error, msg=path):
                f.retrbinary("RETR " + path, lambda b: None)
        for path in ("..", "../..", "/../../.."):
            f.cwd(path)
            self.assertEqual(f.pwd(), "/")
        with self.assertRaises(ftplib.Error):
            f.cwd("/../lea1")
        f.quit()

    def test_writes_only_in_in(self):
        f = self.customs.python()
        f.cwd("out")
        for path in ("/x.csv", "/out/x.csv", "x.csv", "/out/lists/x.csv", "/in/../x.csv", "/in/../out/x.csv", "../x.csv", "/.ftpquota",
                     "/in/.hidden", "/in/sub/x.csv"):
            with self.assertRaises(ftplib.Error, msg=path):
                f.storbinary("STOR " + path, io.BytesIO(b"x"))
        answer = os.path.join(self.customs.home, "out", "mine.csv")
        with open(answer, "w") as g:
            g.write("x")
        for command in ("DELE /out/mine.csv", "RNFR /out/mine.csv", "RMD /out", "RMD /in", "MKD /in/sub", "MKD /sub", "SITE CHMOD 777 /in",
                        "SITE CHMOD 777 /out/mine.csv"):
            try:
                self.assertFalse(f.sendcmd(command).startswith("2"), command)
            except ftplib.Error:
                pass
        f.quit()
        self.assertTrue(os.path.exists(answer))
        self.assertEqual(os.stat(os.path.join(self.customs.home, "in")).st_mode & 0o777, 0o700)
        self.assertEqual(sorted(os.listdir(self.customs.home)), [".ftpquota", "in", "out"])

    def test_links_are_not_followed(self):
        """None can be made; one that were there would not be written or taken through."""
        self.done(self.customs.curl(""))
        target = os.path.join(folder(), "victim")
        with open(target, "w") as g:
            g.write("victim")
        os.symlink(target, os.path.join(self.customs.home, "in", "link.csv"))
        f = self.customs.python()
        for command in ("SITE SYMLINK /etc/passwd in/l", "SITE LINK /etc/passwd in/l", "SITE ALIAS in/l"):
            try:
                f.sendcmd(command)
            except ftplib.Error:
                pass
        self.assertFalse(os.path.lexists(os.path.join(self.customs.home, "in", "l")))
        with self.assertRaises(ftplib.Error):
            f.storbinary("STOR in/link.csv", io.BytesIO(b"overwritten"))
        f.quit()
        with open(target) as g:
            self.assertEqual(g.read(), "victim")
        self.assertEqual(self.customs.takes("link.csv"), 0)
        os.unlink(os.path.join(self.customs.home, "in", "link.csv"))

    def test_strange_names(self):
        names = ["a b.csv", "a\"] \"PUT x.csv", "%41%00.csv", "-rf", "$(id).csv", "\u0434\u043e\u0437\u0432\u0456\u043b.csv", "a;b&c|d.csv", "x" * 200]
        f = self.customs.python()
        f.encoding = "utf-8"
        for name in names:
            f.storbinary("STOR in/" + name, io.BytesIO(name.encode()))
        f.quit()
        for name in names:
            self.assertEqual(self.customs.taken()[name], [name.encode()], name)

    def test_files_are_nobodys_else(self):
        if os.getuid() != 0:
            self.skipTest("not root: all is of one user")
        import pwd
        self.done(self.customs.put("whose.csv", b"x"))
        name, = [n for n in glob.glob(os.path.join(self.server.dir, "files", "customs1", "queue", "*.name")) if open(n).read() == "whose.csv"]
        path = name[:-5] + ".data"
        self.assertEqual(os.stat(path).st_uid, pwd.getpwnam("nobody").pw_uid)
        self.assertEqual(os.stat(path).st_mode & 0o077, 0)


@unittest.skipIf(MISSING, MISSING)
class Answers(Test):
    """With the file face at work: what goes up in a session is answered in the same session."""

    def test_up_and_answered(self):
        world = World(options=OPTIONS + ["files.threads=2"])
        self.addCleanup(world.close)
        World.ok(world.session("admin").update("account", "customs1", chg={"ftps": "yes"}))
        f = Ftp(world.server, "customs1").python()
        number = imei("35210605", 1)
        f.storbinary("STOR in/check-desk.csv", io.BytesIO(b"imei\n%s\n1\n" % number.encode()))
        names = eventually(lambda: f.nlst("out"), lambda names: any("check-desk.csv.answer.csv" in n for n in names))
        self.assertFalse([n for n in names if "check" in n and "rejects" not in n and "answer" not in n])
        got = io.BytesIO()
        f.retrbinary("RETR out/check-desk.csv.answer.csv", got.write)
        rows = got.getvalue().decode().split("\r\n")
        self.assertEqual(rows[0].split(",")[0], "imei")
        self.assertTrue(rows[1].startswith(number + ","), rows)
        self.assertIn("svTRID", rows[0])
        self.assertFalse([n for n in f.nlst("in") if "check" in n])
        f.quit()


class Logins(FtpsTest):
    def audit(self, account, since):
        return sqlite(self.server, "SELECT code, address FROM audit WHERE verb = 'login' AND name = '%s' AND seq > %d ORDER BY seq" % (account, since))

    def last(self):
        return sqlite(self.server, "SELECT max(seq) FROM audit")[0][0]

    def attempt(self, account, password):
        """A login whose answer is not waited for: pure-ftpd keeps who was refused waiting for seconds. It stands in the audit log at once."""
        f = ftplib.FTP_TLS(context=ssl.create_default_context(cafile=self.server.ca), timeout=TIMEOUT)
        f.connect("localhost", self.customs.port)
        f.auth()
        f.sendcmd("USER " + account)
        f.putline("PASS " + password)
        self.addCleanup(lambda: f is Shared.waits or f.close())
        return f

    def refused(self, account, password=PASSWORD, code=2200):
        since = self.last()
        f = self.attempt(account, password)
        eventually(lambda: self.audit(account, since), [(code, "127.0.0.1")])
        return f

    def test_only_accounts_that_may(self):
        Shared.waits = self.refused("nra1")
        for name in ("nobody1", "anonymous", "ftp", "root", "nobody"):
            self.refused(name)
        s = self.world.session("admin")
        self.assertNotIn("ftps", s.info("account", "nra1").fields())
        self.server.ctl("account", "update", "nra1", "--ftps", "yes", check=0)
        self.assertEqual(s.info("account", "nra1").fields()["ftps"], "yes")
        self.done(Ftp(self.server, "nra1").curl(""))
        World.ok(s.update("account", "nra1", chg={"ftps": "no"}))
        self.refused("nra1")

    def test_each_login_is_a_transaction(self):
        since = self.last()
        self.done(self.operator.curl(""))
        self.assertEqual(self.audit("operator1", since), [(1000, "127.0.0.1")])
        # Logged out again: no session of the account is left at the door.
        rows = sqlite(self.server, "SELECT count(*) FROM audit WHERE verb = 'logout' AND account = 'operator1' AND seq > %d" % since)
        self.assertEqual(rows, [(1,)])

    def test_wrong_passwords_lock_the_account(self):
        s = self.world.session("admin")
        self.world.account("locked1", role="tax", ftps="yes")
        for _ in range(4):
            self.refused("locked1", "Sesam-open-7")
        self.refused("locked1") # the right one now
        self.assertIn("lockedUntil", s.info("account", "locked1").fields())
        epp = self.server.session("locked1")
        self.assertEqual(epp.login("locked1", PASSWORD).code, 2200) # everywhere
        epp.close()
        World.ok(s.update("account", "locked1", chg={"status": "active"}))
        self.done(Ftp(self.server, "locked1").curl(""))
        self.assertNotIn("Sesam-open-7", self.server.log())
        self.assertNotIn(PASSWORD, self.server.log())

    def test_a_flood_does_not_stall(self):
        """Many who guess at once: who knows his password still comes in, and every guess is written down."""
        self.world.account("flood1", role="tax", ftps="yes")
        since, n = self.last(), less(20, 10)
        flood = [self.attempt("flood1", "guess-%d" % i) for i in range(n)]
        self.done(self.customs.curl("in/"))
        eventually(lambda: len(self.audit("flood1", since)), n)
        self.assertEqual(len(flood), n)


class Life(FtpsTest):
    def test_started_again_when_killed(self):
        before, _ = daemons_of(self.server)
        os.kill(min(before)[0], signal.SIGKILL)
        eventually(lambda: [d for d in daemons_of(self.server)[0] if d not in before], lambda found: len(found) == 1)
        eventually(lambda: self.customs.curl("").returncode, 0)
        self.assertIn("pure-ftpd has ended; it is started again", self.server.log())

    def test_guard_killed(self):
        _, guards = daemons_of(self.server)
        f = self.customs.python()
        before, _ = daemons_of(self.server)
        os.kill(guards.pop(), signal.SIGKILL)
        eventually(lambda: {p for p, _, _ in daemons(self.server)} & {p for p, _, _ in before} if os.getuid() == 0 else set(), set())
        eventually(lambda: self.customs.curl("").returncode, 0)
        f.close()

    def test_new_certificate(self):
        def serial():
            p = subprocess.run([OPENSSL, "s_client", "-starttls", "ftp", "-connect", "127.0.0.1:%d" % self.customs.port], input=b"QUIT\r\n",
                               capture_output=True, timeout=TIMEOUT)
            pem = re.search(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", p.stdout, re.S)
            return pem.group(0) if pem else None
        old = serial()
        f = self.customs.python()
        self.server.cert("server-2", "--server", "--host", "localhost", "--host", "127.0.0.1")
        for end in (".crt", ".key"):
            os.replace(self.server.key("server-2") + end, self.server.key("server") + end)
        self.server.process.send_signal(signal.SIGHUP)
        eventually(serial, lambda pem: pem not in (None, old))
        f.storbinary("STOR in/old-session.csv", io.BytesIO(b"x")) # goes on
        f.quit()
        self.done(self.customs.curl(""))
        self.assertEqual(os.stat(os.path.join(self.server.dir, "ftps", "server.pem")).st_mode & 0o777, 0o600)


@unittest.skipIf(MISSING, MISSING)
class Ends(Test):
    """Servers of their own, because they are killed."""

    def setUp(self):
        # A data folder by way of a link: pure-ftpd tells of files by their true paths.
        base = folder()
        os.mkdir(os.path.join(base, "true"))
        os.symlink("true", os.path.join(base, "link"))
        self.world = World(options=OPTIONS, dir=os.path.join(base, "link"))
        World.ok(self.world.session("admin").update("account", "customs1", chg={"ftps": "yes"}))
        self.server, self.ftp = self.world.server, Ftp(self.world.server, "customs1")

    def test_kill_leaves_nothing_and_complete_files_are_taken_later(self):
        f = self.ftp.python()
        conn = f.transfercmd("STOR in/under-way.csv")
        conn.sendall(b"part")
        ours = {p for p, _, _ in daemons_of(self.server)[0]}
        self.assertGreaterEqual(len(ours), 2)
        self.world.forget()
        self.server.kill()
        eventually(lambda: {p for p, _, _ in daemons(self.server)} & ours, set())
        conn.close()
        f.close()
        self.assertEqual(self.ftp.inside(), ["under-way.csv"])
        # As if it had been killed between the end of an upload and its answer: the session has marked the file.
        path = os.path.join(self.ftp.home, "in", "marked.csv")
        with open(path, "wb") as g:
            g.write(b"whole\n")
        os.chmod(path, 0o400)
        self.server.start()
        self.assertEqual(self.ftp.curl("in/").returncode, 0)
        self.assertEqual(self.ftp.taken(), {"marked.csv": [b"whole\n"]})
        self.assertEqual(self.ftp.inside(), ["under-way.csv"])
        self.world.close()
        self.assertEqual({p for p, _, _ in daemons(self.server)} & ours, set())

    def test_stop_ends_sessions(self):
        f = self.ftp.python()
        ours = {p for p, _, _ in daemons_of(self.server)[0]}
        self.world.close()
        self.assertEqual({p for p, _, _ in daemons(self.server)} & ours, set())
        f.close()


@unittest.skipIf(MISSING, MISSING)
class Wrong(Test):
    def test_settings_that_cannot_be(self):
        dir = os.path.join(folder(), "var")
        run(harness.CEIRD, "init", dir, check=0)
        no_program = os.path.join(folder(), "no-program")
        with open(no_program, "wb") as f:
            f.write(b"\0")
        os.chmod(no_program, 0o755)
        for option, word in (("ftps.listen=nonsense", "ADDRESS:PORT"), ("ftps.passive_ports=40110-40120", "ftps.max_clients"),
                             ("ftps.passive_ports=x", "ftps.passive_ports"), ("ftps.daemon=/nowhere/pure-ftpd", "ftps.daemon"),
                             ("ftps.preload=/nowhere/x.so", "ftps.preload"),
                             ("ftps.preload=" + glob.glob("/lib/*/libm.so.6")[0], "runs without"),
                             ("ftps.daemon=" + no_program, "cannot be started"), ("ftps.user=no-such-user", "ftps.user")):
            if option.startswith("ftps.user") and os.getuid() != 0:
                continue
            args = []
            for o in harness.FAST + OPTIONS + [option]:
                args += ["-o", o]
            p = run(harness.CEIRD, "run", dir, *args)
            self.assertEqual(p.returncode, 1, option)
            self.assertIn(word, p.stderr, option)
            self.assertNotIn("ready", p.stdout)


if __name__ == "__main__":
    main()
