#!/usr/bin/python3
"""Checks the audit log of a ceir register with nothing of ceir's: docs/audit.md in forty lines.

    check_audit.py ceir.db [head.json ...]    heads as `ceird audit-head` printed them

Prints what is wrong, or how many rows are sound; exit status 0 only when all is. Python 3 and its standard library."""
import hashlib
import json
import sqlite3
import sys

TEXTS = ("account", "role", "certificate", "address", "cltrid", "verb", "object", "name")


def digest(before, row):
    """BLAKE2b-256 of the hash before, three numbers, two digests and eight texts."""
    h = hashlib.blake2b(before, digest_size=32)
    for number in (row["seq"], row["at"], row["code"]):
        h.update(number.to_bytes(8, "little", signed=True))
    h.update(row["request"] + row["response"])
    for name in TEXTS:
        text = row[name]
        if text is None:
            h.update(b"\xff\xff\xff\xff")
            continue
        text = text if isinstance(text, bytes) else text.encode()
        h.update(len(text).to_bytes(4, "little") + text)
    return h.digest()


def check(path, heads):
    """What is wrong, one line each; and the number of rows."""
    db = sqlite3.connect("file:%s?mode=ro" % path, uri=True)
    db.row_factory = sqlite3.Row
    before, seq, wrong = bytes(32), 0, []
    wanted = {h["seq"]: h["hash"] for h in heads}
    for row in db.execute("SELECT * FROM audit ORDER BY seq"):
        if row["seq"] != seq + 1:
            wrong.append("row %d: rows are missing before it" % row["seq"])
        elif digest(before, row) != row["hash"]:
            wrong.append("row %d: its hash does not agree with its content and the row before" % row["seq"])
        before, seq = row["hash"], row["seq"]
        if wanted.pop(seq, before.hex()) != before.hex():
            wrong.append("row %d is not the one of the exported head" % seq)
    wrong += ["row %d of an exported head is missing" % n for n in wanted]
    db.close()
    return wrong, seq


def main(path, *head_files):
    heads = [json.load(open(name, encoding="utf-8")) for name in head_files]
    wrong, rows = check(path, heads)
    print("\n".join(wrong) or "%d rows, all sound" % rows)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
