"""What each bomb costs its reader: `python -m tests.ingest.scales` prints a JSON object a line.

Every bomb is read in a fork of its own, so that its peak of memory is not hidden by an earlier
one's; a bomb that kills its reader leaves a line that says so.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable

from analysis.rulebook import shipped
from ingest.parse import read_mail
from tests.ingest.bombs import BOMBS

UNIT = 1 if sys.platform == "darwin" else 1024
"""Octets that `ru_maxrss` counts in."""


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def weigh(name: str, build: Callable[[], bytes]) -> dict[str, object]:
    """Seconds of CPU, and octets by which the process grew while it read."""
    content = bytes(build())
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


def _line(name: str) -> None:
    """One bomb in a fork, which has the peak of its parent and so must build before it measures."""
    child = os.fork()
    if child == 0:
        print(json.dumps(weigh(name, BOMBS[name])), flush=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        print(json.dumps({"name": name, "died": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    read_mail(b"From: MAILER-DAEMON\r\n\r\nfailed <a@example.net>", shipped())  # compiles patterns
    for chosen in sys.argv[1:] or BOMBS:
        _line(chosen)
