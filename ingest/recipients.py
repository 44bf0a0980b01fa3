"""Which addresses are ours: the whole address book of the bounce domain.

    b+<token>             a report on one delivery      fbl                  complaints
    unsubscribe+<token>   a request for one delivery    abuse, postmaster    people
    u+<token>             the same, shorter             dmarc-reports        DMARC aggregates
    canary+<token>        a probe of the bounce loop    tls-reports          TLS reports

A token must prove itself before the message is read; who forges one learns only that there is no
such address, just as with any other unknown name.  `postmaster` needs no domain (RFC 5321 section
4.5.1).  Names and the domain are compared without case.  Nothing is relayed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from analysis.smtpd import CommandError, Reason
from sender.tokens import PREFIXES, Purpose, Refusal, Token

Use = Literal["bounce", "fbl", "unsubscribe", "abuse", "postmaster", "dmarc", "tls", "canary"]
ReadToken = Callable[[str, float], Token | Refusal]
"""From a local part and the time in Unix seconds."""

DMARC_REPORTS = "dmarc-reports"
TLS_REPORTS = "tls-reports"
_NAMES: dict[str, Use] = {
    "fbl": "fbl",
    "abuse": "abuse",
    "postmaster": "postmaster",
    DMARC_REPORTS: "dmarc",
    TLS_REPORTS: "tls",
}
_REASONS = {
    Refusal.MALFORMED: Reason.UNKNOWN_RECIPIENT,
    Refusal.UNKNOWN_KEY: Reason.FORGED_TOKEN,
    Refusal.FORGED: Reason.FORGED_TOKEN,
    Refusal.EXPIRED: Reason.EXPIRED_TOKEN,
}


@dataclass(frozen=True, slots=True)
class Accepted:
    address: str  # as given in RCPT TO
    purpose: Use
    token: Token | None  # proven; only for bounce, unsubscribe and canary


class Recipients:
    """The address book.  `domain` is the bounce domain in A-labels."""

    def __init__(
        self,
        domain: str,
        *,
        read_return_path: ReadToken,
        read_unsubscribe_address: ReadToken,
        read_canary_address: ReadToken | None = None,
    ) -> None:
        self._domain = domain.lower()
        self._tokens: dict[str, tuple[Use, ReadToken]] = {}
        for prefix in PREFIXES[Purpose.BOUNCE]:
            self._tokens[prefix] = ("bounce", read_return_path)
        for prefix in PREFIXES[Purpose.UNSUBSCRIBE]:
            self._tokens[prefix] = ("unsubscribe", read_unsubscribe_address)
        if read_canary_address is not None:
            for prefix in PREFIXES[Purpose.CANARY]:
                self._tokens[prefix] = ("canary", read_canary_address)

    def find(self, address: str, now: float) -> Accepted:
        """Return what is accepted under an address; `CommandError` says 550 with the reason."""
        local, at, domain = address.rpartition("@")
        if not at:
            local, domain = address, self._domain
        if domain.lower() != self._domain:
            raise CommandError("550 5.7.1 Not for us, and we do not relay", Reason.RELAY_DENIED)
        if name := _NAMES.get(local.lower()):
            return Accepted(address, name, None)
        prefix = local[: local.find("+") + 1].lower()
        if prefix not in self._tokens:
            raise _unknown(Reason.UNKNOWN_RECIPIENT)
        use, read = self._tokens[prefix]
        token = read(local, now)
        if isinstance(token, Refusal):
            raise _unknown(_REASONS[token])
        return Accepted(address, use, token)


def _unknown(reason: Reason) -> CommandError:
    return CommandError("550 5.1.1 No such address here", reason)
