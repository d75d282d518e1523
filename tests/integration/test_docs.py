#!/usr/bin/python3
"""Plays docs/epp.md: every example is sent, in the order of the page, and must be answered as the page says.

An example is a line "<!-- play: WHO -->" and two XML blocks, the request and its answer. WHO is an account of the tests' world, whose
session goes on; "fresh WHO" has a session of its own, "new WHO" one that is not logged in. Times, server transaction ids, digests and
addresses differ from run to run and are not compared; ids that the server gives are put into later requests in place of the documented ones.
"""
import os
import re
import time
import xml.etree.ElementTree as ET

from harness import ROOT, SLOW, TIMEOUT, Response, Test, World, local, main, received

PAGE = os.path.join(ROOT, "docs", "epp.md")
EXAMPLE = re.compile(r"<!-- play: (\S+(?: \S+)?) -->\n```xml\n(.*?)\n```\n```xml\n(.*?)\n```\n", re.S)
# The delivery that the examples of triplets stand behind; the page says it.
# Five days ago: what is older than a month is no longer "new".
DELIVERED = "imei,imsi,msisdn,time\n352106051234564,255011234567890,380501234567,%s\n" % time.strftime(
    "%Y-%m-%dT10:00:00Z", time.gmtime(time.time() - 5 * 86400))
VOLATILE = {"svTRID", "svDate", "crDate", "upDate", "qDate", "reDate", "acDate", "since", "endDate", "submitted", "done", "date", "seq",
            "hash", "requestDigest", "responseDigest", "address", "lastLogin", "received", "applied", "classified", "active", "noticed", "block", "ackDate"}
# How far the change log is depends on when the background got to what.
OF_THE_LOG = re.compile(r"list-1\.0\}(seq|lag|from|to|fileName|rows|bytes|digest)$")
OF_THE_DAY = re.compile(r"(triplet-1\.0\}(first|last|from|to)|verdict-1\.0\}(firstSeen|lastSeen))$")
GIVEN_BY_SERVER = tuple("urn:ceir:params:xml:ns:%s-1.0" % o for o in ("application", "listing", "portability", "delivery", "watch"))


def repeatable(request):
    """Commands that may be sent again while the server is still working in the background."""
    return re.search(r"<(info|check|poll op=.req.)", request) is not None


class Docs(Test):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        with open(PAGE, encoding="utf-8") as f:
            cls.page = f.read()
        documented = re.search(r"<delivery:id>(D\d+)<", cls.page).group(1)
        cls.ids = {documented: cls.world.deliver("operator1", DELIVERED, id="2026-11-20-1")["id"]} # documented -> of this run
        deadline = time.monotonic() + TIMEOUT
        while cls.world.session("admin").info("delivery", cls.ids[documented]).fields()["status"] != "applied":
            assert time.monotonic() < deadline
            time.sleep(0.05)

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def with_ids(self, text):
        for documented, real in self.ids.items():
            text = re.sub(r"(?<![\w-])%s(?![\w-])" % re.escape(documented), real, text)
        return text

    def learn(self, documented, real):
        if documented != real:
            self.ids[documented] = real

    def is_id(self, e):
        return any(e.tag == "{%s}id" % uri for uri in GIVEN_BY_SERVER) or e.tag == "{urn:ietf:params:xml:ns:imei-1.0}application"

    def differences(self, expected, got, path=""):
        path += "/" + local(expected)
        if expected.tag != got.tag:
            return ["%s: <%s> instead" % (path, local(got))]
        if local(expected) == "msgQ":
            self.message = expected.get("id"), got.get("id")
            got.set("id", expected.get("id"))
        out = [] if expected.attrib == got.attrib else ["%s: %s instead of %s" % (path, got.attrib, expected.attrib)]
        want, have = (expected.text or "").strip(), (got.text or "").strip()
        if self.is_id(expected):
            self.learn(want, have)
        elif local(expected) == "explanation":
            want, have = (re.sub(r"\d{4}-\d\d-\d\d", "DATE", t) for t in (want, have))
            if want != have:
                out.append("%s: %r instead of %r" % (path, have, want))
        elif local(expected) not in VOLATILE and not OF_THE_LOG.search(expected.tag) \
                and not OF_THE_DAY.search(expected.tag) and not self.fingerprint(path) \
                and self.with_ids(want) != have:
            out.append("%s: %r instead of %r" % (path, have, want))
        if len(expected) != len(got):
            return out + ["%s: %s instead of %s" % (path, [local(e) for e in got], [local(e) for e in expected])]
        for e, g in zip(expected, got):
            out += self.differences(e, g, path)
        return out

    @staticmethod
    def fingerprint(path):
        """A transaction's own id is a svTRID, its certificate is the account's of this run."""
        return re.search(r"/queData/item/infData/(id|certificate)$", path) is not None

    def session(self, who):
        how, _, name = who.rpartition(" ")
        if how == "new":
            return self.world.server.session(name)
        return self.world.fresh(name) if how == "fresh" else self.world.session(name)

    def play(self, who, request, answer):
        request = self.with_ids(request)
        if 'op="ack"' in request:
            request = request.replace('msgID="%s"' % self.message[0], 'msgID="%s"' % self.message[1])
        s = self.session(who)
        deadline = time.monotonic() + 10 * SLOW
        while True:
            found = self.differences(ET.fromstring(answer), ET.fromstring(s.raw(request).raw))
            if not found or not repeatable(request) or time.monotonic() > deadline:
                return found
            time.sleep(0.05)

    def test_examples(self):
        examples = EXAMPLE.findall(self.page)
        self.assertEqual(len(examples), self.page.count("<!-- play:"), "an example has not the form of the others")
        self.assertEqual(2 * len(examples), self.page.count("```xml"), "an XML block belongs to no example")
        self.assertGreater(len(examples), 30)
        for who, request, answer in examples:
            with self.subTest(who=who, request=request):
                # The page's own documents are held against the schemas as well; a refused request may be wrong.
                if '<result code="2' not in answer:
                    received.add(request.encode())
                received.add(Response(answer.encode()).raw)
                self.assertEqual(self.play(who, request, answer), [])

    def test_every_object_and_verb_is_shown(self):
        for name in ("imei", "importer", "certificate", "tac", "permit", "application", "listing", "account"):
            for verb in ("info", "create"):
                self.assertIn("<%s:%s " % (name, verb), self.page)
        for what in ("operator:create operator:update operator:info portability:create portability:info portability:delete delivery:info delivery:update "
                     "policy:create policy:info policy:update golden:create golden:check watch:create watch:info watch:delete list:info list:update "
                     "remote:create remote:update remote:info remote:check remote:delete "
                     "verdict:info").split():
            self.assertIn("<%s " % what, self.page)
        self.assertIn('object="urn:ceir:params:xml:ns:triplet-1.0"', self.page)


if __name__ == "__main__":
    main()
