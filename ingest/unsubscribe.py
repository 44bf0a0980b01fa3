"""Unsubscribing over HTTP: the page behind List-Unsubscribe, and its one click (RFC 8058).

`GET /u/{token}` shows a small page and changes nothing, because scanners fetch every link in every
mail.  `POST /u/{token}` with `List-Unsubscribe=One-Click`, sent by the recipient's mailbox provider
or by the page's button, puts the address of that delivery on the list for its stream.  The token
is the only identity; no key, no cookie, no address in the URL or on the page.  Saying it twice is
harmless.  A token that is not ours is 404 whatever is wrong with it; one that is too old, or of
whose delivery nothing is kept, is 410.  A link works for its whole life, longer than its delivery
is kept (`analysis.links`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from fastapi import APIRouter
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from analysis import links
from analysis.events import announce, event
from analysis.explain import Language
from analysis.links import Subject
from analysis.store import Store
from analysis.suppression import Limits, Reason, Suppression, standing, suppress
from ingest.pages import form, language, link, page, read_form, words
from sender.tokens import Purpose, Refusal, Tokens

_URLENCODED = re.compile(rb"(?:^|&)List-Unsubscribe=One-Click(?:&|\s*$)", re.IGNORECASE)
_MULTIPART = re.compile(
    rb'name="?List-Unsubscribe"?(?:\r?\n[^\r\n]+)*(?:\r?\n){2}One-Click', re.IGNORECASE
)
_ONE_CLICK = {"List-Unsubscribe": "One-Click"}


class Unsubscribing:
    def __init__(
        self,
        store: Store,
        tokens: Tokens,
        *,
        clock: Callable[[], float],
        limits: Limits,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._clock = clock
        self._limits = limits

    def router(self) -> APIRouter:
        api = APIRouter(include_in_schema=False)
        api.get("/u/{token}")(self.show)
        api.post("/u/{token}")(self.leave)
        return api

    async def show(self, token: str, request: Request) -> Response:
        """The page with its button; whether the delivery is still kept is asked on POST only."""
        lang = language(request)
        found = self._tokens.verify(Purpose.UNSUBSCRIBE, token, now=self._clock())
        if isinstance(found, Refusal):
            return refused(found, lang)
        say = SAY[lang]
        asked = (words(say["once"]), form(say["button"], _ONE_CLICK), _more(token, lang))
        return page(lang, say["ask"], *asked)

    async def leave(self, token: str, request: Request) -> Response:
        """One click; the answer comes after COMMIT."""
        lang = language(request)
        found = self._tokens.verify(Purpose.UNSUBSCRIBE, token, now=self._clock())
        if isinstance(found, Refusal):
            return refused(found, lang)
        say = SAY[lang]
        if not says_one_click(await read_form(request)):
            return page(lang, say["unchanged"], form(say["button"], _ONE_CLICK), status=400)
        now = self._clock()
        done = await self._store.write(
            lambda tx: take_off_by(tx, found.subject_id, self._limits, now)
        )
        if not done:
            return refused(Refusal.EXPIRED, lang)
        return page(lang, say["done"], words(say["changed_mind"]), _more(token, lang))


def take_off_by(tx: Connection, delivery_id: str, limits: Limits, now: float) -> bool:
    """Unsubscribe the address of a delivery from its stream; False where nothing is kept of it."""
    who = links.subject(tx, delivery_id)
    if who is None:
        return False
    entry = _entry(who, limits, now)
    there = standing(tx, [entry.address_hash], now).get(entry.address_hash, [])
    if not any(one.reason is entry.reason and one.stream == entry.stream for one in there):
        suppress(tx, [entry])
        tell(tx, "unsubscribed", who, who.stream, now)
    return True


def _entry(who: Subject, limits: Limits, now: float) -> Suppression:
    return Suppression(
        address_hash=who.address_hash,
        stream=limits.reach(who.stream),
        reason=Reason.UNSUBSCRIBE,
        address=who.recipient,
        since=now,
        until=limits.until(Reason.UNSUBSCRIBE, now),
        evidence="unsubscribed by the link of a message",
        actor="recipient",
        delivery_id=who.id,
    )


def says_one_click(content: bytes) -> bool:
    """RFC 8058 section 3.2: either kind of form, with the one field and its value."""
    return bool(_URLENCODED.search(content) or _MULTIPART.search(content))


def tell(tx: Connection, kind: str, who: Subject, stream: str, now: float) -> None:
    told = event(
        kind,
        at=now,
        message_id=who.message_id,
        delivery_id=who.id,
        data={"recipient": who.recipient, "stream": stream, "source": "link"},
    )
    announce(tx, [told])


def refused(why: Refusal, lang: Language) -> Response:
    """The page for a link that is not believed: too old is all that it tells."""
    say = SAY[lang]
    if why is Refusal.EXPIRED:
        return page(lang, say["too_old"], words(say["use_newer"]), status=410)
    return page(lang, say["no_link"], words(say["cut_off"]), status=404)


def _more(token: str, lang: Language) -> str:
    return link(SAY[lang]["preferences"], f"{token.lower()}/preferences?lang={lang}")


SAY: dict[Language, dict[str, str]] = {
    "en": {
        "ask": "Unsubscribe from these messages?",
        "once": "One click is enough. Nothing else of yours is changed.",
        "button": "Unsubscribe",
        "done": "You are unsubscribed.",
        "changed_mind": "If that was a mistake, you can take it back in your preferences.",
        "unchanged": "Nothing was changed.",
        "preferences": "See all your preferences",
        "too_old": "This link is too old.",
        "use_newer": "Use the one in a newer message.",
        "no_link": "This is not a link of ours.",
        "cut_off": "It may have been cut off; open it from the message again.",
    },
    "zh": {
        "ask": "是否退订此类邮件？",
        "once": "点击一次即可，不会更改其他设置。",
        "button": "退订",
        "done": "已退订。",
        "changed_mind": "如果是误操作，可以在偏好设置中恢复。",
        "unchanged": "未作任何更改。",
        "preferences": "查看全部偏好设置",
        "too_old": "该链接已过期。",
        "use_newer": "请使用较新邮件中的链接。",
        "no_link": "该链接无效。",
        "cut_off": "链接可能不完整，请从邮件中重新打开。",
    },
}
