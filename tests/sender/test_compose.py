"""What `compose` writes is what other programs read, and nothing else gets in.

Python's own `email` parser is the reader here: it shares no code with the writer.
"""

from __future__ import annotations

import email
import re
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.utils import collapse_rfc2231_value
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.address import Mailbox, parse, parse_mailbox
from sender.compose import (
    MANAGED,
    Attachment,
    Composed,
    Draft,
    Origin,
    compose,
)
from sender.headers import (
    ComposeError,
    address_list,
    decoded,
    header_block,
    prepend,
    read_block,
)

ORIGIN = Origin("01jd0c4r0m0000000000000abc", "example.com", "receipts", "transactional", 1.7e9)
SHOP = parse_mailbox("Shop <shop@example.com>")
ANN = parse_mailbox("ann@example.net")

safe_text = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="="),
    max_size=300,
)


def draft(
    subject: str = "Your receipt",
    text: str | None = "Thank you.\n",
    html: str | None = None,
    *,
    from_: Mailbox = SHOP,
    to: tuple[Mailbox, ...] = (ANN,),
    reply_to: tuple[Mailbox, ...] = (),
    headers: tuple[tuple[str, str], ...] = (),
    attachments: tuple[Attachment, ...] = (),
) -> Draft:
    return Draft(from_, to, subject, text, html, reply_to, headers, attachments)


def read(content: bytes) -> EmailMessage:
    return email.message_from_bytes(content, policy=policy.default)


def tree(part: Message) -> str:
    """The structure in one line: `mixed(plain, pdf)`."""
    if not part.is_multipart():
        return part.get_content_subtype()
    inner = cast(list[Message], part.get_payload())
    return f"{part.get_content_subtype()}({', '.join(map(tree, inner))})"


def body(part: Message) -> bytes:
    return cast(bytes, part.get_payload(decode=True))


def lines(content: bytes) -> list[bytes]:
    assert content.endswith(b"\r\n")
    assert content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r")
    return content.split(b"\r\n")


def header_lines(composed: Composed) -> list[bytes]:
    return lines(composed.content.partition(b"\r\n\r\n")[0] + b"\r\n")


# compose


def test_plain_message_reads_line_by_line() -> None:
    assert compose(draft(), ORIGIN).content.decode().split("\r\n") == [
        "Date: Tue, 14 Nov 2023 22:13:20 +0000",
        "From: Shop <shop@example.com>",
        "To: ann@example.net",
        "Subject: Your receipt",
        "Message-ID: <01jd0c4r0m0000000000000abc@example.com>",
        "Auto-Submitted: auto-generated",
        "Feedback-ID: receipts:transactional:example.com:carom",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 7bit",
        "",
        "Thank you.",
        "",
    ]


def test_record_of_a_message_says_what_was_given() -> None:
    composed = compose(draft(" Grüße "), ORIGIN)
    assert composed.subject == "Grüße"
    assert composed.message_id == "<01jd0c4r0m0000000000000abc@example.com>"
    assert composed.from_ == SHOP
    assert composed.content.isascii()


PNG = Attachment("logo.png", "image/png", b"\x89PNG", "logo", "inline")
PDF = Attachment("bill.pdf", "application/pdf", b"%PDF")


@pytest.mark.parametrize(
    ("text", "html", "attachments", "structure"),
    [
        ("a", None, (), "plain"),
        (None, "<p>a", (), "html"),
        ("", "<p>a", (), "alternative(plain, html)"),
        ("a", "<p>a", (PNG,), "alternative(plain, related(html, png))"),
        ("a", None, (PNG,), "mixed(plain, png)"),
        ("a", None, (PDF,), "mixed(plain, pdf)"),
        (None, "<p>a", (PNG, PDF), "mixed(related(html, png), pdf)"),
        ("a", "<p>a", (PDF, PNG), "mixed(alternative(plain, related(html, png)), pdf)"),
    ],
)
def test_parts_nest_by_what_is_given(
    text: str | None, html: str | None, attachments: tuple[Attachment, ...], structure: str
) -> None:
    message = read(compose(draft("s", text, html, attachments=attachments), ORIGIN).content)
    assert tree(message) == structure
    assert not [part for part in message.walk() if part.defects]


def test_same_arguments_give_the_same_bytes() -> None:
    one = draft("ü", "ü", "<p>ü", attachments=(PNG, PDF))
    assert compose(one, ORIGIN) == compose(one, ORIGIN)


def test_shown_image_has_the_content_id_that_html_names() -> None:
    message = read(
        compose(draft("s", "a", "<img src=cid:logo>", attachments=(PNG,)), ORIGIN).content
    )
    image = next(part for part in message.walk() if part.get_content_type() == "image/png")
    assert image["Content-ID"] == "<logo>"
    related = next(part for part in message.walk() if part.get_content_subtype() == "related")
    assert related.get_param("type") == "text/html"
    assert image.get_content_disposition() == "inline"
    assert body(image) == PNG.content


@given(safe_text)
def test_any_subject_reads_back_within_the_line_limits(subject: str) -> None:
    composed = compose(draft(subject), ORIGIN)
    assert read(composed.content)["Subject"] == subject.strip(" ")
    assert decoded(dict(read_block(composed.content)[0])[b"Subject"]) == subject.strip(" ")
    words = [line for line in header_lines(composed) if b"=?" in line]
    assert all(len(line) <= 76 for line in words)
    assert composed.content.isascii()


@pytest.mark.parametrize(
    "subject",
    ["2+2=?", "a  b   c", "x" * 899, "=", "?=", "a =? b", "", "ü" * 2000, "x" * 3999, "😀" * 200],
    ids=lambda text: text[:8],
)
def test_odd_subject_reads_back(subject: str) -> None:
    composed = compose(draft(subject), ORIGIN)
    assert decoded(dict(read_block(composed.content)[0])[b"Subject"]) == subject
    assert max(map(len, lines(composed.content))) <= 998


def test_half_an_encoded_word_does_not_stay_one() -> None:
    """Whatever a lenient reader makes of `=?`, it sees none that the caller wrote."""
    composed = compose(draft("a =? b", headers=(("X-A", "=?x"),)), ORIGIN)
    words = re.findall(rb"=\?[^\r]*", composed.content)
    assert words == [b"=?utf-8?b?YSA9PyBi?=", b"=?utf-8?b?PT94?="]


def test_long_header_name_leaves_the_limits_intact() -> None:
    composed = compose(draft(headers=(("X-" + "a" * 68, "ü" * 99),)), ORIGIN)
    assert max(map(len, header_lines(composed))) <= 76
    assert decoded(dict(read_block(composed.content)[0])[b"X-" + b"a" * 68]) == "ü" * 99


def test_words_of_a_multibyte_subject_are_each_whole() -> None:
    """RFC 2047 section 5: a character is never cut between two encoded-words."""
    composed = compose(draft("密码重置通知" * 30), ORIGIN)
    words = re.findall(rb"=\?utf-8\?b\?[A-Za-z0-9+/=]+\?=", composed.content)
    assert len(words) > 5
    assert "".join(decoded(word) for word in words) == "密码重置通知" * 30
    assert all(len(word) <= 75 and "\ufffd" not in decoded(word) for word in words)


@given(safe_text)
def test_any_display_name_reads_back(name: str) -> None:
    people = (Mailbox(name, ANN.address), Mailbox("Bob, Dr.", parse("bob@example.org")))
    composed = compose(draft(to=people), ORIGIN)
    value = dict(read_block(composed.content)[0])[b"To"]
    assert address_list(value) == [
        (name.strip(" "), "ann@example.net"),
        ("Bob, Dr.", "bob@example.org"),
    ]


def test_python_reads_display_names_too() -> None:
    names = [
        "Ann",
        'Say "hi" \\',
        "Dr. Ann, MD",
        "Müller, Ann",
        "李雷 (法务)",
        "a@b <c>",
        "x" * 90,
    ]
    people = tuple(Mailbox(name, ANN.address) for name in names)
    composed = compose(draft(to=people, reply_to=people[3:4]), ORIGIN)
    header = read(composed.content)
    assert [one.display_name for one in header["To"].addresses] == names
    assert {one.addr_spec for one in header["To"].addresses} == {"ann@example.net"}
    assert [one.display_name for one in header["Reply-To"].addresses] == ["Müller, Ann"]


def test_long_display_name_is_folded() -> None:
    name = "Ann, MD, " * 9 + "PhD"
    composed = compose(draft(to=(Mailbox(name, ANN.address),)), ORIGIN)
    assert max(map(len, header_lines(composed))) <= 76
    value = email.message_from_bytes(composed.content)["To"]
    assert str(make_header(decode_header(value))) == f"{name} <ann@example.net>"


def test_long_recipient_list_is_folded() -> None:
    people = tuple(parse_mailbox(f"Person {n} <person{n}@example.net>") for n in range(60))
    composed = compose(draft(to=people), ORIGIN)
    assert len(read(composed.content)["To"].addresses) == 60
    assert max(map(len, header_lines(composed))) <= 76


def test_idn_domain_is_written_in_a_labels() -> None:
    composed = compose(draft(to=(parse_mailbox("ann@bücher.example"),)), ORIGIN)
    assert b"To: ann@xn--bcher-kva.example\r\n" in composed.content
    assert composed.content.isascii()


def test_address_beyond_ascii_stands_as_it_is() -> None:
    """RFC 6532: such an address has no ASCII form."""
    composed = compose(draft(to=(parse_mailbox("Jörg <jörg@example.net>"),)), ORIGIN)
    assert "<jörg@example.net>".encode() in composed.content


# bodies


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_any_text_reads_back_and_is_clean_on_the_wire(text: str) -> None:
    composed = compose(draft("s", text, text), ORIGIN)
    message = read(composed.content)
    given = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n").encode()
    plain, html = (body(part) for part in message.iter_parts())
    assert (plain, html) == (given, given)
    assert composed.content.isascii()
    assert max(map(len, lines(composed.content))) <= 78
    assert not re.search(rb"(?m)^From ", composed.content.partition(b"\r\n\r\n")[2])


def test_line_that_begins_with_from_is_written_otherwise() -> None:
    """Programs that keep mail in mbox files would put a `>` before it and break the signature."""
    text = "From here\r\nFrom ü\r\n" + "From " + "y" * 90
    composed = compose(draft("s", text), ORIGIN)
    assert b"\nFrom " not in composed.content.partition(b"\r\n\r\n")[2]
    assert b"From " not in composed.content.partition(b"\r\n\r\n")[2][:5]
    assert body(read(composed.content)) == text.encode() + b"\r\n"


def encoding_of(text: str) -> str:
    return str(read(compose(draft("s", text), ORIGIN).content)["Content-Transfer-Encoding"])


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain\n", "7bit"),
        ("x" * 78, "7bit"),
        ("x" * 79, "quoted-printable"),
        ("x" * 5000, "quoted-printable"),
        ("one\nFrom here on\n", "quoted-printable"),
        ("From " + "y" * 72, "quoted-printable"),
        ("a naïve reader of the plain part\n", "quoted-printable"),
        ("完全是中文的正文\n" * 9, "base64"),
        ("a terminal's escape \x1b[0m", "quoted-printable"),
        ("--=_01jd0c4r0m0000000000000abc_mix--", "quoted-printable"),
    ],
)
def test_encoding_is_the_plainest_that_is_safe(text: str, encoding: str) -> None:
    assert encoding_of(text) == encoding


def test_boundary_inside_the_text_does_not_end_a_part() -> None:
    text = "--=_01jd0c4r0m0000000000000abc_mix--\n"
    message = read(compose(draft("s", text, attachments=(PDF,)), ORIGIN).content)
    assert tree(message) == "mixed(plain, pdf)"


@pytest.mark.parametrize(("text", "why"), [("a\0b", "NUL"), ("a\ud800", "surrogate")])
def test_text_that_no_charset_holds_is_refused(text: str, why: str) -> None:
    with pytest.raises(ComposeError, match=f"html: contains .*{why}"):
        compose(draft("s", "a", text), ORIGIN)


# attachments


@given(st.binary(max_size=400))
def test_attached_bytes_come_out_unchanged(content: bytes) -> None:
    one = Attachment("a.csv", "text/csv; charset=utf-8", content)
    message = read(compose(draft(attachments=(one,)), ORIGIN).content)
    assert [body(part) for part in message.iter_attachments()] == [content]


@pytest.mark.parametrize(
    ("name", "fallback"),
    [
        ("bill.pdf", "bill.pdf"),
        ("my bill (2).pdf", "my bill (2).pdf"),
        ("Überweisung.pdf", "Uberweisung.pdf"),
        ("发票.pdf", "__.pdf"),
        ('a"b.txt', "a_b.txt"),
        ("ü" * 127, "u" * 127),
    ],
)
def test_filename_reads_back_and_has_an_ascii_fallback(name: str, fallback: str) -> None:
    composed = compose(draft(attachments=(Attachment(name, "image/gif", b""),)), ORIGIN)
    part = cast(Message, email.message_from_bytes(composed.content).get_payload(1))
    params = part.get_params([], header="content-disposition")
    names = [collapse_rfc2231_value(value) for key, value in params if key == "filename"]
    assert names == ([name] if name == fallback else [fallback, name])


@pytest.mark.parametrize(
    ("attachment", "field"),
    [
        (Attachment("", "image/gif", b""), "filename"),
        (Attachment("../etc/passwd", "image/gif", b""), "filename"),
        (Attachment("a\r\nX: y", "image/gif", b""), "filename"),
        (Attachment("=?utf-8?q?a=0D=0AX:_y?=", "image/gif", b""), "filename"),
        (Attachment("ü" * 128, "image/gif", b""), "filename"),
        (Attachment("a", "gif", b""), "content_type"),
        (Attachment("a", "image/gif\r\nX: y", b""), "content_type"),
        (Attachment("a", "image/gif; a=b\r\n c=d", b""), "content_type"),
        (Attachment("a", "multipart/mixed; boundary=x", b""), "content_type"),
        (Attachment("a", "message/rfc822", b""), "content_type"),
        (Attachment("a", "image/gif", b"", "a> b", "inline"), "content_id"),
    ],
)
def test_bad_attachment_is_refused_by_field(attachment: Attachment, field: str) -> None:
    with pytest.raises(ComposeError) as refused:
        compose(draft(attachments=(PDF, attachment)), ORIGIN)
    assert refused.value.field == f"attachments.1.{field}"


# the caller's headers


def test_callers_headers_are_kept_in_order() -> None:
    given = (("X-Order", "12 ü"), ("In-Reply-To", "<a@example.net>"), ("References", "<a@b> <c@d>"))
    message = read(compose(draft(headers=given), ORIGIN).content)
    assert [(name, message[name]) for name, _ in given] == list(given)


@pytest.mark.parametrize(
    "name", sorted(MANAGED | {"content-type", "resent-to", "arc-seal", "FROM"})
)
def test_managed_header_is_refused_in_any_case(name: str) -> None:
    with pytest.raises(ComposeError, match="written by Carom") as refused:
        compose(draft(headers=((name, "x"),)), ORIGIN)
    assert refused.value.field == f"headers.{name}"


@pytest.mark.parametrize(
    "name", ["", "X Y", "X:", "X\r\nBcc", "X\nBcc: v@x\nY", "Ü", "x" * 71, "X\0"]
)
def test_bad_header_name_is_refused(name: str) -> None:
    """Python's own policy takes a line end in a header name."""
    with pytest.raises(ComposeError, match="letters, digits and hyphens") as refused:
        compose(draft(headers=((name, "x"),)), ORIGIN)
    assert refused.value.field == f"headers.{name[:70]}"


HOSTILE = [
    "a\r\nBcc: v@x",
    "a\nBcc: v@x",
    "a\rb",
    "a\0b",
    "a\x7fb",
    "a\x85b",
    "a\u2028b",
    "a\u2029b",
    "a\ud800",
    "=?utf-8?q?x=0D=0ABcc:_v@x?=",
    "a =?UTF-8?B?DQpCY2M6IHZAeA==?= b",
    "=?utf-8*en?q?x?=",
    "x" * 4001,
]


@pytest.mark.parametrize("value", HOSTILE, ids=ascii)
def test_hostile_value_is_refused_wherever_it_is_given(value: str) -> None:
    """CVE-2024-6923: an encoded-word became a real Bcc header on Python 3.11.7."""
    named = Mailbox(value, ANN.address)
    for field, bad in {
        "subject": draft(value),
        "headers.X-A": draft(headers=(("X-A", value),)),
        "from": draft(from_=named),
        "to": draft(to=(ANN, named)),
        "reply_to": draft(reply_to=(named,)),
    }.items():
        with pytest.raises(ComposeError) as refused:
            compose(bad, ORIGIN)
        assert refused.value.field == field


@given(st.text(max_size=40), st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=300)
def test_nothing_given_ever_adds_a_header(name: str, value: str, subject: str) -> None:
    try:
        composed = compose(draft(subject, headers=((name, value),)), ORIGIN)
    except ComposeError:
        return
    expected = {*read(compose(draft(), ORIGIN).content).keys(), name}
    assert set(read(composed.content).keys()) == expected


@pytest.mark.parametrize(
    ("one", "field"),
    [
        (draft(text=None), "text"),
        (draft(to=()), "to"),
        (draft(headers=(("X-A", "1"), ("x-a", "2"))), "headers"),
        (draft(headers=(("X-A", "  "),)), "headers.X-A"),
        (draft(headers=(("References", "<ü@example.com>"),)), "headers.References"),
        (draft(headers=tuple((f"X-{n}", "1") for n in range(51))), "headers"),
        (draft(headers=tuple((f"X-{n}", "ü" * 2000) for n in range(50))), "headers"),
        (draft(attachments=(PDF,) * 101), "attachments"),
    ],
)
def test_draft_that_cannot_be_mail_is_refused_by_field(one: Draft, field: str) -> None:
    with pytest.raises(ComposeError) as refused:
        compose(one, ORIGIN)
    assert refused.value.field == field


def test_origin_refuses_a_stream_that_would_split_the_feedback_id() -> None:
    with pytest.raises(ValueError, match="stream"):
        Origin("01jd0c4r0m0000000000000abc", "example.com", "a:b", "bulk", 0.0)


# per-delivery headers


def test_prepended_headers_leave_the_message_as_it_was() -> None:
    content = compose(draft(), ORIGIN).content
    link = "<https://example.com/u/" + "a" * 47 + ">"
    more = prepend(
        content,
        [
            ("List-Unsubscribe", f"<mailto:u+x@b.example.com>, {link}"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ],
    )
    assert more.endswith(content)
    message = read(more)
    assert message["List-Unsubscribe"] == f"<mailto:u+x@b.example.com>, {link}"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


@pytest.mark.parametrize("value", ["a\r\nBcc: v@x", "ü", "a\tb"])
def test_prepend_refuses_what_is_not_printable_ascii(value: str) -> None:
    with pytest.raises(ComposeError, match="List-Unsubscribe: must be printable ASCII"):
        prepend(b"", [("List-Unsubscribe", value)])


@pytest.mark.parametrize("token", ["a\r\nBcc: v@x", "a\r\n\r\nbody", "a\rb", "a\nb", " a"])
def test_block_that_reads_back_otherwise_is_never_returned(token: str) -> None:
    """The last guard, should a check before it ever be forgotten."""
    with pytest.raises(RuntimeError, match="does not read back"):
        header_block([("Subject", [token])])
