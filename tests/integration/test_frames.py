#!/usr/bin/python3
"""Bad bytes below XML: frames of wrong length, silence, garbage, slow peers, wrong TLS. The server lives, and others notice nothing."""
import contextlib
import os
import socket
import ssl
import statistics
import struct
import subprocess
import time

from harness import (SCREEN_IMEI, SLOW, Closed, Session, Test, World, document, eventually, folder, main,
                     object_command, run)

CHECK = object_command("check", "imei", "<imei:name>%s</imei:name>" % SCREEN_IMEI)
FRAME_TIMEOUT = 2


class Base(Test):
    @classmethod
    def setUpClass(cls):
        cls.world = World(options=["epp.frame_timeout_s=%d" % FRAME_TIMEOUT, "epp.max_frame_bytes=65536",
                                   "epp.max_sessions_address=200", "log.level=info"])
        cls.server = cls.world.server

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def tearDown(self):
        """Whatever was done to it, the server serves."""
        self.assertTrue(self.server.alive(), self.server.log()[-4000:])
        with self.server.session() as s:
            self.assertEqual(s.greeting.kind, "greeting")

    def plain(self):
        return socket.create_connection((self.server.host, self.server.port), timeout=30 * SLOW)

    def ends(self, sock, within=None):
        """The server closes the plain connection."""
        sock.settimeout(within or (FRAME_TIMEOUT + 10) * SLOW)
        try:
            while sock.recv(4096):
                pass
        except ConnectionError:
            pass

    def refused(self, data, why=True):
        """Bytes that end the session; where TLS stands and nobody is logged in, a frame says why."""
        with self.server.session() as s:
            s.send_bytes(data)
            frames = []
            try:
                while True:
                    frames.append(s.receive())
            except Closed:
                pass
            if why:
                self.assertTrue(frames, "closed without a word")
                self.assertIn(frames[-1].code, (2001, 2500))
        with self.world.fresh("tax1") as s:
            s.send_bytes(data)
            self.assertTrue(s.closed((FRAME_TIMEOUT + 10) * SLOW))


class Lengths(Base):
    def test_too_long(self):
        self.refused(struct.pack(">I", 65537) + b"<epp/>")

    def test_longest(self):
        s = self.world.session("tax1")
        doc = document(CHECK, "LONGEST").encode()
        doc += b" " * (65536 - 4 - len(doc))
        self.assertEqual(s.raw(doc).cltrid, "LONGEST")

    def test_huge(self):
        for n in (0x7fffffff, 0xffffffff, 0x80000000):
            self.refused(struct.pack(">I", n))

    def test_too_short(self):
        for n in (0, 1, 3, 4):
            self.refused(struct.pack(">I", n) + b"<epp/>")

    def test_one_byte_of_xml(self):
        """The shortest frame there is: no XML, but a frame; the session goes on."""
        s = self.world.session("tax1")
        self.assertEqual(s.raw(b"x").code, 2001)
        self.assertEqual(s.command(CHECK).code, 1000)

    def test_random_bytes_in_a_good_frame(self):
        s = self.world.session("tax1")
        for _ in range(20):
            self.assertEqual(s.raw(os.urandom(300)).code, 2001)
        self.assertEqual(s.raw(b"\0" * 300).code, 2001)
        self.assertEqual(s.command(CHECK).code, 1000)

    def test_garbage_without_a_frame(self):
        self.refused(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    def test_cut_in_the_middle(self):
        for n in (1, 3, 4, 5, 50):
            s = self.world.fresh("tax1")
            s.send_bytes(Session.frame(document(CHECK, "CUT-1"))[:n])
            s.close()


class Strangers(Base):
    def test_http(self):
        with self.plain() as p:
            p.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.ends(p)

    def test_a_plain_epp_frame(self):
        with self.plain() as p:
            p.sendall(Session.frame(document(CHECK, "PLAIN-1")))
            self.ends(p)

    def test_silence_before_tls(self):
        begun = time.monotonic()
        with self.plain() as p:
            self.ends(p)
        self.assertGreater(time.monotonic() - begun, FRAME_TIMEOUT - 1)

    def test_a_handshake_byte_by_byte(self):
        """Each byte alone is in time, all of them are not."""
        begun = time.monotonic()
        with self.plain() as p:
            p.sendall(b"\x16\x03\x01\x02\x00")
            try:
                while time.monotonic() - begun < (FRAME_TIMEOUT + 15) * SLOW:
                    p.sendall(b"\0")
                    time.sleep(0.2)
                self.fail("still connected")
            except ConnectionError:
                pass

    def test_random_bytes_for_tls(self):
        # Those that look like the beginning of a record are waited for, side by side.
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(self.plain()) for _ in range(10)]
            for p in sockets:
                try:
                    p.sendall(os.urandom(200))
                except ConnectionError:
                    pass
            for p in sockets:
                self.ends(p)

    def test_tls_and_then_away(self):
        for _ in range(20):
            self.server.session(greet=False).close()
        for _ in range(20):
            self.plain().close()

    def test_slow_loris(self):
        """A frame that comes a byte at a time and never ends does not outlive the frame's time, however busy the line is."""
        with self.world.fresh("tax1") as s:
            data = Session.frame(document(CHECK, "LORIS-1"))
            begun = time.monotonic()
            try:
                for b in data:
                    s.send_bytes(bytes([b]))
                    time.sleep(0.2)
                    if time.monotonic() - begun > (FRAME_TIMEOUT + 15) * SLOW:
                        self.fail("still connected")
                self.fail("the frame was done before its time was over")
            except Closed:
                pass
            self.assertLess(time.monotonic() - begun, (FRAME_TIMEOUT + 10) * SLOW)

    def test_many_lorises_and_others_stay_fast(self):
        held = []
        for _ in range(40):
            p = self.plain()
            held.append(p)
        for _ in range(20):
            s = self.server.session()
            s.send_bytes(b"\0\0\1")
            held.append(s)
        try:
            s = self.world.session("lea1")
            times = []
            for _ in range(50):
                begun = time.monotonic()
                self.code(s.command(CHECK), 1000)
                times.append(time.monotonic() - begun)
            self.assertLess(statistics.median(times), FRAME_TIMEOUT / 4 * SLOW)
        finally:
            for p in held:
                p.close()

    def test_a_reader_that_does_not_read(self):
        """Thousands of answers asked for and none taken: the connection is given up, memory stays bounded, others are served."""
        with self.world.fresh("tax1") as s:
            names = "".join("<imei:name>%015d</imei:name>" % i for i in range(1000))
            frame = Session.frame(document(object_command("check", "imei", names), "GREEDY"))
            s.sock.setblocking(True)
            s.sock.settimeout(1)
            begun = time.monotonic()
            before = self.resident()
            gone = False
            while time.monotonic() - begun < (FRAME_TIMEOUT + 20) * SLOW:
                try:
                    s.sock.sendall(frame)
                except (socket.timeout, TimeoutError):
                    continue
                except OSError:
                    gone = True
                    break
            self.assertLess(self.resident() - before, 64 << 20)
            self.code(self.world.session("lea1").command(CHECK), 1000)
            self.assertTrue(gone, "a peer that does not read keeps its thread")

    def resident(self):
        with open("/proc/%d/statm" % self.server.process.pid, encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def test_threads_and_files_go_away(self):
        def count():
            return (len(os.listdir("/proc/%d/task" % self.server.process.pid)),
                    len(os.listdir("/proc/%d/fd" % self.server.process.pid)))
        self.world.session("lea1")
        time.sleep(FRAME_TIMEOUT + 1)
        before = count()
        for _ in range(30):
            self.world.fresh("tax1").close()
        eventually(lambda: count()[0] <= before[0] + 2 and count()[1] <= before[1] + 2, True)

    def test_the_log_says_why(self):
        self.assertTrue([l for l in self.server.log().splitlines() if "127.0.0.1" in l], "no line names a peer")


class Tls(Base):
    def connect(self, minimum, maximum, cert=None, seclevel=None):
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ctx.load_verify_locations(self.server.ca)
        if seclevel is not None:
            ctx.set_ciphers("DEFAULT@SECLEVEL=%d" % seclevel)
        ctx.minimum_version, ctx.maximum_version = minimum, maximum
        if cert:
            ctx.load_cert_chain(cert + ".crt", cert + ".key")
        with self.plain() as p, ctx.wrap_socket(p, server_hostname="localhost") as s:
            version = s.version()
            self.assertTrue(s.recv(4), "no greeting")
            return version

    def s_client(self, *args):
        p = subprocess.run(["openssl", "s_client", "-connect", "%s:%d" % (self.server.host, self.server.port), "-CAfile",
                            self.server.ca,
                            "-servername", "localhost", *args], input=b"Q\n", capture_output=True, timeout=60 * SLOW)
        return p.stdout.decode("utf-8", "replace") + p.stderr.decode("utf-8", "replace")

    def test_1_2_and_1_3(self):
        self.assertEqual(self.connect(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2), "TLSv1.2")
        self.assertEqual(self.connect(ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3), "TLSv1.3")
        self.assertRegex(self.s_client("-tls1_2"), r"New, TLSv1\.2")
        self.assertRegex(self.s_client("-tls1_3"), r"New, TLSv1\.3")

    def test_1_0_and_1_1_are_refused(self):
        for version in ("-tls1", "-tls1_1"):
            out = self.s_client(version, "-cipher", "DEFAULT@SECLEVEL=0")
            self.assertRegex(out, r"(?i)alert protocol version|New, \(NONE\)")
            self.assertNotRegex(out, r"New, TLSv1")

    def test_weak_ciphers_are_refused(self):
        for cipher in ("NULL", "aNULL", "RC4", "3DES", "EXPORT"):
            out = self.s_client("-tls1_2", "-cipher", cipher + "@SECLEVEL=0")
            self.assertNotRegex(out, r"New, TLSv1", cipher)

    def authority(self, dir):
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            dir + "/ca.key", "-out",
            dir + "/ca.crt", "-days", "2", "-subj", "/CN=Another authority", check=0)
        return dir + "/ca"

    def client(self, dir, ca, name, *dates):
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            "%s/%s.key" % (dir, name), "-out",
            "%s/%s.csr" % (dir, name), "-subj", "/CN=" + name, check=0)
        for f in ("index.txt", "index.txt.attr"):
            open(os.path.join(dir, f), "w", encoding="ascii").close()
        with open(os.path.join(dir, "ca.cnf"), "w", encoding="ascii") as f:
            f.write("[ca]\ndefault_ca=a\n[a]\ndatabase=%s/index.txt\nnew_certs_dir=%s\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n"
                    "unique_subject=no\n[p]\ncommonName=supplied\n[x]\nbasicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n" % (dir, dir))
        run("openssl", "ca", "-batch", "-config", dir + "/ca.cnf", "-extensions", "x", "-cert", ca + ".crt", "-keyfile",
            ca + ".key", "-in",
            "%s/%s.csr" % (dir, name), "-out", "%s/%s.crt" % (dir, name), "-notext", *dates, check=0)
        return os.path.join(dir, name)

    def refused(self, cert):
        """With TLS 1.3 a client learns of the refusal with its first read."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            try:
                self.connect(version, version, cert)
            except (ssl.SSLError, ConnectionError, AssertionError):
                continue
            self.fail("accepted")

    def test_a_certificate_of_ours(self):
        dir = folder()
        cert = self.client(dir, self.server.key("ca"), "good", "-days", "2")
        self.connect(ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3, cert)

    def test_another_authority(self):
        dir = folder()
        self.refused(self.client(dir, self.authority(dir), "stranger", "-days", "2"))

    def test_self_signed(self):
        dir = folder()
        self.refused(self.authority(dir))

    def test_expired(self):
        dir = folder()
        self.refused(self.client(dir, self.server.key("ca"), "stale", "-startdate", "20200101000000Z", "-enddate",
                                 "20210101000000Z"))

    def test_not_yet_valid(self):
        dir = folder()
        self.refused(self.client(dir, self.server.key("ca"), "early", "-startdate", "20400101000000Z", "-enddate",
                                 "20410101000000Z"))

    def test_expires_during_the_session(self):
        """A long session may outlive its certificate: it ends with the next command (operations.md, Roll-over)."""
        dir = folder()
        soon = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + 6 * max(1, SLOW / 2)))
        cert = self.client(dir, self.server.key("ca"), "short", "-startdate", "20200101000000Z", "-enddate", soon)
        fp = run("openssl", "x509", "-in", cert + ".crt", "-noout", "-fingerprint", "-sha256", check=0).stdout
        fp = fp.split("=")[1].strip().replace(":", "").lower()
        admin = self.world.session("admin")
        self.code(admin.update("account", "tax1", add={"certificate": fp}), 1000)
        try:
            with Session(self.server, cert) as s:
                self.code(s.login("tax1", "Correct.horse-9"), 1000)
                self.code(s.command(CHECK), 1000)

                def ended():
                    try:
                        r = s.command(CHECK)
                    except Closed:
                        return True
                    return r.code in (2200, 2500, 2501) and s.closed(10 * SLOW)
                eventually(ended, True)
        finally:
            self.code(admin.update("account", "tax1", rem={"certificate": fp}), 1000)

    def test_the_servers_name(self):
        """A client that asks for another name than the certificate's refuses us: the certificate names localhost and addresses only."""
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ctx.load_verify_locations(self.server.ca)
        with self.plain() as p, self.assertRaises(ssl.SSLCertVerificationError):
            ctx.wrap_socket(p, server_hostname="bank.example")
        with self.plain() as p:
            ctx.wrap_socket(p, server_hostname="127.0.0.1").close()


if __name__ == "__main__":
    main()
