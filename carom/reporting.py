"""Counting and reporting, wired: cohorts are folded, and a report is mailed each week.

Both are duties: one process of all does them.  The weekly report goes out through our own intake,
like anybody's mail, on the stream that the settings name.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from analysis import cohorts
from analysis.batch import Overloaded
from analysis.duties import Duty
from analysis.store import Store
from carom.engine import Engine
from carom.report import mail
from sender.intake import Refused

log = structlog.get_logger()

FOLD_EVERY = 10.0
FOLDED = 1_000
"""Commits whose changes one transaction folds; others must get at the writer in between."""
MAIL_EVERY = 3_600.0


def duties(engine: Engine) -> Sequence[Duty]:
    """The duty of cohorts, and that of the weekly report where somebody is to get it."""
    report = engine.settings.report

    async def fold(_now: float) -> None:
        await fold_all(engine.store)

    async def weekly(now: float) -> None:
        try:
            if await mail.send_weekly(engine.store, engine.intake, report.weekly(), now):
                log.info("the weekly report was sent", to=len(report.to))
        except (Refused, Overloaded) as error:
            log.warning("the weekly report cannot be sent", why=str(error))

    found = [Duty("cohorts", FOLD_EVERY, fold)]
    if report.to:
        found.append(Duty("weekly-report", MAIL_EVERY, weekly))
    return found


async def fold_all(store: Store) -> None:
    """Fold what waits, a transaction at a time."""
    while await store.write(lambda tx: cohorts.fold(tx, most=FOLDED)) >= FOLDED:
        continue
