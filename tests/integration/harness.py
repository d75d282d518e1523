"""Harness of the integration tests: starts real programs in a temporary folder, speaks EPP to them, and checks every answer.

A test file makes a Server (ceird on a free port in a folder of its own), usually with a World (an account of every role), speaks
through Session (EPP over TLS, ours, on the standard library), and ends with main(): unittest, then every document that any session
received is validated against the official schemas of RFC 5730 and ours (schemas/). An answer that is not valid fails the file.

Environment: CEIR_BUILD, the build folder; CEIR_SLOW, a factor for time limits and a divisor for amounts of work (sanitizer builds
are recognised by themselves); CEIR_KEEP=1 leaves the temporary folders; CEIR_SHOW=1 prints the frames.
"""
import atexit
import glob
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("CEIR_BUILD") or os.path.join(ROOT, "build"))
CEIRD = os.path.join(BUILD, "ceird")
CEIRCTL = os.path.join(BUILD, "ceirctl")

EPP = "urn:ietf:params:xml:ns:epp-1.0"
IMEI_URI = "urn:ietf:params:xml:ns:imei-1.0"
QUERY_URI = "urn:ceir:params:xml:ns:query-1.0"


def uri(name):
    return IMEI_URI if name == "imei" else "urn:ceir:params:xml:ns:%s-1.0" % name


OBJECTS = ["imei", "importer", "permit", "certificate", "tac", "application", "listing", "account", "transaction", "operator", "portability",
           "delivery", "triplet", "policy", "golden", "watch", "list", "remote", "verdict"]
OBJECT_URIS = [uri(o) for o in OBJECTS]
ROLES = ["importer", "customs", "lea", "tax", "nra", "admin", "operator", "pos"]


def _sanitized():
    """A build with a sanitizer is several times slower; it is told by the runtime that the program links."""
    try:
        out = subprocess.run(["ldd", CEIRD], capture_output=True, text=True).stdout
    except OSError:
        return None
    for name in ("libtsan", "libasan", "libubsan"):
        if name in out:
            return name
    return None


SANITIZED = _sanitized()
SLOW = float(os.environ.get("CEIR_SLOW") or {"libtsan": 8, "libasan": 4, "libubsan": 2}.get(SANITIZED, 1))
TIMEOUT = 30 * SLOW
# Argon2 as cheap as libsodium allows: its cost is not what is tested here.
FAST = ["auth.argon2_memory_kib=8", "epp.listen=127.0.0.1:0", "http.listen=127.0.0.1:0", "log.level=warn"]


def less(n, least=1):
    """So much work as a slow build can do in the same time."""
    return max(least, int(n / SLOW))


# ---- temporary folders and processes -----------------------------------------------------------------------------------

_folders = []
_children = []


def folder(prefix="ceir-test-"):
    path = tempfile.mkdtemp(prefix=prefix)
    _folders.append(path)
    return path


@atexit.register
def _clean():
    for p in _children:
        if p.poll() is None:
            p.kill()
            p.wait()
    if os.environ.get("CEIR_KEEP"):
        print("kept:", *_folders, file=sys.stderr)
        return
    for path in _folders:
        shutil.rmtree(path, ignore_errors=True)


def run(*args, input=None, timeout=None, check=None, env=None):
    """A program to its end; text in and out. check: the exit status that is expected."""
    p = subprocess.run([str(a) for a in args], input=input, capture_output=True, timeout=timeout or 2 * TIMEOUT, text=True,
                       env=dict(os.environ, **env) if env else None)
    if check is not None and p.returncode != check:
        raise AssertionError("%s: exit status %d, not %d\n%s\n%s" % (" ".join(map(str, args)), p.returncode, check, p.stdout,
                                                                     p.stderr))
    return p


# ---- identifiers -----------------------------------------------------------------------------------------------------------

def luhn(digits14):
    """The check digit, 3GPP TS 23.003 annex B: every second digit from the left doubled."""
    total = 0
    for i, c in enumerate(digits14):
        d = int(c) * (2 if i % 2 else 1)
        total += d // 10 + d % 10
    return str((10 - total % 10) % 10)


def imei(tac, serial):
    d = "%08d%06d" % (int(tac), serial)
    return d + luhn(d)


def bad_luhn(number):
    return number[:14] + str((int(number[14]) + 1) % 10)


# ---- documents that arrived ------------------------------------------------------------------------------------------------

class Received:
    """Every document of every session of this process, for the schemas at the end."""

    def __init__(self):
        self.lock = threading.Lock()
        self.seen = set()
        self.docs = []

    def add(self, doc):
        # Documents that differ only in numbers and times are one case to a schema, but for lengths: keep those.
        key = hashlib.blake2b(re.sub(rb"[0-9]", b"0", doc), digest_size=16).digest()
        with self.lock:
            if key not in self.seen:
                self.seen.add(key)
                self.docs.append(doc)

    def validate(self):
        """Returns faults, as text."""
        if not self.docs:
            return []
        dir = folder("ceir-docs-")
        wrapper = os.path.join(dir, "all.xsd")
        schemas = [(EPP, os.path.join(HERE, "xsd", "epp-1.0.xsd"))]
        base = os.path.join(HERE, "xsd", "eppcom-1.0.xsd")
        # The official epp-1.0.xsd imports eppcom without saying where it is: it must come first.
        schemas.insert(0, ("urn:ietf:params:xml:ns:eppcom-1.0", base))
        for path in sorted(glob.glob(os.path.join(ROOT, "schemas", "*.xsd"))):
            ns = ET.parse(path).getroot().get("targetNamespace")
            if ns not in (EPP, "urn:ietf:params:xml:ns:eppcom-1.0"):
                # Our schemas name their imports by file; copies whose imports carry no place take what the wrapper loaded.
                text = re.sub(r'schemaLocation="[^"]*"', "", open(path, encoding="utf-8").read())
                copy = os.path.join(dir, os.path.basename(path))
                with open(copy, "w", encoding="utf-8") as f:
                    f.write(text)
                schemas.append((ns, copy))
        # A schema that imports another must follow it.
        with open(wrapper, "w", encoding="utf-8") as f:
            f.write('<schema xmlns="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:ceir:test:all">\n')
            for ns, path in _by_imports(schemas):
                f.write('<import namespace="%s" schemaLocation="%s"/>\n' % (ns, path))
            f.write("</schema>\n")
        names = []
        for i, doc in enumerate(self.docs):
            name = os.path.join(dir, "%06d.xml" % i)
            with open(name, "wb") as f:
                f.write(doc)
            names.append(name)
        faults = []
        for i in range(0, len(names), 500):
            p = subprocess.run(["/usr/bin/xmllint", "--nonet", "--noout", "--schema", wrapper] + names[i:i + 500],
                               capture_output=True, text=True)
            if p.returncode != 0:
                faults += [l for l in p.stderr.splitlines() if not l.endswith(" validates")]
        for line in list(faults)[:5]:
            m = re.match(r"(/\S+/\d+\.xml)", line)
            if m and os.path.exists(m.group(1)):
                faults.append("%s holds: %s" % (os.path.basename(m.group(1)), open(m.group(1), encoding="utf-8").read()[:1500]))
        return faults


def _by_imports(schemas):
    """(namespace, path) in an order in which each stands behind those it imports."""
    left = list(schemas)
    done = []
    while left:
        for item in left:
            text = open(item[1], encoding="utf-8").read()
            needs = set(re.findall(r'<(?:\w+:)?import\s+[^>]*namespace="([^"]+)"', text))
            if not needs & {ns for ns, _ in left if ns != item[0]}:
                break
        else:
            item = left[0]
        left.remove(item)
        done.append(item)
    return done


received = Received()


class Detail:
    """An extValue, or a value: what was wrong with what."""

    def __init__(self, value, reason, lang):
        child = list(value)
        self.uri, self.element = split(child[0].tag) if child else (None, None)
        self.value = (child[0].text or "") if child else ""
        self.children = len(child)
        self.reason, self.lang = reason, lang

    def __repr__(self):
        return "%s=%r: %s" % (self.element, self.value, self.reason)


def split(tag):
    return tuple(tag[1:].split("}")) if tag.startswith("{") else (None, tag)


def local(e):
    return split(e.tag)[1]


class Response:
    def __init__(self, raw):
        self.raw = raw
        root = ET.fromstring(raw)
        if root.tag != "{%s}epp" % EPP:
            raise AssertionError("not EPP: %r" % raw[:200])
        self.body = root[0]
        self.kind = local(self.body)
        self.code = None
        if self.kind != "response":
            return
        q = "{%s}" % EPP
        results = self.body.findall(q + "result")
        self.codes = [int(r.get("code")) for r in results]
        self.code = self.codes[0]
        msg = results[0].find(q + "msg")
        self.msg, self.lang = msg.text, msg.get("lang", "en")
        self.details = []
        for r in results:
            for v in r.findall(q + "value"):
                self.details.append(Detail(v, None, None))
            for x in r.findall(q + "extValue"):
                reason = x.find(q + "reason")
                self.details.append(Detail(x.find(q + "value"), reason.text, reason.get("lang", "en")))
        trid = self.body.find(q + "trID")
        self.cltrid = trid.findtext(q + "clTRID")
        self.svtrid = trid.findtext(q + "svTRID")
        self.msgq = self.body.find(q + "msgQ")
        self.resdata = self.body.find(q + "resData")
        self.extension = self.body.find(q + "extension")

    @property
    def data(self):
        """The one element of resData."""
        return None if self.resdata is None else self.resdata[0]

    def __repr__(self):
        return self.raw.decode("utf-8", "replace")

    def fields(self):
        return tree(self.data)

    @property
    def elements(self):
        return [d.element for d in self.details]


def tree(e):
    """An element's children as a dict: text, dict for groups, list for what repeats."""
    out = {}
    for c in e:
        name = local(c)
        value = tree(c) if len(c) else (c.text or "")
        if name in out:
            if not isinstance(out[name], list):
                out[name] = [out[name]]
            out[name].append(value)
        else:
            out[name] = value
    return out


def as_list(x):
    return [] if x is None else x if isinstance(x, list) else [x]


# ---- commands as XML -------------------------------------------------------------------------------------------------------

# Order of the fields in each schema (xsd:sequence); a dict in a test may name them in any order.
ORDER = {
    "importer": "id name address country email voice status",
    "permit": "id importer issued exDate status position",
    "position": "number certificate manufacturer model country quantity price currency",
    "certificate": "id issued exDate holder manufacturer model status tac",
    "tac": "id manufacturer model brand type rat sims allocated status",
    "application": "id kind permit position reference status",
    "imei": "name imei permit position tag",
    "tag": "type value",
    "listing": "id imei tac colour reason ground pair imsi msisdn since until stage",
    "account": "id role pw importer operator status ftps lang certificate",
    "operator": "id name plmn status",
    "portability": "from to operator since",
    "delivery": "kind clientID fileName status ground",
    "policy": "status ground mode graceDays noticeDays lookbackDays gapDays keepEpisodeDays roamerDays amnestyFrom amnestyUntil guardShare "
              "gateEmpty gateUnclean gateForeign gateSize gateZeros homeMCC countryCode condition force",
    "condition": "name rule graceDays blocking sticky",
    "golden": "id",
    "watch": "imei ground until",
    "remote": "id account host port tls user pw ca listsTo answersTo fetchFrom list format packing keep interval status",
}
KEY = {"imei": "name"}


def key_name(obj):
    return KEY.get(obj, "id")


def fields_xml(obj, fields, group=None):
    """Fields of an object (or a group in it) as elements, in the schema's order; a list of pairs keeps its own order."""
    order = ORDER.get(group or obj, "").split()
    items = fields
    if isinstance(fields, dict):
        items = sorted(fields.items(), key=lambda kv: order.index(kv[0]) if kv[0] in order else len(order))
    out = []
    for name, value in items:
        for v in as_list(value):
            inner = fields_xml(obj, v, name) if isinstance(v, dict) else escape(str(v))
            out.append("<%s:%s>%s</%s:%s>" % (obj, name, inner, obj, name))
    return "".join(out)


def document(body, cltrid=None, extension=""):
    tr = "" if cltrid is None else "<clTRID>%s</clTRID>" % escape(cltrid)
    ext = "<extension>%s</extension>" % extension if extension else ""
    return ('<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n<epp xmlns="%s"><command>%s%s%s</command></epp>'
            % (EPP, body, ext, tr))


def object_command(verb, obj, inner, attributes=""):
    return '<%s%s><%s:%s xmlns:%s="%s">%s</%s:%s></%s>' % (verb, attributes, obj, verb, obj, uri(obj), inner, obj, verb, verb)


def devices_xml(devices, obj="application"):
    """Rows of an application; a device is one IMEI or a tuple of several."""
    out = []
    for d in devices:
        imeis = (d,) if isinstance(d, str) else d
        out.append("<%s:device>%s</%s:device>" % (obj, "".join("<%s:imei>%s</%s:imei>" % (obj, escape(i), obj) for i in imeis),
                                                  obj))
    return "".join(out)


HELLO = '<?xml version="1.0" encoding="UTF-8"?>\n<epp xmlns="%s"><hello/></epp>' % EPP


def login_xml(clid, pw, newpw=None, version="1.0", lang="en", objs=None, exts=None, cltrid="login-1"):
    new = "<newPW>%s</newPW>" % escape(newpw) if newpw is not None else ""
    objs = OBJECT_URIS if objs is None else objs
    exts = [QUERY_URI] if exts is None else exts
    svc = "".join("<objURI>%s</objURI>" % o for o in objs)
    if exts:
        svc += "<svcExtension>%s</svcExtension>" % "".join("<extURI>%s</extURI>" % e for e in exts)
    return document("<login><clID>%s</clID><pw>%s</pw>%s<options><version>%s</version><lang>%s</lang></options><svcs>%s</svcs></login>"
                    % (escape(clid), escape(pw), new, version, lang, svc), cltrid)


# ---- the EPP client --------------------------------------------------------------------------------------------------------

class Closed(Exception):
    """The server closed the connection."""


def _tls(server, cert=None):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.load_verify_locations(server.ca)
    if cert:
        ctx.load_cert_chain(cert + ".crt", cert + ".key")
    return ctx


class Session:
    """One EPP connection. cert: path of certificate and key without .crt/.key; None: no certificate."""

    _counter = 0
    _lock = threading.Lock()

    def __init__(self, server, cert=None, greet=True, timeout=None):
        self.server = server
        raw = socket.create_connection((server.host, server.port), timeout=timeout or TIMEOUT)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.sock = _tls(server, cert).wrap_socket(raw, server_hostname="localhost")
        except BaseException:
            raw.close()
            raise
        self.buffer = b""
        self.greeting = self.receive() if greet else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.sock.close()
        except OSError:
            pass

    # bytes and frames

    def send_bytes(self, data):
        try:
            self.sock.sendall(data)
        except (ssl.SSLError, ConnectionError, BrokenPipeError) as e:
            raise Closed(str(e))

    @staticmethod
    def frame(doc):
        doc = doc.encode() if isinstance(doc, str) else doc
        return struct.pack(">I", len(doc) + 4) + doc

    def send(self, doc):
        if os.environ.get("CEIR_SHOW"):
            print("C:", doc, file=sys.stderr)
        self.send_bytes(self.frame(doc))

    def _read(self, n):
        while len(self.buffer) < n:
            try:
                got = self.sock.recv(65536)
            except (ssl.SSLError, ConnectionError) as e:
                if isinstance(e, socket.timeout) or "timed out" in str(e):
                    raise
                raise Closed(str(e))
            if not got:
                raise Closed("end of stream, %d of %d bytes" % (len(self.buffer), n))
            self.buffer += got
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def receive_raw(self):
        size = struct.unpack(">I", self._read(4))[0]
        if not 5 <= size <= 64 << 20:
            raise AssertionError("length %d from the server" % size)
        doc = self._read(size - 4)
        if os.environ.get("CEIR_SHOW"):
            print("S:", doc.decode("utf-8", "replace"), file=sys.stderr)
        received.add(doc)
        return doc

    def receive(self):
        return Response(self.receive_raw())

    def closed(self, timeout=None):
        """Waits until the server closes; True when it did. Frames that come before are skipped."""
        self.sock.settimeout(timeout or TIMEOUT)
        try:
            while True:
                self.receive_raw()
        except Closed:
            return True
        except (socket.timeout, TimeoutError):
            return False

    def raw(self, doc):
        """A document and its answer."""
        self.send(doc)
        return self.receive()

    # commands

    @classmethod
    def cltrid(cls):
        with cls._lock:
            cls._counter += 1
            return "TEST-%d-%d" % (os.getpid(), cls._counter)

    def hello(self):
        return self.raw(HELLO)

    def login(self, clid, pw, **kw):
        return self.raw(login_xml(clid, pw, **dict({"cltrid": self.cltrid()}, **kw)))

    def logout(self):
        return self.raw(document("<logout/>", self.cltrid()))

    def command(self, body, cltrid=True, extension=""):
        tr = self.cltrid() if cltrid is True else cltrid
        r = self.raw(document(body, tr, extension))
        if r.cltrid != tr:
            raise AssertionError("clTRID %r came back as %r: %r" % (tr, r.cltrid, r))
        return r

    def check(self, obj, *names, **kw):
        key = key_name(obj)
        return self.command(object_command("check", obj, "".join("<%s:%s>%s</%s:%s>" % (obj, key, escape(n), obj, key)
                                                                 for n in names)), **kw)

    def info(self, obj, name, after=None, rows=None, **kw):
        """after, rows: which result rows of an application."""
        page = "".join(' %s="%s"' % kv for kv in (("after", after), ("rows", rows)) if kv[1] is not None)
        return self.command('<info><%s:info xmlns:%s="%s"%s>%s</%s:info></info>' % (obj, obj, uri(obj), page,
                                                                                    name_xml(obj, name), obj), **kw)

    def create(self, obj, fields=(), extra="", **kw):
        return self.command(object_command("create", obj, fields_xml(obj, fields) + extra), **kw)

    def update(self, obj, name, add=None, rem=None, chg=None, extra="", **kw):
        inner = name_xml(obj, name)
        for part, what in (("add", add), ("rem", rem), ("chg", chg)):
            if what is not None and isinstance(what, str): # elements as they are
                inner += "<%s:%s>%s</%s:%s>" % (obj, part, what, obj, part)
            elif what is not None:
                inner += "<%s:%s>%s</%s:%s>" % (obj, part, fields_xml(obj, what), obj, part)
        return self.command(object_command("update", obj, inner + extra), **kw)

    def delete(self, obj, name, extra="", **kw):
        return self.command(object_command("delete", obj, name_xml(obj, name) + extra), **kw)

    def renew(self, obj, name, cur, new, **kw):
        inner = name_xml(obj, name) + "<%s:curExDate>%s</%s:curExDate><%s:exDate>%s</%s:exDate>" % (obj, cur, obj, obj, new,
                                                                                                    obj)
        return self.command(object_command("renew", obj, inner), **kw)

    def transfer(self, op, number, extra="", **kw):
        return self.command(object_command("transfer", "imei", name_xml("imei", number) + extra, ' op="%s"' % op), **kw)

    def query(self, obj, filters=(), sort=None, descending=False, limit=None, cursor=None, count=None, **kw):
        return self.raw(query_xml(obj, filters, sort, descending, limit, cursor, count, self.cltrid()), **kw)

    def page(self, obj, *args, **kw):
        return Page(self.query(obj, *args, **kw))

    def all(self, obj, filters=(), **kw):
        """Every item, page after page."""
        items, cursor = [], None
        while True:
            page = self.page(obj, filters, cursor=cursor, **kw)
            items += page.items
            cursor = page.next
            if not cursor:
                return items

    def poll(self, ack=None, **kw):
        return self.command('<poll op="req"/>' if ack is None else '<poll op="ack" msgID="%s"/>' % ack, **kw)

    # conveniences

    def verdicts(self, *names):
        """{name: (avail, reason, colour, verdict's reason)}"""
        r = self.check("imei", *names)
        assert r.code == 1000, r
        return {c["name"]: (c["avail"], c["reason"], c["colour"], c["state_reason"]) for c in checks(r)}

    def colour(self, number):
        v = self.verdicts(number)[number]
        return v[2], v[3]

    def submit(self, devices, permit, position, **fields):
        """An application in one command; returns (create's response, info when done)."""
        r = self.create("application", dict(fields, permit=permit, position=position), extra=devices_xml(devices))
        return r, (self.wait_application(application_id(r)) if r.code in (1000, 1001) else None)

    def wait_application(self, id, status=("done",)):
        """Info of an application when it has one of the statuses."""
        deadline = time.monotonic() + TIMEOUT * 4
        while True:
            r = self.info("application", id)
            assert r.code == 1000, r
            if r.fields()["status"] in status:
                return r
            assert time.monotonic() < deadline, "application %s stays %s" % (id, r.fields()["status"])
            time.sleep(0.02)


def name_xml(obj, name):
    key = key_name(obj)
    return "<%s:%s>%s</%s:%s>" % (obj, key, escape(name), obj, key)


def application_id(r):
    return r.fields()["id"]


def rows(r):
    """Result rows of an application's info: (line, imei, result, code, reason, first of its device)."""
    out = []
    for e in r.data.findall("{%s}row" % uri("application")):
        ns = "{%s}" % uri("application")
        out.append((int(e.get("line")), e.findtext(ns + "imei"), e.get("result"), e.get("code"), e.findtext(ns + "reason"),
                    e.get("first", "1") in ("1", "true")))
    return out


def checks(r):
    """The cd of a check, each a dict: name, avail, reason, colour, state_reason (None when absent)."""
    out = []
    for cd in r.data:
        ns = "{%s}" % split(cd.tag)[0]
        key = cd.find(ns + ("name" if ns == "{%s}" % IMEI_URI else "id"))
        state = cd.find(ns + "state")
        reason = cd.find(ns + "reason")
        out.append({
            "name": key.text or "", "avail": key.get("avail") in ("1", "true"),
            "reason": reason.text if reason is not None else None,
            "colour": state.text if state is not None else None,
            "state_reason": state.get("reason") if state is not None else None,
        })
    return out


def query_xml(obj, filters=(), sort=None, descending=False, limit=None, cursor=None, count=None, cltrid=None):
    """A query is a protocol extension (RFC 5730 2.7.1). filters: (field, value) or (field, op, value); count: True, or "only"."""
    inner = []
    for f in filters:
        field, op, value = f if len(f) == 3 else (f[0], None, f[1])
        inner.append('<q:filter field="%s"%s>%s</q:filter>' % (field, ' op="%s"' % op if op else "", escape(str(value))))
    if sort:
        inner.append('<q:sort%s>%s</q:sort>' % (' order="desc"' if descending else "", sort))
    if limit is not None:
        inner.append("<q:limit>%s</q:limit>" % limit)
    if cursor is not None:
        inner.append("<q:cursor>%s</q:cursor>" % escape(cursor))
    if count:
        inner.append('<q:count only="1"/>' if count == "only" else "<q:count/>")
    tr = "" if cltrid is None else "<q:clTRID>%s</q:clTRID>" % escape(cltrid)
    return ('<?xml version="1.0" encoding="UTF-8"?>\n<epp xmlns="%s"><extension><q:command xmlns:q="%s"><q:query object="%s">%s</q:query>%s'
            "</q:command></extension></epp>" % (EPP, QUERY_URI, uri(obj) if ":" not in obj else obj, "".join(inner), tr))


class Page:
    """The answer of a query."""

    def __init__(self, r):
        assert r.code == 1000, r
        q = "{%s}" % QUERY_URI
        self.items = [tree(i[0]) for i in r.data.findall(q + "item")]
        self.next = r.data.findtext(q + "next")
        count = r.data.find(q + "count")
        self.count = int(count.text) if count is not None else None


def eventually(what, want, timeout=None):
    """Calls what() until it returns want; background work of the server is done by then."""
    deadline = time.monotonic() + (timeout or TIMEOUT)
    while True:
        got = what()
        if got == want or (callable(want) and want(got)):
            return got
        if time.monotonic() > deadline:
            raise AssertionError("still %r, wanted %r" % (got, want))
        time.sleep(0.05)


# ---- the server ------------------------------------------------------------------------------------------------------------

class Server:
    """A data folder and the ceird that serves it."""

    def __init__(self, dir=None, options=(), start=True, init=True):
        self.dir = dir or os.path.join(folder(), "var")
        self.options = list(options)
        self.process = None
        self.logs, self.logs_in = [], folder("ceir-log-")
        if init:
            run(CEIRD, "init", self.dir, check=0)
        self.ca = os.path.join(self.dir, "keys", "ca.crt")
        if start:
            self.start()

    def key(self, name):
        """Path of a certificate and its key, without the ending."""
        return os.path.join(self.dir, "keys", name)

    @property
    def admin_password(self):
        with open(self.key("admin.password"), encoding="ascii") as f:
            return f.read().strip()

    def cert(self, name, *more):
        """Issues a client certificate; its fingerprint."""
        return run(CEIRD, "cert", self.dir, name, *more, check=0).stdout.strip()

    def start(self):
        log = os.path.join(self.logs_in, "log-%d" % len(self.logs))
        self.logs.append(log)
        args = [CEIRD, "run", self.dir]
        for o in FAST + self.options:
            args += ["-o", o]
        with open(log, "wb") as f:
            self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=f)
        _children.append(self.process)
        line = self.process.stdout.readline().decode()
        m = re.search(r"ready .*epp=(\S+):(\d+)", line)
        if not m:
            self.process.wait(10)
            raise AssertionError("ceird did not get ready: %r\n%s" % (line, self.log()))
        self.host, self.port = m.group(1), int(m.group(2))
        m = re.search(r" http=(\S+):(\d+)", line)
        self.http_host, self.http_port = (m.group(1), int(m.group(2))) if m else (None, None)
        m = re.search(r" ftps=(\S+):(\d+)", line)
        self.ftps_host, self.ftps_port = (m.group(1), int(m.group(2))) if m else (None, None)

    def log(self):
        return "".join(open(l, encoding="utf-8", errors="replace").read() for l in self.logs)

    def stop(self):
        """SIGTERM; the exit status."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(2 * TIMEOUT)
        self.process.stdout.close()
        self.process = None
        return status

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()
        self.process = None

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def verify(self, *more):
        return run(CEIRD, "verify", self.dir, *more)

    def session(self, name=None, **kw):
        return Session(self, self.key(name) if name else None, **kw)

    def admin(self, **kw):
        s = self.session("admin")
        r = s.login("admin", self.admin_password, **kw)
        assert r.code == 1000, r
        return s

    def ctl(self, *args, input=None, account="admin", check=None, password_file=None, timeout=None):
        key = self.key(account)
        return run(CEIRCTL, "--host", self.host, "--port", self.port, "--ca", self.ca, "--cert", key + ".crt", "--key",
                   key + ".key",
                   "--user", account, "--password-file", password_file or key + ".password", *args, input=input, check=check,
                   timeout=timeout)


def sqlite(server, sql):
    """Reads, or tampers with, the database behind the server's back."""
    import sqlite3
    db = sqlite3.connect(os.path.join(server.dir, "ceir.db"), timeout=60)
    try:
        rows = db.execute(sql).fetchall()
        db.commit()
        return rows
    finally:
        db.close()


# ---- a small country -------------------------------------------------------------------------------------------------------

IMPORTER = "8978140007623"
IMPORTER2 = "8978140007630"
PERMIT = "CT07-287/062"
CERTIFICATE = "UAT.888.0162779-18"
TAC = "35210605"
SCREEN_IMEI = "352106050544203"
OPERATOR = "UA-MNO-1"
OPERATOR2 = "UA-MNO-2"

# Names of accounts and what they are; the importers' accounts belong to the importers above.
ACCOUNTS = {
    "importer1": {"role": "importer", "importer": IMPORTER},
    "importer2": {"role": "importer", "importer": IMPORTER2},
    "customs1": {"role": "customs"},
    "lea1": {"role": "lea"},
    "tax1": {"role": "tax"},
    "nra1": {"role": "nra"},
    "operator1": {"role": "operator", "operator": OPERATOR},
    "pos1": {"role": "pos"},
}
PASSWORD = "Correct.horse-9"


def position(number=1, certificate=CERTIFICATE, manufacturer="Samsung", model="GT-P3100", country="KR", quantity=1000,
             price="4800.00",
             currency="UAH"):
    return {"number": number, "certificate": certificate, "manufacturer": manufacturer, "model": model, "country": country,
            "quantity": quantity, "price": price, "currency": currency}


class World:
    """A server with an account of every role and the papers of the customer's example screen."""

    def __init__(self, options=(), dir=None):
        self.server = Server(dir=dir, options=options)
        self.open = {"admin": self.cheap_admin()}
        customs = None
        self.ok(self.session("admin").create("operator", {"id": OPERATOR, "name": "Kyiv Mobile", "plmn": "25501"}))
        self.ok(self.session("admin").create("operator", {"id": OPERATOR2, "name": "Dnipro Cellular", "plmn": "25503"}))
        for name, fields in sorted(ACCOUNTS.items(), key=lambda kv: kv[1]["role"] == "importer"):
            if fields["role"] == "importer" and customs is None:
                customs = self.session("customs1")
                self.ok(customs.create("importer", {"id": IMPORTER, "name": "Company-Importer-of-mobile-devices",
                                                    "address": "1 Khreshchatyk St, Kyiv", "country": "UA"}))
                self.ok(customs.create("importer", {"id": IMPORTER2, "name": "Dnipro Handset Trading LLC"}))
            self.account(name, **fields)
        self.papers()

    def cheap_admin(self):
        """`init` hashed admin's password at the full cost, which each login would pay again: the first one sets another."""
        s, pw = self.server.session("admin"), self.server.admin_password
        self.ok(s.login("admin", pw, newpw=pw[::-1]))
        with open(self.server.key("admin.password"), "w", encoding="ascii") as f:
            f.write(pw[::-1] + "\n")
        return s

    def account(self, name, certificate=True, pw=PASSWORD, **fields):
        """An account with its certificate; the response."""
        fields = dict(fields, id=name, pw=pw)
        if certificate and fields["role"] != "pos":
            fields["certificate"] = self.server.cert(name)
        with open(self.server.key(name) + ".password", "w", encoding="ascii") as f:
            f.write(pw + "\n")
        return self.ok(self.session("admin").create("account", fields))

    def deliver(self, account, text, kind="delta", **parameters):
        """Triplets of an operator, over HTTPS with its certificate; the delivery's state as the face answers it."""
        server = self.server
        context = ssl.create_default_context(cafile=server.ca)
        context.load_cert_chain(server.key(account) + ".crt", server.key(account) + ".key")
        c = http.client.HTTPSConnection(server.http_host, server.http_port, context=context, timeout=TIMEOUT)
        try:
            c.request("POST", "/v1/deliveries?" + urllib.parse.urlencode(dict(parameters, kind=kind)), text.encode(),
                      {"Content-Type": "text/csv", "Client-Transaction-Id": Session.cltrid()})
            r = c.getresponse()
            body = r.read()
        finally:
            c.close()
        assert r.status in (200, 202), (r.status, body)
        return json.loads(body)

    def papers(self):
        nra, customs = self.session("nra1"), self.session("customs1")
        self.ok(nra.create("tac", {"id": TAC, "manufacturer": "Samsung", "model": "GT-P3100", "brand": "Galaxy Tab 2 7.0",
                                   "type": "tablet"}))
        self.ok(nra.create("tac", {"id": "35148820", "manufacturer": "Nokia", "model": "6310i"}))
        self.ok(nra.create("certificate", {"id": CERTIFICATE, "issued": "2015-12-09", "exDate": "2035-12-31",
                                           "manufacturer": "Samsung",
                                           "model": "GT-P3100", "tac": TAC}))
        self.ok(customs.create("permit", {"id": PERMIT, "importer": IMPORTER, "issued": "2015-12-12", "exDate": "2035-12-31",
                                          "position": position()}))

    @staticmethod
    def ok(r, *codes):
        assert r.code in (codes or (1000,)), r
        return r

    def fresh(self, name, pw=None, **kw):
        """A new session of an account, logged in."""
        certificate = None if name.startswith("pos") else name
        s = self.server.session(certificate)
        r = s.login(name, pw or (self.server.admin_password if name == "admin" else PASSWORD), **kw)
        assert r.code == 1000, r
        return s

    def session(self, name):
        """The account's session of this test file; opened when first asked for."""
        if name not in self.open:
            self.open[name] = self.fresh(name)
        return self.open[name]

    def forget(self):
        """After a restart of the server the sessions are gone."""
        for s in self.open.values():
            s.close()
        self.open = {}

    def close(self):
        """Stops the server, which must end in order, with a sound register and nothing from a sanitizer in its log."""
        self.forget()
        status = self.server.stop()
        assert status == 0, "ceird ended with %d\n%s" % (status, self.server.log()[-4000:])
        p = self.server.verify()
        assert p.returncode == 0, p.stdout + p.stderr
        no_sanitizer(self.server)


def no_sanitizer(server):
    for line in server.log().splitlines():
        assert "Sanitizer" not in line and "runtime error:" not in line, server.log()[-8000:]


class Test(unittest.TestCase):
    maxDiff = None

    def code(self, response, *codes):
        """The answer has one of the codes; returns it."""
        self.assertIn(response.code, codes, repr(response))
        return response

    def detail(self, response, element):
        """An extValue names the element and gives a reason."""
        named = [d for d in response.details if d.element == element]
        self.assertTrue(named, "no detail of <%s> in %r" % (element, response))
        self.assertTrue(named[0].reason)
        return named[0]


def main():
    """Runs the tests of the calling file, then the schemas. Exit status 77 when everything was skipped (Meson's word for it)."""
    if not os.path.exists(CEIRD):
        print("no %s; build first, or set CEIR_BUILD" % CEIRD)
        sys.exit(1)
    started = time.monotonic()
    program = unittest.main(module="__main__", exit=False, verbosity=2, warnings="ignore")
    result = program.result
    faults = received.validate()
    for line in faults[:40]:
        print(line)
    print("%d kinds of documents received, %s; %.1f s" %
          (len(received.docs), "all valid" if not faults else "NOT ALL VALID", time.monotonic() - started))
    if not result.wasSuccessful() or faults:
        sys.exit(1)
    sys.exit(77 if result.skipped and result.testsRun <= len(result.skipped) else 0)
