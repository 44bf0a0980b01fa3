"""Every bomb is read within a second of CPU and 100 MB, whatever it makes of its mail."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from analysis.facts import Kind
from ingest.mime import MAX_BYTES
from tests.ingest.bombs import BOMBS, MOST

SECONDS = 1.0
OCTETS = 100_000_000


@pytest.fixture(scope="module")
def weighed() -> dict[str, dict[str, Any]]:
    """What each bomb cost, by its name; read in a process that may die of it."""
    command = [sys.executable, "-m", "tests.ingest.scales"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return {(line := json.loads(text))["name"]: line for text in done.stdout.splitlines()}


@pytest.mark.xdist_group("bombs")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_contained(name: str, weighed: dict[str, dict[str, Any]]) -> None:
    cost = weighed[name]
    assert "died" not in cost
    assert cost["size"] <= MOST
    assert cost["cpu"] < SECONDS
    assert cost["growth"] < OCTETS
    assert not (cost["error"] or "").startswith("could not be read")


def test_the_reader_looks_at_no_more_than_the_listener_takes() -> None:
    assert MAX_BYTES == MOST


@pytest.mark.xdist_group("bombs")
@pytest.mark.parametrize(
    ("name", "kind", "recipients"),
    [
        ("a report on 10,000 recipients", Kind.BOUNCE, 200),
        ("10,000 listed addresses", Kind.BOUNCE, 200),
        ("status fields repeated 100,000 times", Kind.BOUNCE, 1),
        ("a feedback report of 100,000 fields", Kind.COMPLAINT, 1),
        ("a zip of 100 MB called a DMARC report", Kind.DMARC_AGGREGATE, 0),
        ("10 MB of base64", Kind.BOUNCE, 1),
    ],
)
def test_what_a_bomb_says_is_still_read_up_to_the_limits(
    name: str, kind: Kind, recipients: int, weighed: dict[str, dict[str, Any]]
) -> None:
    assert (weighed[name]["kind"], weighed[name]["recipients"]) == (kind, recipients)
