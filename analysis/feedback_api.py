"""`POST /v1/messages/{id}/feedback`: an application hands on "did not get it?"; scope `send`.

The answer is made to be shown to who waits for the mail, in English or Chinese.
"""

from __future__ import annotations

import re

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from analysis.access import Access
from analysis.body import Body, answer, read_body
from analysis.explain import Language
from analysis.feedback import Feedback, find_in
from analysis.problem import invalid, not_found
from analysis.store import Store

_ULID = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}", re.ASCII)


class Missing(Body):
    """Which delivery; needed where the message has several."""

    delivery: str | None = Field(None, max_length=26)
    lang: Language = "en"


class FeedbackApi:
    def __init__(self, store: Store, access: Access, feedback: Feedback) -> None:
        self._store = store
        self._access = access
        self._feedback = feedback

    def router(self) -> APIRouter:
        api = APIRouter(prefix="/v1/messages", tags=["messages"])
        send = [Depends(self._access.require("send"))]
        api.post("/{message_id}/feedback", dependencies=send)(self.hear)
        return api

    async def hear(self, message_id: str, request: Request) -> Response:
        """The recipient did not get it: record that, and say what became of it."""
        said = await read_body(request, Missing)
        wanted = message_id.lower()
        there = await self._store.read(lambda tx: find_in(tx, wanted)) if _is_id(wanted) else []
        if not there:
            raise not_found("message")
        told = await self._feedback.hear(_chosen(said.delivery, there), "api", said.lang)
        if told is None:
            raise not_found("message")
        return answer(told)


def _is_id(text: str) -> bool:
    return _ULID.fullmatch(text) is not None


def _chosen(delivery: str | None, there: list[str]) -> str:
    if delivery is None and len(there) > 1:
        raise invalid("delivery", f"the message has {len(there)} deliveries: name one of them")
    if delivery is not None and delivery.lower() not in there:
        raise invalid("delivery", "expected a delivery of this message")
    return there[0] if delivery is None else delivery.lower()
