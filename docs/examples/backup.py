#!/usr/bin/python3
"""An online copy of a register, beside a running ceird: backup.py DIR TARGET. Python's standard library only.

What must fit together: the database, the file of records that it names, and the files that the triplets' MANIFEST names. The database comes first: what
stands in the triplets and not yet in the database is found at the next start, the other way round it would be missing. Segments never
change once they are written, but a merge may remove them meanwhile: then it begins again with the MANIFEST of now. What a journal
gets while it is copied was acknowledged after the copy began.
"""
import os
import shutil
import sqlite3
import sys


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
    os.sync()
    print("%s is a copy of %s" % (target, source))


if __name__ == "__main__":
    main()
