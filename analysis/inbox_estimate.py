"""How much of our mail reaches an inbox: an honest estimate, or `not known`.

No receiver tells.  What there is:

* **Seeds** show where a few mailboxes that nobody reads file a few probes.  By provider, a Wilson
  interval; over all, each provider's interval weighted with its share of the mail that was really
  delivered.  A provider without seeds counts with [0, 1]: nothing is known of it.
* **DMARC reports** tell which share of our mail was aligned.  Probes are; so seeds speak for
  aligned mail alone, and of the rest nothing is known: the lower end shrinks by its share.
* **Complaints.**  Receivers judge by how their own users take our mail, and seeds have no users.
  Where the complaint rate is surely at or above 0.3 % (the published limit of Gmail and Yahoo),
  seeds are no lower bound any more.
* **Opens by people** (not machines) prove that at least so much was seen; mail in junk is seldom
  opened with its images.  They can raise the lower end, never lower the upper one.

The answer is a range in whole per cent, rounded outwards, never a point; it holds only as far as
seeds are like recipients, which no arithmetic can show.  It is `not known` with fewer than
`FEWEST` probes, with less than `COVERED` of the traffic at providers that have seeds, or when the
range is wider than `WIDEST`.  Weighted ends are those of the single intervals added up, which is
wider than need be, on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, floor

from analysis.interval import UNKNOWN, Interval, wilson
from analysis.placement import Tally

FEWEST = 20
COVERED = 0.5
WIDEST = 0.5
COMPLAINTS = 0.003


@dataclass(frozen=True, slots=True)
class Share:
    """`part` of `whole` messages."""

    part: int
    whole: int

    @property
    def interval(self) -> Interval:
        return wilson(min(self.part, self.whole), self.whole)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a span of time.  None: nothing of that kind is known."""

    seeds: Mapping[str, Tally]  # by provider
    delivered: Mapping[str, int]  # users' mail by provider
    complained: int = 0
    aligned: Share | None = None  # by DMARC reports of our own sources
    opened: Share | None = None  # by people, of all delivered, whether or not it could tell


@dataclass(frozen=True, slots=True)
class Estimate:
    """`low` and `high` are shares from 0 to 1, meant only where it is `known`."""

    known: bool
    low: float
    high: float
    samples: int  # probes that it rests on
    covered: float | None  # share of the traffic at providers with seeds; None without traffic
    rests_on: list[str] = field(default_factory=list)
    cautions: list[str] = field(default_factory=list)


def estimate(evidence: Evidence) -> Estimate:
    """The range, what it rests on, and what speaks against it."""
    samples = sum(tally.samples for tally in evidence.seeds.values())
    covered = _covered(evidence)
    rests_on, cautions = _told(evidence, samples, covered)
    low, high = _by_seeds(evidence)
    if evidence.aligned is not None and evidence.aligned.whole:
        low *= evidence.aligned.interval.low
    if _complaints(evidence).low >= COMPLAINTS:
        low = 0.0
    if evidence.opened is not None:
        low = max(low, evidence.opened.interval.low if evidence.opened.whole else 0.0)
        high = max(high, low)
    low, high = max(0.0, floor(low * 100) / 100), min(1.0, ceil(high * 100) / 100)
    enough = samples >= FEWEST and (covered is None or covered >= COVERED)
    return Estimate(
        enough and high - low <= WIDEST, low, high, samples, covered, rests_on, cautions
    )


def _by_seeds(evidence: Evidence) -> Interval:
    """The providers' intervals, weighted with the traffic; by their probes where there is none."""
    seeds = {name: tally for name, tally in evidence.seeds.items() if tally.samples}
    weights = {name: n for name, n in evidence.delivered.items() if n > 0}
    weights = weights or {name: tally.samples for name, tally in seeds.items()}
    whole = sum(weights.values())
    if not whole:
        return UNKNOWN
    found = {name: seeds[name].interval if name in seeds else UNKNOWN for name in weights}
    return Interval(
        sum(n * found[name].low for name, n in weights.items()) / whole,
        sum(n * found[name].high for name, n in weights.items()) / whole,
    )


def _covered(evidence: Evidence) -> float | None:
    whole = sum(evidence.delivered.values())
    if not whole:
        return None
    seeded = {name for name, tally in evidence.seeds.items() if tally.samples}
    return sum(n for name, n in evidence.delivered.items() if name in seeded) / whole


def _complaints(evidence: Evidence) -> Interval:
    return Share(evidence.complained, sum(evidence.delivered.values())).interval


def _told(evidence: Evidence, samples: int, covered: float | None) -> tuple[list[str], list[str]]:
    """What it rests on and what speaks against it, in plain words."""
    rests_on, cautions = [f"{samples} probes to seed mailboxes"], []
    if samples < FEWEST:
        cautions.append(f"fewer than {FEWEST} probes say little")
    if covered is None:
        cautions.append("no traffic of users to weight the providers with")
    else:
        rests_on.append(f"seeds at the providers of {floor(covered * 100)} % of the traffic")
        if covered < COVERED:
            cautions.append("most of the traffic goes to providers without a seed")
    if evidence.aligned is None or not evidence.aligned.whole:
        cautions.append("no DMARC reports: that all mail is aligned as probes are is supposed")
    else:
        rests_on.append(f"DMARC reports on {evidence.aligned.whole} messages")
    if evidence.delivered:
        rests_on.append(
            f"{evidence.complained} complaints of {sum(evidence.delivered.values())} delivered"
        )
    if _complaints(evidence).low >= COMPLAINTS:
        cautions.append("so many people complain that seeds no longer speak for people")
    if evidence.opened is not None and evidence.opened.whole:
        rests_on.append(f"opens by people, {evidence.opened.part} of {evidence.opened.whole}")
    return rests_on, cautions
