"""Sending again: a stored message as a new order.

The content is the same but for what must not come twice: receivers drop a second message with the
first one's Message-ID, and Date says when it was sent.  `metadata.resend_of` names the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from analysis.address import AddressError, Mailbox, parse_mailbox
from sender.idempotency import Idempotency
from sender.intake import Order
from sender.order import Terms, raw_order_of
from sender.ready import read

_ONCE_ONLY = re.compile(
    rb"^(?:Message-ID|Date|Feedback-ID):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*",
    re.IGNORECASE | re.MULTILINE,
)


def again_order_of(
    message: dict[str, Any],
    content: bytes,
    to: Sequence[Mailbox],
    idempotency: Idempotency | None = None,
) -> Order:
    """`message` as `lookup.message` shows it; without `to`, everybody it went to."""
    terms = Terms.model_validate(
        {
            "stream": message["stream"],
            "class": message["class"],
            "require_tls": message["require_tls"],
            "metadata": {**message["metadata"], "resend_of": message["id"]},
        }
    )
    wanted = to or _readable(one["recipient"] for one in message["deliveries"])
    return raw_order_of(read(fresh(content)), wanted, terms, idempotency)


def fresh(content: bytes) -> bytes:
    """The message without the headers that name this one sending."""
    head, blank, body = content.partition(b"\r\n\r\n")
    return _ONCE_ONLY.sub(b"", head + b"\r\n") + b"\r\n" + body if blank else content


def _readable(recipients: Iterable[str]) -> list[Mailbox]:
    """Mailboxes of the recipients that were not erased."""
    found = []
    for text in recipients:
        try:
            found.append(parse_mailbox({"email": text}))
        except AddressError:
            continue
    return found
