"""Eleven stages of a conversation, seven ways in which a host can spoil each: 77 outcomes.

What it comes to is told by the stage and by nothing else: until the host has said a well-formed 5xx
to MAIL, RCPT, DATA or the content, nobody is refused; after the final dot silence is doubt; after
the answer to it nothing changes any more.  Whatever happens, no descriptor and no task is left.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from analysis.decide import after_attempt, held_against
from analysis.lifecycle import Fact
from analysis.reply import Stage
from analysis.rulebook import shipped
from analysis.suppression import Reason
from sender.connections import Connections
from sender.smtp import Envelope, Host, Outcome, Result, Route, Timeouts, TlsMode
from tests.peers.certificates import Certificate, certificate_for
from tests.peers.scripted_mx import Act, Drip, Drop, Raw, Say, ScriptedMX, Stall

pytestmark = pytest.mark.anyio

STAGES = {
    "banner": Stage.BANNER,
    "ehlo": Stage.EHLO,
    "starttls": Stage.STARTTLS,
    "tls": Stage.STARTTLS,  # the handshake
    "auth": Stage.AUTH,
    "mail": Stage.MAIL,
    "rcpt": Stage.RCPT,
    "data": Stage.DATA,
    "content": Stage.DATA,  # while it is on its way
    "dot": Stage.DOT,
    "quit": Stage.DOT,  # the answer that counts is there
}
WAYS: dict[str, Act] = {
    "refuse": Say("550 5.1.1 no such user here"),
    "421": Say("421 4.3.2 closing", drop=True),
    "stall": Stall(),
    "drop": Drop(),
    "garbage": Raw(b"\xff\x00 <html>550 no</html>\r\n"),
    "mixed codes": Raw(b"550-5.1.1 no such user\r\n250 2.0.0 fine\r\n"),
    "slow drip": Drip("250-and so on\r\n"),
}
WAITS = {"starttls": "tls", "auth": "ehlo", "content": "block"}
"""The field of `Timeouts` that bounds a stage, where it has another name."""
ENCRYPTED = ("starttls", "tls", "auth")
REFUSABLE = ("mail", "rcpt", "data", "content", "dot")
LETTER = b"Subject: Your code\r\n\r\n123456\r\n"
LONG = LETTER + (b"x" * 70 + b"\r\n") * 100_000  # more than buffers on the way hold


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return certificate_for("mx.example.net")


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Tasks and descriptors are as many after the block as before it."""
    await asyncio.sleep(0)
    gc.collect()
    tasks, descriptors = asyncio.all_tasks(), len(os.listdir("/dev/fd"))
    yield
    async with asyncio.timeout(60):
        while _left(tasks, descriptors):  # noqa: ASYNC110  turns of the loop, for what is closing
            await asyncio.sleep(0)


def patience(stage: str, act: Act) -> Timeouts:
    """Short only where an answer never comes."""
    if isinstance(act, Stall | Drip) or stage == "quit":
        return replace(Timeouts(), **{WAITS.get(stage, stage): 0.1})
    return Timeouts()


def _left(tasks: set[asyncio.Task[object]], descriptors: int) -> bool:
    return bool(asyncio.all_tasks() - tasks) or len(os.listdir("/dev/fd")) > descriptors


async def outcome(stage: str, act: Act, certificate: Certificate) -> Outcome:
    script = {"ehlo": act, "helo": act} if stage == "ehlo" else {stage: act}
    encrypted = stage in ENCRYPTED
    async with ScriptedMX(
        script,
        extensions=("PIPELINING", "AUTH PLAIN") if encrypted else ("PIPELINING",),
        tls=certificate.server if encrypted else None,
        receive_buffer=4_096 if stage == "content" else None,
    ) as mx:
        route = Route(
            "example.net",
            (Host("mx.example.net", mx.address, mx.port),),
            tls=TlsMode.REQUIRED if encrypted else TlsMode.NONE,
            username="carom" if encrypted else None,
            password="secret" if encrypted else None,
        )
        content = LONG if stage == "content" else LETTER
        connections = Connections(ehlo_name="mta.example.com", timeouts=patience(stage, act))
        try:
            envelope = Envelope("b+1@bounces.example.com", "ann@example.net", content)
            return await connections.deliver(route, envelope)
        finally:
            await connections.close()


def expected(stage: str, way: str) -> tuple[Result, int | None, Fact]:
    """Result, code of the reply, and what becomes of the delivery."""
    if stage == "quit":
        return Result.ACCEPTED, 250, Fact.ACCEPTED
    if way == "refuse" and stage in REFUSABLE:
        return Result.REFUSED, 550, Fact.REFUSED
    trusted = stage not in ("starttls", "tls")  # in the clear anybody could have said it
    code = {"refuse": 550, "421": 421}.get(way) if trusted else None
    doubt = stage == "dot" and way != "421"
    return Result.IN_DOUBT if doubt else Result.DEFERRED, code, Fact.PUT_OFF


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stage", STAGES)
async def test_a_stage_spoilt(
    stage: str, way: str, certificate: Certificate, seen: Callable[[str], None]
) -> None:
    async with nothing_left():
        came = await outcome(stage, WAYS[way], certificate)
    verdict = shipped().classify(came.reply)
    fact = after_attempt(came.result, verdict, tries=1)
    assert (came.result, came.reply.code, fact) == expected(stage, way), came.reply
    assert came.reply.stage is STAGES[stage]
    dead = fact is Fact.REFUSED and stage != "mail"  # there it is about the sender
    against = Reason.HARD_BOUNCE if dead else None
    assert held_against(fact, verdict) is against
    seen(f"each of {len(STAGES)} x {len(WAYS)} right, tasks and descriptors +0")
