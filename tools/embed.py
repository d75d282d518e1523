#!/usr/bin/env python3
"""embed.py OUT.c SCHEMA.xsd... - writes the schemas as C strings, so that the server needs no files at run time.

Each becomes an entry of epp_embedded[] (declared in src/epp/epp_schema.h): file name, target namespace, text. XML comments
and indentation stay: the text is what an operator may be asked to compare.
"""
import os
import re
import sys


def c_string(line):
    escaped = line.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    return '\t\t"%s\\n"\n' % escaped


def main():
    out, schemas = sys.argv[1], sys.argv[2:]
    text = '/* Made by tools/embed.py from schemas/. */\n#include "epp/epp_schema.h"\n\n'
    text += "const struct epp_embedded epp_embedded[] = {\n"
    for path in schemas:
        with open(path, encoding="ascii") as f:
            content = f.read()
        uri = re.search(r'targetNamespace="([^"]+)"', content).group(1)
        text += '\t{"%s", "%s", STR(\n' % (os.path.basename(path), uri)
        text += "".join(c_string(line) for line in content.splitlines()) + "\t)},\n"
    text += "\t{.file = NULL},\n};\n"
    with open(out, "w", encoding="ascii") as f:
        f.write(text)


main()
