"""Who this process is, and which processes of this machine are gone.

What a process holds (claimed deliveries, reports begun) bears its name, `machine/pid/boot`.  A
process that starts takes back at once what dead processes of its own machine held; for other
machines the lease decides.  Machine names must differ, as the system's usually do; two processes
of one machine never take each other's work.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MOST = 40  # characters of a machine's name


@dataclass(frozen=True, slots=True)
class Node:
    machine: str
    pid: int
    boot: str  # another at every start, since pids come again

    @property
    def name(self) -> str:
        """At most 64 characters."""
        return f"{self.machine}/{self.pid}/{self.boot}"

    def gone(self, name: str) -> bool:
        """Whether the named process surely runs no more."""
        machine, _, rest = name.partition("/")
        pid, _, boot = rest.partition("/")
        if machine != self.machine or not pid.isdecimal():
            return False
        if int(pid) == self.pid:
            return boot != self.boot
        return not _runs(int(pid))


def this(boot: Callable[[], str], machine: str = "") -> Node:
    """This process; `boot` gives a name that no other start has had."""
    name = (machine or socket.gethostname()).replace("/", "-")[:MOST]
    return Node(name, os.getpid(), boot()[-8:])


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return not _unburied(pid)


def _unburied(pid: int) -> bool:
    """Whether it is dead and nobody has asked for its end yet, where /proc tells (Linux)."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return told.rpartition(")")[2].split()[:1] == ["Z"]
