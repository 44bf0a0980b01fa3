"""What each bomb costs its reader: `python -m tests.ingest.scales` prints a JSON object a line.

Every bomb is read in a fork of its own, so that its peak of memory is not hidden by an earlier
one's; a bomb that kills its reader, or that its reader is not through with after many times what
any may take, leaves a line that says so.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from analysis.rulebook import shipped
from ingest.parse import read_mail
from tests.growth import BEYOND
from tests.ingest.bombs import BOMBS

UNIT = 1 if sys.platform == "darwin" else 1024
"""Octets that `ru_maxrss` counts in."""


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def weigh(name: str, content: bytes) -> dict[str, object]:
    """Seconds of CPU, and octets by which the process grew while it read."""
    before, started = peak(), time.process_time()
    reading = read_mail(content, shipped())
    return {
        "name": name,
        "size": len(content),
        "cpu": time.process_time() - started,
        "growth": peak() - before,
        "kind": reading.kind,
        "recipients": len(reading.recipients),
        "error": reading.error,
    }


def _in_a_fork(work: Callable[[], None]) -> int:
    """The exit code; a fork's peak of memory begins at what its parent holds."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (int(BEYOND), int(BEYOND)))
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _weigh_alone(name: str, file: Path) -> None:
    """Made in one fork and read in another, so that the making is not in the balance."""
    _in_a_fork(lambda: file.write_bytes(BOMBS[name]()) and None)
    died = _in_a_fork(lambda: print(json.dumps(weigh(name, file.read_bytes())), flush=True))
    if died:
        print(json.dumps({"name": name, "died": died}), flush=True)


def main(chosen: Iterable[str]) -> None:
    read_mail(_FIRST, shipped())  # compiles patterns
    with TemporaryDirectory() as directory:
        for name in chosen:
            _weigh_alone(name, Path(directory, "bomb"))


_FIRST = b"From: MAILER-DAEMON\r\n\r\ncould not be delivered <a@example.net>: 550 unknown"

if __name__ == "__main__":
    main(sys.argv[1:] or BOMBS)
