"""One mail transaction: MAIL, RCPT, DATA, the content and its dot.  RFC 5321 section 3.3.

Owns the answer to "what became of this message on this connection", and says how sure it is:

- REFUSED only for a well-formed 5xx to MAIL, RCPT, DATA or the content, or where the message can
  never pass this host (5.3.4 too big, 5.6.7 needs SMTPUTF8): nothing was sent then.
- IN_DOUBT from the moment the final dot is written until an answer to it is understood.  Content
  up to 64 kB leaves in one piece with its dot, so a connection lost on the way is in doubt.
- DEFERRED for all the rest, with the stage it was at; also where the message is no longer ours
  when only its dot is missing.

Commands are pipelined where offered (RFC 2920).  8-bit content is declared (`BODY=8BITMIME`) where
the host offers it and sent all the same where it does not: converting it would break the signature,
and in practice such hosts take 8 bits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiosmtplib import SMTPException, SMTPResponse

from analysis.reply import Reply, Stage
from sender.smtp import Envelope, Result
from sender.smtp_protocol import Wire
from sender.smtp_session import Session

BLOCK = 65_536
"""Octets of content written before waiting for the peer to take them."""

Answer = tuple[Result, Reply]


async def transact(session: Session, envelope: Envelope) -> Answer:
    """Hand over one message.  Call only while `session.usable`.

    Never raises for what the host does.  When cancelled, the connection is cut.
    """
    session.messages += 1
    session.stage = Stage.MAIL
    if impossible := _impossible(session, envelope):
        return Result.REFUSED, impossible
    try:
        return await _talk(session, session.wire, envelope)
    except (SMTPException, OSError) as trouble:
        session.close()
        result = Result.IN_DOUBT if session.stage is Stage.DOT else Result.DEFERRED
        return result, session.explain(trouble)
    except BaseException:
        session.close()
        raise


def dot_stuffed(content: bytes) -> bytes:
    """RFC 5321 section 4.5.2.  `content` has CRLF line ends throughout."""
    if content.startswith(b"."):
        content = b"." + content
    return content.replace(b"\r\n.", b"\r\n..") if b"\r\n." in content else content


def _impossible(session: Session, envelope: Envelope) -> Reply | None:
    """Why this message can never pass this host, if it cannot."""
    if envelope.needs_smtputf8 and not session.supports_extension("smtputf8"):
        # RFC 6531 section 3.5
        return session.own("5.6.7", "the host does not offer SMTPUTF8, which this message needs")
    size = session.esmtp_extensions.get("size", "").strip()[:20]
    if size.isdecimal() and 0 < int(size) < len(envelope.content):
        # RFC 1870 section 6.2
        return session.own("5.3.4", f"the host takes no message over {size} octets")
    return None


def _commands(session: Session, envelope: Envelope) -> tuple[tuple[Stage, bytes, float], ...]:
    """Each command with its stage and the seconds to wait for its answer."""
    options = b""
    if "size" in session.esmtp_extensions:
        options += b" SIZE=%d" % len(envelope.content)
    if "8bitmime" in session.esmtp_extensions and not envelope.content.isascii():
        options += b" BODY=8BITMIME"
    if envelope.needs_smtputf8:
        options += b" SMTPUTF8"
    mail = b"MAIL FROM:<%b>%b\r\n" % (envelope.mail_from.encode(), options)
    rcpt = b"RCPT TO:<%b>\r\n" % envelope.rcpt.encode()
    seconds = session.timeouts
    return (
        (Stage.MAIL, mail, seconds.mail),
        (Stage.RCPT, rcpt, seconds.rcpt),
        (Stage.DATA, b"DATA\r\n", seconds.data),
    )


async def _talk(session: Session, wire: Wire, envelope: Envelope) -> Answer:
    commands = _commands(session, envelope)
    if pipelined := "pipelining" in session.esmtp_extensions:
        wire.send(b"".join(line for _, line, _ in commands), replies=len(commands))
    for said, (stage, line, seconds) in enumerate(commands, start=1):
        session.stage = stage
        if not pipelined:
            wire.send(line)
        response = await wire.read_response(seconds)
        if response.code // 100 != (3 if stage is Stage.DATA else 2):
            answer = _judge(session, response)
            if pipelined:
                await _settle(session, wire, len(commands) - said)
            return answer
        session.left_open = True
    return await _hand_over(session, wire, dot_stuffed(envelope.content), envelope.ours)


async def _hand_over(
    session: Session, wire: Wire, content: bytes, ours: Callable[[], bool]
) -> Answer:
    """Write the content and its dot, and hear the verdict.

    A process that slept past its lease has lost the message to another: no dot, and no copy.
    """
    wire.expect(1)
    last = (len(content) - 1) // BLOCK * BLOCK
    if last and (early := await _write_blocks(session, wire, memoryview(content)[:last])):
        return early
    if not ours():
        session.close()
        return Result.DEFERRED, session.own("4.3.0", "not ended: the lease on it had run out")
    session.stage = Stage.DOT
    wire.write(content[last:] + b".\r\n")
    response = await wire.read_response(session.timeouts.dot)
    session.left_open = False
    if response.code // 100 == 2:
        return Result.ACCEPTED, session.said(response)
    return _judge(session, response)


async def _write_blocks(session: Session, wire: Wire, content: memoryview) -> Answer | None:
    """Write as fast as the peer takes it; an answer before the dot ends the matter.

    That answer counts, but nothing that followed it on the wire would.
    """
    async with asyncio.timeout(session.timeouts.content):
        for start in range(0, len(content), BLOCK):
            wire.write(content[start : start + BLOCK])
            await wire.room(session.timeouts.block)
            if wire.answered:
                answer = _judge(session, await wire.read_response())
                session.close()
                return answer
    return None


def _judge(session: Session, response: SMTPResponse) -> Answer:
    """What an answer other than the hoped-for one comes to.

    421 closes the connection (RFC 5321 section 3.8); 2xx or 3xx where the other belongs means that
    the two sides are out of step.
    """
    if response.code >= 500:
        return Result.REFUSED, session.said(response)
    out_of_step = response.code < 400
    if out_of_step or response.code == 421:
        session.close()
    in_doubt = out_of_step and session.stage is Stage.DOT
    return Result.IN_DOUBT if in_doubt else Result.DEFERRED, session.said(response)


async def _settle(session: Session, wire: Wire, owed: int) -> None:
    """Read what was pipelined behind a refusal; it changes nothing any more.

    RFC 2920 section 3.1: where every recipient was refused and DATA is answered by 354 all the
    same, a lone dot ends it.  If even MAIL was refused, hanging up is safer.
    """
    seconds = session.timeouts.quit
    response = None
    try:
        for _ in range(owed):
            response = await wire.read_response(seconds)
        if response is None or response.code >= 400:
            return
        if session.left_open and response.code == 354:
            wire.send(b".\r\n")
            response = await wire.read_response(seconds)
        if response.code < 400:
            session.close()
    except (SMTPException, OSError):
        session.close()
