"""One mailbox has one key, however it is spelt; what cannot be written to is refused in words."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.address import (
    Address,
    AddressError,
    Mailbox,
    _parse_any,
    address_hash,
    parse,
    parse_domain,
    parse_mailbox,
)
from tests.growth import assert_linear, calls

ATOM = "abzABZ059!#$%&'*+/=?^_`{|}~-"
atoms = st.lists(st.text(ATOM, min_size=1, max_size=8), min_size=1, max_size=4).map(".".join)
domains = st.sampled_from(
    ["example.com", "Mail.Example.ORG", "a-b.example", "xn--bcher-kva.example", "r3---x.example"]
)


@pytest.mark.parametrize(
    ("text", "wire", "key"),
    [
        ("user@example.com", "user@example.com", "user@example.com"),
        ("User.Name+Tag@EXAMPLE.com", "User.Name+Tag@example.com", "user.name+tag@example.com"),
        ("o'brien@example.com", "o'brien@example.com", "o'brien@example.com"),
        ("0@1.example", "0@1.example", "0@1.example"),
        ("u@Bücher.example", "u@xn--bcher-kva.example", "u@xn--bcher-kva.example"),
        ("u@XN--BCHER-KVA.example", "u@xn--bcher-kva.example", "u@xn--bcher-kva.example"),
        ("u@例え。テスト", "u@xn--r8jz45g.xn--zckzah", "u@xn--r8jz45g.xn--zckzah"),
        (
            "u@نامه\u200cای.example",
            "u@xn--mgba3gch31f060k.example",
            "u@xn--mgba3gch31f060k.example",
        ),
        ("Пётр@example.com", "Пётр@example.com", "пётр@example.com"),
        ("张三@example.com", "张三@example.com", "张三@example.com"),
        ('"plain"@example.com', "plain@example.com", "plain@example.com"),
        ('"A..b."@example.com', '"A..b."@example.com', '"a..b."@example.com'),
    ],
)
def test_what_the_world_uses_is_read(text: str, wire: str, key: str) -> None:
    address = parse(text)
    assert (address.wire, address.key) == (wire, key)
    assert address.needs_smtputf8 is not wire.isascii()


def test_the_domain_is_shown_in_unicode() -> None:
    assert parse("u@xn--bcher-kva.example").unicode_domain == "bücher.example"
    assert str(parse("u@BÜCHER.example")) == "u@bücher.example"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("user", "no @"),
        ("user＠example.com", "no @"),
        ("@example.com", "nothing before"),
        ("user@", "no domain"),
        ("user@localhost", "one label"),
        ("user@example.com.", "ends in a dot"),
        ("user@.example.com", "empty label"),
        ("user@example..com", "empty label"),
        ("user@-bad.example", "hyphen"),
        ("user@bad-.example", "hyphen"),
        ("user@a_b.example", "'_'"),
        ("user@" + "a" * 64 + ".example", "63"),
        ("user@" + ".".join(["a" * 60] * 5) + ".example", "253"),
        ("user@[127.0.0.1]", "literal"),
        ("user@[IPv6:::1]", "literal"),
        ("user@127.0.0.1", "IP address"),
        ("user@1.0x7f", "IP address"),
        ("user@xn--a.example", "IDNA"),
        ("user@☃.example", "IDNA"),
        ("user@exam\u200bple.com", "U+200B"),
        ("user@exam\u200dple.com", "IDNA"),
        ("user@exam\xadple.com", "U+00AD"),
        ("user@exa mple.com", "blank"),
        ("user@example.com\r\nRCPT TO:<v@example.org>", "local part holds"),
        ("user@example.com\r\n", "U+000D"),
        ("user\r\n@example.com", "U+000D"),
        ("user\x00@example.com", "U+0000"),
        ("user\x85@example.com", "U+0085"),
        ("us\u202eer@example.com", "U+202E"),
        ("us\ud800er@example.com", "U+D800"),
        ("us\u3000er@example.com", "U+3000"),
        (" user@example.com", "blank"),
        ("user@example.com ", "blank"),
        ("a b@example.com", "blank"),
        ('"a b"@example.com', "blank"),
        ('"a\\"b"@example.com', "'\\\\'"),
        ('"a@b"@example.com', "'@'"),
        ('""@example.com', "'\"'"),
        ('"@example.com', "'\"'"),
        ("user(comment)@example.com", "'('"),
        ("user@example.com(comment)", "'('"),
        ("<user@example.com>", "'<'"),
        ("foo <victim@example.com>", "blank"),
        ("@relay.example:user@example.com", "'@'"),
        ("a@b@example.com", "'@'"),
        ("a＠b@example.com", "'@'"),
        ("a,b@example.com", "','"),
        ("a..b@example.com", "quotes"),
        (".a@example.com", "quotes"),
        ("a.@example.com", "quotes"),
        ("a" * 65 + "@example.com", "64"),
        ("é" * 33 + "@example.com", "64"),
        ('"' + "a" * 61 + '.."@example.com', "64"),
        ("a" * 64 + "@" + ".".join(["b" * 46] * 4) + ".example", "254"),
        ("a" * 2_000_000 + "@example.com", "254"),
    ],
)
def test_what_cannot_be_written_to_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()


def test_limits_are_reached_exactly() -> None:
    """64 octets before the @, 254 in all: RFC 5321 section 4.5.3.1."""
    assert len(parse("a" * 64 + "@example.com").local) == 64
    longest = "a" * 64 + "@" + ".".join(["b" * 44] * 4) + ".co.example"[:10]
    assert len(parse(longest).wire) == 254
    assert len(parse(f"{'é' * 32}@example.com").local) == 32


def test_one_label_passes_where_it_is_allowed() -> None:
    assert parse("root@LOCALHOST", allow_single_label=True).key == "root@localhost"


def _cases(text: str) -> set[str]:
    """Every mixture of upper and lower case."""
    return {"".join(t) for t in itertools.product(*({c.lower(), c.upper()} for c in text))}


def test_five_hundred_spellings_of_a_mailbox_have_one_key() -> None:
    locals_ = {f(c) for c in _cases("jürg.x") for f in (lambda s: s, lambda s: f'"{s}"')}
    domains = [
        "bücher.example",
        "BÜCHER.Example",
        "xn--bcher-kva.example",
        "XN--BCHER-KVA.EXAMPLE",
        "bücher。example",
        "ｂücher.example",
    ]
    spellings = {
        spelling
        for local in locals_
        for domain in domains
        for whole in [f"{local}@{domain}"]
        for spelling in (whole, unicodedata.normalize("NFD", whole))
    }
    assert len(spellings) >= 500
    assert {parse(spelling).key for spelling in spellings} == {"jürg.x@xn--bcher-kva.example"}


@given(atoms, domains)
def test_case_and_needless_quotes_do_not_change_the_key(local: str, domain: str) -> None:
    key = parse(f"{local}@{domain}").key
    for spelling in (local.upper(), local.lower(), local.swapcase(), f'"{local}"'):
        assert parse(f"{spelling}@{domain.upper()}").key == key


@given(atoms, domains)
def test_tags_and_dots_keep_mailboxes_apart(local: str, domain: str) -> None:
    key = parse(f"{local}@{domain}").key
    assert parse(f"{local}+tag@{domain}").key != key
    assert parse(f"{local}.x@{domain}").key != parse(f"{local}x@{domain}").key


@given(atoms, domains)
def test_the_fast_path_agrees_with_the_full_one(local: str, domain: str) -> None:
    text = f"{local}@{domain}"
    assert parse(text) == _parse_any(text, False)


@given(st.text(max_size=40) | st.text('ab.@"<>() \r\n\\[]', max_size=20), domains)
def test_reading_raises_only_address_errors_and_keys_are_stable(text: str, domain: str) -> None:
    for candidate in (text, f"{text}@{domain}", f"u@{text}", f"u@{text}.example"):
        try:
            address = parse(candidate)
        except AddressError:
            continue
        assert address.wire.isprintable()
        assert not set(address.wire) & set(" <>()\\[]:;,")
        assert parse(address.wire) == address
        assert parse(address.key).key == address.key


def test_every_letter_of_unicode_folds_to_a_stable_key() -> None:
    """Folding twice is folding once, for every character a local part may hold."""
    for code in range(0x80, 0x3_0000):
        try:
            key = parse(f"{chr(code)}@example.com").key
        except AddressError:
            continue
        assert parse(key).key == key, hex(code)


def test_a_hash_is_the_sha256_of_the_key() -> None:
    """The value a client computes for the bulk lookup: `printf user@example.com | sha256sum`."""
    assert address_hash(parse("User@Example.com").key).hex() == (
        "b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514"
    )


@pytest.mark.parametrize(
    ("value", "name", "wire"),
    [
        ("a@example.com", "", "a@example.com"),
        ("<a@example.com>", "", "a@example.com"),
        (" Ann <a@example.com> ", "Ann", "a@example.com"),
        ("foo <victim@example.com>", "foo", "victim@example.com"),
        ("J. R. O'Neil-Šmid <a@example.com>", "J. R. O'Neil-Šmid", "a@example.com"),
        ('"Doe, John" <a@example.com>', "Doe, John", "a@example.com"),
        ('"say \\"hi\\" \\\\" <a@example.com>', 'say "hi" \\', "a@example.com"),
        ("张三<a@example.com>", "张三", "a@example.com"),
        ({"email": "a@example.com"}, "", "a@example.com"),
        ({"email": "a@example.com", "name": None}, "", "a@example.com"),
        ({"email": "a@example.com", "name": "Doe, <John>"}, "Doe, <John>", "a@example.com"),
    ],
)
def test_mailboxes_are_read(value: str, name: str, wire: str) -> None:
    mailbox = parse_mailbox(value)
    assert (mailbox.name, mailbox.address.wire) == (name, wire)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("Ann a@example.com", "blank"),
        ("a@example.com, b@example.com", "'@'"),
        ("a@example.com,b@example.com", "'@'"),
        ("Ann <a@example.com>, Bob <b@example.com>", "double quotes"),
        ("<a@example.com> <b@example.com>", "double quotes"),
        ("Doe, John <a@example.com>", "double quotes"),
        ("ceo@example.org <a@example.com>", "double quotes"),
        ("Ann (x) <a@example.com>", "double quotes"),
        ("team: Ann <a@example.com>", "double quotes"),
        ('"Ann" Bob <a@example.com>', "double quotes"),
        ('"Ann <a@example.com>', "double quotes"),
        ("Ann < a@example.com>", "blank"),
        ("Ann <a@example.com> trailing", "blank"),
        ("a@example.com>", "without"),
        ("<>", "empty"),
        ("Ann\r\nBcc: v@example.org <a@example.com>", "double quotes"),
        ("Ann\nX <a@example.com>", "U+000A"),
        ("=?utf-8?q?a=0D=0ABcc?= <a@example.com>", "=?"),
        ("a" * 2_000 + " <a@example.com>", "longer"),
        ({"email": "a@example.com", "name": "x\r\nBcc"}, "U+000D"),
        ({"email": "a@example.com", "name": "x\u2028y"}, "U+2028"),
        ({"email": "a@example.com", "name": 3}, "must be text"),
        ({"email": None}, "must be text"),
        ({"name": "Ann"}, "must be text"),
        ({"email": "Ann <a@example.com>"}, "blank"),
        ({"email": "a@example.com", "mail": "x"}, "mail"),
    ],
)
def test_nothing_is_guessed_and_nothing_left_over(value: str, words: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_mailbox(value)
    assert words in str(caught.value)


@given(st.text(max_size=30))
def test_a_quoted_name_survives(name: str) -> None:
    quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    try:
        expected = parse_mailbox({"email": "a@example.com", "name": name})
    except AddressError:
        return
    assert parse_mailbox(f"{quoted} <a@example.com>") == expected


def test_domains_are_read_alone() -> None:
    assert parse_domain("BÜCHER.example") == "xn--bcher-kva.example"
    for bad in ("", "*", "example.com.", "[::1]", "10.0.0.1", "a\x00.example"):
        with pytest.raises(AddressError):
            parse_domain(bad)


def test_a_plain_address_is_cheap() -> None:
    """Every submission does this for every recipient: a dozen calls, some 5 µs, with its key."""
    assert calls(lambda: parse("first.last+tag@mail.example.com").key) < 25


@pytest.mark.parametrize("read", [parse, parse_mailbox])
@pytest.mark.parametrize(
    ("begin", "piece", "end"),
    [("", "@", ""), ("", "a.", ""), ("é" * 999, "@é", ""), ('"', "\\", ">")],
)
def test_hostile_lengths_are_refused_in_linear_time(
    read: Callable[[str], object], begin: str, piece: str, end: str
) -> None:
    def refused(text: str) -> None:
        with pytest.raises(AddressError):
            read(text)

    assert_linear(refused, lambda size: begin + piece * size + end, 1_000_000)


def test_types_are_values() -> None:
    address = Address("a", "example.com", "example.com")
    assert parse_mailbox("A <a@example.com>") == Mailbox("A", address)
