"""Preferences: what an address is unsubscribed from, and how to take that back.

`GET /u/{token}/preferences` lists the streams that the address of the token's delivery is
unsubscribed from, and changes nothing.  `POST` with `do=resubscribe` and a stream of that list
takes the entry off; `do=unsubscribe` leaves the token's own stream.  A token speaks for its own
address alone, and only an unsubscribe can be taken back here: a bounce, a complaint or a person's
entry stays, and the page says that something else still stops our mail.  The entry's evidence goes
into the audit with the change, and so outlives it.

Leaving is always heard.  Coming back is heard `MOST` times a day for an address: every change is
kept in the audit for years and told to every webhook, and a link needs no key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter
from sqlalchemy import Connection, func, select
from starlette.requests import Request
from starlette.responses import Response

from analysis import links
from analysis.explain import Language
from analysis.links import Subject
from analysis.lookup import iso
from analysis.schema import audit
from analysis.store import Store
from analysis.suppression import (
    EVERY_STREAM,
    Lift,
    Limits,
    Reason,
    Suppression,
    applying,
    lift,
    standing,
)
from ingest.pages import fields, form, language, masked, page, read_form, rows, words
from ingest.unsubscribe import refused, take_off_by, tell
from sender.tokens import Purpose, Refusal, Tokens

RECIPIENT = "recipient"
"""How the audit names who holds a link of a mail to the address."""
MOST = 10
_DAY = 86_400.0


Note = Literal["saved", "unchanged", "too_often"]
_STATUS: dict[Note, int] = {"saved": 200, "unchanged": 400, "too_often": 429}


@dataclass(frozen=True, slots=True)
class Standing:
    """What is shown: whose preferences, and every entry against the address."""

    who: Subject
    entries: Sequence[Suppression]

    @property
    def left(self) -> list[Suppression]:
        return [one for one in self.entries if one.reason is Reason.UNSUBSCRIBE]

    def stopped(self, stream: str) -> bool:
        """Whether something else than an unsubscribe keeps mail of this stream back."""
        others = [one for one in self.entries if one.reason is not Reason.UNSUBSCRIBE]
        return applying(others, stream) is not None


class Preferences:
    def __init__(
        self, store: Store, tokens: Tokens, *, clock: Callable[[], float], limits: Limits
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._clock = clock
        self._limits = limits

    def router(self) -> APIRouter:
        api = APIRouter(include_in_schema=False)
        api.get("/u/{token}/preferences")(self.show)
        api.post("/u/{token}/preferences")(self.change)
        return api

    async def show(self, token: str, request: Request) -> Response:
        """The list; nothing is changed."""
        lang, now = language(request), self._clock()
        found = self._tokens.verify(Purpose.UNSUBSCRIBE, token, now=now)
        if isinstance(found, Refusal):
            return refused(found, lang)
        there = await self._store.read(lambda tx: _standing(tx, found.subject_id, now))
        return _shown(there, lang) if there else refused(Refusal.EXPIRED, lang)

    async def change(self, token: str, request: Request) -> Response:
        """Do what the form says, and show the list as it then is."""
        lang, now = language(request), self._clock()
        found = self._tokens.verify(Purpose.UNSUBSCRIBE, token, now=now)
        if isinstance(found, Refusal):
            return refused(found, lang)
        asked = fields(await read_form(request))
        id_, limits = found.subject_id, self._limits

        def work(tx: Connection) -> tuple[Note, Standing | None]:
            note: Note = "unchanged"
            if asked.get("do") == "unsubscribe":
                note = "saved" if take_off_by(tx, id_, limits, now) else "unchanged"
            elif asked.get("do") == "resubscribe":
                note = _resubscribe(tx, id_, asked.get("stream", ""), now)
            return note, _standing(tx, id_, now)

        note, there = await self._store.write(work)
        if there is None:
            return refused(Refusal.EXPIRED, lang)
        return _shown(there, lang, note, _STATUS[note])


def _standing(tx: Connection, delivery_id: str, now: float) -> Standing | None:
    who = links.subject(tx, delivery_id)
    if who is None:
        return None
    return Standing(who, standing(tx, [who.address_hash], now).get(who.address_hash, []))


def _resubscribe(tx: Connection, delivery_id: str, stream: str, now: float) -> Note:
    there = _standing(tx, delivery_id, now)
    entry = next((one for one in there.left if one.stream == stream), None) if there else None
    if there is None or entry is None:
        return "unchanged"
    if _taken_back(tx, there.who.address_hash, now - _DAY) >= MOST:
        return "too_often"
    why = (
        f"resubscribed by the link of delivery {delivery_id}; "
        f"was unsubscribed at {iso(entry.since)}: {entry.evidence}"
    )
    reasons = frozenset({Reason.UNSUBSCRIBE})
    lift(tx, Lift(there.who.address_hash, RECIPIENT, why, now, reasons, stream))
    tell(tx, "resubscribed", there.who, stream, now)
    return "saved"


def _taken_back(tx: Connection, address_hash: bytes, since: float) -> int:
    """How often an address took something back since then."""
    c = audit.c
    theirs = (c.subject == address_hash.hex()) & (c.actor == RECIPIENT)
    lifts = theirs & (c.action == "suppression.lift") & (c.at > since)
    return int(tx.execute(select(func.count()).select_from(audit).where(lifts)).scalar_one())


def _shown(there: Standing, lang: Language, note: str = "", status: int = 200) -> Response:
    say, own = SAY[lang], there.who.stream
    parts = [words(say[note])] if note else []
    if there.who.recipient:
        parts.append(words(say["for"].format(address=masked(there.who.recipient)), small=True))
    if there.left:
        parts += [words(say["left"]), rows([_line(one, lang) for one in there.left])]
    else:
        parts.append(words(say["none"]))
    if applying(there.left, own) is None:
        button = form(say["leave"], {"do": "unsubscribe"}, quiet=True)
        parts.append(rows([(_named(own, lang), button)]))
    if there.stopped(own):
        parts.append(words(say["stopped"]))
    return page(lang, say["title"], *parts, status=status)


def _line(entry: Suppression, lang: Language) -> tuple[str, str]:
    button = form(SAY[lang]["back"], {"do": "resubscribe", "stream": entry.stream})
    return _named(entry.stream, lang), button


def _named(stream: str, lang: Language) -> str:
    return SAY[lang]["all"] if stream == EVERY_STREAM else stream


SAY: dict[Language, dict[str, str]] = {
    "en": {
        "title": "Your preferences",
        "for": "For {address}",
        "left": "You have unsubscribed from:",
        "none": "You have not unsubscribed from anything.",
        "back": "Subscribe again",
        "leave": "Unsubscribe",
        "all": "All messages",
        "saved": "Saved.",
        "unchanged": "Nothing was changed.",
        "too_often": "You have changed this often today. Nothing was changed; try again tomorrow.",
        "stopped": "Something else keeps our mail from you at the moment; the sender can help.",
    },
    "zh": {
        "title": "邮件偏好设置",
        "for": "收件地址：{address}",
        "left": "您已退订：",
        "none": "您没有退订任何邮件。",
        "back": "重新订阅",
        "leave": "退订",
        "all": "全部邮件",
        "saved": "已保存。",
        "unchanged": "未作任何更改。",
        "too_often": "今天更改次数过多，未作更改，请明天再试。",
        "stopped": "目前另有原因使邮件无法送达，请联系发件方。",
    },
}
