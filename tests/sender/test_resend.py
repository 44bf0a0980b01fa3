"""Sending again: the same content, without what names the first sending."""

from __future__ import annotations

from typing import Any

from analysis.address import parse_mailbox
from sender.resend import again_order_of, fresh

CONTENT = (
    b"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nFrom: a@example.com\r\n"
    b"message-id:\r\n <1@example.com>\r\nSubject: Hi\r\nFeedback-ID: a:b:c:d\r\n"
    b"\r\nDate: this stays\r\n"
)


def test_only_what_names_the_sending_is_taken_out() -> None:
    assert fresh(CONTENT) == b"From: a@example.com\r\nSubject: Hi\r\n\r\nDate: this stays\r\n"


def test_it_goes_to_everybody_who_was_not_erased_or_to_whom_is_named() -> None:
    message: dict[str, Any] = {
        "id": "01m00000000000000000000000",
        "stream": "news",
        "class": "bulk",
        "require_tls": True,
        "metadata": {"order": 7},
        "deliveries": [{"recipient": "bob@example.net"}, {"recipient": "erased"}],
    }
    order = again_order_of(message, CONTENT, [])
    assert [one.wire for one in order.recipients] == ["bob@example.net"]
    assert (order.stream, order.class_, order.require_tls) == ("news", "bulk", True)
    assert order.metadata == {"order": 7, "resend_of": message["id"]}
    named = again_order_of(message, CONTENT, [parse_mailbox("eve@example.org")])
    assert [one.wire for one in named.recipients] == ["eve@example.org"]
