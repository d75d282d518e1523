#!/usr/bin/python3
"""The systemd unit: systemd takes every setting of it, and behind its filter of system calls another program does its work.

service_unit.py UNIT PROGRAM [ARGUMENT...]. Skipped (77) where systemd-analyze is not.
"""
import ctypes
import errno
import os
import shutil
import subprocess
import sys
import tempfile

ALLOW, ERRNO, NO_NEW_PRIVS = 0x7fff0000, 0x00050000, 38


def group(name):
    """The calls of a @group, groups in it included."""
    out = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True).stdout
    calls = set()
    for line in out.splitlines()[1:]:
        word = line.strip()
        if word and not word.startswith("#"):
            calls |= group(word) if word.startswith("@") else {word}
    return calls


def allowed(lines):
    """What SystemCallFilter= lines leave, as systemd.exec(5) says: the first decides what the list is, "~" takes away."""
    calls = set()
    for line in lines:
        named = set()
        for word in line.lstrip("~").split():
            named |= group(word) if word.startswith("@") else {word}
        calls = calls - named if line.startswith("~") else calls | named
    return calls


def run_behind(calls, argv):
    """In place of this program."""
    s = ctypes.CDLL("libseccomp.so.2")
    s.seccomp_init.restype = ctypes.c_void_p
    filter = ctypes.c_void_p(s.seccomp_init(ERRNO | errno.EPERM))
    for call in calls:
        number = s.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:
            assert s.seccomp_rule_add(filter, ctypes.c_uint32(ALLOW), number, ctypes.c_uint(0)) == 0, call
    assert ctypes.CDLL(None).prctl(NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert s.seccomp_load(filter) == 0
    os.execv(argv[0], argv)


def main():
    unit, *argv = sys.argv[1:]
    if shutil.which("systemd-analyze") is None:
        sys.exit(77)
    with open(unit, encoding="utf-8") as f:
        text = f.read()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "ceird.service")
        with open(path, "w", encoding="utf-8") as f:
            f.writelines("ExecStart=/bin/true\n" if line.startswith("ExecStart=") else line for line in text.splitlines(keepends=True))
        p = subprocess.run(["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True, check=False)
        said = [line for line in p.stderr.splitlines() if "ceird.service" in line]
        assert p.returncode == 0 and not said, p.stderr
    calls = allowed([line.partition("=")[2] for line in text.splitlines() if line.startswith("SystemCallFilter=")])
    assert "fchownat" in calls and "mount" not in calls
    run_behind(calls, argv)


if __name__ == "__main__":
    main()
