"""One sentence that answers first: what became of it, when, why, and what to do now.

    “Your reset code” was refused for now by QQ Mail at 14:03 UTC because the mailbox is full.
    Ask the user to free space; Carom tries again at 14:20 UTC.

Pure: from the newest delivery and the weightiest suppression that stands.  `tell` gives pieces, of
which those that are moments stay numbers, so that a page can show them in the reader's own words;
`said` joins them as text.  Names and words come from `sentences.toml`; nothing a remote host says
is in the sentence, but a message's subject is: a page must escape it like all other text.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from string import Formatter
from typing import Any

from analysis.causes import OWN_RESOLVER
from analysis.lifecycle import State
from analysis.suppression import EVERY_STREAM, Reason, Suppression

Piece = str | float
"""Text, or a moment in Unix seconds."""

MOST_SUBJECT = 80
"""Characters of a subject that are repeated."""

SENTENCES: Mapping[str, Mapping[str, Mapping[str, str]]] = tomllib.loads(
    Path(__file__).with_name("sentences.toml").read_text(encoding="utf-8")
)

_HELD = "pacing/"


def tell(
    recipient: str, delivery: Any, entry: Suppression | None, *, lang: str, now: float | None = None
) -> list[Piece]:
    """The answer in pieces; `delivery` is a row of `lookup.newest_delivery` or None.

    Without `now`, a next try is named by its time even where that has come already.
    """
    words = SENTENCES[lang]
    if entry is not None:
        return _of_entry(recipient, entry, words)
    if delivery is None:
        return _filled(words["say"]["never_written"], {"address": recipient})
    key = _key(delivery)
    known = _known(delivery, words, pending=State(delivery.state) is State.QUEUED)
    if "next" in _fields(words["say"][key]) and now is not None and delivery.next_at <= now:
        key += "_now"
    return _filled(words["say"][key], known)


def known_provider(name: str, lang: str) -> str:
    """A mailbox provider as people call it; empty for `other` and what is none of ours."""
    return SENTENCES[lang]["provider"].get(name, "").strip()


def said(pieces: Sequence[Piece], now: float | None = None) -> str:
    """The pieces as text; a moment of today (UTC) without its date."""
    return "".join(one if isinstance(one, str) else clock(one, now) for one in pieces)


def clock(at: float, now: float | None = None) -> str:
    """`14:03 UTC` if that is today, else `2026-11-21 14:03 UTC`."""
    moment = datetime.fromtimestamp(at, UTC)
    today = now is not None and datetime.fromtimestamp(now, UTC).date() == moment.date()
    return f"{moment:%H:%M} UTC" if today else f"{moment:%Y-%m-%d %H:%M} UTC"


def provider_name(provider: str, domain: str, lang: str) -> str:
    """How people call whoever receives the mail."""
    words = SENTENCES[lang]
    return words["provider"].get(provider) or words["words"]["server"].format(domain=domain)


def _key(delivery: Any) -> str:
    """Which sentence fits a delivery."""
    match State(delivery.state):
        case State.QUEUED if (delivery.rule or "").startswith(_HELD):
            return "held"
        case State.QUEUED if delivery.answered_at is None or delivery.category is None:
            return "first"
        case State.QUEUED:
            return "failed" if delivery.code is None else "put_off"
        case State.BOUNCED if delivery.accepted_at is not None:
            return "came_back"
        case State.EXPIRED if delivery.category is not None:
            return "expired_because"
        case state:
            return state.value


def _known(
    delivery: Any, words: Mapping[str, Mapping[str, str]], *, pending: bool
) -> dict[str, Piece]:
    """What a sentence on a delivery may name."""
    category = delivery.category
    done = words["after"].get(category, words["do"].get(category, words["words"]["again"]))
    answered = delivery.answered_at if pending else delivery.settled_at or delivery.accepted_at
    return {
        "what": _what(delivery.subject, words),
        "who": words["provider"].get(delivery.provider)
        or words["words"]["server"].format(domain=delivery.domain),
        "because": words["words"]["own_resolver"]
        if delivery.rule == OWN_RESOLVER
        else words["because"].get(category, words["words"]["no_reason"]),
        "do": words["do"].get(category, done) if pending else done,
        "at": answered or delivery.created_at,
        "accepted": delivery.accepted_at or delivery.created_at,
        "next": delivery.next_at,
    }


def _what(subject: str, words: Mapping[str, Mapping[str, str]]) -> str:
    if not subject.strip():
        return words["words"]["message"]
    short = subject if len(subject) <= MOST_SUBJECT else subject[: MOST_SUBJECT - 1] + "…"
    return words["words"]["subject"].format(subject=short)


def _of_entry(
    recipient: str, entry: Suppression, words: Mapping[str, Mapping[str, str]]
) -> list[Piece]:
    category = entry.category or ""
    known: dict[str, Piece] = {
        "address": recipient,
        "at": entry.since,
        "until": entry.until if entry.until is not None else entry.since,
        "because": words["because"].get(category, words["words"]["no_reason"]),
        "do": words["do"].get(category, words["words"]["again"]),
        "stream": entry.stream,
    }
    text = words["say"][_reason_key(entry)]
    return _filled(
        text + ("" if entry.stream == EVERY_STREAM else words["say"]["in_stream"]), known
    )


def _reason_key(entry: Suppression) -> str:
    """A pause without an end is said as a lasting one is."""
    lasting = entry.reason is Reason.SOFT_BOUNCE and entry.until is None
    return Reason.HARD_BOUNCE.value if lasting else entry.reason.value


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def _filled(text: str, known: Mapping[str, Piece]) -> list[Piece]:
    pieces: list[Piece] = []
    for literal, name, _, _ in Formatter().parse(text):
        pieces += [literal] if literal else []
        pieces += [known[name]] if name else []
    return pieces
