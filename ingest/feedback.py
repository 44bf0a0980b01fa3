"""`/f/{token}`: the link behind "did not get it?", for who waits for a mail.

`GET` shows a page with a button and changes nothing, since scanners fetch every link.  `POST` says
it, and the page answers with what became of the mail and what to do.  The token names the delivery
and nothing on the page names the address or the subject.  A link that is not ours is 404, one that
is too old, or whose delivery is no longer kept, 410.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from ulid import ULID

from analysis.explain import Language
from analysis.feedback import Feedback
from analysis.telling import clock
from ingest.pages import form, language, page, words
from sender.tokens import Purpose, Refusal, Tokens

LIFETIME = 7 * 86_400.0
"""Seconds that a link works from the submit on: whoever waits longer waits for nothing."""


class FeedbackLinks:
    """Writes the links and answers them."""

    def __init__(
        self, tokens: Tokens, feedback: Feedback, *, public_url: str, clock: Callable[[], float]
    ) -> None:
        self._tokens = tokens
        self._feedback = feedback
        self._public_url = public_url.rstrip("/")
        self._clock = clock

    def url(self, delivery_id: str) -> str:
        """The link of a delivery: the same one whenever it is asked for."""
        made = ULID.from_str(delivery_id.upper()).timestamp
        token = self._tokens.issue(Purpose.FEEDBACK, delivery_id, expires=made + LIFETIME)
        return f"{self._public_url}/f/{token}"

    def router(self) -> APIRouter:
        api = APIRouter(include_in_schema=False)
        api.get("/f/{token}")(self.show)
        api.post("/f/{token}")(self.hear)
        return api

    async def show(self, token: str, request: Request) -> Response:
        """The page with its button."""
        lang = language(request)
        found = self._tokens.verify(Purpose.FEEDBACK, token, now=self._clock())
        if isinstance(found, Refusal):
            return _refused(found, lang)
        say = SAY[lang]
        return page(lang, say["ask"], words(say["what"]), form(say["button"], {"said": "missing"}))

    async def hear(self, token: str, request: Request) -> Response:
        """Record it, and say what became of the mail."""
        lang = language(request)
        found = self._tokens.verify(Purpose.FEEDBACK, token, now=self._clock())
        if isinstance(found, Refusal):
            return _refused(found, lang)
        told = await self._feedback.hear(found.subject_id, "link", lang)
        if told is None:
            return _refused(Refusal.EXPIRED, lang)
        say = SAY[lang]
        parts = [words(told["cause"]), words(told["advice"])]
        if told["next_attempt"] and not told["probe"]:
            at, now = datetime.fromisoformat(told["next_attempt"]).timestamp(), self._clock()
            if at > now:
                parts.append(words(say["next"].format(at=clock(at, now))))
        if told["probe"]:
            parts.insert(1, words(say["again"]))
        return page(lang, say["noted"], *parts)


def _refused(why: Refusal, lang: Language) -> Response:
    say = SAY[lang]
    if why is Refusal.EXPIRED:
        return page(lang, say["too_old"], words(say["ask_anew"]), status=410)
    return page(lang, say["no_link"], words(say["cut_off"]), status=404)


SAY: dict[Language, dict[str, str]] = {
    "en": {
        "ask": "Did our message not arrive?",
        "what": "Tell us, and we will look what became of it.",
        "button": "It did not arrive",
        "noted": "Thank you. This is what we know:",
        "again": "We are sending it once more right now. Please look again in a few minutes.",
        "next": "The next try is at {at}.",
        "too_old": "This link is too old.",
        "ask_anew": "Ask for the message again where you asked for it first.",
        "no_link": "This is not a link of ours.",
        "cut_off": "It may have been cut off.",
    },
    "zh": {
        "ask": "没有收到邮件？",
        "what": "告诉我们，我们会查明邮件的去向。",
        "button": "没有收到",
        "noted": "感谢反馈。目前的情况是：",
        "again": "我们正在重新发送，请几分钟后再查看。",
        "next": "下次投递时间：{at}。",
        "too_old": "该链接已过期。",
        "ask_anew": "请在原处重新申请发送。",
        "no_link": "该链接无效。",
        "cut_off": "链接可能不完整。",
    },
}
