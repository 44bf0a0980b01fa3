"""Probes: small messages of our own to seed mailboxes, sent like anybody's mail.

They go through the intake, so through the same composing, signing, pacing and routes as the mail
of their stream, since a receiver's judgement follows these.  A tag in a header proves a probe ours
(a token, of its own purpose); the delivery is marked, so that nothing counts it as users' mail.

Filters judge content: the text is the operator's own.  Each probe has another reference, since
receivers drop what is the same to the letter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from analysis.address import Mailbox, parse
from analysis.batch import Overloaded
from analysis.placement import TAG, WATCHED, Probe, remember
from analysis.store import Store
from sender.compose import Draft
from sender.intake import Intake, Order, Refused
from sender.tokens import Purpose, Token, Tokens

log = structlog.get_logger()

MARK = "placement"


@dataclass(frozen=True, slots=True)
class Wording:
    """Subject and texts, in which `{stream}`, `{day}` and `{code}` are filled in."""

    subject: str
    text: str
    html: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """A seed mailbox as the sender sees it."""

    seed: str
    address: str
    provider: str


def tag_of(tokens: Tokens, probe_id: str, now: float) -> str:
    """What the header says: good for as long as the probe is looked for, and some days more."""
    return tokens.issue(Purpose.PROBE, probe_id, expires=now + 2 * WATCHED)


def probe_of(tokens: Tokens, tag: str, now: float) -> str | None:
    """The probe that a tag proves, or None."""
    found = tokens.verify(Purpose.PROBE, tag, now=now)
    return found.subject_id if isinstance(found, Token) else None


class Probes:
    """`senders`: the streams that are probed, each with its From."""

    def __init__(
        self,
        store: Store,
        intake: Intake,
        tokens: Tokens,
        *,
        targets: Sequence[Target],
        senders: Mapping[str, Mailbox],
        wording: Wording,
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._intake = intake
        self._tokens = tokens
        self._targets = targets
        self._senders = senders
        self._wording = wording
        self._new_id = new_id

    async def send(self, now: float) -> int:
        """A probe of each stream to each seed; how many were handed in.

        One that is refused keeps no other back.  `StoreUnavailable` may be raised half-way: what
        was handed in and not noted has no result, and stays in its mailbox.
        """
        sent = 0
        for stream, from_ in self._senders.items():
            for target in self._targets:
                sent += await self._probe(target, stream, from_, now)
        return sent

    async def _probe(self, target: Target, stream: str, from_: Mailbox, now: float) -> bool:
        probe_id = self._new_id()
        try:
            receipt = await self._intake.accept(self._order(probe_id, target, stream, from_, now))
        except (Refused, Overloaded) as error:
            log.warning("a probe was not sent", seed=target.seed, stream=stream, error=str(error))
            return False
        [delivery] = receipt.answer["deliveries"]
        probe = Probe(
            probe_id,
            receipt.answer["id"],
            delivery["id"],
            target.seed,
            target.provider,
            stream,
            now,
        )
        await self._store.write(lambda tx: remember(tx, [probe]))
        return True

    def _order(
        self, probe_id: str, target: Target, stream: str, from_: Mailbox, now: float
    ) -> Order:
        address = parse(target.address)
        fill = _filler(probe_id, stream, now)
        draft = Draft(
            from_=from_,
            to=(Mailbox("", address),),
            subject=fill(self._wording.subject),
            text=fill(self._wording.text),
            html=fill(self._wording.html) or None,
            headers=((TAG, tag_of(self._tokens, probe_id, now)),),
        )
        return Order(draft, (address,), stream, metadata={"probe": MARK}, probe=MARK)


def _filler(probe_id: str, stream: str, now: float) -> Callable[[str], str]:
    facts = {
        "{stream}": stream,
        "{day}": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d"),
        "{code}": hashlib.sha256(probe_id.encode()).hexdigest()[:8].upper(),
    }

    def fill(text: str) -> str:
        for name, value in facts.items():
            text = text.replace(name, value)
        return text

    return fill
