"""Runs a command under the system-call filter and the memory rule of a systemd unit.

    python -m tests.docs.sandbox deploy/systemd/carom.service carom demo

systemd itself cannot run here as a service manager; this does what it would do for these two
directives, by libseccomp and prctl.  The sets behind names like `@system-service` are asked of
`systemd-analyze`, so that they are those of the installed release.  Linux only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
from pathlib import Path

_NO_NEW_PRIVILEGES = 38
_SET_MDWE, _REFUSE_EXEC_GAIN = 65, 1
_ALLOW, _ERRNO = 0x7FFF_0000, 0x0005_0000
LIBRARY = "libseccomp.so.2"


def allowed(unit: Path) -> set[str]:
    """The system calls that the unit's `SystemCallFilter=` lines leave, in their order."""
    found: set[str] = set()
    for line in unit.read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "SystemCallFilter":
            names = {call for word in value.lstrip("~").split() for call in _expanded(word)}
            found = found - names if value.startswith("~") else found | names
    return found


def enter(calls: set[str]) -> None:
    """Bind this process and what it starts to these calls; others answer EPERM."""
    library = ctypes.CDLL(LIBRARY, use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_ERRNO | errno.EPERM)))
    for call in sorted(calls):
        number = library.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:  # the sets name calls of other machines too
            library.seccomp_rule_add(context, ctypes.c_uint32(_ALLOW), number, ctypes.c_uint(0))
    ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    ctypes.CDLL(None).prctl(_SET_MDWE, _REFUSE_EXEC_GAIN, 0, 0, 0)  # older kernels know it not
    if library.seccomp_load(context):
        raise OSError("the filter cannot be loaded here")


def _expanded(word: str) -> set[str]:
    if not word.startswith("@"):
        return {word}
    told = subprocess.run(
        ["systemd-analyze", "syscall-filter", word], stdout=subprocess.PIPE, text=True, check=True
    )
    words = [line.strip() for line in told.stdout.splitlines()[1:]]
    return {call for one in words if one and not one.startswith("#") for call in _expanded(one)}


def main() -> None:
    enter(allowed(Path(sys.argv[1])))
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
