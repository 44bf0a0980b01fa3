"""Ceilings: shipped ones with their reason, gone over value by value."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import sender.allowances
from analysis.providers import OTHER, PROVIDERS
from sender.allowances import Allowance, Allowances, Rate, parse_rate, shipped

TABLE = tomllib.loads(Path(sender.allowances.__file__).with_name("pacing.toml").read_text("utf-8"))


def test_every_provider_has_ceilings_and_the_reason_for_them() -> None:
    assert set(TABLE) == set(PROVIDERS) - {OTHER} == set(shipped())
    assert all(len(row["why"]) > 5 for row in TABLE.values())
    known = {"connections", "connection_messages", "rate", "per_site", "why"}
    assert all(row.keys() <= known for row in TABLE.values())


def test_an_operator_goes_over_single_values() -> None:
    allowed = Allowances(Allowance(7, 70), shipped(), {"gmail": {"connections": 3}})
    assert allowed.of("gmail") == Allowance(3, shipped()["gmail"].connection_messages)
    assert allowed.of("other") == Allowance(7, 70)
    assert allowed.of("qq").rate == Rate(10, 1.0)


def test_a_fixed_host_is_bound_by_the_operator_only() -> None:
    allowed = Allowances(Allowance(7, 70), shipped(), {"gmail": {"connections": 3}})
    assert allowed.of("qq", fixed=True) == Allowance(7, 70)
    assert allowed.of("gmail", fixed=True) == Allowance(3, 70)


def test_rates_are_read_and_written_back() -> None:
    assert parse_rate("600 per 1m") == Rate(600, 60.0)
    assert parse_rate(str(Rate(600, 60.0))) == Rate(600, 60.0)


@pytest.mark.parametrize("text", ["", "20", "0 per 1s", "20 per", "20 per 0s", "-1 per 1s", "20/s"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no rate|retry schedule"):
        parse_rate(text)
