#!/usr/bin/python3
"""An online copy of a register, beside a running ceird: backup.py DIR TARGET. Python's standard library only.

What must fit together: the database, the file of records that it names, and the files that the triplets' MANIFEST names. The database comes first: what
stands in the triplets and not yet in the database is found at the next start, the other way round it would be missing. Segments never
change once they are written, but a merge may remove them meanwhile: then it begins again with the MANIFEST of now. What a journal
gets while it is copied was acknowledged after the copy began.

Files of accounts and operators come after the database, in the way they go: in/, queue/, out/. What the register did with them after the copy of the
database was made is not in it, so the journal of a file that is being done is cut where the copy's audit log ends: from there on it is done again.
"""
import datetime
import os
import re
import shutil
import sqlite3
import sys
import time


def copy_database(source, target):
    """The database as of one moment; the name of its file of records, or None."""
    with sqlite3.connect("file:%s?mode=ro" % os.path.join(source, "ceir.db"), uri=True) as db, \
            sqlite3.connect(os.path.join(target, "ceir.db")) as copy:
        db.backup(copy)
        row = copy.execute("SELECT value FROM meta WHERE name = 'class.file'").fetchone()
    return row[0] if row and row[0] else None


def copy_records(source, target):
    """Database and records. A run that ends meanwhile removes the file that the copy names: again."""
    while True:
        name = copy_database(source, target)
        try:
            if name:
                shutil.copy2(os.path.join(source, "class", name), os.path.join(target, "class", name))
            return
        except FileNotFoundError:
            os.remove(os.path.join(target, "ceir.db"))


def named(manifest):
    """Names of the files that a MANIFEST names, and whether each never changes."""
    files = {}
    for line in manifest.decode("ascii").splitlines():
        word, *rest = line.split()
        if word == "segment":
            files["%010d.seg" % int(rest[1])] = True
        elif word == "staged":
            files.update({"%010d.seg" % int(n): True for n in rest[6:]})
        elif word in ("journal", "batches"):
            files["%010d.%s" % (int(rest[0]), word)] = False
    return files


def copy_triplets(source, target):
    while True:
        with open(os.path.join(source, "MANIFEST"), "rb") as f:
            manifest = f.read()
        files = named(manifest)
        try:
            for name, fixed in files.items():
                if not (fixed and os.path.exists(os.path.join(target, name))):
                    shutil.copy2(os.path.join(source, name), os.path.join(target, name + ".part"))
                    os.replace(os.path.join(target, name + ".part"), os.path.join(target, name))
            break
        except FileNotFoundError:
            continue
    for name in set(os.listdir(target)) - set(files):
        os.remove(os.path.join(target, name))
    with open(os.path.join(target, "MANIFEST"), "wb") as f:
        f.write(manifest)


# ---- files of accounts and operators ----

STILL_S = 10    # whoever writes a file has not touched it for so long; others are sent again
DOCUMENT = re.compile(rb".*?</(?:[\w.-]+:)?epp\s*>\s*", re.S)
SVTRID = re.compile(rb"svTRID>[^<]*-(\d{20})<")


def copy_file(source, target):
    """False: it is gone, or not whole yet."""
    try:
        before = os.stat(source)
        if time.time() - before.st_mtime < STILL_S:
            return False
        shutil.copy2(source, target)
        after = os.stat(source)
    except FileNotFoundError:
        after = before = None
    if before and (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
        return True
    if os.path.exists(target):
        os.remove(target)
    return False


def files_of(folder):
    """Regular files whose name does not say that they are being written; none when there is no such folder."""
    if not os.path.isdir(folder):
        return []
    return [e for e in os.scandir(folder)
            if e.is_file(follow_symlinks=False) and not e.name.startswith(".") and not e.name.lower().endswith((".part", ".tmp"))]


def copy_files(source, target):
    """The inodes of what was copied, and where to."""
    os.makedirs(target)
    copied = {}
    for e in files_of(source):
        to = os.path.join(target, e.name)
        if copy_file(e.path, to):
            copied[e.inode()] = to
    return copied


def is_audited(db, digits):
    """A transaction id is made of the time of its row in the audit log."""
    at = datetime.datetime.strptime(digits[:14].decode() + "+0000", "%Y%m%d%H%M%S%z")
    return db.execute("SELECT 1 FROM audit WHERE at = ?", (int(at.timestamp()) * 1000000 + int(digits[14:]),)).fetchone() is not None


def cut_journal(db, journal):
    """As much of it as the copy of the database knows of: lines of rows behind one of their own, or documents of EPP."""
    if journal.startswith(b"F-"):
        head, *pieces = journal.splitlines(keepends=True)
        ids = [p.split(b",")[3].rpartition(b"-")[2] if p.count(b",") >= 5 else None for p in pieces]
    else:
        head, pieces = b"", DOCUMENT.findall(journal)
        ids = [m.group(1) if m else None for m in map(SVTRID.search, pieces)]
    for piece, digits in zip(pieces, ids):
        if digits is None or (digits and not is_audited(db, digits)):
            break
        head += piece
    return head


def copy_queue(db, source, target, copied):
    """What came out of in/ since that was copied is not copied twice; what was answered meanwhile is left out."""
    os.makedirs(target)
    for e in files_of(source):
        seq, dot, kind = e.name.partition(".")
        if kind != "data":
            continue
        data, name, journal = (os.path.join(target, seq + "." + k) for k in ("data", "name", "journal"))
        try:
            shutil.copy2(e.path, data)
            shutil.copy2(os.path.join(source, seq + ".name"), name)
            if os.path.exists(os.path.join(source, seq + ".journal")):
                with open(os.path.join(source, seq + ".journal"), "rb") as f, open(journal, "wb") as to:
                    to.write(cut_journal(db, f.read()))
            os.stat(e.path)
        except FileNotFoundError:
            for path in (data, name, journal):
                if os.path.exists(path):
                    os.remove(path)
            continue
        if e.inode() in copied:
            os.remove(copied[e.inode()])


def copy_accounts(db, source, target):
    """out/lists/ is made of hard links to the outbox, which the server makes again."""
    for e in os.scandir(source) if os.path.isdir(source) else ():
        from_, to = e.path, os.path.join(target, e.name)
        copied = copy_files(os.path.join(from_, "ftp", "in"), os.path.join(to, "ftp", "in"))
        copy_queue(db, os.path.join(from_, "queue"), os.path.join(to, "queue"), copied)
        os.makedirs(os.path.join(to, "ftp", "out", "lists"))
        for answer in files_of(os.path.join(from_, "ftp", "out")):
            try:
                shutil.copy2(answer.path, os.path.join(to, "ftp", "out", answer.name))
            except FileNotFoundError:
                pass    # too old, or there is a new one of its name: that is another file's


def folder_name(operator):
    """Of an operator, below inbox/ and outbox/."""
    plain = re.compile(rb"[A-Za-z0-9_-]")
    return "".join(chr(c) if plain.match(bytes([c])) or (c == ord(".") and i) else "%%%02X" % c for i, c in enumerate(operator.encode()))


def copy_operators(db, source, target):
    """Of the outboxes what the copy of the database knows of: later lists are made again."""
    known = {os.path.join(folder_name(o), name) for o, name in db.execute("SELECT operator, name FROM list_file")}
    for e in os.scandir(os.path.join(source, "outbox")) if os.path.isdir(os.path.join(source, "outbox")) else ():
        os.makedirs(os.path.join(target, "outbox", e.name))
        for f in files_of(e.path):
            path = os.path.join(e.name, f.name)
            if path in known or (path.endswith(".sig") and path[:-4] in known):
                try:
                    shutil.copy2(f.path, os.path.join(target, "outbox", path))
                except FileNotFoundError:
                    pass    # newer ones have come
    for e in os.scandir(os.path.join(source, "inbox")) if os.path.isdir(os.path.join(source, "inbox")) else ():
        for name in ("", "done", "refused"):
            to = os.path.join(target, "inbox", e.name, name)
            os.makedirs(to, exist_ok=True)
            for f in files_of(os.path.join(e.path, name)):
                copy_file(f.path, os.path.join(to, f.name))


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: backup.py DIR TARGET")
    source, target = sys.argv[1:]
    os.umask(0o077)
    for name in ("", "class", "triplets"):
        os.mkdir(os.path.join(target, name))
    copy_records(source, target)
    copy_triplets(os.path.join(source, "triplets"), os.path.join(target, "triplets"))
    for name in ("keys", "deliveries"):
        shutil.copytree(os.path.join(source, name), os.path.join(target, name), ignore=shutil.ignore_patterns("tmp-*"))
    shutil.copy2(os.path.join(source, "ceir.conf"), target)
    with sqlite3.connect("file:%s?immutable=1" % os.path.join(target, "ceir.db"), uri=True) as db:
        copy_operators(db, source, target)
        copy_accounts(db, os.path.join(source, "files"), os.path.join(target, "files"))
    os.sync()
    print("%s is a copy of %s" % (target, source))


if __name__ == "__main__":
    main()
