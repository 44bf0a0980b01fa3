"""`make torture`: the checks in their full form, and from what was seen docs/torture.md.

    python -m tests.faults [--short | --part 0.1] [--seed N] [--note "busy machine"] [R3 S1 ...]

Without ids every check is run.  Rows of checks that were not run stay as they are.  Exit status 1
where one failed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from tests.faults.register import CHECKS, Check

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "torture.md"
_ROW = re.compile(r"^\| ([RS]\d+) \|.*$", re.MULTILINE)
_HEAD = """# Torture

What Carom must bear, and what was seen when it last had to.  `make torture` runs every check in its
full form (most of an hour on two cores) and writes this table; `make torture TORTURE="R3 S1"` runs
some of them.  The short form of each is part of `make test`.  After every run the accounts add up:
accepted = delivered + complained + bounced + expired + suppressed + cancelled + queued.

R3 replays a trace of every call to the disk: what was synced is there, what was not may be there,
missing or torn at a sector, in any order.  R15 runs the real transactions with crashes before and
after each COMMIT: one after another on SQLite, and those of three processes in the midst of each
other, a statement at a time, on PostgreSQL; it has no sockets.

| id | check | reach | seen | form | date | cores |
|---|---|---|---|---|---|---|
"""


def main() -> int:
    wanted = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    wanted.add_argument("ids", nargs="*", metavar="ID", help="R1 ... S12; all without")
    wanted.add_argument("--short", action="store_true", help="as `make test` runs them")
    wanted.add_argument("--part", type=float, default=1.0, help="so much of the full form")
    wanted.add_argument("--seed", type=int, default=2)
    wanted.add_argument("--note", default="", help="what else the machine did, for the table")
    chosen = wanted.parse_args()
    unknown = set(chosen.ids) - {check.id for check in CHECKS}
    if unknown:
        wanted.error(f"no such check: {', '.join(sorted(unknown))}")
    failed = 0
    for check in CHECKS:
        if check.tests and (not chosen.ids or check.id in chosen.ids):
            part = 0.0 if chosen.short else chosen.part
            row, good = run(check, part=part, seed=chosen.seed, note=chosen.note)
            failed += not good
            _write(check.id, row)
    return min(failed, 1)


def run(check: Check, *, part: float, seed: int, note: str = "") -> tuple[str, bool]:
    """The check's row, and whether it held; `part` of the full form, 0 for the short one."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "seen.xml"
        options = ["--seed", str(seed), "--timeout", "14400", f"--junitxml={report}"]
        options += ["--full", "--part", str(part)] if part else []
        print(f"{check.id}: {check.asks}", flush=True)
        tests = [str(ROOT / test) for test in check.tests]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests], cwd=ROOT, check=False
        )
        seen = _seen(report) if report.exists() else "it did not run"
    took = time.monotonic() - began
    good = done.returncode == 0
    words = seen if good else f"**FAILED** {seen}"
    form = "short" if not part else "full" if part == 1.0 else f"{part:g} of full"
    return _row(check, f"{words} ({took:.0f} s)", ", ".join(filter(None, (form, note)))), good


def _seen(report: Path) -> str:
    """What the tests noted, or how many of them there were.  Our own file: no hostile XML."""
    tree = ElementTree.parse(report)
    noted = [p.get("value", "") for p in tree.iter("property") if p.get("name") == "seen"]
    suite = next(tree.iter("testsuite"))
    ran = int(suite.get("tests", 0)) - int(suite.get("skipped", 0))
    bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    counted = f"{ran - bad}/{ran} tests"
    return "; ".join([*dict.fromkeys(noted), counted])


def _row(check: Check, seen: str, form: str) -> str:
    today = datetime.now(UTC).date().isoformat()
    cells = (check.id, check.asks, check.reach, seen, form, today, str(os.cpu_count()))
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"


def _write(name: str, row: str) -> None:
    """The page anew, with this row in its place."""
    page = PAGE.read_text() if PAGE.exists() else ""
    rows = {found[1]: found[0] for found in _ROW.finditer(page)} | {name: row}
    lines = [
        rows.get(check.id) or f"| {check.id} | {check.asks} | {check.reach} | not yet | | | |"
        for check in CHECKS
    ]
    PAGE.write_text(_HEAD + "\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
