"""Allowances: the ceilings of pacing, by mailbox provider.

Shipped in pacing.toml with the reason beside each; an operator goes over single values.  A fixed
host (a relay, a test) is nobody's provider: shipped ceilings are not meant for it, the operator's
own are.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from analysis.retry import parse

_RATE = re.compile(r"([1-9][0-9]{0,6}) per ([0-9][0-9.]{0,8}[smhd])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` messages in `seconds`."""

    count: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.count} per {self.seconds:g}s"


@dataclass(frozen=True, slots=True)
class Allowance:
    connections: int = 10  # conversations at once
    connection_messages: int = 100  # on one connection
    rate: Rate | None = None  # None: as fast as the conversations go
    per_site: bool = False  # for each set of mail exchangers, not for the provider as a whole

    def __post_init__(self) -> None:
        if min(self.connections, self.connection_messages) < 1:
            raise ValueError("an allowance is at least one message on one connection")


@dataclass(frozen=True, slots=True)
class Allowances:
    """`other` is for whoever is in neither table."""

    other: Allowance = Allowance()
    shipped: Mapping[str, Allowance] = field(default_factory=dict)
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # of single values
    _made: dict[tuple[str, bool], Allowance] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )  # providers are few, and asked about at every delivery

    def of(self, provider: str, *, fixed: bool = False) -> Allowance:
        """What `provider` is given; `fixed`: through a host that the operator named."""
        if (made := self._made.get((provider, fixed))) is None:
            made = self._made[provider, fixed] = self._make(provider, fixed)
        return made

    def _make(self, provider: str, fixed: bool) -> Allowance:
        base = self.other if fixed else self.shipped.get(provider, self.other)
        return replace(base, **self.overrides.get(provider, {}))


def portion(most: int, sharers: int) -> int:
    """Of a limit, what each of so many processes gets: at least one."""
    return max(1, most // sharers)


def parse_rate(text: str) -> Rate:
    """Read `20 per 1s`, or raise ValueError."""
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text[:40]!r} is no rate, such as 20 per 1s or 600 per 1m")
    return Rate(int(match[1]), parse(match[2]).waits[0])


def shipped() -> Mapping[str, Allowance]:
    """Provider to allowance, from pacing.toml."""
    text = Path(__file__).with_name("pacing.toml").read_text(encoding="utf-8")
    return MappingProxyType({name: _allowance(row) for name, row in tomllib.loads(text).items()})


def _allowance(row: Mapping[str, Any]) -> Allowance:
    rate = parse_rate(row["rate"]) if "rate" in row else None
    return Allowance(
        row["connections"], row["connection_messages"], rate, row.get("per_site", False)
    )
