"""One message in, one reading out: the kinds told apart, nothing raised, nothing slow."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.facts import Kind, Reading
from analysis.rulebook import shipped
from analysis.verdict import Category
from ingest.parse import read_mail
from tests.growth import assert_linear
from tests.ingest.letters import LETTER, feedback, group, letter, notice, report

GONE = group(
    final_recipient="rfc822; gone@example.net",
    action="failed",
    status="5.1.1",
    diagnostic_code="smtp; 550 5.1.1 <gone@example.net>: user unknown",
)


def read(raw: bytes) -> Reading:
    return read_mail(raw, shipped())


def test_a_dsn_names_recipient_codes_cause_and_the_returned_message() -> None:
    reading = read(report(GONE))
    (recipient,) = reading.recipients
    assert reading.kind is Kind.BOUNCE
    assert (recipient.address, recipient.status, recipient.reply_code) == (
        "gone@example.net",
        "5.1.1",
        "550",
    )
    assert recipient.verdict.category is Category.BAD_MAILBOX
    assert reading.message_id == "<letter.1@example.com>"
    assert reading.reporting_mta == "mx.example.org"


@pytest.mark.parametrize("encoding", ["", "base64"])
@pytest.mark.parametrize("kind", ["message/delivery-status", "message/global-delivery-status"])
def test_a_dsn_is_read_in_every_wrapping(kind: str, encoding: str) -> None:
    reading = read(report(GONE, kind=kind, encoding=encoding))
    assert [r.address for r in reading.recipients] == ["gone@example.net"]


@pytest.mark.parametrize(
    ("actions", "kind"),
    [
        (["failed"], Kind.BOUNCE),
        (["delayed"], Kind.DELAYED),
        (["delivered"], Kind.DELIVERED),
        (["relayed", "expanded"], Kind.DELIVERED),
        (["delivered", "delayed", "failed"], Kind.BOUNCE),
        (["delivered", "delayed"], Kind.DELAYED),
    ],
)
def test_the_worst_action_names_the_kind(actions: list[str], kind: Kind) -> None:
    groups = [
        group(final_recipient=f"rfc822; u{n}@example.net", action=action)
        for n, action in enumerate(actions)
    ]
    reading = read(report(*groups))
    assert reading.kind is kind
    assert [recipient.action for recipient in reading.recipients] == actions


def test_good_news_is_not_judged() -> None:
    delivered = group(final_recipient="rfc822; u@example.net", action="delivered", status="2.0.0")
    (recipient,) = read(report(delivered)).recipients
    assert recipient.verdict.category is Category.UNKNOWN


def test_a_bare_status_is_explained_by_the_notice_beside_the_address() -> None:
    bare = group(final_recipient="rfc822; full@example.net", action="failed", status="5.0.0")
    text = "<full@example.net>: host mx.example.net said: 552 mailbox is full, over quota"
    (recipient,) = read(report(bare, text=text)).recipients
    assert recipient.verdict.category is Category.MAILBOX_FULL


def test_a_recipient_that_is_a_program_is_named_by_the_notice() -> None:
    piped = group(final_recipient="rfc822;|/usr/bin/sort", action="failed", status="5.0.0")
    text = (
        "The following address(es) failed:\n\n  pipe to |/usr/bin/sort\n    generated from "
        "u@example.net\n  u@example.net\n    local delivery failed\n"
    )
    reading = read(report(piped, text=text))
    assert [recipient.address for recipient in reading.recipients] == ["u@example.net"]


def test_fields_inside_a_text_part_are_read() -> None:
    reading = read(notice(f"Technical report:\n\nReporting-MTA: dns; mx.example.org\n\n{GONE}\n"))
    assert [r.address for r in reading.recipients] == ["gone@example.net"]


def test_a_token_is_found_in_the_returned_mail() -> None:
    token = "b+01hx3v9k2m4n6p8q0r2s4t6v8w" + "0abc" + "k" + "0123456789abcdef"
    returned = f"Return-Path: <{token}@bounces.example.com>\n{LETTER}"
    assert read(report(GONE, returned=returned)).token == token
    assert read(report(GONE)).token is None


def test_a_delay_warning_is_no_failure() -> None:
    raw = notice(
        "Your message has not yet been delivered to:\n\n  <slow@example.net>\n\n"
        "Delivery attempts will continue for some time.",
        subject="Warning: message delayed 24 hours",
    )
    reading = read(raw)
    assert reading.kind is Kind.DELAYED
    assert [(r.address, r.action) for r in reading.recipients] == [("slow@example.net", "delayed")]


def test_a_success_in_prose_is_good_news() -> None:
    raw = notice("Your message was delivered to a@example.net.", subject="Delivery report")
    reading = read(raw)
    assert reading.kind is Kind.DELIVERED
    assert [(r.address, r.action) for r in reading.recipients] == [("a@example.net", "delivered")]


def packed(kind: str, name: str, subject: str) -> bytes:
    return letter(
        [
            "From: reports@example.org",
            f"Subject: {subject}",
            "Content-Type: multipart/mixed; boundary=cut",
        ],
        f'--cut\nContent-Type: {kind}; name="{name}"\nContent-Transfer-Encoding: base64\n\n'
        "UEsDBBQAAAAIAA==\n--cut--",
    )


AGGREGATE = "example.org!example.com!1714950000!1715036399"


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (packed("application/zip", f"{AGGREGATE}.zip", "x"), Kind.DMARC_AGGREGATE),
        (packed("application/gzip", f"{AGGREGATE}.xml.gz", "x"), Kind.DMARC_AGGREGATE),
        (
            packed("application/gzip", "r.gz", "Report Domain: a.example Submitter: b.example"),
            Kind.DMARC_AGGREGATE,
        ),
        (packed("application/x-zip-compressed", f"{AGGREGATE}!1.zip", "x"), Kind.DMARC_AGGREGATE),
        (packed("application/octet-stream", f"{AGGREGATE}!1.json.gz", "x"), Kind.TLS_RPT),
        (packed("application/zip", "photos.zip", "Holiday"), Kind.NORMAL),
        (packed("image/png", "r.png", "Report Domain: a.example Submitter: b"), Kind.NORMAL),
        (packed("application/tlsrpt+gzip", "r.json.gz", "x"), Kind.TLS_RPT),
        (feedback("Feedback-Type: abuse"), Kind.COMPLAINT),
        (
            letter(
                ["Content-Type: multipart/report; report-type=disposition-notification"], "Read."
            ),
            Kind.MDN,
        ),
        (letter(["Subject: Out of office", "From: a@example.net"], "Back soon."), Kind.AUTOREPLY),
        (letter(["Subject: unsubscribe", "From: a@example.net"], ""), Kind.UNSUBSCRIBE),
        (letter(["Subject: Hello", "From: a@example.net"], "Lunch?"), Kind.NORMAL),
        (b"", Kind.NORMAL),
    ],
    ids=lambda value: str(value) if isinstance(value, Kind) else "",
)
def test_kinds_are_told_apart(raw: bytes, kind: Kind) -> None:
    assert read(raw).kind is kind


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (
            ["From: Friend <friend@example.net>", "Subject: Quota exceeded?"],
            "My mailbox is full: 550 5.2.2 over quota. Ask boss@example.net, user unknown to me.",
        ),
        (
            ["From: friend@example.net", "Subject: Fwd: Undelivered Mail Returned to Sender"],
            "See below.\n\n<gone@example.net>: 550 5.1.1 user unknown",
        ),
        (
            [
                "From: friend@example.net",
                "Subject: Re: Delivery Status Notification (Failure)",
                "In-Reply-To: <1@example.com>",
            ],
            "> Delivery to the following recipient failed:\n>\n> gone@example.net",
        ),
        (
            ["From: list@example.net", "List-Id: <mta.example.net>", "Subject: Re: failure notice"],
            "<gone@example.net>:\n550 5.1.1 user unknown",
        ),
        (
            ["From: friend@example.net", "Subject: Mail delivery problem"],
            "When I write to gone@example.net I get:\n\n<gone@example.net>: 550 5.1.1 user unknown",
        ),
        (
            ["From: Support <no-reply@shop.example>", "Subject: Delivery problem: parcel 7"],
            "Could not be delivered to your address. Questions: service@shop.example\nThanks",
        ),
        (
            ["From: a@example.net", "Subject: delivery status report for May", "X-Mailer: Mutt"],
            "u1@example.net: failed\nu2@example.net: 550 unknown\n",
        ),
        (
            ["From: boss@example.net", "Return-Path: <>", "Subject: Out of office"],
            "The mailbox old@example.net does not exist any more, write to new@example.net.",
        ),
        (
            ["From: noreply@news.example", "Subject: Weekly", "List-Id: <news.example>"],
            "Tip: a bounce says '550 5.1.1 <user@example.net>: user unknown' if it failed.",
        ),
        (
            ["From: shop@example.net", "Subject: Your delivery to Main Street"],
            "We could not deliver your parcel. Write to parcels@example.net.",
        ),
    ],
)
def test_people_who_write_about_failures_make_no_bounce(headers: list[str], body: str) -> None:
    assert read(letter(headers, body)).kind in (Kind.NORMAL, Kind.AUTOREPLY)


def test_a_bounce_that_is_marked_as_an_automatic_answer_stays_a_bounce() -> None:
    raw = notice("<gone@example.net>: user unknown", more=["Auto-Submitted: auto-replied"])
    assert read(raw).kind is Kind.BOUNCE


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2_000))
def test_any_bytes_give_a_reading(raw: bytes) -> None:
    assert read(raw).kind in Kind


SAMPLES = [
    report(GONE, GONE.replace("gone", "two")),
    notice("<gone@example.net>: host mx.example.net[192.0.2.1] said: 550 5.1.1 user unknown"),
    feedback("Feedback-Type: abuse\nOriginal-Rcpt-To: a@example.net"),
    notice("Delivery to the following recipients failed.\n\n  a@example.net\n  b@example.net\n"),
]


def mutated(raw: bytes, dice: random.Random) -> bytes:
    """A few cuts, doublings, swaps and noise, as broken software and attackers make them."""
    data = bytearray(raw)
    for _ in range(dice.randint(1, 6)):
        at, size = dice.randrange(len(data) + 1), dice.choice((1, 3, 40, 300))
        match dice.randrange(5):
            case 0:
                del data[at : at + size]
            case 1:
                data[at:at] = data[at : at + size] * dice.choice((1, 2, 50))
            case 2:
                data[at:at] = dice.randbytes(dice.choice((1, 2, 20)))
            case 3:
                data[at:at] = dice.choice((b"\n", b"\r\n\r\n", b"--", b"<" * 300, b"@" * 300))
            case _:
                data[at : at + 1] = bytes([dice.randrange(256)])
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_reports_are_read_without_an_error(seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(250):
        reading = read(mutated(dice.choice(SAMPLES), dice))
        assert reading.error is None or "could not be read" not in reading.error


@pytest.mark.parametrize(
    ("piece", "end"),
    [
        ("<", ""),
        ("<a@", ""),
        ("said: ", "@"),
        ("550 ", "a@example.net"),
        ("a@example.net: ", ""),
        ("(", "@"),
        ("<a@example.net>:\n", ""),
        ("u{}@example.net: unknown\n", ""),
        ("could not be delivered to following address ", "@"),
        (" ", "a@example.net"),
        ("- ", "original message"),
    ],
)
def test_hostile_notices_are_read_in_linear_time(piece: str, end: str) -> None:
    def hostile(size: int) -> bytes:
        body = "".join(piece.format(n) for n in range(size // len(piece)))
        return notice(f"Your message could not be delivered.\n\n{body}{end}")

    assert_linear(read, hostile, 300_000)


def test_a_failure_that_names_nobody_is_judged_but_never_enough_to_stop() -> None:
    raw = notice(
        "Your mail could not be delivered.\n\nReason: no such user here\n",
        sender="MAILER-DAEMON@mx.example.org",
        subject="Mail Error",
    )
    (nameless,) = read(raw).recipients
    assert nameless.address == ""
    assert nameless.verdict.category is Category.BAD_MAILBOX
    assert not nameless.verdict.suppress


def test_a_ticket_about_a_bounce_is_no_bounce_even_without_a_return_path() -> None:
    raw = letter(
        [
            "Return-Path: <>",
            "From: Help <help@example.org>",
            "To: news@example.com",
            "Subject: [#77] Re: undeliverable mail",
        ],
        "Mail to jo@example.net came back with 550 User unknown; the name was misspelt.",
    )
    assert read(raw).kind is Kind.NORMAL


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        (
            "Kan inte levereras: order",
            (
                "Det gick inte att leverera till dessa mottagare:\n\nuser@example.net\n"
                "E-postadressen kunde inte hittas."
            ),
        ),
        (
            "Nelze doručit: objednávka",
            (
                "Doručení těmto příjemcům se nezdařilo:\n\nuser@example.net\n"
                "Zadaná e-mailová adresa nebyla nalezena."
            ),
        ),
        (
            "Ei voi toimittaa: tilaus",
            (
                "Toimitus näille vastaanottajille epäonnistui:\n\nuser@example.net\n"
                "Antamaasi osoitetta ei löytynyt."
            ),
        ),
        (
            "배달되지 않음: 주문",
            (
                "다음 받는 사람에게 배달하지 못했습니다.\n\nuser@example.net\n"
                "입력한 전자 메일 주소를 찾을 수 없습니다."
            ),
        ),
    ],
)
def test_a_notice_is_read_in_the_language_of_its_server(subject: str, text: str) -> None:
    fields = ["From: postmaster@example.net", f"Subject: {subject}"]
    reading = read(letter([*fields, "Content-Type: text/plain; charset=utf-8"], text))
    assert [(r.address, r.verdict.category) for r in reading.recipients] == [
        ("user@example.net", Category.BAD_MAILBOX)
    ]


def test_recipients_without_errors_did_not_fail() -> None:
    text = (
        "Recipients with errors:\n\n  1. user@example.net - unknown user\n\n"
        "Recipients without errors:\n\n  2. other@example.net - delivered\n"
    )
    reading = read(letter(["From: postmaster@example.net", "Subject: Returned mail"], text))
    assert [r.address for r in reading.recipients] == ["user@example.net"]
