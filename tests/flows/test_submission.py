"""Mail handed in by SMTP: from a client's login to the receiver's mailbox, as over HTTP."""

from __future__ import annotations

import asyncio
import json
import re
import smtplib
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import func, select

from analysis.schema import messages
from tests.flows.house import House, carom_house, suppressed_addresses, until
from tests.peers.certificates import Certificate, certificate_for
from tests.peers.scripted_mx import Say, ScriptedMX
from tests.servers import LOOPBACK

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("error::ResourceWarning")]

T = TypeVar("T")

LETTER = "From: Shop <shop@example.com>\r\nTo: ann@known.example\r\nSubject: Your order\r\n"


@asynccontextmanager
async def house(
    folder: Path, database_url: str, mx: ScriptedMX, **more: str
) -> AsyncIterator[tuple[House, Certificate]]:
    """A Carom with a certificate and both listeners, that delivers to this host."""
    certificate = certificate_for(LOOPBACK)
    tls = {"cert": folder / "chain.pem", "key": folder / "key.pem"}
    tls["cert"].write_bytes(certificate.chain_pem)
    tls["key"].write_bytes(certificate.key_pem)
    settings = {
        "CAROM_SUBMISSION__TLS": json.dumps({name: str(file) for name, file in tls.items()}),
        "CAROM_SUBMISSION__TLS_LISTEN": f"{LOOPBACK}:0",
    }
    async with carom_house(folder, database_url, mx=mx.port, **settings, **more) as carom:
        yield carom, certificate


def key_of(carom: House) -> str:
    return carom.client.headers["Authorization"].removeprefix("Bearer ")


async def session(
    carom: House, work: Callable[[smtplib.SMTP], T], tls: ssl.SSLContext | None = None
) -> T:
    """One session of a client that logs in, by STARTTLS if it has a context."""

    def talk() -> T:
        assert carom.bound.submission is not None
        with smtplib.SMTP(LOOPBACK, carom.bound.submission, timeout=60) as client:
            if tls is not None:
                client.starttls(context=tls)
            client.login("apikey", key_of(carom))
            return work(client)

    return await asyncio.to_thread(talk)


def refused_recipient(client: smtplib.SMTP, to: str) -> tuple[int, str]:
    assert client.mail("app@example.com")[0] == 250
    code, words = client.rcpt(to)
    client.rset()
    return code, words.decode()


def handed_in(client: smtplib.SMTP, to: str, content: bytes) -> str:
    """The id of the message that the answer names."""
    assert client.mail("app@example.com", ["BODY=8BITMIME"])[0] == 250
    assert client.rcpt(to)[0] == 250
    code, words = client.data(content)
    assert code == 250, words
    found = re.fullmatch(r"2\.0\.0 ([0-9a-hjkmnp-tv-z]{26}) accepted", words.decode())
    assert found, words
    return found[1]


async def count_of_messages(carom: House) -> int:
    counted = select(func.count()).select_from(messages)
    return await carom.books(lambda tx: int(tx.execute(counted).scalar_one()))


async def test_what_is_handed_in_under_tls_is_delivered_as_it_was(
    tmp_path: Path, database_url: str
) -> None:
    """8-bit body to the octet, VERP in place of the client's sender, none of our headers left."""
    body = "Straße 王\r\n.dot\r\n".encode() + bytes(range(128, 256)) + b"\r\n"
    content = (
        LETTER + "Content-Transfer-Encoding: 8bit\r\nX-Carom-Stream: orders\r\n"
        'X-Carom-Metadata: {"order": 7}\r\nBcc: x@elsewhere.example\r\n\r\n'
    ).encode() + body
    async with ScriptedMX() as mx, house(tmp_path, database_url, mx) as (carom, certificate):
        message_id = await session(
            carom, lambda c: handed_in(c, "ann@known.example", content), certificate.client
        )

        async def is_there() -> bool:
            return bool(mx.received)

        await until(is_there)
        [letter] = mx.received
        assert letter.rcpts == ["ann@known.example"]
        assert letter.mail_from.startswith("b+")
        assert "BODY=8BITMIME" in letter.mail_line
        head, _, got = letter.content.partition(b"\r\n\r\n")
        assert got == body
        assert b"x-carom" not in head.lower()
        assert b"bcc" not in head.lower()
        assert b"DKIM-Signature:" in head
        answer = (await carom.client.get(f"/v1/messages/{message_id}")).json()
        assert (answer["stream"], answer["metadata"]) == ("orders", {"order": 7})


async def test_a_client_that_speaks_tls_at_once_submits(tmp_path: Path, database_url: str) -> None:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = "s@example.com", "ann@known.example", "Hi"
    letter.set_content("Hello.\n")
    async with ScriptedMX() as mx, house(tmp_path, database_url, mx) as (carom, certificate):

        def submit() -> None:
            port, context = carom.bound.submission_tls or 0, certificate.client
            with smtplib.SMTP_SSL(LOOPBACK, port, timeout=60, context=context) as client:
                client.login("apikey", key_of(carom))
                assert client.send_message(letter) == {}

        await asyncio.to_thread(submit)
        assert await count_of_messages(carom) == 1


async def test_the_same_key_twice_is_delivered_once(tmp_path: Path, database_url: str) -> None:
    content = f"X-Carom-Idempotency-Key: order-7\r\n{LETTER}\r\nHello.\r\n".encode()
    async with ScriptedMX() as mx, house(tmp_path, database_url, mx) as (carom, _):
        ids = [
            await session(carom, lambda c: handed_in(c, "ann@known.example", content))
            for _ in range(2)
        ]
        assert ids[0] == ids[1]
        assert await count_of_messages(carom) == 1


async def test_who_bounced_is_refused_at_rcpt_with_the_receivers_words(
    tmp_path: Path, database_url: str
) -> None:
    script = {"rcpt": Say("550 5.1.1 No such user here")}
    async with ScriptedMX(script) as mx, house(tmp_path, database_url, mx) as (carom, _):
        content = f"{LETTER}\r\nHello.\r\n".encode()
        await session(carom, lambda c: handed_in(c, "gone@known.example", content))
        await carom.becomes_suppressed("gone@known.example")
        code, words = await session(carom, lambda c: refused_recipient(c, "Gone@KNOWN.example"))
        assert code == 550
        assert words.startswith("5.7.1 suppressed: hard_bounce since 20")
        assert "5.1.1 No such user here" in words
        scraped = await carom.books(suppressed_addresses)
        assert scraped == ["gone@known.example"]


async def test_an_invented_key_gets_nowhere(tmp_path: Path, database_url: str) -> None:
    async with ScriptedMX() as mx, house(tmp_path, database_url, mx) as (carom, certificate):

        def guess() -> int:
            with smtplib.SMTP(LOOPBACK, carom.bound.submission or 0, timeout=60) as client:
                client.starttls(context=certificate.client)
                with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
                    client.login("apikey", f"carom_{'0' * 8}_{'0' * 64}")
                assert client.mail("app@example.com")[0] == 530
                return refused.value.smtp_code

        assert await asyncio.to_thread(guess) == 535
        assert await count_of_messages(carom) == 0


async def test_swaks_submits_and_strangers_do_not(
    swaks: str, tmp_path: Path, database_url: str
) -> None:
    async with ScriptedMX() as mx, house(tmp_path, database_url, mx) as (carom, _):
        server = f"{LOOPBACK}:{carom.bound.submission}"
        letter = ["--from", "shop@example.com", "--to", "ann@known.example"]
        login = ["--auth-user", "apikey", "--auth-password", key_of(carom)]

        async def run(*arguments: str) -> tuple[int, str]:
            done = await asyncio.to_thread(
                subprocess.run,
                [swaks, "--server", server, *letter, *arguments],
                capture_output=True,
                text=True,
                check=False,
            )
            return done.returncode, done.stdout

        for mechanism in ("PLAIN", "LOGIN"):
            code, said = await run("--tls", "--auth", mechanism, *login)
            assert code == 0, said
            assert re.search(r"^<~  250 2\.0\.0 [0-9a-z]{26} accepted$", said, re.MULTILINE), said
        code, said = await run()
        assert code == 23, "swaks: MAIL was refused"
        assert "530 5.7.0" in said
        code, said = await run("--auth", "PLAIN", *login[:3], key_of(carom)[:-1] + "x")
        assert code == 28, "swaks: AUTH was refused"
        assert await count_of_messages(carom) == 2
