"""The last touch before the wire: the headers of this delivery alone, then the signatures.

A message is composed and stored once; what differs by recipient is put in front of it here: the
one-click unsubscribe of RFC 8058 where the stream wants it, and the DKIM signatures that cover it.
All of it is CPU work without state and runs off the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sender.headers import prepend
from sender.queue import Claim
from sender.signing import BodyHash, Signer, body_hash, sign
from sender.tokens import Purpose, Tokens


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Where a recipient says no: by mail to the bounce domain, by one click if there is a URL."""

    tokens: Tokens
    domain: str
    public_url: str  # without a final slash; empty: mailto alone
    lifetime: float  # seconds that a link works; RFC 8058 links are clicked in old mail too

    def headers(self, claim: Claim) -> list[tuple[str, str]]:
        """List-Unsubscribe (RFC 2369) and, with a URL, List-Unsubscribe-Post (RFC 8058)."""
        expires = claim.promised_at + self.lifetime
        address = self.tokens.unsubscribe_address(claim.delivery_id, self.domain, expires=expires)
        mailto = f"<mailto:{address}?subject=unsubscribe>"
        if not self.public_url:
            return [("List-Unsubscribe", mailto)]
        token = self.tokens.issue(Purpose.UNSUBSCRIBE, claim.delivery_id, expires=expires)
        return [
            ("List-Unsubscribe", f"<{self.public_url}/u/{token}>, {mailto}"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ]


@dataclass(frozen=True, slots=True)
class Outgoing:
    signers: Mapping[str, Sequence[Signer]]  # by the domain that they sign for
    default_domain: str  # signs for From domains that have no keys of their own
    unsubscribe: Unsubscribe | None
    streams: frozenset[str]  # streams whose mail carries List-Unsubscribe
    clock: Callable[[], float]

    def finish_all(self, work: Sequence[tuple[Claim, bytes]]) -> list[bytes]:
        """Each message as it goes over the wire; a body that several share is hashed once."""
        hashes: dict[str, BodyHash] = {}
        return [self.finish(claim, content, hashes) for claim, content in work]

    def finish(
        self, claim: Claim, content: bytes, hashes: dict[str, BodyHash] | None = None
    ) -> bytes:
        """The message as it goes over the wire; `hashes` are those known, by message id."""
        if self.unsubscribe is not None and claim.stream in self.streams:
            content = prepend(content, self.unsubscribe.headers(claim))
        signers = self.signers_of(claim.from_address)
        if not signers:
            return content
        known = {} if hashes is None else hashes
        if claim.message_id not in known:
            known[claim.message_id] = body_hash(content)
        hashed = known[claim.message_id]
        return sign(content, signers, now=int(self.clock()), hashed=hashed) + content

    def signers_of(self, address: str) -> Sequence[Signer]:
        """The keys of the From domain, of the nearest domain above it, or our own.

        The nearest above still aligns under DMARC's relaxed mode (RFC 7489 section 3.1.1).
        """
        domain = address.rpartition("@")[2].lower()
        while "." in domain:
            if domain in self.signers:
                return self.signers[domain]
            domain = domain.partition(".")[2]
        return self.signers.get(self.default_domain, ())
