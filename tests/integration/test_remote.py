#!/usr/bin/python3
"""Files exchanged with FTPS servers of others: pyftpdlib with every fault that a test wants, and Debian's pure-ftpd as it is.

Many remotes are made at once and looked at one after the other: they have threads of their own. Where a server must not be one at all
(without TLS, with an old one, with another's certificate) a few lines stand in, and write down what they were told.
"""
import glob
import hashlib
import math
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
from harness import OPERATOR, PASSWORD, ROOT, SLOW, TIMEOUT, Server, Test, World, eventually, folder, imei, less, main, run, sqlite

PURE_FTPD, PURE_PW = "/usr/sbin/pure-ftpd", "/usr/bin/pure-pw"
OPENSSL = shutil.which("openssl")
try:
    from OpenSSL import SSL
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import TLS_DTPHandler, TLS_FTPHandler
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer
    import logging
    logging.disable(logging.CRITICAL)
    MISSING = None
except ImportError:
    MISSING = "python3-pyftpdlib or python3-openssl is not installed (tools/packages.txt)"
    TLS_DTPHandler = TLS_FTPHandler = object
if not OPENSSL:
    MISSING = "openssl is not installed (tools/packages.txt)"

SECRET = "over there 7'"
OPTIONS = ["lists.interval_s=1", "remote.retry_s=1", "remote.timeout_s=%d" % int(4 * SLOW), "files.threads=0", "log.level=info"]
CHECK_LIST = os.path.join(ROOT, "docs", "examples", "check_list.sh")


# ---- certificates --------------------------------------------------------------------------------------------------------

class Authority:
    """Who signs certificates of servers."""

    def __init__(self, name):
        self.dir = folder("ceir-ca-")
        self.key, self.crt = os.path.join(self.dir, "ca.key"), os.path.join(self.dir, "ca.crt")
        run(OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key, "-out", self.crt,
            "-subj", "/CN=" + name, "-days", "30", check=0)
        with open(self.crt, encoding="ascii") as f:
            self.pem = f.read()

    def issue(self, host):
        """Path of one file with certificate and key."""
        base = os.path.join(self.dir, host)
        run(OPENSSL, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", base + ".key", "-out", base + ".csr",
            "-subj", "/CN=" + host, check=0)
        with open(base + ".ext", "w", encoding="ascii") as f:
            f.write("subjectAltName=DNS:%s\n" % host)
        run(OPENSSL, "x509", "-req", "-in", base + ".csr", "-CA", self.crt, "-CAkey", self.key, "-CAcreateserial", "-days", "30", "-extfile",
            base + ".ext", "-out", base + ".crt", check=0)
        with open(base + ".pem", "w", encoding="ascii") as out:
            for part in (".crt", ".key"):
                with open(base + part, encoding="ascii") as f:
                    out.write(f.read())
        return base + ".pem"


# ---- servers of others ---------------------------------------------------------------------------------------------------

class User:
    """One user of a Peer: its folder, what it was told, and the faults that are wanted of it."""

    def __init__(self, name):
        self.name, self.home = name, folder("ceir-peer-")
        self.commands = []
        self.break_stor, self.break_retr = [], []   # after so many bytes the connection breaks; one number for each transfer
        self.slow = 0                                # seconds for 32 KiB
        self.refused = {}                            # command: reply
        self.listing = None                          # bytes: what NLST answers
        for sub in ("lists", "answers", "out"):
            os.mkdir(os.path.join(self.home, sub))

    def path(self, *parts):
        return os.path.join(self.home, *parts)

    def has(self, sub):
        return sorted(os.listdir(self.path(sub)))

    def put(self, name, data, sub="out", age=0):
        """As a careful neighbour does: under another name first."""
        tmp = self.path("." + hashlib.sha256(name.encode()).hexdigest())
        with open(tmp, "wb") as f:
            f.write(data)
        if age:
            os.utime(tmp, (time.time() - age, time.time() - age))
        os.rename(tmp, self.path(sub, name))

    def said(self, *commands):
        return [c for c in list(self.commands) if c.split(" ")[0] in commands]


class Dtp(TLS_DTPHandler):
    """A data channel that breaks, or is slow."""

    breaks = slow = None

    def limit(self, which, *commands):
        if self.slow is None and self.cmd in commands:
            user = self.cmd_channel.user
            left = getattr(user, which)
            self.breaks = left.pop(0) if left else None
            self.slow = user.slow
        return self.breaks

    def break_off(self):
        control = self.cmd_channel
        for s in (self, control):
            try:
                s.socket.sock_shutdown(socket.SHUT_RDWR)
            except (OSError, SSL.Error, AttributeError):
                pass
        control.close()

    def recv(self, n):
        limit = self.limit("break_stor", "STOR", "APPE")
        data = super().recv(min(n, 32768))
        if self.slow:
            time.sleep(self.slow)
        if limit is not None and self.tot_bytes_received + len(data) > limit:
            self.file_obj.write(data[:max(0, limit - self.tot_bytes_received)])
            self.break_off()
            return b""
        return data

    def send(self, data):
        limit = self.limit("break_retr", "RETR")
        if self.slow:
            time.sleep(self.slow)
        sent = super().send(data[:32768])
        self.given = getattr(self, "given", 0) + sent
        if limit is not None and self.given > limit:
            self.break_off()
        return sent

    def use_sendfile(self):
        return False

    def readable(self):
        """pyftpdlib 1.5.7 takes a client that begins with TLS before it has given its command for one that went away; others wait."""
        return self._ssl_accepting or super().readable()


class Handler(TLS_FTPHandler):
    dtp_handler = Dtp
    tls_control_required = tls_data_required = True
    user = None
    peer = None

    def pre_process_command(self, line, cmd, arg):
        if cmd == "USER":
            self.user = self.peer.users.get(arg)
        if self.user:
            self.user.commands.append("PASS" if cmd == "PASS" else line)
            refused = self.user.refused.get(cmd)
            if refused:
                self.respond(refused)
                return
        super().pre_process_command(line, cmd, arg)

    def ftp_NLST(self, path):
        if self.user.listing is None:
            return super().ftp_NLST(path)
        self.push_dtp_data(self.user.listing, isproducer=False, cmd="NLST")
        return path


class Peer:
    """An FTPS server of somebody else, in a thread of this process; certificate: one file with key."""

    def __init__(self, certificate, *users):
        self.users = {u.name: u for u in users}
        self.port = 0
        self.authorizer = DummyAuthorizer()
        for u in users:
            self.authorizer.add_user(u.name, SECRET, u.home, perm="elradfmwMT")
        self.handler = type("PeerHandler", (Handler,), {"certfile": certificate, "authorizer": self.authorizer, "peer": self})
        self.start()

    def start(self):
        self.loop = IOLoop()
        self.server = FTPServer(("127.0.0.1", self.port), self.handler, ioloop=self.loop)
        self.port = self.server.address[1]
        self.going = True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while self.going:
            self.loop.loop(timeout=0.05, blocking=False)
        self.server.close_all()

    def stop(self):
        self.going = False
        self.thread.join()


class Fake:
    """No FTPS server: says what `kind` says and keeps every byte it was told. kinds: "plain" (knows no AUTH), "tls" (with context, then a login)."""

    def __init__(self, context=None, implicit=False):
        self.context, self.implicit = context, implicit
        self.told = b""
        self.handshakes = self.connections = 0
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(8)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            c.settimeout(TIMEOUT)
            self.connections += 1
            try:
                self.serve(c)
            except (OSError, ValueError):
                pass
            c.close()

    def serve(self, c):
        if self.implicit:
            c = self.wrap(c)
        c.sendall(b"220 fake\r\n")
        while True:
            data = c.recv(4096)
            if not data:
                return
            self.told += data
            if data.startswith(b"AUTH") and self.context:
                c.sendall(b"234 come\r\n")
                c = self.wrap(c)
            elif data.startswith(b"AUTH"):
                c.sendall(b"500 what?\r\n")
            elif data.startswith(b"USER"):
                c.sendall(b"331 password\r\n")
            else:
                c.sendall(b"230 in\r\n")

    def wrap(self, c):
        c = self.context.wrap_socket(c, server_side=True)
        self.handshakes += 1
        return c

    def close(self):
        self.socket.close()


class PureFtpd:
    """Debian's, with a user of its own. Needs to be root: it shuts its users into their folders."""

    def __init__(self, certificate):
        self.dir, self.user = folder("ceir-pure-"), User("pure")
        os.chmod(self.dir, 0o755)
        for path in [self.user.home] + [self.user.path(s) for s in ("lists", "answers", "out")]:
            shutil.chown(path, "nobody")
        # What pure-pw would take for the password costs each login seconds.
        crypt = run(OPENSSL, "passwd", "-6", "-stdin", input=SECRET + "\n", check=0).stdout.strip()
        with open(os.path.join(self.dir, "passwd"), "w", encoding="ascii") as f:
            f.write("pure:%s:65534:65534::%s/./::::::::::::\n" % (crypt, self.user.home))
        run(PURE_PW, "mkdb", os.path.join(self.dir, "pdb"), "-f", os.path.join(self.dir, "passwd"), check=0)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        first = 22000 + (os.getpid() * 16) % 10000
        self.process = subprocess.Popen(
            [PURE_FTPD, "-S", "127.0.0.1,%d" % self.port, "-l", "puredb:" + os.path.join(self.dir, "pdb"), "-E", "-A", "-H", "-Y", "3", "-2",
             certificate, "-p", "%d:%d" % (first, first + 15), "-u", "1", "-g", os.path.join(self.dir, "pid"), "-4"], stderr=subprocess.DEVNULL)
        harness._children.append(self.process)
        eventually(self.answers, True)

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT).close()
            return True
        except OSError:
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait(TIMEOUT)


# ---- the register's side -----------------------------------------------------------------------------------------------

class Shared:
    world = None
    sessions = threading.RLock()     # one at a time: the sessions are shared
    stories = {}


def at_once(cls):
    """The tests of this class all begin when the module does: each waits most of the time. What came of one is said when its turn comes."""
    for name in [n for n in dir(cls) if n.startswith("test_")]:
        story = Story(cls, name, getattr(cls, name))
        Shared.stories[cls.__name__ + "." + name] = story
        setattr(cls, name, story.method())
    return cls


class Story:
    def __init__(self, cls, name, function):
        self.cls, self.name, self.function = cls, name, function
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.error = None

    def run(self):
        try:
            self.cls.setUpClass()
            self.function(self.cls(self.name))
        except BaseException as e:
            self.error = e

    def method(self):
        def wait(test):
            self.thread.join()
            if self.error:
                raise self.error
        wait.__doc__ = self.function.__doc__
        for name in ("__unittest_skip__", "__unittest_skip_why__"):
            if hasattr(self.function, name):
                setattr(wait, name, getattr(self.function, name))
        return wait


def remote(id, account, port, host="localhost", user=None, pw=SECRET, **fields):
    """Makes one, which is not served before begin(); "list" and the folders as fields."""
    World.ok(Shared.world.session("admin").create("remote", dict({"id": id, "account": account, "host": host, "port": port, "user": user or id, "pw": pw,
                                                                  "ca": Shared.good.pem, "status": "suspended"}, **fields)))


def begin():
    """All of them, where files are fetched with an interval that the register takes from nobody: tests do not wait for ten seconds."""
    sqlite(Shared.world.server, "UPDATE remote SET interval = CASE WHEN fetch_from IS NULL THEN interval ELSE 1 END, status = 'active'")


def info(id):
    with Shared.sessions:
        return World.ok(Shared.world.session("admin").info("remote", id)).fields()


def failed(id, pattern):
    """Waits for a failure that says so."""
    return eventually(lambda: sqlite(Shared.world.server, "SELECT error FROM remote WHERE code = '%s'" % id)[0][0] or "", lambda e: re.search(pattern, e))


def steal(n):
    """One more IMEI is black."""
    with Shared.sessions:
        World.ok(Shared.world.session("lea1").create("listing", {"imei": imei(harness.TAC, 700000 + n), "colour": "black", "reason": "stolen",
                                                                 "ground": "case %d" % n}))


def out_of(account):
    return os.path.join(Shared.world.server.dir, "files", account, "ftp", "out")


def answer(account, name, data):
    """As the file face writes one: hidden, then under its name."""
    eventually(lambda: os.path.isdir(out_of(account)), True)
    path = os.path.join(out_of(account), "." + name)
    with open(path, "wb") as f:
        f.write(data)
    os.rename(path, os.path.join(out_of(account), name))


def queue(account):
    """{name: [content, ...]} of what waits in the account's queue."""
    found = {}
    for path in sorted(glob.glob(os.path.join(Shared.world.server.dir, "files", account, "queue", "*.data"))):
        with open(path, "rb") as f, open(path[:-5] + ".name", encoding="utf-8") as g:
            found.setdefault(g.read(), []).append(f.read())
    return found


def read(*parts):
    with open(os.path.join(*parts), "rb") as f:
        return f.read()


def chain(names, list="black"):
    """[(from, to), ...] of the files of a list over there, in their order; from 0: the whole."""
    found = []
    for name in names:
        m = re.match(list + r"-(?:full|delta-(\d+))-(\d+)\.(?:csv|xml)(?:\.gz|\.zst)?$", name)
        if m:
            found.append((int(m.group(1) or 0), int(m.group(2))))
    return sorted(found)


def unpacked(path):
    tool = {".gz": "gzip", ".zst": "zstd"}.get(os.path.splitext(path)[1])
    return subprocess.run([tool, "-dc", path], capture_output=True, check=True).stdout if tool else read(path)


def stolen(user, list="black"):
    """IMEIs of a black list as whoever follows the chain has them."""
    have = set()
    for name in sorted((n for n in user.has("lists") if re.match(list + "-.*\\.(csv|gz|zst)$", n)), key=lambda n: int(re.search(r"(\d+)\.\w+", n).group(1))):
        rows = [r.split(",") for r in unpacked(user.path("lists", name)).decode().splitlines()]
        for r in rows[1:]:
            if rows[0][0] == "imei":
                have.add(r[0])
            elif r[0] == "removed":
                have.discard(r[1])
            else:
                have.add(r[1])
    return have


def all_stolen():
    return {str(r[0]) for r in sqlite(Shared.world.server, "SELECT imei FROM listing WHERE status = 'inForce' AND imei IS NOT NULL")}


def context(certificate, old=False):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if old:
        c.set_ciphers("ALL:@SECLEVEL=0")
        c.minimum_version = ssl.TLSVersion.TLSv1
        c.maximum_version = ssl.TLSVersion.TLSv1_1
    c.load_cert_chain(certificate)
    return c


def setUpModule():
    if MISSING:
        return
    s = Shared
    s.good, s.other = Authority("Neighbours"), Authority("Strangers")
    s.certificate, s.misnamed, s.strange = s.good.issue("localhost"), s.good.issue("elsewhere.example"), s.other.issue("localhost")
    names = "csv xml break refuse mover keeper hostile many login".split()
    s.users = {n: User(n) for n in names}
    s.peer = Peer(s.certificate, *s.users.values())
    s.away = User("away")
    s.later = Peer(s.certificate, s.away)
    s.world = World(options=OPTIONS)
    for n in range(3):
        steal(n)
    s.hostile_names = [b"../../etc/passwd", b"/etc/passwd", b".profile", b"a/b.csv", b"x\x1b[31m.csv", b"\xff\xfe.csv", b"y" * 300, b"z.part", b"Z.TMP",
                       "x\u0085.csv".encode()]
    s.odd = "\u0437\u0432\u0456\u0442 1 #%41;type=a&?'$.csv"
    s.users["hostile"].put(s.odd, b"odd\n")
    s.users["hostile"].listing = b"\r\n".join(s.hostile_names + [s.odd.encode()]) + b"\r\n"
    s.users["many"].listing = b"".join(b"f%d\r\n" % i for i in range(10001))
    s.users["mover"].put("permit-1.csv", b"one\n")
    s.users["keeper"].put("stolen-1.csv", b"kept\n")
    s.users["refuse"].refused = {"APPE": "502 no", "REST": "502 no", "SIZE": "500 no"}
    s.fakes = {"plain": Fake(), "strange": Fake(context(s.strange)), "misnamed": Fake(context(s.misnamed)), "old": Fake(context(s.certificate, True)),
               "direct": Fake(context(s.strange), True)}
    everything = {"listsTo": "/lists", "list": "black"}
    remote("csv", "operator1", s.peer.port, format="csv", packing="none", listsTo="/lists", list=["black", "exceptions"])
    remote("xml", "operator1", s.peer.port, format="xml", packing="gzip", **everything)
    remote("refuse", "operator1", s.peer.port, listsTo="lists", list="black", packing="none", answersTo="/answers")
    remote("away", "operator1", s.later.port, packing="zstd", **everything)
    remote("break", "tax1", s.peer.port, answersTo="/answers", fetchFrom="/out")
    remote("mover", "customs1", s.peer.port, answersTo="/answers", fetchFrom="out")
    remote("keeper", "lea1", s.peer.port, fetchFrom="/out/", keep="yes")
    remote("hostile", "nra1", s.peer.port, fetchFrom="/out")
    remote("many", "importer1", s.peer.port, fetchFrom="/out")
    remote("login", "operator1", s.peer.port, pw="not this one", **everything)
    for name, fake in s.fakes.items():
        remote(name, "operator1", fake.port, tls="implicit" if fake.implicit else "explicit", **everything)
    remote("numeric", "operator1", s.peer.port, host="127.0.0.1", user="csv", **everything)
    if os.getuid() == 0 and os.path.exists(PURE_FTPD):
        s.pure = PureFtpd(s.certificate)
        remote("pure", "operator1", s.pure.port, packing="zstd", answersTo="/answers", fetchFrom="/out", **everything)
    begin()
    s.began = time.monotonic()
    for story in s.stories.values():
        story.thread.start()


def tearDownModule():
    if not Shared.world:
        return
    try:
        Shared.world.close()
    finally:
        close_servers()


def close_servers():
    for s in (Shared.peer, Shared.later) + ((Shared.pure,) if hasattr(Shared, "pure") else ()):
        s.stop()
    for f in Shared.fakes.values():
        f.close()


@unittest.skipIf(MISSING, MISSING)
class RemoteTest(Test):
    @classmethod
    def setUpClass(cls):
        cls.world, cls.server, cls.users = Shared.world, Shared.world.server, Shared.users

    def check_chain(self, user, list="black", folder="lists"):
        """Every file has a good signature, nothing is half there, and each begins where the one before ended."""
        names = [n for n in user.has(folder) if n.startswith(list + "-")]
        self.assertFalse([n for n in names if n.endswith(".part")])
        files = [n for n in names if not n.endswith(".sig")]
        for n in files:
            p = run(CHECK_LIST, self.server.key("audit-sign.pub"), OPERATOR, user.path(folder, n), user.path(folder, n + ".sig"))
            self.assertEqual(p.returncode, 0, (n, p.stdout, p.stderr))
        links = chain(files, list)
        self.assertEqual(len(links), len(files), files)
        self.assertEqual(links[0][0], 0)
        for before, after in zip(links, links[1:]):
            self.assertEqual(after[0], before[1], links)
        return links


@at_once
class Lists(RemoteTest):
    def test_whole_then_deltas(self):
        csv, xml = self.users["csv"], self.users["xml"]
        eventually(lambda: len(chain(csv.has("lists"))) and len(chain(xml.has("lists"))), lambda n: n)
        for n in (10, 11):
            before = len(chain(csv.has("lists")))
            steal(n)
            eventually(lambda: len(chain(csv.has("lists"))), lambda k: k > before)
        eventually(lambda: stolen(csv) == all_stolen(), True)
        self.assertGreaterEqual(len(self.check_chain(csv)), 3)
        # An empty list is a list; nothing is said about it again while nothing changes in it.
        self.assertEqual(self.check_chain(csv, "exceptions")[0][0], 0)
        self.assertEqual(len(chain(csv.has("lists"), "exceptions")), 1)
        eventually(lambda: chain(xml.has("lists"))[-1][1] >= chain(csv.has("lists"))[-1][1], True)
        self.check_chain(xml)
        names = [n for n in xml.has("lists") if n.endswith(".xml.gz")]
        self.assertEqual(len(names), len(xml.has("lists")) // 2)
        self.assertIn(b"<list", unpacked(xml.path("lists", names[0])))
        pushed = {p["list"]: int(p["seq"]) for p in harness.as_list(info("csv")["pushed"])}
        self.assertEqual(pushed["black"], chain(csv.has("lists"))[-1][1])

    def test_signature_first_and_renamed(self):
        user = self.users["xml"]
        eventually(lambda: len(user.said("RNTO")), lambda n: n > 0)
        said = user.said("STOR", "RNFR", "RNTO")[:4]
        name = said[0].split(" ")[1][:-4]
        self.assertEqual(said, ["STOR %s.sig" % name, "STOR %s.part" % name, "RNFR %s.part" % name, "RNTO %s" % name])

    def test_one_login_for_many_transfers(self):
        user = self.users["csv"]
        eventually(lambda: len(user.said("RNTO")), lambda n: n >= 2)
        self.assertLess(len(user.said("USER")), len(user.said("STOR")))

    def test_server_that_knows_little(self):
        """No APPE, no REST, no SIZE: whole files arrive all the same."""
        user = self.users["refuse"]
        eventually(lambda: len(chain(user.has("lists"))), lambda n: n > 0)
        self.check_chain(user)

    def test_server_away_and_back(self):
        user = Shared.away
        eventually(lambda: len(chain(user.has("lists"))), lambda n: n > 0)
        Shared.later.stop()
        steal(20)
        failed("away", "no connection")
        steal(21)
        self.assertGreaterEqual(int(info("away")["failures"]), 1)
        Shared.later.start()
        eventually(lambda: stolen(user) == all_stolen(), True)
        self.check_chain(user)
        eventually(lambda: int(info("away").get("failures", 0)), 0)
        self.assertNotIn("error", info("away"))

    def test_each_transfer_is_a_transaction(self):
        user = self.users["csv"]
        eventually(lambda: len(chain(user.has("lists"))), lambda n: n > 0)
        name = next(n for n in user.has("lists") if "full" in n and n.endswith(".csv") and n.startswith("black"))
        digest = hashlib.sha256(read(user.path("lists", name))).hexdigest()[:16]
        rows = eventually(lambda: sqlite(self.server, "SELECT account, code FROM audit WHERE verb = 'transfer' AND object = 'remote' AND name LIKE "
                                                      "'csv push %s %%sha256 %s'" % (name, digest)), lambda r: r)
        self.assertEqual(rows, [("operator1", 1000)])


class Refused(RemoteTest):
    """Nobody who is not the server that was meant learns a name, a password or a byte of a file."""

    def test_without_tls(self):
        failed("plain", "does not speak TLS")
        fake = Shared.fakes["plain"]
        self.assertIn(b"AUTH TLS", fake.told)
        self.assertNotIn(b"USER", fake.told)
        self.assertNotIn(SECRET.encode(), fake.told)

    def test_unknown_authority(self):
        for name in ("strange", "direct"):
            error = failed(name, "certificate is not good")
            self.assertIn("verification", error)
            self.assertNotIn(b"USER", Shared.fakes[name].told)
        self.assertNotIn(b"AUTH", Shared.fakes["direct"].told)

    def test_wrong_name(self):
        self.assertIn("localhost", failed("misnamed", "certificate is not good"))
        self.assertNotIn(b"USER", Shared.fakes["misnamed"].told)
        # An address is a name as well, and this certificate has none.
        failed("numeric", "certificate is not good")

    def test_old_tls(self):
        failed("old", "no TLS connection")
        self.assertEqual(Shared.fakes["old"].handshakes, 0)
        self.assertNotIn(b"USER", Shared.fakes["old"].told)

    def test_password_is_nowhere(self):
        self.assertNotIn(SECRET, self.server.log())
        for path in glob.glob(os.path.join(self.server.dir, "remote", "*", "*")):
            if os.path.isfile(path):
                self.assertNotIn(SECRET.encode(), read(path))
                self.assertEqual(os.stat(path).st_mode & 0o077, 0, path)
        with open("/proc/%d/cmdline" % self.server.process.pid, "rb") as f:
            self.assertNotIn(SECRET.encode(), f.read())

    def test_failures_are_fewer_each_time(self):
        """With a second to begin with: some, not dozens; and each is noted."""
        n = eventually(lambda: sqlite(self.server, "SELECT failures FROM remote WHERE code = 'plain'")[0][0], lambda k: k >= 3)
        self.assertLessEqual(n, 3 + math.log2(1 + time.monotonic() - Shared.began))
        self.assertLessEqual(Shared.fakes["plain"].connections, n + 1)


@at_once
class Files(RemoteTest):
    def test_fetched_once_and_deleted(self):
        user = self.users["mover"]
        eventually(lambda: queue("customs1").get("permit-1.csv"), [b"one\n"])
        eventually(lambda: user.has("out"), [])
        # Later another one of the same name: another file.
        user.put("permit-1.csv", b"two, later\n")
        eventually(lambda: queue("customs1").get("permit-1.csv"), [b"one\n", b"two, later\n"])
        eventually(lambda: user.has("out"), [])

    def test_fetched_once_and_kept(self):
        user = self.users["keeper"]
        eventually(lambda: queue("lea1").get("stolen-1.csv"), [b"kept\n"])
        looks = len(user.said("NLST"))
        user.put("stolen-2.csv", b"second\n")
        eventually(lambda: queue("lea1").get("stolen-2.csv"), [b"second\n"])
        eventually(lambda: len(user.said("NLST")), lambda n: n > looks + 2)
        self.assertEqual(queue("lea1")["stolen-1.csv"], [b"kept\n"])
        self.assertEqual(user.has("out"), ["stolen-1.csv", "stolen-2.csv"])
        self.assertFalse(user.said("DELE"))
        # What is changed is another file.
        user.put("stolen-1.csv", b"changed since\n")
        eventually(lambda: queue("lea1").get("stolen-1.csv"), [b"kept\n", b"changed since\n"])

    def test_what_changes_is_left_alone(self):
        user = self.users["mover"]
        content = b""
        looks = len(user.said("NLST"))
        while len(user.said("NLST")) < looks + 3:
            with open(user.path("out", "slow.csv"), "ab") as f:
                f.write(b"row\n")
                content += b"row\n"
            time.sleep(0.1)
        self.assertNotIn("slow.csv", queue("customs1"))
        for name in ("half.csv.part", "half.tmp", ".hidden.csv"):
            user.put(name, b"never\n")
        eventually(lambda: queue("customs1").get("slow.csv"), [content])
        eventually(lambda: user.has("out"), [".hidden.csv", "half.csv.part", "half.tmp"])
        for name in user.has("out"):
            os.unlink(user.path("out", name))

    def test_answers(self):
        user = self.users["mover"]
        answer("customs1", "permit-1.answer.csv", b"code,message\n1000,done\n")
        answer("customs1", "empty.csv", b"")
        with open(os.path.join(out_of("customs1"), ".hidden"), "w"):
            pass
        eventually(lambda: user.has("answers"), ["empty.csv", "permit-1.answer.csv"])
        self.assertEqual(read(user.path("answers", "permit-1.answer.csv")), b"code,message\n1000,done\n")
        # Taken away over there: it does not come again. Written anew here: it does.
        os.unlink(user.path("answers", "permit-1.answer.csv"))
        answer("customs1", "next.csv", b"next\n")
        eventually(lambda: user.has("answers"), ["empty.csv", "next.csv"])
        answer("customs1", "next.csv", b"another next\n")
        eventually(lambda: read(user.path("answers", "next.csv")), b"another next\n")

    def test_hostile_names(self):
        eventually(lambda: queue("nra1"), {Shared.odd: [b"odd\n"]})
        eventually(lambda: Shared.odd in self.users["hostile"].has("out"), False)
        log = self.server.log()
        self.assertIn("names in the folder are not taken", log)
        self.assertFalse(re.search(r"[\x00-\x08\x0b-\x1f\x7f]", log))
        for c in self.users["hostile"].said("RETR", "SIZE", "DELE", "MDTM"):
            self.assertTrue(c.endswith(Shared.odd), c)

    def test_too_many_names(self):
        failed("many", "more than 10000 files")

    def test_broken_off_and_gone_on_with(self):
        user = self.users["break"]
        up, down = os.urandom(1500000), os.urandom(1400000)
        user.break_stor, user.break_retr = [400000, 500000], [300000, 350000]
        user.put("tax.csv", down)
        answer("tax1", "big.csv", up)
        eventually(lambda: user.has("answers"), ["big.csv"])
        self.assertEqual(read(user.path("answers", "big.csv")), up)
        eventually(lambda: queue("tax1"), {"tax.csv": [down]})
        self.assertEqual(len(user.said("STOR")), 1)
        self.assertEqual(len(user.said("APPE")), 2)
        self.assertGreaterEqual(len([c for c in user.said("REST") if c != "REST 0"]), 2)
        self.assertEqual(len(user.said("RETR")), 3)
        rows = sqlite(self.server, "SELECT name FROM audit WHERE verb = 'transfer' AND code = 2400 AND name LIKE 'break %'")
        self.assertTrue([r for r in rows if "connection broke" in r[0]], rows)

    @unittest.skipUnless(os.getuid() == 0 and os.path.exists(PURE_FTPD), "not root, or pure-ftpd is not installed (tools/packages.txt)")
    def test_with_pure_ftpd(self):
        user = Shared.pure.user
        answer("operator1", "pure.answer.csv", b"for pure-ftpd\n")
        user.put("from-pure.csv", b"from pure\n")
        eventually(lambda: len(chain(user.has("lists"))), lambda n: n > 0)
        steal(30)
        eventually(lambda: stolen(user) == all_stolen(), True)
        self.check_chain(user)
        eventually(lambda: user.has("answers"), lambda names: "pure.answer.csv" in names)
        self.assertEqual(read(user.path("answers", "pure.answer.csv")), b"for pure-ftpd\n")
        eventually(lambda: queue("operator1").get("from-pure.csv"), [b"from pure\n"])
        eventually(lambda: user.has("out"), [])
        # A name that is taken over there is put in the place of the one before.
        answer("operator1", "pure.answer.csv", b"anew\n")
        eventually(lambda: read(user.path("answers", "pure.answer.csv")), b"anew\n")


@at_once
class Settings(RemoteTest):
    def test_changed_suspended_deleted(self):
        """A wrong password is set right and the lists come; suspended, nothing comes; deleted, nothing is served."""
        user = self.users["login"]
        failed("login", "refuses the user or the password")
        self.assertEqual(user.has("lists"), [])
        self.update({"pw": SECRET})
        eventually(lambda: stolen(user) == all_stolen(), True)
        self.update({"status": "suspended"})
        # Its thread ends within the two seconds between two looks; then nothing comes, whatever comes to others.
        eventually(lambda: self.idle(user), True)
        self.update({"status": "active"})
        eventually(lambda: stolen(user) == all_stolen(), True)
        self.check_chain(user)
        with Shared.sessions:
            World.ok(self.world.session("admin").delete("remote", "login"))

    def update(self, chg):
        with Shared.sessions:
            World.ok(self.world.session("admin").update("remote", "login", chg=chg))

    def idle(self, user):
        Settings.n = getattr(Settings, "n", 40) + 1
        have = user.has("lists")
        steal(Settings.n)
        eventually(lambda: stolen(self.users["csv"]) == all_stolen(), True)
        return user.has("lists") == have


@unittest.skipIf(MISSING, MISSING)
class WhenKilled(Test):
    """kill -9 in the middle of pushes and fetches: what arrives is whole, and what was fetched is there once."""

    def test_killed(self):
        w, user = Shared.world, User("slow")
        peer = Peer(Shared.certificate, user)
        up, down = [os.urandom(900000) for _ in range(3)], [os.urandom(900000 + i) for i in range(3)]
        for i, data in enumerate(down):
            user.put("watch-%d.csv" % i, data)
        for i, data in enumerate(up):
            answer("pos1", "big-%d.csv" % i, data)
        user.slow = 0.01
        remote("slow", "pos1", peer.port, answersTo="/answers", fetchFrom="/out")
        begin()
        size = lambda: sum(os.path.getsize(p) for p in glob.glob(user.path("answers", "*")) + glob.glob(
            os.path.join(w.server.dir, "remote", "*", "in", "*")))
        for _ in range(less(6, 3)):
            before = size()
            eventually(size, lambda n: n != before)
            w.server.kill()
            w.forget()
            w.server.start()
        user.slow = 0
        eventually(lambda: user.has("answers"), ["big-%d.csv" % i for i in range(3)])
        for i, data in enumerate(up):
            self.assertEqual(read(user.path("answers", "big-%d.csv" % i)), data)
        eventually(lambda: user.has("out"), [])
        self.assertEqual(queue("pos1"), {"watch-%d.csv" % i: [data] for i, data in enumerate(down)})
        self.assertEqual(glob.glob(os.path.join(w.server.dir, "remote", "*", "in", "*")), [])
        # The others, who were killed with it, have their lists without a gap.
        steal(50)
        eventually(lambda: stolen(Shared.users["csv"]) == all_stolen(), True)
        RemoteTest.check_chain(self, Shared.users["csv"])
        World.ok(w.session("admin").delete("remote", "slow"))
        peer.stop()

    @property
    def server(self):
        return Shared.world.server


if __name__ == "__main__":
    main()
