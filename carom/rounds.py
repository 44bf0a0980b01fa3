"""The doctor's rounds: the service examines itself, so that a record that breaks is not found out
by receivers.

Not done while `[sender] static_mx` sends everything to one host: such a set-up, a test or a demo,
has no face in the world yet.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import structlog

from analysis import examined
from analysis.duties import Duty
from analysis.examined import Examined
from carom.examining import Findings, examination
from carom.settings import Settings
from sender.doctor.finding import as_json, worst

if TYPE_CHECKING:
    from carom.engine import Engine

log = structlog.get_logger()


def duties(engine: Engine, roles: Collection[str]) -> list[Duty]:
    """A sender's duty: port 25 and the source addresses are to be tried where mail goes out."""
    if "sender" not in roles or not faces_the_world(engine.settings):
        return []

    async def examine(now: float) -> None:
        found = examined_as(await examination(engine.settings, engine.store))
        turns = await engine.store.write(lambda tx: examined.follow(tx, found, now=now))
        for turn in turns:
            log.warning("doctor", check=turn.check, state=turn.now, before=turn.before or None)

    return [Duty("doctor", engine.settings.doctor.every, examine)]


def faces_the_world(settings: Settings) -> bool:
    return bool(
        settings.doctor.every and settings.ingest.domain and "*" not in settings.sender.static_mx
    )


def examined_as(findings: Findings) -> dict[str, Examined]:
    """Findings as they are kept."""
    return {
        check: Examined(worst(those).value, [as_json(one) for one in those])
        for check, those in findings.items()
    }
