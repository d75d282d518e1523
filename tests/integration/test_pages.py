#!/usr/bin/python3
"""Runs the examples of docs/triplets.md, docs/formats.md, docs/operations.md and docs/files.md, in the order of the page, against a fresh register for each.

An example is a block of shell and, right behind it, a block of text with what it prints, standard error too. A line "<!-- file: NAME -->"
before a block makes it a file in the folder where the commands run; a variable DIR names the register's folder, DOCS the folder docs. The
function `ceirctl` finds the server by itself, `ceird` is the program. Times, dates, digests, transaction ids and lengths in bytes are not compared; ids that the server gives are
put into later commands in place of the documented ones. Commands that only ask are repeated until the background has caught up.

CEIR_WRITE=1 writes what came into the page instead: for whoever has changed it, to be read before it is kept.
"""
import os
import re
import subprocess
import time

from harness import ACCOUNTS, CEIRCTL, CEIRD, OPERATOR, ROOT, SLOW, TIMEOUT, Test, World, eventually, folder, main

FILE = re.compile(r"<!-- file: (\S+) -->\n```\w*\n(.*?)```\n", re.S)
STEP = re.compile(r"```sh\n(.*?)```\n```text\n(.*?)```\n", re.S)
GIVEN_BY_SERVER = re.compile(r"\b[DWL]\d+\b")
VOLATILE = ((r"\d{4}-\d\d-\d\d(T[\d:.]+Z)?", "TIME"), (r"\b[0-9a-f]{64,128}\b", "HEX"), (r"\b[A-Z]{2,4}-\d{20}\b", "SVTRID"),
            (r"CTL-[\d-]+", "CLTRID"), (r"(?m)^(id: +)\d+$", r"\1N"), (r"(address: +)\S+", r"\1ADDRESS"), (r"(bytes\"?:) *\d+", r"\1 N"), (r"[ \t]+", " "), (r" ?\n", "\n"))
ONLY_ASKS = re.compile(r"ceirctl .*\b(info|query|check|poll|get|rejects)\b")


class Page:
    def __init__(self, name):
        self.path = os.path.join(ROOT, "docs", name)
        with open(self.path, encoding="utf-8") as f:
            self.text = f.read()
        self.steps = STEP.findall(self.text)
        self.world = World(options=["lists.interval_s=1"])
        inbox = os.path.join(self.world.server.dir, "inbox", OPERATOR, "done")
        eventually(lambda: os.path.isdir(inbox), True) # made within a second of the operator, and so are accounts' folders
        accounts = [os.path.join(self.world.server.dir, "files", a, "queue") for a in ACCOUNTS]
        eventually(lambda: all(map(os.path.isdir, accounts)), True)
        self.ids = {}
        self.work = folder("ceir-page-")
        for file, content in FILE.findall(self.text):
            with open(os.path.join(self.work, file), "w", encoding="utf-8") as f:
                f.write(content)

    def run(self, script):
        s = self.world.server
        for documented, real in self.ids.items():
            script = re.sub(r"(?<![\w-])%s(?![\w-])" % documented, real, script)
        prologue = ("cd %s; DIR=%s; DOCS=%s/docs; ceirctl() { local to=%d; case \"$*\" in *deliver\\ *|*delivery\\ rejects*|*list\\ get*|*lists\\ --layout*) to=%d ;; esac; "
                    "%s --dir %s --host %s --port $to \"$@\"; }; ceird() { %s \"$@\"; }\n"
                    % (self.work, s.dir, ROOT, s.port, s.http_port, CEIRCTL, s.dir, s.host, CEIRD))
        p = subprocess.run(["bash", "-c", prologue + script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=4 * TIMEOUT)
        return p.stdout.decode().replace("\r\n", "\n").replace(s.dir, "/var/lib/ceir")

    @staticmethod
    def plain(text):
        for pattern, instead in VOLATILE:
            text = re.sub(pattern, instead, text)
        return GIVEN_BY_SERVER.sub("ID", text).strip()

    def learn(self, want, have):
        self.ids.update(zip(GIVEN_BY_SERVER.findall(want), GIVEN_BY_SERVER.findall(have)))

    def play(self, script, want):
        """What the commands print, when it is as documented or will not become so."""
        deadline = time.monotonic() + 10 * SLOW
        while True:
            have = self.run(script)
            same = self.plain(have) == self.plain(want)
            if same or not ONLY_ASKS.search(script) or time.monotonic() > deadline:
                return have
            time.sleep(0.2)

    def write(self, script, want, have):
        self.learn(want, have)
        for documented, real in self.ids.items():
            have = have.replace(real, documented)
        step = "```sh\n%s```\n```text\n" % script
        self.text = self.text.replace(step + want, step + have, 1)
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(self.text)


class Pages(Test):
    def play(self, name, least):
        page = Page(name)
        try:
            self.assertEqual(len(page.steps), page.text.count("```text\n"), "an example has not the form of the others")
            self.assertGreaterEqual(len(page.steps), least)
            for script, want in page.steps:
                with self.subTest(script=script):
                    if os.environ.get("CEIR_WRITE"):
                        time.sleep(2)
                        have = page.run(script)
                        page.write(script, want, have)
                    else:
                        have = page.play(script, want)
                        page.learn(want, have)
                        self.assertEqual(page.plain(have), page.plain(want), have)
        finally:
            page.world.close()

    def test_triplets(self):
        self.play("triplets.md", 17)

    def test_formats(self):
        self.play("formats.md", 6)

    def test_operations(self):
        self.play("operations.md", 1)

    def test_files(self):
        self.play("files.md", 4)


if __name__ == "__main__":
    main()
