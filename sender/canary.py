"""Canaries leave like any mail, and their bounces leave with the null sender.

`Canaries.send` hands in a probe to an address that must bounce.  `reflect` hands in the bounce
itself: a delivery with an empty return path, which goes out as `MAIL FROM:<>` (RFC 5321 section
4.5.5) to the return path of the canary, by its mail exchanger as DNS names it.  Both are marked:
nothing counts them, and nothing that comes of them is held against an address.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection, select

from analysis import bounce_loop
from analysis.address import Address, Mailbox, address_hash, parse
from analysis.batch import Overloaded
from analysis.bounce_loop import MARK
from analysis.ids import beside
from analysis.schema import deliveries
from analysis.store import Store
from sender.compose import Draft
from sender.intake import Intake, Order, Refused
from sender.submit import Recipient, Submission, submit
from sender.tokens import Tokens

log = structlog.get_logger()

STREAM = "canary"
DEADLINE = 1_800.0
"""Seconds in which a canary or its bounce must have left: when nothing moves, few may pile up."""


@dataclass(frozen=True, slots=True)
class Canaries:
    """`address`: the operator's own that bounces; None: our listener plays it."""

    store: Store
    intake: Intake
    tokens: Tokens
    from_: Mailbox
    bounce_domain: str
    address: Address | None
    late: float
    new_id: Callable[[], str]

    async def send(self, now: float) -> None:
        """See what came back, and send the next one."""
        canary_id = self.new_id()

        def begin(tx: Connection) -> None:
            bounce_loop.settle(tx, now=now, late=self.late)
            bounce_loop.begin(tx, canary_id, now)

        await self.store.write(begin)
        try:
            receipt = await self.intake.accept(self._order(canary_id, now))
        except (Refused, Overloaded) as error:
            log.warning("a canary was not sent", error=str(error))
            return
        delivery_id = receipt.answer["deliveries"][0]["id"]
        await self.store.write(lambda tx: bounce_loop.hand_in(tx, canary_id, delivery_id))

    def _order(self, canary_id: str, now: float) -> Order:
        to = self.address or parse(
            self.tokens.canary_address(canary_id, self.bounce_domain, expires=now + DEADLINE)
        )
        draft = Draft(
            from_=self.from_,
            to=(Mailbox("", to),),
            subject="A probe of the bounce loop",
            text="This message must bounce. No person should ever see it.\n",
        )
        return Order(
            draft,
            (to,),
            STREAM,
            "transactional",
            deadline=now + DEADLINE,
            metadata={"probe": MARK},
            probe=MARK,
        )


@dataclass(frozen=True, slots=True)
class Bounce:
    """A bounce to be sent: to whom, what about, and its bytes."""

    canary_id: str
    to: str  # the canary's return path
    owner_id: str  # the delivery that the return path was issued for
    content: bytes
    header_message_id: str


def reflect(tx: Connection, bounce: Bounce, *, now: float, new_id: Callable[[], str]) -> bool:
    """Hand in a canary's bounce, once, and only if its owner is a canary; whether it was."""
    owner = select(deliveries.c.probe).where(deliveries.c.id == bounce.owner_id)
    if tx.execute(owner).scalar() != MARK or not bounce_loop.take_turn(tx, bounce.canary_id, now):
        return False
    to, message_id = parse(bounce.to), new_id()
    delivery_id = beside(new_id(), message_id)
    submission = Submission(
        id=message_id,
        stream=STREAM,
        class_="transactional",
        from_address=f"mailer-daemon@{to.domain}",
        subject="Undelivered: a probe of the bounce loop",
        header_message_id=bounce.header_message_id,
        content=bounce.content,
        recipients=(Recipient(delivery_id, to.wire, address_hash(to.key), to.domain, ""),),
        created_at=now,
        deadline=now + DEADLINE,
        send_at=None,
        metadata={"probe": MARK},
        probe=MARK,
    )
    submit(tx, [submission], now)
    return True
