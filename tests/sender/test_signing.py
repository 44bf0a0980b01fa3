"""Every signature made here is verified by dkimpy, and once by opendkim, which share no code."""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path

import dkim
import pytest
from dkim.canonicalization import Relaxed, Simple
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.address import parse_mailbox
from analysis.dkim_form import relaxed_body, relaxed_field, simple_body
from sender.compose import Draft, Origin, compose
from sender.dkim_keys import KeyKind, dns_record, generate, load
from sender.headers import prepend, read_block
from sender.signing import Signer, body_hash, sign

RSA = Signer("example.com", "r1", load(generate(KeyKind.RSA)))
ED25519 = Signer("example.com", "e1", load(generate(KeyKind.ED25519)))
BOTH = (RSA, ED25519)
NOW = 1_700_000_000

HEAD = (
    b"From: Shop <shop@example.com>\r\nTo: ann@example.net\r\nSubject: Your  receipt\r\n"
    b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <1@example.com>\r\n"
)
MESSAGE = HEAD + b"\r\nThank you.\r\n"


def dns(name: bytes, timeout: int = 5) -> bytes:
    """The zone that publishes both keys."""
    zone = {f"{s.selector}._domainkey.{s.domain}.".encode(): dns_record(s.key) for s in BOTH}
    return zone[name].encode()


def verdicts(content: bytes) -> list[bool]:
    """What dkimpy says of the two signatures on top, RSA first."""
    return [verdict(content, idx) for idx in (0, 1)]


def verdict(content: bytes, idx: int) -> bool:
    try:
        return bool(dkim.DKIM(content).verify(idx=idx, dnsfunc=dns))
    except dkim.ValidationError:  # how dkimpy says that the body hash differs
        return False


def signed(content: bytes) -> bytes:
    return sign(content, BOTH, now=NOW) + content


def tags(signature: bytes) -> dict[str, str]:
    [(_, value)], _ = read_block(signature)
    pairs = (tag.split("=", 1) for tag in "".join(value.decode().split()).split(";"))
    return {pair[0]: pair[1] for pair in pairs}


def test_both_signatures_are_valid() -> None:
    assert verdicts(signed(MESSAGE)) == [True, True]


def test_signature_says_what_it_is() -> None:
    found = tags(sign(MESSAGE, [ED25519], now=NOW, lifetime=86_400))
    assert {key: found[key] for key in "vacdstx"} == {
        "v": "1",
        "a": "ed25519-sha256",
        "c": "relaxed/relaxed",
        "d": "example.com",
        "s": "e1",
        "t": "1700000000",
        "x": "1700086400",
    }
    assert "l" not in found
    assert "x" not in tags(sign(MESSAGE, [RSA], now=NOW))
    assert tags(sign(MESSAGE, [RSA], now=NOW))["a"] == "rsa-sha256"


def test_lines_of_the_signature_are_short() -> None:
    assert max(map(len, sign(MESSAGE, BOTH, now=NOW).split(b"\r\n"))) <= 76


def test_rsa_signature_is_the_same_each_time() -> None:
    """Both schemes are deterministic, so a retry sends the same bytes."""
    assert sign(MESSAGE, BOTH, now=NOW) == sign(MESSAGE, BOTH, now=NOW)


def test_composed_message_with_list_headers_is_valid() -> None:
    """RFC 8058 section 4: both List-Unsubscribe headers must be signed."""
    origin = Origin("01jd0c4r0m0000000000000abc", "example.com", "news", "bulk", NOW)
    shop = parse_mailbox("Grüße <shop@example.com>")
    one = Draft(shop, (shop,), "Grüße " * 30, "zwölf\n", "<p>zwölf", headers=(("X-A", "b"),))
    content = prepend(
        compose(one, origin).content,
        [
            ("List-Unsubscribe", "<https://example.com/u/1>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ],
    )
    names = tags(sign(content, [RSA], now=NOW))["h"].split(":")
    assert {
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
        "Feedback-ID",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
        "Message-ID",
    } <= set(names)
    assert "X-A" not in names
    assert verdicts(signed(content)) == [True, True]


bodies = st.lists(
    st.one_of(
        st.sampled_from(
            [b"\r\n", b" ", b"\t", b" \t ", b"\r\n\r\n", b".", b"From ", b"\xe4", b"\0"]
        ),
        st.binary(max_size=8),
        st.text(max_size=8).map(lambda text: text.encode("utf-8", "ignore")),
    ),
    max_size=30,
).map(b"".join)


def on_the_wire(content: bytes) -> bytes:
    """CRLF everywhere and at the end, as SMTP sends it."""
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    return lines if lines.endswith(b"\r\n") or not lines else lines + b"\r\n"


@given(bodies)
@settings(max_examples=400)
def test_body_is_canonical_as_dkimpy_has_it(body: bytes) -> None:
    assert relaxed_body(on_the_wire(body)) == Relaxed.canonicalize_body(on_the_wire(body))
    assert simple_body(on_the_wire(body)) == Simple.canonicalize_body(on_the_wire(body))


@given(bodies)
@settings(max_examples=60, deadline=None)
def test_any_body_is_signed_validly(body: bytes) -> None:
    assert verdicts(signed(HEAD + b"\r\n" + on_the_wire(body))) == [True, True]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b" \r\n",
        b"\r\n\r\n \t\r\n",
        b"a",
        b"a ",
        b"a\tb  c \t\r\n\r\n\r\n",
        b"\xe4\r\n",
    ],
)
def test_signature_holds_after_smtp_has_ended_the_last_line(body: bytes) -> None:
    content = HEAD + b"\r\n" + body
    signature = sign(content, BOTH, now=NOW)
    assert verdicts(signature + HEAD + b"\r\n" + on_the_wire(body)) == [True, True]


def test_message_without_a_body_is_signed_validly() -> None:
    assert verdicts(signed(HEAD)) == [True, True]


values = st.text(st.sampled_from("aB\xe4 \t=:;?<>"), max_size=30).map(str.encode)
folds = st.lists(values.filter(lambda text: bool(text.strip())), max_size=4).map(b"\r\n ".join)
names = st.sampled_from([b"Subject", b"SUBJECT", b"to", b"Cc", b"References", b"X-A", b"List-Id"])


@given(st.lists(st.tuples(names, st.sampled_from([b":", b": ", b":\t"]), folds), max_size=8))
@settings(max_examples=60, deadline=None)
def test_any_headers_are_signed_validly(extra: list[tuple[bytes, bytes, bytes]]) -> None:
    """Repeated, folded, in any case, with any white space."""
    more = b"".join(name + colon + value + b"\r\n" for name, colon, value in extra)
    assert verdicts(signed(more + MESSAGE)) == [True, True]


@given(st.lists(st.tuples(names, folds), min_size=1, max_size=5))
def test_field_is_canonical_as_dkimpy_has_it(fields: list[tuple[bytes, bytes]]) -> None:
    ours = [relaxed_field(name, value) + b"\r\n" for name, value in fields]
    theirs = Relaxed.canonicalize_headers([(name, value + b"\r\n") for name, value in fields])
    assert ours == [name + b":" + value for name, value in theirs]


@pytest.mark.parametrize(
    "tampered",
    [
        b"From: evil@example.com\r\n" + MESSAGE,
        b"Subject: other\r\n" + MESSAGE,
        b"To: x@example.org\r\n" + MESSAGE,
        b"Date: Tue, 14 Nov 2023 22:13:21 +0000\r\n" + MESSAGE,
        b"Reply-To: evil@example.net\r\n" + MESSAGE,
        b"Cc: victim@example.net\r\n" + MESSAGE,
        b"Content-Type: text/html\r\n" + MESSAGE,
        b"Content-Transfer-Encoding: base64\r\n" + MESSAGE,
        b"MIME-Version: 1.0\r\n" + MESSAGE,
        b"Message-ID: <again@example.net>\r\n" + MESSAGE,
        MESSAGE.replace(b"receipt", b"invoice"),
        MESSAGE.replace(b"<1@", b"<2@"),
        MESSAGE + b"P.S.\r\n",
    ],
    ids=[
        *(
            "from",
            "subject",
            "to",
            "date",
            "reply-to",
            "cc",
            "type",
            "encoding",
            "mime",
            "another id",
        ),
        *("changed", "message-id", "appended"),
    ],
)
def test_added_or_changed_parts_break_both_signatures(tampered: bytes) -> None:
    assert verdicts(sign(MESSAGE, BOTH, now=NOW) + tampered) == [False, False]


def test_missing_subject_cannot_be_added() -> None:
    """Oversigning names a header that is not there."""
    bare = b"From: a@example.com\r\n\r\nHello\r\n"
    signature = sign(bare, BOTH, now=NOW)
    assert tags(signature.partition(b"\r\nDKIM")[0] + b"\r\n")["h"] == (
        "From:From:Reply-To:To:Cc:Subject:Date:Message-ID:MIME-Version:Content-Type:"
        "Content-Transfer-Encoding"
    )
    assert verdicts(signature + bare) == [True, True]
    assert verdicts(signature + b"Subject: x\r\n" + bare) == [False, False]


def test_unsigned_header_may_be_added() -> None:
    assert verdicts(sign(MESSAGE, BOTH, now=NOW) + b"Received: by x\r\n" + MESSAGE) == [True, True]


def test_body_hash_of_the_message_serves_every_delivery() -> None:
    hashed = body_hash(MESSAGE)
    for name in ("ann", "bob"):
        content = prepend(MESSAGE, [("List-Unsubscribe", f"<https://example.com/u/{name}>")])
        assert sign(content, BOTH, now=NOW, hashed=hashed) == sign(content, BOTH, now=NOW)


@pytest.mark.parametrize(
    "content",
    [
        MESSAGE + b"bare\nLF\r\n",
        MESSAGE + b"bare\rCR\r\n",
        MESSAGE.replace(b"\r\nTo", b"\nTo"),
        b"no header here\r\n\r\n",
        b" folded: x\r\n\r\n",
        b"\r\nbody\r\n",
        b"",
    ],
)
def test_content_that_the_next_hop_would_change_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"bare CR or LF|no header block"):
        sign(content, BOTH, now=NOW)


@pytest.mark.parametrize(
    ("domain", "selector"),
    [
        ("Example.com", "s"),
        ("bücher.example", "s"),
        ("example.com", "s; l=0"),
        ("a..b", "s"),
        ("example.com\r\nX", "s"),
        ("example.com", ""),
        ("example.com", "s" * 64),
    ],
)
def test_name_that_is_no_dns_name_is_refused(domain: str, selector: str) -> None:
    with pytest.raises(ValueError, match="lower-case ASCII"):
        Signer(domain, selector, RSA.key)


def test_key_is_not_shown() -> None:
    assert "key" not in repr(RSA)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "line",
    [b"x" + b" " * 989 + b"\r\n", b" " * 989 + b"x\r\n", b" " * 100_000, b" x" * 495 + b"\r\n"],
    ids=["trailing", "leading", "one line", "single"],
)
def test_white_space_costs_linear_time(line: bytes) -> None:
    """20 MB of each: dkimpy needs seconds for one MB with leading spaces, hours for one line."""
    body_hash(HEAD + b"\r\n" + line * (20_000_000 // len(line)) + b"\r\n")


def test_threads_sign_with_one_key() -> None:
    results: list[bytes] = []

    def work() -> None:
        results.extend(sign(MESSAGE, BOTH, now=NOW) for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [sign(MESSAGE, BOTH, now=NOW)] * 200


OPENDKIM = shutil.which("opendkim") or "/usr/sbin/opendkim"


def opendkim_accepts(content: bytes, folder: Path) -> bool:
    (folder / "mail").write_bytes(content)
    (folder / "dns").write_text(f"r1._domainkey.example.com {dns_record(RSA.key)}\n")
    (folder / "conf").write_text(f"TestDNSData refile:{folder}/dns\n")
    said = subprocess.run(
        [OPENDKIM, "-x", folder / "conf", "-vv", "-t", folder / "mail"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    words = said.stdout + said.stderr
    assert "header.d=example.com" in words
    return "dkim=pass" in words


@pytest.mark.skipif(not Path(OPENDKIM).exists(), reason="needs Debian's opendkim")
@pytest.mark.parametrize(
    "body", [b"", b"Thank you. \t \r\n\r\n\r\n", b"\ttabs  and   spaces\xe4\r\n"]
)
def test_opendkim_agrees(tmp_path: Path, body: bytes) -> None:
    """A second judge, written in C.  Debian's knows no Ed25519, so it is asked for RSA only."""
    content = HEAD + b"Cc: b@example.net,\r\n\tc@example.net\r\n\r\n" + body
    signature = sign(content, [RSA], now=NOW)
    assert opendkim_accepts(signature + content, tmp_path)
    assert not opendkim_accepts(signature + content + b"P.S.\r\n", tmp_path)
    assert not opendkim_accepts(signature + b"Subject: x\r\n" + content, tmp_path)
