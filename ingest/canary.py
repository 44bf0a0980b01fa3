"""The reflector: our own listener plays the receiver that takes a message and then bounces it.

`canary+<token>` at the bounce domain is an address for canaries only.  What comes there is answered
with a bounce, which is the one case of our writing mail because mail came in; so it is narrow:

* the token is ours and was made within the last `FRESH` seconds;
* the envelope sender is a genuine return path of ours at the bounce domain, the only place that
  the bounce can go to;
* each canary is answered once (`analysis.bounce_loop.take_turn`).

Nothing of the message is quoted, so that nobody can make us carry his words.  Whoever writes
there without all this makes us send nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from email.utils import formatdate

from ulid import ULID

from ingest.listener import Inbound
from ingest.recipients import Accepted, ReadToken
from sender.tokens import Refusal, Token

FRESH = 3_600.0


@dataclass(frozen=True, slots=True)
class Reflection:
    """A bounce that is owed."""

    canary_id: str
    return_path: str
    owner_id: str  # the delivery that the return path was issued for
    recipient: str
    received_at: float


def fresh(read: ReadToken) -> ReadToken:
    """The reader of canary tokens that refuses one made long ago."""

    def check(local_part: str, now: float) -> Token | Refusal:
        found = read(local_part, now)
        if isinstance(found, Token) and not 0 <= now - _made_at(found.subject_id) + 5 <= FRESH:
            return Refusal.EXPIRED
        return found

    return check


def _made_at(ulid: str) -> float:
    return float(ULID.from_str(ulid.upper()).timestamp)


def owed(
    inbound: Inbound, accepted: Accepted, *, domain: str, read_return_path: ReadToken
) -> Reflection | None:
    """The bounce that this message is owed, if it is a canary of ours."""
    if accepted.purpose != "canary" or accepted.token is None:
        return None
    local, _, at_domain = inbound.mail_from.rpartition("@")
    if at_domain.lower() != domain.lower():
        return None
    owner = read_return_path(local, inbound.received_at)
    if not isinstance(owner, Token):
        return None
    return Reflection(
        accepted.token.subject_id,
        inbound.mail_from,
        owner.subject_id,
        accepted.address,
        inbound.received_at,
    )


def without_canaries(inbound: Inbound) -> Inbound:
    """The message for those recipients that are read."""
    others = tuple(one for one in inbound.recipients if one.purpose != "canary")
    return replace(inbound, recipients=others)


def notice(owed: Reflection, *, hostname: str, domain: str, message_id: str) -> bytes:
    """The bounce, a delivery status notification: RFC 3464."""
    boundary = f"=_{owed.canary_id}"
    date = formatdate(owed.received_at)
    lines = [
        f"From: Mail Delivery System <mailer-daemon@{domain}>",
        f"To: {owed.return_path}",
        "Subject: Undelivered: a probe of the bounce loop",
        f"Date: {date}",
        f"Message-ID: {message_id}",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status; boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        "This address bounces whatever it is sent, to see that bounces come back.",
        "",
        f"--{boundary}",
        "Content-Type: message/delivery-status",
        "",
        f"Reporting-MTA: dns; {hostname}",
        f"Arrival-Date: {date}",
        "",
        f"Final-Recipient: rfc822; {owed.recipient}",
        "Action: failed",
        "Status: 5.1.1",
        "Diagnostic-Code: smtp; 550 5.1.1 a probe of the bounce loop: no such user, on purpose",
        "",
        f"--{boundary}--",
        "",
    ]
    return "\r\n".join(lines).encode("ascii")
