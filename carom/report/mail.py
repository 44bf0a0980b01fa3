"""The weekly report by mail: words and tables in the message, the whole page attached.

Mail programs show no SVG, so the plots are in the attached page.  Sent on a day of the week, once,
through our own intake; which process does it does not matter, and one that starts late in the day
sends what is due.  That it was sent is an audit row, written before it is handed in: a crash
between the two leaves a week without a report, never two of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO

from rich.console import Console
from sqlalchemy import Connection, select

from analysis.address import Mailbox, parse_mailbox
from analysis.audit import note
from analysis.schema import audit
from analysis.store import Store
from carom.report import terminal
from carom.report.figures import DAY, Figures, gather
from carom.report.page import page
from sender.compose import Attachment, Draft
from sender.intake import Intake, Order

DONE = "report.sent"


@dataclass(frozen=True, slots=True)
class Weekly:
    to: Sequence[str]
    from_: str
    stream: str
    weekday: int  # 0: Monday
    hour: int  # UTC


async def send_weekly(store: Store, intake: Intake, weekly: Weekly, now: float) -> bool:
    """Send this week's report if it is due and was not sent; whether it was.

    Raises `Refused` or `Overloaded` where our own intake does not take it.
    """
    day = datetime.fromtimestamp(now, UTC)
    if day.weekday() != weekly.weekday or day.hour < weekly.hour:
        return False
    figures = await store.read(lambda tx: gather(tx, now - 7 * DAY, now))
    orders = [_order(weekly, to, figures) for to in weekly.to]
    if not await store.write(lambda tx: _first(tx, f"{day:%Y-%m-%d}", now)):
        return False
    for order in orders:
        await intake.accept(order)
    return True


def _first(tx: Connection, day: str, now: float) -> bool:
    """Whether nobody has sent the report of this day; from now on somebody has."""
    sent = select(audit.c.seq).where(audit.c.action == DONE, audit.c.subject == day)
    if tx.execute(sent).first() is not None:
        return False
    row = {"at": now, "actor": "carom", "action": DONE, "subject": day}
    note(tx, [{**row, "reason": "the weekly report", "data": {}}])
    return True


def _order(weekly: Weekly, to: str, figures: Figures) -> Order:
    reader: Mailbox = parse_mailbox(to)
    draft = Draft(
        from_=parse_mailbox(weekly.from_),
        to=(reader,),
        subject=f"Mail report: {terminal.headline(figures)}"[:150],
        text=as_text(figures),
        attachments=(
            Attachment(
                "mail-report.html", "text/html", page(figures).encode(), disposition="attachment"
            ),
        ),
    )
    return Order(draft, (reader.address,), weekly.stream, metadata={"report": "weekly"})


def as_text(figures: Figures) -> str:
    """The report as plain text of 78 columns or a little more."""
    out = StringIO()
    terminal.show(figures, Console(file=out, width=110, color_system=None, highlight=False))
    lines = (line.rstrip() for line in out.getvalue().splitlines())
    return "\n".join(lines) + "\nThe attached page shows the same with plots.\n"
