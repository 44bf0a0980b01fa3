"""Every bomb is contained, whatever it makes of its mail.

Each costs some tenths of a second and some megabytes; without its bound it would cost minutes or
gigabytes.  `scales` ends a reader far between (`growth.BEYOND`), so that no slow machine fails
here; the dearest is noted for the table of docs/torture.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from analysis.facts import Kind
from ingest.mime import MAX_BYTES
from tests.ingest.bombs import BOMBS, MOST

OCTETS = 250_000_000  # the dearest takes 40 MB


@pytest.fixture(scope="module")
def weighed() -> dict[str, dict[str, Any]]:
    """What each bomb cost, by its name; read in a process that may die of it."""
    command = [sys.executable, "-m", "tests.ingest.scales"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=None, check=False)
    assert done.returncode == 0, done.stderr
    return {(line := json.loads(text))["name"]: line for text in done.stdout.splitlines()}


@pytest.mark.xdist_group("bombs")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_contained(name: str, weighed: dict[str, dict[str, Any]]) -> None:
    cost = weighed[name]
    assert "died" not in cost
    assert cost["size"] <= MOST
    assert cost["growth"] < OCTETS
    assert not (cost["error"] or "").startswith("could not be read")


@pytest.mark.xdist_group("bombs")
def test_the_dearest_bomb_is_noted(
    weighed: dict[str, dict[str, Any]], record_property: Callable[[str, object], None]
) -> None:
    most = {what: max(cost[what] for cost in weighed.values()) for what in ("cpu", "growth")}
    figures = f"{len(weighed)} bombs: at most {most['cpu']:.2f} s, {most['growth'] / 1e6:.0f} MB"
    record_property("seen", figures)


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
