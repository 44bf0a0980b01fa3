"""`POST /v1/lint`: what would be found in a message, without sending it.  Scope `send`.

The body is that of `POST /v1/messages`, a stored template included, or a ready message as
`message/rfc822`.  The answer has every finding with its mend, and whether its stream would refuse.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from analysis.access import Access
from analysis.address import Mailbox
from analysis.body import answer, checked, read_body
from sender.compliance import Standing, check
from sender.compliance_findings import Finding
from sender.compose import Draft, Origin
from sender.headers import ComposeError
from sender.letters import Letter, of_draft, of_ready
from sender.linting import Linting
from sender.order import NewMessage, Terms, order_of
from sender.ready import accept, read

Fill = Callable[[NewMessage], Awaitable[tuple[NewMessage, str]]]


@dataclass(frozen=True, slots=True)
class Lints:
    access: Access
    linting: Linting
    fill: Fill
    senders: Mapping[str, Mailbox]
    clock: Callable[[], float]

    def router(self) -> APIRouter:
        api = APIRouter(prefix="/v1", tags=["messages"])
        api.post("/lint", dependencies=[Depends(self.access.require("send"))])(self.lint)
        return api

    async def lint(self, request: Request) -> Response:
        """What would be found in a message; nothing is sent."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "message/rfc822":
            content = await request.body()
            terms = checked(Terms, dict(request.query_params))
            found = await asyncio.to_thread(self._of_ready, content, terms)
        else:
            terms = message = await read_body(request, NewMessage)
            if message.template is not None:
                message, _ = await self.fill(message)
            draft = order_of(message, self.senders).message
            assert isinstance(draft, Draft), "a new message is a draft"
            found = await asyncio.to_thread(self._check, of_draft(draft), terms)
        refused = self.linting.refused(terms.stream, found)
        return answer({
            "policy": self.linting.policy(terms.stream).value,
            "refused": refused is not None,
            "findings": [one.view() for one in found],
        })  # fmt: skip

    def _of_ready(self, content: bytes, terms: Terms) -> tuple[Finding, ...]:
        return self._check(letter_of(content, self.clock()), terms)

    def _check(self, letter: Letter, terms: Terms) -> tuple[Finding, ...]:
        class_ = terms.class_ or "transactional"
        return check(letter, self.linting.facts, Standing(terms.stream, class_, self.clock()))


def letter_of(content: bytes, now: float) -> Letter:
    """A ready message as the lint sees it, also one that intake would refuse."""
    message = read(content)
    try:
        origin = Origin("0" * 26, "lint.invalid", "lint", "lint", now)
        return of_ready(message, accept(message, origin).from_)
    except ComposeError as error:
        return of_ready(message, None, error.text)
