"""The doctor's rounds: the service examines itself, so that a record that breaks is not found out
by receivers.

Not done by itself while `[ingest] listen` is on loopback or `[sender] static_mx` sends everything
to one host: such a set-up, a first step or a demo, has no face in the world yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine

import structlog

from analysis import examined
from analysis.duties import Duty
from analysis.examined import Examined
from carom.engine import Engine
from carom.errors import SettingsError
from carom.examining import Findings, examination
from carom.settings import Settings
from sender.doctor.finding import as_json, worst

log = structlog.get_logger()


def duties(engine: Engine, roles: Collection[str], stop: asyncio.Event) -> list[Duty]:
    """A sender's duty: port 25 and the source addresses are to be tried where mail goes out.

    `stop` breaks an examination off, which may take a minute; nothing is recorded then.
    """
    if "sender" not in roles or not makes_rounds(engine.settings):
        return []

    async def examine(now: float) -> None:
        try:
            findings = await _unless(stop, examination(engine.settings, engine.store))
        except SettingsError as error:  # a key file that was there at the start is gone
            log.error("doctor", state="not run", why=str(error))  # noqa: TRY400  no fault of ours
            return
        if findings is None:
            return
        found = examined_as(findings)
        turns = await engine.store.write(lambda tx: examined.follow(tx, found, now=now))
        for turn in turns:
            log.warning("doctor", check=turn.check, state=turn.now, before=turn.before or None)

    return [Duty("doctor", engine.settings.doctor.every, examine)]


async def _unless(stop: asyncio.Event, work: Coroutine[None, None, Findings]) -> Findings | None:
    """What `work` comes to; None, and an end to it, if `stop` is set before."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)


def makes_rounds(settings: Settings) -> bool:
    """Whether the service examines itself."""
    asked = "every" in settings.doctor.model_fields_set
    return bool(settings.doctor.every) and settings.faces_the_world(asked=asked)


def examined_as(findings: Findings) -> dict[str, Examined]:
    """Findings as they are kept."""
    return {
        check: Examined(worst(those).value, [as_json(one) for one in those])
        for check, those in findings.items()
    }
