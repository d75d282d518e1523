#!/usr/bin/python3
"""docs/examples/check_audit.py, the auditor's own program of docs/audit.md, on a fresh register: sound, then tampered with.

    audit_example.py SOURCE BUILD"""
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

source, build = sys.argv[1:3]
program = os.path.join(source, "docs", "examples", "check_audit.py")
ceird, ceirctl = os.path.join(build, "ceird"), os.path.join(build, "ceirctl")


def run(*args, **kw):
    return subprocess.run(args, text=True, capture_output=True, check=False, **kw)


def check(database, *heads):
    p = run(sys.executable, program, database, *heads)
    return p.returncode, p.stdout


def serve_a_little(folder):
    """A few commands, good and refused, so that there is something to check."""
    server = subprocess.Popen([ceird, "run", folder, "-o", "epp.listen=127.0.0.1:0", "-o", "http.listen=127.0.0.1:0"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        ready = server.stdout.readline()
        port = ready.split("epp=")[1].split()[0].rsplit(":", 1)[1]
        for words in (["imei", "check", "352106050544203"], ["imei", "info", "352106050544203"], ["account", "info", "admin"]):
            run(ceirctl, "--dir", folder, "--port", port, "--user", "admin", *words)
    finally:
        server.terminate()
        server.communicate(timeout=60)


def signature_is_good(folder, head):
    """The recipe of docs/audit.md; only where there is an openssl. None: there is none."""
    if not shutil.which("openssl"):
        return None
    with open(head, encoding="utf-8") as f:
        signed, rest = f.read().split(',"signature":"')
    with open(os.path.join(folder, "keys", "audit-sign.pub"), encoding="utf-8") as f:
        key = bytes.fromhex("302a300506032b6570032100" + f.read().strip())
    names = {}
    for name, data in (("key", key), ("signed", signed.encode()), ("signature", bytes.fromhex(rest[:128]))):
        names[name] = os.path.join(folder, "example." + name)
        with open(names[name], "wb") as f:
            f.write(data)
    p = run("openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", names["key"], "-rawin", "-in", names["signed"],
            "-sigfile", names["signature"])
    return p.returncode == 0


def main():
    scratch = tempfile.mkdtemp(prefix="ceir-audit-")
    try:
        folder = os.path.join(scratch, "var")
        p = run(ceird, "init", folder)
        assert p.returncode == 0, p.stderr
        serve_a_little(folder)
        database, head = os.path.join(folder, "ceir.db"), os.path.join(scratch, "head.json")
        p = run(ceird, "audit-head", folder)
        assert p.returncode == 0, p.stderr
        with open(head, "w", encoding="utf-8") as f:
            f.write(p.stdout)
        status, said = check(database, head)
        rows = json.loads(p.stdout)["seq"]
        assert status == 0 and said == "%d rows, all sound\n" % rows and rows > 3, said
        assert signature_is_good(folder, head) is not False
        for act in ("UPDATE audit SET name = 'nobody' WHERE seq = 2", "DELETE FROM audit WHERE seq = 2",
                    "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)"):
            copy = os.path.join(scratch, "copy.db")
            shutil.copy(database, copy)
            db = sqlite3.connect(copy)
            db.execute(act)
            db.commit()
            db.close()
            status, said = check(copy, head)
            assert status == 1 and "row" in said, (act, said)
            os.remove(copy)
    finally:
        shutil.rmtree(scratch)


start = time.monotonic()
main()
print("the auditor's program agrees with the register; %.1f s" % (time.monotonic() - start))
