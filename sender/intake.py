"""Intake: from what a client asks for to a durable submission.

The one pipeline behind every entrance (HTTP, SMTP submission, the command line through HTTP):
addresses read once, the message composed or a ready one completed, return paths issued, everything
written in one group commit with its neighbours.  `accept` returns after COMMIT.

Refuses with `Refused`, whose text is for the client and whose `field` names what is wrong.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from analysis.address import Address, address_hash
from analysis.batch import Batch
from analysis.ids import beside
from analysis.store import Store
from sender.allowances import Rate
from sender.compliance_findings import TEXTS, Finding
from sender.compose import Composed, Draft, Origin, compose
from sender.headers import ComposeError
from sender.idempotency import Idempotency, Receipt
from sender.linting import Linting
from sender.pressure import Pressure
from sender.ready import Ready, accept
from sender.submit import RANKS, Recipient, Submission, submit
from sender.tokens import Tokens
from sender.tracking import Tracking

MOST_RECIPIENTS = 50
"""Of one message: transactional mail has one, and a long To list is a mistake."""

MOST_METADATA = 16_384
"""Octets of it as JSON: it is kept with the message and shown with it, not searched."""

LARGE = 100_000
"""Octets from which composing takes more than a hop to a thread does, and others would notice."""

STREAM = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)


class Refused(ValueError):
    """The order cannot be taken as it is; `field` is the API's name of what to mend."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field
        self.text = text


@dataclass(frozen=True, slots=True)
class Order:
    """What a client asks for: a draft to compose, or a ready RFC 5322 message."""

    message: Draft | Ready
    recipients: tuple[Address, ...]
    stream: str = "default"
    class_: str | None = None  # None: the stream's
    send_at: float | None = None
    deadline: float | None = None  # None: by class, counted from send_at
    metadata: dict[str, Any] = field(default_factory=dict)
    idempotency: Idempotency | None = None
    require_tls: bool = False  # only where the receiver's certificate holds; or the stream asks so
    probe: str | None = None  # placement | canary: our own, which no client can ask for
    template: str | None = None  # `name@version` that it was made of

    @property
    def octets(self) -> int:
        """Roughly how much there is to compose."""
        message = self.message
        if isinstance(message, Ready):
            return message.octets
        files = sum(len(attachment.content) for attachment in message.attachments)
        return len(message.text or "") + len(message.html or "") + files


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every order.  Times in seconds."""

    bounce_domain: str
    deadlines: Mapping[str, float]  # by class
    classes: Mapping[str, str]  # by stream; others are transactional
    token_lifetime: float
    furthest: float = 30 * 86_400.0  # how far ahead a message may be scheduled
    require_tls: frozenset[str] = frozenset()  # streams
    caps: Mapping[str, Rate] = field(default_factory=dict)  # by stream; others have none


class Observer(Protocol):
    """Hears of every message that was newly accepted."""

    def submitted(self, submission: Submission, receipt: Receipt) -> None: ...


class Intake:
    def __init__(
        self,
        store: Store,
        tokens: Tokens,
        terms: Terms,
        *,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        observer: Observer,
        wake: Callable[[], None],
        lanes: int = 1,
        linting: Linting | None = None,
        tracking: Tracking | None = None,
        pressure: Pressure | None = None,
    ) -> None:
        """`wake` tells a sender in this process that something is due; `lanes` is how many group
        commits may run at once: one on SQLite, a few on PostgreSQL; `pressure` says whether there
        is room for more."""
        self._store = store
        self._tokens = tokens
        self._terms = terms
        self._clock = clock
        self._new_id = new_id
        self._observer = observer
        self._wake = wake
        self._linting = linting
        self._tracking = tracking
        self._pressure = pressure
        self._batch: Batch[Submission, Receipt] = Batch(self._commit, lanes=lanes)

    async def accept(self, order: Order) -> Receipt:
        """Make an order durable.  Raises `Refused`, `StoreUnavailable`, `Overloaded`."""
        with self._room_for(order):
            if order.octets < LARGE:
                submission = self.prepare(order)
            else:
                submission = await asyncio.to_thread(self.prepare, order)
            receipt = await self._batch.put(submission)
        if not (receipt.replayed or receipt.conflict):
            self._observer.submitted(submission, receipt)
            self._wake()
        return receipt

    def _room_for(self, order: Order) -> AbstractContextManager[None]:
        """Probes find room always: they are few, and tell how it goes when it goes badly."""
        if self._pressure is None or order.probe is not None:
            return nullcontext()
        return self._pressure.taking(self._class_of(order), len(order.recipients))

    def prepare(self, order: Order) -> Submission:
        """Everything up to the commit, in any thread; raises `Refused`."""
        now = self._clock()
        class_ = self._class_of(order)
        recipients = self._recipients_of(order)
        start = self._start(order, now)
        deadline = self._deadline(order, class_, start, now)
        message_id = self._new_id()
        to = tuple(self._recipient(address, message_id, deadline) for address in recipients)
        dressed = self._dressed(order, to, class_, start)
        composed = self._composed(dressed, message_id, class_, now)
        findings = self._findings(order, composed, class_, now)
        return Submission(
            id=message_id,
            stream=order.stream,
            class_=class_,
            from_address=composed.from_.address.wire,
            subject=composed.subject,
            header_message_id=composed.message_id,
            content=composed.content,
            recipients=to,
            created_at=now,
            deadline=deadline,
            send_at=order.send_at,
            metadata=_storable(order.metadata),
            idempotency=order.idempotency,
            require_tls=order.require_tls or order.stream in self._terms.require_tls,
            cap=self._terms.caps.get(order.stream) if order.probe is None else None,
            probe=order.probe,
            template=order.template,
            findings=findings,
        )

    async def close(self) -> None:
        await self._batch.close()

    async def _commit(self, submissions: Sequence[Submission]) -> list[Receipt]:
        now = self._clock()
        return await self._store.write(lambda tx: submit(tx, submissions, now))

    def _class_of(self, order: Order) -> str:
        if not STREAM.fullmatch(order.stream):
            raise Refused(
                "stream", "expected a name of lower-case letters, digits, - and _, at most 32 long"
            )
        class_ = order.class_ or self._terms.classes.get(order.stream, "transactional")
        if class_ not in RANKS:
            raise Refused("class", f"expected one of {', '.join(RANKS)}")
        return class_

    def _recipients_of(self, order: Order) -> list[Address]:
        """Each mailbox once, in the order given."""
        unique = {address.key: address for address in reversed(order.recipients)}
        found = [a for a in order.recipients if unique.pop(a.key, None) is not None]
        if not found:
            raise Refused("to", "expected at least one recipient")
        if len(found) > MOST_RECIPIENTS:
            raise Refused("to", f"expected at most {MOST_RECIPIENTS} recipients")
        return found

    def _start(self, order: Order, now: float) -> float:
        if order.send_at is None:
            return now
        if order.send_at > now + self._terms.furthest:
            days = int(self._terms.furthest // 86_400)
            raise Refused("send_at", f"expected a time within the next {days} days")
        return max(now, order.send_at)

    def _deadline(self, order: Order, class_: str, start: float, now: float) -> float:
        deadline = order.deadline
        if deadline is None:
            return start + self._terms.deadlines[class_]
        if deadline <= max(start, now):
            raise Refused("deadline", "expected a time after now and after send_at")
        if deadline > start + self._terms.furthest:
            raise Refused("deadline", "expected a time within 30 days of sending")
        return deadline

    def _dressed(self, order: Order, to: Sequence[Recipient], class_: str, start: float) -> Order:
        """With links and pixel where its stream asks so; a body that several share has none."""
        message = order.message
        if self._tracking is None or isinstance(message, Ready) or len(to) != 1 or order.probe:
            return order
        tracked = self._tracking.tracked(
            message, to[0].delivery_id, stream=order.stream, class_=class_, start=start
        )
        return replace(order, message=tracked)

    def _findings(
        self, order: Order, composed: Composed, class_: str, now: float
    ) -> tuple[Finding, ...]:
        """What the lint says of the message as it was handed in; raises `Refused`."""
        if self._linting is None or order.probe is not None:
            return ()
        found = self._linting.look(order.message, composed, order.stream, class_, now)
        if refused := self._linting.refused(order.stream, found):
            said = TEXTS[refused.code]
            raise Refused(refused.where, f"{refused.code}: {said.en}; {said.mend_en}")
        return found

    def _composed(self, order: Order, message_id: str, class_: str, now: float) -> Composed:
        message = order.message
        try:
            if isinstance(message, Draft):
                domain = message.from_.address.domain
                return compose(message, Origin(message_id, domain, order.stream, class_, now))
            return accept(
                message, Origin(message_id, self._terms.bounce_domain, order.stream, class_, now)
            )
        except ComposeError as error:
            raise Refused(error.field, error.text) from error

    def _recipient(self, address: Address, message_id: str, deadline: float) -> Recipient:
        delivery_id = beside(self._new_id(), message_id)
        return Recipient(
            delivery_id,
            address.wire,
            address_hash(address.key),
            address.domain,
            self._tokens.return_path(
                delivery_id,
                self._terms.bounce_domain,
                expires=deadline + self._terms.token_lifetime,
            ),
        )


def _storable(metadata: dict[str, Any]) -> dict[str, Any]:
    """The metadata, if both databases can keep it: PostgreSQL's JSON has neither NUL nor NaN."""
    if not metadata:
        return metadata
    try:
        text = json.dumps(metadata, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Refused("metadata", "expected JSON values, with text in Unicode") from error
    if len(text) > MOST_METADATA:
        raise Refused("metadata", f"expected at most {MOST_METADATA} octets as JSON")
    if rb"\u0000" in text.replace(rb"\\", b""):
        raise Refused("metadata", "expected text without NUL characters")
    return metadata
