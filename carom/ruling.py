"""The operator's rules in a running service: read at the start, looked at again every few seconds.

At the start a file that cannot be used is a wrong setting, since there are no rules yet to keep.
Later it is one line in the log, and the rules before it stay in force.
"""

from __future__ import annotations

import asyncio

import structlog

from analysis.pause import pause
from analysis.rulefile import RuleError
from analysis.rulesource import RulebookSource
from carom.errors import SettingsError
from carom.settings import Settings

log = structlog.get_logger()

LOOK_EVERY = 3.0
"""Seconds between looks at the file."""


def ruling(settings: Settings) -> RulebookSource:
    """The rules of these settings, or `SettingsError`."""
    try:
        return RulebookSource(settings.rules.file)
    except RuleError as error:
        raise SettingsError(f"[rules] file: {error}") from None


async def keep_rules(
    rules: RulebookSource, stop: asyncio.Event, *, every: float = LOOK_EVERY
) -> None:
    """Bring changes of the operator's file into force until `stop` is set."""
    while not stop.is_set():
        try:
            if await asyncio.to_thread(rules.look):
                log.info(
                    "the rule file has changed and is in force", rules=len(rules.current.rules)
                )
        except RuleError as error:
            log.warning("the rule file has changed but the old rules stay", error=str(error))
        await pause(stop, every)
