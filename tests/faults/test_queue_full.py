"""R13: a queue of a million is no more than a queue: the sender starts at once and stays small."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from carom.bench import stage
from tests.amounts import Amount
from tests.faults import full_queue

pytestmark = [pytest.mark.postfix, pytest.mark.timeout(3_000)]

MOST_MEMORY = 250.0
LATEST_START = 10.0


def test_a_sender_starts_at_once_and_stays_small_before_a_full_queue(
    database_url: str, amount: Amount, seen: Callable[[str], None]
) -> None:
    waiting = amount(5_000, 1_000_000)
    with stage.sink() as port:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.faults.full_queue",
                str(port),
                str(waiting),
                database_url,
            ],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    found = full_queue.Seen(**json.loads(done.stdout))
    where = database_url.partition(":")[0].partition("+")[0]
    claim = f"claim p99 {1_000 * found.claim:.0f} ms"
    seen(f"{where}, {waiting:,}: first after {found.first:.1f} s, {found.memory:.0f} MB, {claim}")
    assert sum(found.books.values()) == waiting
    assert found.books["delivered"] >= full_queue.ENOUGH
    assert found.memory <= MOST_MEMORY
    if amount.full:
        assert found.first <= LATEST_START
