"""Explanation: what became of mail to an address, why, and what to do now.

A pure function over the newest delivery and the suppressions that stand; the API, `carom trace`
and the console show the same words.  What stands on the list outweighs what happened last, since
it decides what happens next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from analysis.advice import AUDIENCES, advise
from analysis.causes import CAUSES, HELD_BACK, NEVER, UNJUDGED, WAITS
from analysis.lifecycle import PENDING, State
from analysis.lookup import Json, delivery_view, iso, suppression_view
from analysis.suppression import Reason, Suppression
from analysis.telling import said, tell
from analysis.verdict import Category, Fault

Language = Literal["en", "zh"]

CHOSEN = frozenset({Reason.COMPLAINT, Reason.UNSUBSCRIBE, Reason.MANUAL})
"""Reasons that a person gave: advice for a mail server's answer would miss them."""


def explain(
    recipient: str,
    delivery: Any,
    standing: Sequence[Suppression],
    *,
    lang: Language = "en",
    now: float | None = None,
) -> Json:
    """The explanation of an address as a JSON object.

    `delivery`: the row of `lookup.newest_delivery` or None; `standing`: the entries that hold now,
    the weightiest first.  `verdict` is `suppressed`, `never_written` or the delivery's state;
    `sentence` says it all at once, with moments of the day of `now` named without their date.
    """
    entry = next(iter(standing), None)
    return {
        "recipient": recipient,
        "sentence": said(tell(recipient, delivery, entry, lang=lang, now=now), now),
        **(_of_delivery(delivery, lang) if entry is None else _of_entry(entry, lang)),
        "next_attempt": _next_attempt(delivery),
        "suppressions": [suppression_view([one], None) for one in standing],
        "delivery": _shown(delivery),
    }


def _of_entry(entry: Suppression, lang: Language) -> Json:
    return {
        "verdict": State.SUPPRESSED.value,
        "reason": entry.reason.value,
        "cause": CAUSES[lang][entry.reason],
        "category": entry.category,
        "fault": _fault_of(entry),
        "rule": entry.rule,
        "evidence": entry.evidence,
        "since": iso(entry.since),
        "until": iso(entry.until),
        "advice": advice_on(entry, lang),
    }


def _fault_of(entry: Suppression) -> Fault:
    """Whose doing it is that nothing is sent: only the recipient and its domain suppress
    (`analysis.verdict`), and whoever of us put the address on the list."""
    if entry.reason is Reason.MANUAL:
        return Fault.SENDER
    if entry.reason not in CHOSEN and entry.category == Category.BAD_DOMAIN:
        return Fault.DOMAIN
    return Fault.RECIPIENT


def _of_delivery(delivery: Any, lang: Language) -> Json:
    verdict = NEVER if delivery is None else str(delivery.state)
    category = None if delivery is None else delivery.category
    return {
        "verdict": verdict,
        "reason": None,
        "cause": _waits(delivery, lang) or CAUSES[lang][verdict],
        "category": category,
        "fault": None if delivery is None else delivery.fault,
        "rule": None if delivery is None else delivery.rule,
        "evidence": None if delivery is None else delivery.reply,
        "since": None if delivery is None else iso(delivery.settled_at or delivery.created_at),
        "until": None,
        "advice": _advice(verdict, category if _unsettled(verdict) else None, lang),
    }


def _waits(delivery: Any, lang: Language) -> str | None:
    """Why a queued message waits, where that is our own decision or trouble."""
    if delivery is None or delivery.state != State.QUEUED:
        return None
    rule = delivery.rule or ""
    by = rule.partition("/")[0]
    return CAUSES[lang][HELD_BACK] if by == "pacing" else WAITS[lang].get(rule, WAITS[lang].get(by))


def _unsettled(verdict: str) -> bool:
    """Whether the newest answer is what has to be mended: not where the mail went through."""
    return verdict in (State.QUEUED, State.SENDING, State.BOUNCED, State.EXPIRED)


def advice_on(entry: Suppression, lang: Language) -> dict[str, str]:
    """What to do about an entry on the list, for each audience."""
    return _advice(entry.reason, None if entry.reason in CHOSEN else entry.category, lang)


def _advice(verdict: str, category: str | None, lang: Language) -> dict[str, str]:
    if category is None:
        return dict(UNJUDGED[verdict][lang])
    return {audience: advise(Category(category), audience, lang) for audience in AUDIENCES}


def _next_attempt(delivery: Any) -> str | None:
    if delivery is None or State(delivery.state) not in PENDING:
        return None
    return iso(delivery.next_at)


def _shown(delivery: Any) -> Json | None:
    if delivery is None:
        return None
    return {
        "message_id": delivery.message_id,
        "subject": delivery.subject,
        "stream": delivery.stream,
        **delivery_view(delivery),
    }
