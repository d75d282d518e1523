#!/usr/bin/python3
"""po_complete.py SOURCE_ROOT - every text of the program is translated into every language, and no translation is left over.

Fails when a source file with N_() is not in po/POTFILES, when a catalogue misses a text, has one marked fuzzy, one that the
program no longer has, or one whose {0} {1} are not those of the English text.
"""
import os
import re
import subprocess
import sys

ENV = dict(os.environ, LC_ALL="C.UTF-8")


def entries(po):
    """(msgid, msgstr, flags) of a PO text, the header left out."""
    result = []
    for block in re.split(r"\n\s*\n", po):
        lines = [line for line in block.splitlines() if not line.startswith("#~")]
        flags = " ".join(line for line in lines if line.startswith("#,"))
        text = "\n".join(line for line in lines if not line.startswith("#"))
        found = re.match(r'msgid (.*?)\nmsgstr (.*)', text, re.S)
        if found:
            msgid, msgstr = ("".join(re.findall(r'"((?:[^"\\]|\\.)*)"', part)) for part in found.groups())
            if msgid:
                result.append((msgid, msgstr, flags))
    return result


def extract(root, files):
    return entries(subprocess.run(["xgettext", "--language=C", "--keyword=N_", "--from-code=UTF-8", "-o", "-"] + files,
                                  cwd=root, env=ENV, check=True, capture_output=True, text=True).stdout)


def sources(root):
    for folder, _, names in os.walk(os.path.join(root, "src")):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, encoding="utf-8") as f:
                if name.endswith(".c") and 'N_("' in f.read():
                    yield os.path.relpath(path, root)


def faults(root):
    with open(os.path.join(root, "po/POTFILES"), encoding="utf-8") as f:
        listed = f.read().split()
    for path in sorted(set(sources(root)) - set(listed)):
        yield "%s has texts and is not in po/POTFILES" % path
    texts = [msgid for msgid, _, _ in extract(root, sorted(sources(root)))]
    with open(os.path.join(root, "po/LINGUAS"), encoding="utf-8") as f:
        languages = f.read().split()
    for language in languages:
        with open(os.path.join(root, "po", language + ".po"), encoding="utf-8") as f:
            translated = {msgid: (msgstr, flags) for msgid, msgstr, flags in entries(f.read())}
        for msgid in texts:
            msgstr, flags = translated.pop(msgid, ("", ""))
            if not msgstr or "fuzzy" in flags:
                yield "%s: not translated: %s" % (language, msgid)
            elif sorted(re.findall(r"\{\d\}", msgid)) != sorted(re.findall(r"\{\d\}", msgstr)):
                yield "%s: not the same {0} {1}: %s" % (language, msgid)
        for msgid in translated:
            yield "%s: no longer in the program: %s" % (language, msgid)


def main():
    found = list(faults(sys.argv[1]))
    print("\n".join(found) if found else "all texts are translated")
    return 1 if found else 0


sys.exit(main())
