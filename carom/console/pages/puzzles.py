"""Replies that no rule took, most frequent first, each with a rule to fill in."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from analysis import radar
from analysis.radar import Unknown
from analysis.rulewriting import draft
from carom.console.visit import Visit

LOOKED_AT = 100
SHOWN = 30


@dataclass(frozen=True, slots=True)
class Puzzle:
    seen: Unknown
    rule: str


async def show(visit: Visit) -> Response:
    seen = await visit.desk.store.read(lambda tx: radar.most_seen(tx, LOOKED_AT))
    rules = visit.desk.rules.current
    # what a rule has been written for since is no longer a puzzle
    left = [one for one in seen if radar.unknown(rules.classify(one.example))]
    puzzles = [Puzzle(one, draft(one)) for one in left[:SHOWN]]
    return visit.page(
        "puzzles.html",
        puzzles=puzzles,
        more=max(0, len(left) - SHOWN),
        file=visit.desk.rules.file,
        trouble=visit.desk.rules.trouble,
    )
