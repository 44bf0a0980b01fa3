"""Reports that real mail servers write about our mail, made anew whenever they are asked for."""

from __future__ import annotations

import asyncio
import smtplib
from email.message import EmailMessage
from typing import Protocol

from tests.peers.scripted_mx import ScriptedMX
from tests.servers import LOOPBACK
from tests.servers.exim import Exim
from tests.servers.postfix import Postfix

RETURN_PATH = "b+0123456789abcdefghjkmnpqrstvwxyz0123456789abcdef@bounces.example.com"
PATIENCE = 60.0

_POSTFIX_REFUSALS = {
    "full@late.example": (552, "5.2.2", "Mailbox full"),
    "slow@late.example": (452, "4.2.2", "Over quota, try again"),
    "odd@late.example": (
        550,
        "5.7.1",
        "<odd@late.example>: blocked, see http://example.org/?a=<b>",
    ),
}
_EXIM_REFUSALS = {
    "full@late.example": (552, "5.0.0", "The mailbox of this user is over quota"),
    "left@late.example": (550, "5.0.0", "This account has been disabled"),
}


class _Mx(Protocol):
    port: int


async def postfix_made() -> list[bytes]:
    """Failures of one and of several recipients, a delay, a success that was asked for."""
    async with ScriptedMX() as sink:
        with Postfix(
            users=["ann@known.example"],
            accept_then_bounce=_POSTFIX_REFUSALS,
            routes={"bounces.example.com": (LOOPBACK, sink.port)},
            settings={"delay_warning_time": "1s", "maximal_queue_lifetime": "3s"},
        ) as mx:
            for recipients in [["gone@late.example"], [*_POSTFIX_REFUSALS, "nobody@late.example"]]:
                await asyncio.to_thread(_send, mx, recipients)
            await asyncio.to_thread(_send, mx, ["ann@known.example"], ["NOTIFY=SUCCESS"])
            await sink.until(lambda: len(sink.received) >= 4, PATIENCE)
            return [mail.content for mail in sink.received]


async def exim_made() -> list[bytes]:
    async with ScriptedMX() as sink:
        with Exim(
            accept_then_bounce=_EXIM_REFUSALS,
            routes={"bounces.example.com": (LOOPBACK, sink.port)},
        ) as mx:
            for recipients in (["gone@late.example"], [*_EXIM_REFUSALS, "nobody@late.example"]):
                await asyncio.to_thread(_send, mx, recipients)
            await sink.until(lambda: len(sink.received) >= 2, PATIENCE)
            return [mail.content for mail in sink.received]


def _send(mx: _Mx, recipients: list[str], options: list[str] | None = None) -> None:
    message = EmailMessage()
    message["From"] = "News <news@example.com>"
    message["To"] = ", ".join(recipients)
    message["Subject"] = "您的订单 № 7"
    message["Message-ID"] = "<order-1@example.com>"
    message.set_content("It is on its way. Это ваш заказ.")
    with smtplib.SMTP(LOOPBACK, mx.port, timeout=PATIENCE) as client:
        client.sendmail(RETURN_PATH, recipients, message.as_bytes(), rcpt_options=options or [])
