"""The real servers are real: each one works, and the mail servers write DSNs of their own."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import os
import smtplib
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.servers import LOOPBACK, ServerFailedError, free_port
from tests.servers.exim import Exim
from tests.servers.postfix import Postfix
from tests.servers.postgres import Postgres

RETURN_PATH = "b+token@bounces.example.com"
PATIENCE = 60.0
NO = (550, "5.1.1", "no")


class Listener:
    """Stands where Carom's bounce listener will: takes mail on loopback and keeps it."""

    def __init__(self) -> None:
        self.port = 0
        self._mail: asyncio.Queue[Envelope] = asyncio.Queue()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self._mail.put_nowait(envelope)
        return "250 2.0.0 kept"

    async def take(self, log: Callable[[], str]) -> Envelope:
        try:
            return await asyncio.wait_for(self._mail.get(), PATIENCE)
        except TimeoutError:
            pytest.fail(f"no mail came back\n{log()}")


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    sink = Listener()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(sink, hostname="carom.example"), LOOPBACK, 0)
    sink.port = server.sockets[0].getsockname()[1]
    yield sink
    server.close()
    await server.wait_closed()


def send(port: int, recipient: str) -> None:
    message = EmailMessage()
    message["From"] = "shop@example.com"
    message["To"] = recipient
    message["Subject"] = "Your order"
    message["Message-ID"] = "<order-1@example.com>"
    message.set_content("It is on its way.")
    with smtplib.SMTP(LOOPBACK, port, timeout=PATIENCE) as client:
        client.send_message(message, from_addr=RETURN_PATH, to_addrs=[recipient])


def per_recipient_fields(envelope: Envelope) -> dict[str, str]:
    """The first per-recipient group of a DSN's delivery-status part (RFC 3464 section 2.3)."""
    content = envelope.content
    assert isinstance(content, bytes)
    dsn = email.message_from_bytes(content, policy=email.policy.default)
    assert dsn.get_content_type() == "multipart/report"
    assert dsn.get_param("report-type") == "delivery-status"
    status = next(p for p in dsn.walk() if p.get_content_type() == "message/delivery-status")
    groups: Any = status.get_payload()
    return {name.lower(): " ".join(str(value).split()) for name, value in groups[1].items()}


def test_free_ports_are_free_and_below_those_of_outgoing_connections() -> None:
    ports = {free_port() for _ in range(20)}
    assert len(ports) > 1
    assert max(ports) < 32768


@pytest.mark.parametrize("turn", ["first", "second"])
@pytest.mark.anyio
async def test_each_test_has_an_empty_database_of_its_own(empty_url: str, turn: str) -> None:
    create = "CREATE TABLE only_here (id integer)"
    if empty_url.startswith("sqlite:///"):
        with contextlib.closing(sqlite3.connect(empty_url.removeprefix("sqlite:///"))) as file:
            file.execute(create)
    else:
        connection = await asyncpg.connect(empty_url.replace("+asyncpg", ""))
        await connection.execute(create)
        await connection.close()


@pytest.mark.anyio
async def test_postgres_is_18_or_newer_and_speaks_utf8(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    assert connection.get_server_version().major >= 18
    assert await connection.fetchval("SHOW server_encoding") == "UTF8"
    await connection.close()


def test_a_dropped_database_is_gone_although_it_had_a_client(postgres_server: Postgres) -> None:
    name = postgres_server.create_database()
    with asyncio.Runner() as runner:
        url = postgres_server.url(name).replace("+asyncpg", "")
        client = runner.run(asyncpg.connect(url))
        postgres_server.drop_database(name)
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            runner.run(asyncpg.connect(url))
        client.terminate()


def test_what_a_durable_postgres_committed_survives_its_crash(
    durable_postgres_server: Postgres,
) -> None:
    durable_postgres_server.execute("CREATE TABLE kept AS SELECT 7 AS n")
    durable_postgres_server.crash()
    durable_postgres_server.recover()
    durable_postgres_server.execute("INSERT INTO kept SELECT n FROM kept")


@pytest.mark.anyio
async def test_postfix_delivers_to_known_users(start_postfix: Callable[..., Postfix]) -> None:
    mx = start_postfix(users=["ann@known.example"])
    await asyncio.to_thread(send, mx.port, "ann@known.example")
    [message] = await mx.received("ann@known.example")
    assert b"It is on its way." in message
    assert f"Return-Path: <{RETURN_PATH}>".encode() in message


def test_postfix_refuses_unknown_users_and_foreign_domains_in_the_session(
    start_postfix: Callable[..., Postfix],
) -> None:
    mx = start_postfix(users=["ann@known.example"])
    for recipient, code, status in [
        ("nobody@known.example", 550, b"5.1.1"),
        ("ann@elsewhere.example", 554, b"5.7.1"),
    ]:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            send(mx.port, recipient)
        answered, said = refused.value.recipients[recipient]
        assert answered == code
        assert said.startswith(status)
    assert mx.queue() == []


@pytest.mark.anyio
async def test_postfix_accepts_then_sends_its_own_dsn(
    start_postfix: Callable[..., Postfix], listener: Listener
) -> None:
    mx = start_postfix(
        accept_then_bounce={"full@late.example": (552, "5.2.2", "Mailbox full")},
        routes={"bounces.example.com": (LOOPBACK, listener.port)},
    )
    for recipient, status in [("full@late.example", "5.2.2"), ("gone@late.example", "5.1.1")]:
        await asyncio.to_thread(send, mx.port, recipient)
        envelope = await listener.take(mx.log)
        assert envelope.mail_from == "<>"
        assert envelope.rcpt_tos == [RETURN_PATH]
        fields = per_recipient_fields(envelope)
        assert fields["final-recipient"] == f"rfc822; {recipient}"
        assert fields["action"] == "failed"
        assert fields["status"] == status
        assert fields["diagnostic-code"].startswith("smtp; 55")


@pytest.mark.anyio
async def test_postfix_warns_of_a_delay_and_gives_up_as_it_is_set(
    start_postfix: Callable[..., Postfix], listener: Listener
) -> None:
    mx = start_postfix(
        accept_then_bounce={"slow@late.example": (452, "4.2.2", "Mailbox full")},
        routes={"bounces.example.com": (LOOPBACK, listener.port)},
        settings={"delay_warning_time": "1s", "maximal_queue_lifetime": "4s"},
    )
    await asyncio.to_thread(send, mx.port, "slow@late.example")
    delayed = per_recipient_fields(await listener.take(mx.log))
    [waiting] = [message for message in mx.queue() if message["sender"] == RETURN_PATH]
    assert waiting["recipients"][0]["address"] == "slow@late.example"
    mx.flush()
    failed = per_recipient_fields(await listener.take(mx.log))
    assert [delayed["action"], failed["action"]] == ["delayed", "failed"]
    assert {delayed["status"], failed["status"]} == {"4.2.2"}


@pytest.mark.anyio
async def test_exim_accepts_then_sends_its_own_dsn(
    start_exim: Callable[..., Exim], listener: Listener
) -> None:
    mx = start_exim(
        accept_then_bounce={"full@late.example": (552, "5.2.2", "Mailbox full")},
        routes={"bounces.example.com": (LOOPBACK, listener.port)},
    )
    for recipient, reply in [
        ("full@late.example", "552 5.2.2 Mailbox full"),
        ("gone@late.example", "550 5.1.1 No such user"),
    ]:
        await asyncio.to_thread(send, mx.port, recipient)
        envelope = await listener.take(mx.log)
        assert envelope.mail_from == "<>"
        assert envelope.rcpt_tos == [RETURN_PATH]
        fields = per_recipient_fields(envelope)
        assert fields["final-recipient"] == f"rfc822;{recipient}"
        assert fields["action"] == "failed"
        assert fields["diagnostic-code"] == f"smtp; {reply}"


@pytest.mark.postfix
def test_a_server_that_cannot_start_says_why_and_is_stopped() -> None:
    mx = Postfix()
    taken = f"{mx.port}: Address already in use"
    with (
        socket.create_server((LOOPBACK, mx.port)),
        pytest.raises(ServerFailedError, match=taken),
    ):
        mx.start()
    with pytest.raises(ServerFailedError, match="not started"):
        mx.log()


@pytest.mark.parametrize(
    "arguments",
    [
        {"users": ["a b@known.example"]},
        {
            "users": ["a@same.example"],
            "accept_then_bounce": {"b@same.example": (550, "5.1.1", "no")},
        },
    ],
)
def test_postfix_refuses_arguments_that_it_could_not_hold(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"address|domain"):
        Postfix(**arguments)


@pytest.mark.parametrize(("ci", "status", "said"), [("true", 1, "error"), ("", 0, "skipped")])
def test_a_missing_server_fails_in_ci_and_is_skipped_by_name_elsewhere(
    ci: str, status: int, said: str, tmp_path: Path
) -> None:
    name = f"{__file__}::{test_exim_accepts_then_sends_its_own_dsn.__name__}"
    options = ["-p", "no:cacheprovider", "-rs", "--no-fold-skipped"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, name],
        env={**os.environ, "CI": ci, "CAROM_SERVERS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == status, run.stdout
    assert "test_exim_accepts_then_sends_its_own_dsn" in run.stdout
    assert "Exim is not unpacked" in run.stdout
    assert f"1 {said}" in run.stdout
