#!/usr/bin/python3
"""Lists that are waited for, from a real ceird: an answer that is held back until there is something new, the EIR of docs/http.md that
lives from such answers, and what happens when the server stops or a client goes away."""
import os
import re
import signal
import subprocess
import threading
import time

from harness import ROOT, TIMEOUT, Test, World, eventually, folder, imei, main
from test_http import Client, Operators

PAGE = os.path.join(ROOT, "docs", "http.md")
STRANGE = 35310000 # a TAC that nobody has registered: its IMEIs are grey from the first sighting on


def seen(client, n, operator="25501"):
    """The operator's network sees the IMEI number n, which is grey at once."""
    text = "imei,imsi,msisdn\n%s,%s%010d,\n" % (imei(STRANGE, n), operator, n)
    a = client("/v1/sightings", "--data-binary", "@-", "--header", "Content-Type: text/csv", input=text.encode())
    assert a.status == 200, a


class Asking(threading.Thread):
    """A request under way."""

    def __init__(self, client, path, *more):
        super().__init__()
        self.call = lambda: client(path, *more)
        self.answer = None
        self.start()

    def run(self):
        self.answer = self.call()

    def finish(self):
        self.join(TIMEOUT * 4)
        return self.answer


class Wait(Operators):
    def newest(self, client, name="grey"):
        """Up to where the list is, when the outboxes hold all there is: what comes now is news."""
        def settled():
            s = client("/v1/lists/%s/ack" % name).json()
            return "to" in s and s

        eventually(settled, bool)
        return int(client("/v1/lists/" + name).headers["ceir-sequence-to"])

    def test_the_answer_comes_with_the_list(self):
        since = self.newest(self.op)
        waiting = [Asking(self.op, "/v1/lists/grey?since=%d&wait=60" % since),
                   Asking(self.op, "/v1/lists/grey?since=%d" % since, "--header", "Prefer: wait=60")]
        seen(self.op, 1)
        for w in waiting:
            a = w.finish()
            self.assertEqual((a.status, a.headers["ceir-sequence-from"]), (200, str(since)), a)
            self.assertIn(b"\nadded,%s," % imei(STRANGE, 1)[:14].encode(), a.body)
        self.assertEqual(a.headers["preference-applied"], "wait=60")
        # What is there already is answered at once: a wait of a minute would end the test.
        self.assertIn(b"added", self.op("/v1/lists/grey?since=%d&wait=60" % since, "--max-time", str(TIMEOUT)).body)

    def test_nothing_new(self):
        since = self.newest(self.other)
        w = Asking(self.other, "/v1/lists/grey?since=%d&wait=1" % since)
        seen(self.op, 2) # not his
        a = w.finish()
        self.assertEqual((a.status, a.headers["ceir-rows"], a.headers["ceir-sequence-from"]), (200, "0", str(since)), a)
        self.assertGreaterEqual(int(a.headers["ceir-sequence-to"]), since)
        self.assertNotIn("retry-after", a.headers)

    def test_a_request_is_one_transaction(self):
        a = self.op("/v1/lists/grey?since=%d&wait=1" % self.newest(self.op), "--header", "Client-Transaction-Id: WAIT-TEST-1")
        self.assertEqual(a.status, 200)
        done = self.world.session("admin").all("transaction", [("clTRID", "WAIT-TEST-1")])
        self.assertEqual(sorted(t["verb"] for t in done), ["info", "login"])

    def test_what_cannot_be_waited_for(self):
        for path in ("/v1/lists/grey?wait=5", "/v1/lists/grey?since=0&wait=61", "/v1/lists/grey?since=0&wait=x",
                     "/v1/lists/grey?since=999999999&wait=5", "/v1/lists?wait=5"):
            self.assertEqual(self.op(path).status, 400, path)
        self.assertEqual(self.op("/v1/lists/grey?since=0&wait=5&operator=UA-MNO-2").status, 403)

    def test_the_eir_of_the_page(self):
        with open(PAGE, encoding="utf-8") as f:
            eir = re.search(r"```sh\n(eir\(\) \{\n.*?\n\}\n)```", f.read(), re.S).group(1)
        s, dir = self.world.server, folder()
        for name in ("ca.crt", "operator1.crt", "operator1.key"):
            os.symlink(s.key(name), os.path.join(dir, name))
        eir = eir.replace("https://localhost:7743", "https://%s:%d" % (s.http_host, s.http_port))
        text = 'apply_to_eir() { cat "$2" >> applied; echo "$1" >> calls; }\n%s\neir grey\n' % eir
        # All IMEIs that were told, once or more; and that the register was told so.
        def applied():
            try:
                with open(os.path.join(dir, "applied"), encoding="ascii") as f:
                    return f.read()
            except FileNotFoundError:
                return ""

        def ack():
            return self.op("/v1/lists/grey/ack").json().get("ackSeq", 0)

        p = self.start(text, dir)
        seen(self.op, 10)
        eventually(lambda: imei(STRANGE, 10)[:14] in applied(), True)
        seen(self.op, 11)
        eventually(lambda: "added," + imei(STRANGE, 11)[:14] in applied(), True)
        self.end(p)
        # Off for a while, it takes up where it was: no whole list again.
        seen(self.op, 12)
        p = self.start(text, dir)
        eventually(lambda: "added," + imei(STRANGE, 12)[:14] in applied(), True)
        with open(os.path.join(dir, "grey.seq"), encoding="ascii") as f:
            eventually(ack, lambda n: n >= int(f.read() or 0) and n > 0)
        self.end(p)
        self.assertEqual(applied().count("\nimei,") + applied().startswith("imei,"), 1)

    def start(self, text, dir):
        p = subprocess.Popen(["bash", "-c", text], cwd=dir, start_new_session=True)
        self.addCleanup(self.end, p)
        return p

    def end(self, p):
        """With the curl that it waits for; a second time does nothing."""
        if p.returncode is None:
            os.killpg(p.pid, signal.SIGKILL)
            p.wait()


class Life(Test):
    def test_a_stop_ends_waits(self):
        w = World(options=["lists.interval_s=0", "http.max_waiting=1"])
        c = Client(w, "operator1")
        # Nobody makes lists: nothing but its time, or the stop, ends this.
        waiting = []

        def full():
            # The one place may have been taken by the request below.
            if not waiting or not waiting[-1].is_alive():
                waiting.append(Asking(c, "/v1/lists/grey?since=0&wait=60"))
            a = c("/v1/lists/grey?since=0&wait=1")
            self.assertEqual((a.status, a.headers["ceir-rows"]), (200, "0"), a)
            return "retry-after" in a.headers

        eventually(full, True)
        began = time.monotonic()
        w.forget()
        self.assertEqual(w.server.stop(), 0)
        self.assertLess(time.monotonic() - began, TIMEOUT)
        a = waiting[-1].finish()
        self.assertEqual((a.status, a.headers["ceir-rows"], a.headers["connection"]), (200, "0", "close"), a)
        w.server.start()
        w.close()


if __name__ == "__main__":
    main()
