"""R3: the power goes between any two calls to the disk; what was promised is on it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest

from tests.amounts import Amount
from tests.faults.disk import TRACE, Call, Disk, calls

ROOT = Path(__file__).parents[2]
_KEPT = {
    "message": "SELECT id FROM messages",
    "report": "SELECT id FROM raw_inbound",
    "outcome": "SELECT id FROM deliveries WHERE state = 'delivered'",
}


@pytest.fixture
def strace() -> str:
    found = shutil.which("strace")
    if (
        found is None
        or subprocess.run([found, "true"], capture_output=True, check=False).returncode
    ):
        reason = "strace is not installed or may not trace: run .ci/servers as root on Debian"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    return found


def traced(strace: str, folder: Path, rounds: int) -> list[Call]:
    """Every call of a writer's life to its disk and to whom it made its promises."""
    trace, database = folder / "trace", folder / "carom.db"
    writer = (sys.executable, "-m", "tests.faults.power_writer", str(database), str(rounds))
    subprocess.run(
        [strace, "-o", str(trace), *TRACE[1:], *writer],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return [call for call in calls(trace) if call.kind == "said" or "carom.db" in call.file]


def test_no_power_cut_loses_a_promise(
    strace: str,
    migrated_sqlite: Path,
    tmp_path: Path,
    amount: Amount,
    chance: Random,
    seen: Callable[[str], None],
) -> None:
    shutil.copy(migrated_sqlite, tmp_path / "carom.db")
    base = {"carom.db": (tmp_path / "carom.db").read_bytes()}
    told = traced(strace, tmp_path, rounds=amount(25, 120))
    cuts = sorted(chance.sample(range(len(told)), amount(40, 400)))
    promised = _cut_at(cuts, told, base, tmp_path / "after", chance)
    synced = sum(call.kind == "sync" for call in told)
    checkpoints = sum(call.kind == "sync" and call.file == "carom.db" for call in told)
    assert checkpoints > 2, "the log was copied into the file meanwhile"
    seen(
        f"{len(cuts)} cuts among {len(told)} calls ({synced} syncs, {checkpoints} of the file), "
        f"up to {promised} promises: missing 0, integrity ok {len(cuts)}/{len(cuts)}"
    )


def _cut_at(
    cuts: Sequence[int], told: Sequence[Call], base: dict[str, bytes], folder: Path, chance: Random
) -> int:
    disk, done, most = Disk(base), 0, 0
    for cut in cuts:
        for call in told[done:cut]:
            disk.hear(call)
        done = cut
        promises = disk.said.decode().splitlines()
        most = max(most, len(promises))
        _write(folder, disk.after_a_cut(chance))
        _holds(folder / "carom.db", promises)
        shutil.rmtree(folder)
    return most


def _write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir()
    for name, octets in files.items():
        if name in ("carom.db", "carom.db-wal", "carom.db-journal"):  # -shm lives in memory only
            (folder / name).write_bytes(octets)


def _holds(database: Path, promises: Sequence[str]) -> None:
    connection = sqlite3.connect(database)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    kept = {(kind, row[0]) for kind, query in _KEPT.items() for row in connection.execute(query)}
    missing = {tuple(line.split()) for line in promises} - kept
    assert not missing, f"acknowledged and missing: {sorted(missing)[:3]}"
    orphans = "SELECT count(*) FROM messages WHERE id NOT IN (SELECT message_id FROM deliveries)"
    assert connection.execute(orphans).fetchone() == (0,), "half a submission"
    connection.close()
