"""SMTP submission as its clients meet it: real sockets, a real pipeline, a real database."""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from analysis import keys, suppression
from analysis.address import address_hash, parse
from analysis.batch import Overloaded
from analysis.keys import ApiKey
from analysis.schema import bodies, deliveries, messages
from analysis.smtpd import Limits, Reason
from analysis.smtpd.door import is_loopback
from analysis.store import Store, StoreUnavailable
from analysis.suppression import Question, Suppression
from analysis.suppression import Reason as Why
from sender.idempotency import Receipt
from sender.intake import Intake, Order, Terms
from sender.logins import LoginLimits, Logins
from sender.ready import read
from sender.submission import Desk, Submission
from sender.tokens import Key, Tokens
from tests.peers.certificates import Certificate, certificate_for
from tests.peers.smtp_client import Wire, dial
from tests.storing import DAY, NOW, entry, new_id, rows, suppressed

pytestmark = pytest.mark.anyio

HOST = "127.0.0.1"
SENDER = keys.make("shop", ["send"], lambda n: b"\1" * n)
READER = keys.make("look", ["read"], lambda n: b"\2" * n)
TERMS = Terms(
    bounce_domain="bounces.example.com",
    deadlines={"otp": 900.0, "transactional": 4 * DAY, "bulk": 3 * DAY},
    classes={"codes": "otp"},
    token_lifetime=14 * DAY,
)
HEAD = "From: Shop <shop@example.com>\r\nTo: ann@example.net\r\nSubject: Your order\r\n"
SINCE = "2027-01-15T08:00:00.000Z"  # NOW
LETTER = HEAD + "\r\nOn its way.\r\n"


@dataclass
class Back:
    """The room behind the door: the keys that stand, and what was accepted or goes wrong."""

    store: Store | None
    keys: dict[str, ApiKey] = field(
        default_factory=lambda: {one.text: one.key for one in (SENDER, READER)}
    )
    orders: list[Order] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    refused: list[Reason] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)  # recipients in each look-up
    fault: Exception | None = None

    def __post_init__(self) -> None:
        if self.store is not None:
            self.intake = Intake(
                self.store,
                Tokens([Key("a", bytes(range(32)))]),
                TERMS,
                clock=lambda: NOW,
                new_id=new_id,
                observer=self,
                wake=lambda: None,
            )

    def submitted(self, submission: object, receipt: Receipt) -> None:
        """The observer that intake wants; what became durable is seen in the tables."""

    async def find(self, text: str) -> ApiKey | None:
        if self.fault:
            raise self.fault
        return self.keys.get(text)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def withheld(self, hashes: Sequence[bytes], stream: str) -> Sequence[Suppression | None]:
        self.asked.append(len(hashes))
        if self.fault:
            raise self.fault
        if self.store is None:
            return [None] * len(hashes)
        asked = [Question(one, stream) for one in hashes]
        return await self.store.read(lambda tx: suppression.ask(tx, asked, NOW))

    async def accept(self, order: Order) -> Receipt:
        if self.fault:
            raise self.fault
        self.orders.append(order)
        if self.store is not None:
            return await self.intake.accept(order)
        return Receipt({"id": new_id(), "deliveries": []})


@dataclass
class Running:
    port: int
    tls_port: int | None
    back: Back


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return certificate_for(HOST)


@contextlib.asynccontextmanager
async def submitting(
    store: Store | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    limits: Limits | None = None,
    logins: LoginLimits | None = None,
    exempt: Callable[[str], bool] = is_loopback,
    plain_auth: Callable[[str], bool] = is_loopback,
) -> AsyncIterator[Running]:
    back = Back(store)
    desk = Desk(
        Logins(back.find, limits=logins, exempt=exempt, pause=back.pause),
        back.withheld,
        back.accept,
    )
    server = Submission(
        desk,
        listen=f"{HOST}:0",
        tls_listen=None if tls is None else f"{HOST}:0",
        hostname="mta.example.com",
        limits=limits or Limits(),
        observe=back.refused.append,
        tls=tls,
        plain_auth=plain_auth,
    )
    port, tls_port = await server.start()
    try:
        yield Running(port, tls_port, back)
    finally:
        await server.close(0)
        if store is not None:
            await back.intake.close()


def nobody(_client: str) -> bool:
    return False


def plain(password: str = SENDER.text, user: str = "apikey") -> str:
    return "AUTH PLAIN " + b64encode(f"\0{user}\0{password}".encode()).decode()


@contextlib.asynccontextmanager
async def logged_in(at: Running, user: str = "apikey") -> AsyncIterator[Wire]:
    async with dial(at.port) as wire:
        assert await wire.say(plain(user=user)) == "235 2.7.0 Welcome"
        yield wire


async def envelope(wire: Wire, *to: str) -> list[str]:
    assert await wire.say("MAIL FROM:<app@example.com>") == "250 2.1.0 OK"
    return [await wire.say(f"RCPT TO:<{address}>") for address in to]


async def handed_in(wire: Wire, content: str | bytes, *to: str) -> str:
    """The answer to one message, whose recipients must be taken."""
    assert set(await envelope(wire, *(to or ("ann@example.net",)))) == {"250 2.1.5 OK"}
    assert (await wire.say("DATA")).startswith("354 ")
    octets = content.encode() if isinstance(content, str) else content
    return await wire.say(octets + b".")


def id_in(reply: str) -> str:
    assert reply.startswith("250 2.0.0 "), reply
    return reply.split()[2]


# Who comes in.


async def test_ehlo_offers_what_is_held(certificate: Certificate) -> None:
    async with submitting(tls=certificate.server) as at, dial(at.port, greet=False) as wire:
        await wire.reply()
        offers = (await wire.say("EHLO client.example.net")).split("\n")
        assert [offer[4:] for offer in offers] == [
            "mta.example.com",
            "PIPELINING",
            "SIZE 10000000",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
            "STARTTLS",
            "DSN",
            "AUTH PLAIN LOGIN",
        ]


@pytest.mark.parametrize("mechanism", ["plain", "login"])
@pytest.mark.parametrize("at_once", [False, True])
async def test_smtplib_submits_under_tls(
    certificate: Certificate, mechanism: str, at_once: bool
) -> None:
    """Login under STARTTLS and under TLS from the first octet; neither offers TLS again."""
    async with submitting(tls=certificate.server, plain_auth=nobody) as at:

        def submit() -> None:
            if at_once:
                context = certificate.client
                client = smtplib.SMTP_SSL(HOST, at.tls_port or 0, timeout=60, context=context)
            else:
                client = smtplib.SMTP(HOST, at.port, timeout=60)
                client.starttls(context=certificate.client)
            with client:
                client.ehlo()
                assert not client.has_extn("starttls")
                client.user, client.password = "apikey", SENDER.text
                client.auth(mechanism, getattr(client, f"auth_{mechanism}"))
                client.sendmail("app@example.com", ["ann@example.net"], LETTER)

        await asyncio.to_thread(submit)
        [order] = at.back.orders
        assert order.message == read(LETTER.encode())
        assert order.recipients == (parse("ann@example.net"),)


async def test_without_tls_only_loopback_may_log_in(certificate: Certificate) -> None:
    async with (
        submitting(tls=certificate.server, plain_auth=nobody) as at,
        dial(at.port) as wire,
    ):
        assert "AUTH" not in await wire.say("EHLO client.example.net")
        assert (await wire.say(plain())).startswith("538 5.7.11 ")
    async with submitting() as at, logged_in(at) as wire:
        id_in(await handed_in(wire, LETTER))


async def test_a_login_does_not_outlive_the_change_to_tls(certificate: Certificate) -> None:
    """RFC 3207 section 4.2: what was said in the clear is forgotten."""
    async with submitting(tls=certificate.server) as at, logged_in(at) as wire:
        await wire.say("STARTTLS")
        await wire.start_tls(certificate.client)
        await wire.say("EHLO client.example.net")
        assert (await wire.say("MAIL FROM:<app@example.com>")).startswith("530 5.7.0 ")
        assert (await wire.say(plain())).startswith("235 ")


@pytest.mark.parametrize(
    "credentials",
    [
        plain(SENDER.text + "x"),
        plain("carom_00000000_" + "0" * 64),
        plain(""),
        plain(user="root"),
        plain(user="apikey+No Stream"),
        plain(user="apikey+"),
    ],
)
async def test_a_wrong_login_is_refused_late_and_the_third_is_the_last(credentials: str) -> None:
    async with submitting() as at, dial(at.port) as wire:
        for _ in range(3):
            assert (await wire.say(credentials)).startswith("535 5.7.8 ")
        assert await wire.at_eof()
        assert at.back.pauses == [1.0, 1.0, 1.0]
        assert at.back.refused == [Reason.LOGIN] * 3
        assert at.back.orders == []


async def test_an_address_that_guesses_is_put_off_though_it_were_right_at_last() -> None:
    few = LoginLimits(connection=100, address=5)
    async with submitting(logins=few, exempt=nobody) as at:
        async with dial(at.port) as wire:
            for _ in range(5):
                assert (await wire.say(plain("wrong"))).startswith("535 ")
        async with dial(at.port) as wire:
            assert (await wire.say(plain())).startswith("454 4.7.0 ")
            assert await wire.at_eof()


async def test_a_key_needs_the_scope_send() -> None:
    async with submitting() as at, dial(at.port) as wire:
        reply = await wire.say(plain(READER.text))
        assert reply == "535 5.7.1 This key has not the scope `send`"
        assert (await wire.say("MAIL FROM:<app@example.com>")).startswith("530 5.7.0 ")


async def test_a_revoked_key_ends_with_the_message_before() -> None:
    async with submitting() as at, logged_in(at) as wire:
        id_in(await handed_in(wire, LETTER))
        at.back.keys.clear()
        reply = await wire.say("MAIL FROM:<app@example.com>")
        assert reply == "530 5.7.0 The API key was revoked"
        assert await wire.at_eof()


async def test_nobody_relays_without_a_login() -> None:
    """Whatever the order and the addresses, and not for long."""
    async with submitting() as at, dial(at.port) as wire:
        assert (await wire.say("RCPT TO:<victim@example.org>")).startswith("503 ")
        assert (await wire.say("DATA")).startswith("503 ")
        for sender in ("", "root@localhost", "shop@example.com", "shop@mta.example.com"):
            reply = await wire.say(f"MAIL FROM:<{sender}>")
            assert reply == "530 5.7.0 Authentication required"
        assert await wire.at_eof()
        assert at.back.orders == []


async def test_auth_has_its_place_in_a_session() -> None:
    async with submitting() as at, dial(at.port, greet=False) as wire:
        await wire.reply()
        assert (await wire.say(plain())).startswith("503 5.5.1 ")
        await wire.say("HELO client.example.net")
        assert (await wire.say(plain())).startswith("503 5.5.1 ")
        await wire.say("EHLO client.example.net")
        assert (await wire.say("AUTH CRAM-MD5")).startswith("504 5.5.4 ")
        assert await wire.say("AUTH PLAIN") == "334 "
        assert (await wire.say("*")).startswith("501 5.7.0 ")
        assert (await wire.say(plain())).startswith("235 2.7.0 ")
        assert (await wire.say(plain())).startswith("503 5.5.1 ")


# What is taken.


async def test_a_message_is_in_the_tables_when_it_is_answered(store: Store) -> None:
    async with submitting(store) as at, logged_in(at) as wire:
        reply = await handed_in(wire, LETTER + "..dot\r\n", "ann@example.net", "bob@example.org")
        [message] = await rows(store, messages)
        assert message["id"] == id_in(reply)
        assert message["from_address"] == "shop@example.com"
        assert message["stream"] == "default"
        found = await rows(store, deliveries)
        assert [(d["recipient"], d["state"]) for d in found] == [
            ("ann@example.net", "queued"),
            ("bob@example.org", "queued"),
        ]
        assert all(d["return_path"].endswith("@bounces.example.com") for d in found)
        [body] = await rows(store, bodies)
        assert body["content"].endswith(LETTER.encode() + b".dot\r\n")


async def test_headers_say_what_the_api_says_and_are_not_relayed(store: Store) -> None:
    async with submitting(store) as at, logged_in(at) as wire:
        content = (
            "X-Carom-Stream: codes\r\nX-Carom-Send-At: 1800000600\r\n"
            'X-Carom-Metadata: {"order":\r\n 7}\r\nBcc: secret@example.org\r\n' + LETTER
        )
        id_in(await handed_in(wire, content))
        [message] = await rows(store, messages)
        assert (message["stream"], message["class"]) == ("codes", "otp")
        assert message["send_at"] == NOW + 600
        assert message["metadata"] == {"order": 7}
        assert [d["recipient"] for d in await rows(store, deliveries)] == ["ann@example.net"]
        [body] = await rows(store, bodies)
        assert b"carom-" not in body["content"].lower()
        assert b"secret@example.org" not in body["content"]


async def test_a_user_with_a_stream_sends_in_it(store: Store) -> None:
    async with submitting(store) as at, logged_in(at, "apikey+codes") as wire:
        id_in(await handed_in(wire, LETTER))
        id_in(await handed_in(wire, "X-Carom-Stream: news\r\n" + LETTER))
        assert [m["stream"] for m in await rows(store, messages)] == ["codes", "news"]


async def test_the_same_key_twice_is_one_message(store: Store) -> None:
    marked = "X-Carom-Idempotency-Key: order-7\r\n"
    async with submitting(store) as at, logged_in(at) as wire:
        first = await handed_in(wire, f"{marked}Message-ID: <1@example.com>\r\n{LETTER}")
        again = await handed_in(wire, f"{marked}Message-ID: <2@example.com>\r\n{LETTER}")
        assert again == first
        assert len(await rows(store, messages)) == 1
        other = await handed_in(wire, f"{marked}{LETTER}And another.\r\n")
        assert other.startswith("554 5.6.0 X-Carom-Idempotency-Key: was used with another message")
        assert len(await rows(store, messages)) == 1


async def test_a_suppressed_recipient_is_refused_with_reason_and_evidence(store: Store) -> None:
    evidence = "550 5.1.1 no such\r\nuser"
    await suppressed(store, entry("gone@example.net", Why.HARD_BOUNCE, evidence=evidence))
    async with submitting(store) as at, logged_in(at) as wire:
        replies = await envelope(wire, "Gone@EXAMPLE.net", "ann@example.net")
        assert replies == [
            f"550 5.7.1 suppressed: hard_bounce since {SINCE}: 550 5.1.1 no such user",
            "250 2.1.5 OK",
        ]
        await wire.say("DATA")
        id_in(await wire.say(LETTER + "."))
        assert [d["recipient"] for d in await rows(store, deliveries)] == ["ann@example.net"]
        assert at.back.refused == [Reason.SUPPRESSED]


async def test_withheld_in_the_messages_own_stream_is_named_in_the_answer(store: Store) -> None:
    await suppressed(store, entry("tom@example.net", Why.UNSUBSCRIBE, stream="news"))
    news = "X-Carom-Stream: news\r\n" + LETTER
    async with submitting(store) as at:
        async with logged_in(at) as wire:
            reply = await handed_in(wire, news, "ann@example.net", "tom@example.net")
            named = "suppressed: tom@example.net (unsubscribe)"
            assert reply == f"250 2.0.0 {id_in(reply)} accepted; {named}"
            states = {d["recipient"]: d["state"] for d in await rows(store, deliveries)}
            assert states == {"ann@example.net": "queued", "tom@example.net": "suppressed"}
        async with logged_in(at, "apikey+news") as wire:
            [refused] = await envelope(wire, "tom@example.net")
            assert refused.startswith("550 5.7.1 suppressed: unsubscribe since ")


SOFT = entry("tom@example.net", Why.SOFT_BOUNCE, until=NOW + 7 * DAY, evidence="452 4.2.2 full")


async def test_a_login_code_may_probe_what_only_soft_bounces_stand_against(store: Store) -> None:
    """RCPT cannot know yet that it is one: the class comes with the headers."""
    await suppressed(store, SOFT)
    async with submitting(store) as at, logged_in(at) as wire:
        code = "X-Carom-Class: otp\r\n" + LETTER
        assert " accepted" in await handed_in(wire, code, "tom@example.net")
        [row] = await rows(store, deliveries)
        assert row["state"] == "queued"
        second = await handed_in(wire, code, "tom@example.net")
        assert second.startswith("550 5.7.1 suppressed: soft_bounce "), "one probe in a window"


async def test_what_is_no_login_code_is_refused_after_data_where_nobody_else_gets_it(
    store: Store,
) -> None:
    await suppressed(store, SOFT)
    async with submitting(store) as at, logged_in(at) as wire:
        refused = await handed_in(wire, LETTER, "tom@example.net")
        until = "2027-01-22T08:00:00.000Z"
        assert refused == (
            f"550 5.7.1 suppressed: soft_bounce since {SINCE} until {until}: 452 4.2.2 full"
        )
        shared = await handed_in(wire, LETTER, "ann@example.net", "tom@example.net")
        assert shared == (
            f"250 2.0.0 {id_in(shared)} accepted; suppressed: tom@example.net (soft_bounce)"
        )
        states = [(d["recipient"], d["state"]) for d in await rows(store, deliveries)]
        assert sorted(states) == [
            ("ann@example.net", "queued"),
            ("tom@example.net", "suppressed"),
            ("tom@example.net", "suppressed"),
        ]


async def test_any_reason_that_stands_beside_soft_bounces_is_final_at_rcpt(store: Store) -> None:
    await suppressed(store, SOFT, entry("tom@example.net", Why.COMPLAINT))
    async with submitting(store) as at, logged_in(at) as wire:
        [refused] = await envelope(wire, "tom@example.net")
        assert refused.startswith("550 5.7.1 suppressed: complaint since ")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("X-Carom-Class: urgent\r\n" + LETTER, "X-Carom-Class: expected one of otp, "),
        ("X-Carom-Stream: No\r\n" + LETTER, "X-Carom-Stream: expected a name of lower-case"),
        ("X-Carom-Deadline: 1\r\n" + LETTER, "X-Carom-Deadline: expected a time after now"),
        ("X-Carom-Steam: a\r\n" + LETTER, "X-Carom-Steam: there is no such header"),
        ("Subject: no author\r\n\r\nx\r\n", "message: has no From header"),
        (HEAD + HEAD + "\r\nx\r\n", "message: has more than one From header"),
        (HEAD + "\r\n" + "x" * 1_200 + "\r\n", "message: has a line of more than 998 octets"),
        ("no header at all\r\n", "message: line 1 is no header field"),
        ("", "message: "),
    ],
)
async def test_what_cannot_be_sent_is_refused_as_the_api_refuses_it(
    store: Store, content: str, text: str
) -> None:
    async with submitting(store) as at, logged_in(at) as wire:
        reply = await handed_in(wire, content)
        assert reply.startswith(f"554 5.6.0 {text}")
        assert len(reply) <= 510
        assert await rows(store, messages) == []
        id_in(await handed_in(wire, LETTER))


@pytest.mark.parametrize(
    ("address", "reply"),
    [
        ("ann@localhost", "553 5.1.3 the domain has one label only, as in `localhost`"),
        ("ann@127.0.0.1", "553 5.1.3 the domain is a number or an IP address"),
        ("a..b@example.net", "553 5.1.3 the local part begins or ends with a dot"),
        ("ann@-x.example", "553 5.1.3 the domain has a label that begins or ends with a hyphen"),
        ("postmaster", "553 5.1.3 the address has no @"),
        ("@relay.example:ann@example.net", "553 5.1.3 "),
        ("ann%example.org@", "553 5.1.3 "),
    ],
)
async def test_an_address_that_cannot_be_written_to_is_told_why(address: str, reply: str) -> None:
    async with submitting() as at, logged_in(at) as wire:
        [said] = await envelope(wire, address)
        assert said.startswith(reply)


async def test_an_address_outside_ascii_is_taken_with_smtputf8(store: Store) -> None:
    async with submitting(store) as at, logged_in(at) as wire:
        assert (await wire.say("MAIL FROM:<a@example.com> SMTPUTF8")).startswith("250 ")
        assert (await wire.say("RCPT TO:<jörg@bücher.example>")).startswith("250 ")
        await wire.say("DATA")
        id_in(await wire.say(LETTER.replace("ann@example.net", "jörg@bücher.example") + "."))
        [delivery] = await rows(store, deliveries)
        assert delivery["recipient"] == "jörg@xn--bcher-kva.example"
        assert delivery["address_hash"] == address_hash("jörg@xn--bcher-kva.example")
        [refused] = await envelope(wire, "jörg@example.net")
        assert refused.startswith("553 5.6.7 ")


async def test_an_eight_bit_body_is_kept_to_the_octet(store: Store) -> None:
    body = bytes(range(128, 256)) + b"\r\n"
    content = (HEAD + "Content-Transfer-Encoding: 8bit\r\n\r\n").encode() + body
    async with submitting(store) as at, logged_in(at) as wire:
        assert (await wire.say("MAIL FROM:<a@example.com> BODY=8BITMIME")).startswith("250 ")
        await wire.say("RCPT TO:<ann@example.net>")
        await wire.say("DATA")
        id_in(await wire.say(content + b"."))
        [row] = await rows(store, bodies)
        assert row["content"].endswith(content)


async def test_dsn_parameters_are_taken_if_they_are_well_formed() -> None:
    async with submitting() as at, logged_in(at) as wire:
        assert (await wire.say("MAIL FROM:<a@b.example> RET=BODY")).startswith("501 5.5.4 ")
        assert (await wire.say("MAIL FROM:<a@b.example> RET=HDRS ENVID=Q+2B1")).startswith("250 ")
        rcpt = "RCPT TO:<ann@example.net> NOTIFY="
        assert (await wire.say(rcpt + "NEVER,DELAY")).startswith("501 5.5.4 ")
        assert (await wire.say(rcpt + "DELAY ORCPT=rfc822;a@b")).startswith("250 ")


async def test_what_is_too_big_is_refused_before_and_after_it_was_sent() -> None:
    async with submitting(limits=Limits(message=1_000)) as at, logged_in(at) as wire:
        assert (await wire.say("MAIL FROM:<a@b.example> SIZE=1001")).startswith("552 5.3.4 ")
        assert (await handed_in(wire, LETTER + "x" * 1_000 + "\r\n")).startswith("552 5.3.4 ")
        id_in(await handed_in(wire, LETTER))
        assert len(at.back.orders) == 1


async def test_a_pipelined_crowd_is_answered_in_order(store: Store) -> None:
    """RFC 2920: everything from AUTH to QUIT of three messages in one packet."""
    one = f"MAIL FROM:<a@b.example>\r\nRCPT TO:<ann@example.net>\r\nDATA\r\n{LETTER}.\r\n"
    async with submitting(store) as at, dial(at.port) as wire:
        wire.write(f"{plain()}\r\n{one * 3}QUIT\r\n".encode())
        replies = [await wire.reply() for _ in range(14)]
        assert [r[:3] for r in replies] == ["235", *["250", "250", "354", "250"] * 3, "221"]
        ids = [id_in(reply) for reply in replies[4:13:4]]
        assert [m["id"] for m in await rows(store, messages)] == sorted(ids)


async def test_recipients_that_come_together_are_asked_about_together(store: Store) -> None:
    """Each is answered in its own place, whatever stands between them."""
    await suppressed(store, entry("bob@example.net"))
    lines = (
        *("RCPT TO:<ann@example.net>", "RCPT TO:<BOB@example.net>", "RCPT TO:<u@[192.0.2.1]>"),
        *("rcpt to:<ann@example.net>", "RCPT TO:<cy@example.net>", "NOOP"),
        *("RCPT TO:<dee@example.net>", "RCPT TO:nobody", "RCPT TO:<eve@example.net>"),
    )
    async with submitting(store) as at, logged_in(at) as wire:
        wire.write("".join(f"{line}\r\n" for line in ("MAIL FROM:<a@b.example>", *lines)).encode())
        codes = [(await wire.reply())[:3] for _ in range(1 + len(lines))]
        assert codes == ["250", *("250", "550", "553", "250", "250", "250", "250", "501", "250")]
        assert at.back.asked == [4, 2, 1, 1], "a name that comes twice is asked about twice"
        await wire.say("DATA")
        id_in(await wire.say(LETTER + "."))
        assert [d["recipient"] for d in await rows(store, deliveries)] == [
            f"{name}@example.net" for name in ("ann", "cy", "dee", "eve")
        ]


async def test_recipients_past_the_limit_are_not_asked_about() -> None:
    async with submitting(limits=Limits(recipients=3)) as at, logged_in(at) as wire:
        given = "".join(f"RCPT TO:<u{n}@example.net>\r\n" for n in range(5))
        wire.write(f"MAIL FROM:<a@b.example>\r\n{given}".encode())
        codes = [(await wire.reply())[:3] for _ in range(6)]
        assert codes == ["250", "250", "250", "250", "452", "452"]
        assert at.back.asked == [3]


async def test_no_bare_line_end_smuggles_a_second_message(store: Store) -> None:
    """What looks like an end and an envelope is text of the one message, dots and all."""
    for end in (b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r"):
        smuggled = b"MAIL FROM:<x@example.org>" + end + b"RCPT TO:<victim@example.org>\r\n"
        async with submitting(store) as at, logged_in(at) as wire:
            id_in(await handed_in(wire, LETTER.encode() + b"text" + end + smuggled))
    assert len(await rows(store, messages)) == 5
    assert {d["recipient"] for d in await rows(store, deliveries)} == {"ann@example.net"}
    for row in await rows(store, bodies):
        assert row["content"].count(b"\n") == row["content"].count(b"\r\n")
        assert b"MAIL FROM:" in row["content"]


@pytest.mark.parametrize("fault", [StoreUnavailable("host=db"), Overloaded("20001 wait")])
async def test_our_own_trouble_is_temporary_and_tells_nothing(fault: Any) -> None:
    async with submitting() as at, logged_in(at) as wire:
        assert await envelope(wire, "ann@example.net") == ["250 2.1.5 OK"]
        await wire.say("DATA")
        at.back.fault = fault
        assert await wire.say(LETTER + ".") == "451 4.3.0 Nothing can be stored now, try later"
        at.back.fault = None
        id_in(await handed_in(wire, LETTER))


async def test_a_database_that_is_away_puts_off_logins_and_recipients() -> None:
    async with submitting() as at, logged_in(at) as wire:
        await envelope(wire)
        at.back.fault = StoreUnavailable("host=db")
        assert (await wire.say("RCPT TO:<ann@example.net>")).startswith("451 4.3.0 ")
        assert (await wire.say("RSET")).startswith("250 ")
        assert (await wire.say("MAIL FROM:<a@b.example>")).startswith("454 4.7.0 ")
        async with dial(at.port) as other:
            assert (await other.say(plain())).startswith("454 4.7.0 ")
        at.back.fault = None
        id_in(await handed_in(wire, LETTER))


async def test_recipients_past_the_limit_are_put_off_and_the_rest_is_sent() -> None:
    async with submitting(limits=Limits(recipients=2)) as at, logged_in(at) as wire:
        replies = await envelope(wire, *(f"u{n}@example.net" for n in range(3)))
        assert [reply[:9] for reply in replies] == ["250 2.1.5", "250 2.1.5", "452 4.5.3"]
        await wire.say("DATA")
        id_in(await wire.say(LETTER + "."))
        assert len(at.back.orders[0].recipients) == 2


async def test_recipients_of_a_message_given_up_are_not_those_of_the_next() -> None:
    async with submitting() as at, logged_in(at) as wire:
        for give_up in ("RSET", "EHLO client.example.net"):
            await envelope(wire, "lost@example.net")
            await wire.say(give_up)
        id_in(await handed_in(wire, LETTER, "ann@example.net"))
        assert at.back.orders[0].recipients == (parse("ann@example.net"),)


async def test_both_listeners_are_bound_or_none(certificate: Certificate) -> None:
    async with submitting(tls=certificate.server) as at:
        taken = f"{HOST}:{at.tls_port}"

        def made(listen: str) -> Submission:
            return Submission(
                Desk(Logins(at.back.find), at.back.withheld, at.back.accept),
                listen=listen,
                tls_listen=taken,
                hostname="mta.example.com",
                limits=Limits(),
                observe=at.back.refused.append,
                tls=certificate.server,
            )

        with pytest.raises(OSError):
            await made(f"{HOST}:0").start()
