"""Tokens prove what we wrote, for one purpose, for a while, and nothing else."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.tokens import ALPHABET, PREFIXES, Key, Purpose, Refusal, Token, Tokens, find_token
from tests.growth import assert_linear

OLD = Key("1", b"o" * 32)
NEW = Key("2", b"n" * 32)
TOKENS = Tokens([NEW, OLD])
DELIVERY = "01jd0c4r0m0000000000000abc"
DAY = 86_400.0
NOW = 20_000 * DAY + 4_000
LATER = NOW + 14 * DAY

ids = st.builds(
    str.__add__,
    st.sampled_from(ALPHABET[:8]),
    st.text(ALPHABET, min_size=25, max_size=25),
)
purposes = st.sampled_from(list(Purpose))
times = st.floats(min_value=0, max_value=4e9)


def test_return_path_is_a_short_lower_case_local_part() -> None:
    """RFC 5321 section 4.5.3.1.1 allows 64 octets; every prefix fits."""
    local, _, domain = TOKENS.return_path(DELIVERY, "b.example.com", expires=LATER).partition("@")
    assert domain == "b.example.com"
    assert local == local.lower()
    assert len(local) == 49
    assert max(len(p) for group in PREFIXES.values() for p in group) + 47 <= 64


def test_return_path_is_the_same_on_every_retry() -> None:
    """A fresh return path would start greylisting again."""
    paths = {TOKENS.return_path(DELIVERY, "b.example.com", expires=LATER) for _ in range(5)}
    assert len(paths) == 1


@given(ids, purposes, times, st.text(max_size=20))
def test_round_trip(subject: str, purpose: Purpose, expires: float, bound: str) -> None:
    text = TOKENS.issue(purpose, subject, expires=expires, bound=bound)
    token = TOKENS.verify(purpose, text, now=expires, bound=bound)
    assert isinstance(token, Token)
    assert (token.subject_id, token.purpose, token.key_id) == (subject, purpose, "2")
    assert expires < token.expires <= expires + DAY


@given(ids, times, st.data())
def test_local_part_is_read_in_any_case(subject: str, expires: float, data: st.DataObject) -> None:
    local = TOKENS.return_path(subject, "x.example", expires=expires).partition("@")[0]
    upper = data.draw(st.lists(st.booleans(), min_size=len(local), max_size=len(local)))
    mangled = "".join(c.upper() if up else c for c, up in zip(local, upper, strict=True))
    token = TOKENS.read_return_path(mangled, expires)
    assert isinstance(token, Token)
    assert token.subject_id == subject


@given(st.integers(0, 46), st.characters())
def test_any_single_changed_character_is_refused(position: int, char: str) -> None:
    text = TOKENS.issue(Purpose.BOUNCE, DELIVERY, expires=LATER)
    changed = text[:position] + char + text[position + 1 :]
    verdict = TOKENS.verify(Purpose.BOUNCE, changed, now=NOW)
    if char.isascii() and char.lower() == text[position]:
        assert isinstance(verdict, Token)
    else:
        assert isinstance(verdict, Refusal)


def test_every_changed_character_of_the_alphabet_is_refused() -> None:
    """All 47 positions times all 31 other characters: no bit of a token is slack."""
    text = TOKENS.issue(Purpose.BOUNCE, DELIVERY, expires=LATER)
    for position, old in enumerate(text):
        for new in set(ALPHABET) - {old}:
            changed = text[:position] + new + text[position + 1 :]
            assert isinstance(TOKENS.verify(Purpose.BOUNCE, changed, now=NOW), Refusal), changed


@given(ids, purposes, purposes, times)
def test_another_purpose_is_forged(subject: str, made: Purpose, used: Purpose, at: float) -> None:
    text = TOKENS.issue(made, subject, expires=at)
    verdict = TOKENS.verify(used, text, now=at)
    assert (verdict is Refusal.FORGED) == (made is not used)


def test_another_bound_text_is_forged() -> None:
    """A click token vouches for one target: it is no open redirect."""
    text = TOKENS.issue(Purpose.CLICK, DELIVERY, expires=LATER, bound="https://example.com/")
    good = TOKENS.verify(Purpose.CLICK, text, now=NOW, bound="https://example.com/")
    assert isinstance(good, Token)
    for bound in ("", "https://example.com", "https://evil.example/", "\ud800"):
        assert TOKENS.verify(Purpose.CLICK, text, now=NOW, bound=bound) is Refusal.FORGED


@given(st.text(max_size=80) | st.text(ALPHABET + "+bBuU", min_size=40, max_size=60))
def test_no_text_raises_or_passes(text: str) -> None:
    for local in (text, "b+" + text, "unsubscribe+" + text):
        assert isinstance(TOKENS.read_return_path(local, NOW), Refusal)
        assert isinstance(TOKENS.read_unsubscribe_address(local, NOW), Refusal)
    for purpose in Purpose:
        assert isinstance(TOKENS.verify(purpose, text, now=NOW), Refusal)


def test_ten_thousand_tampered_tokens_are_refused() -> None:
    """Another subject, another day, another key id or another MAC: all well formed, none good."""
    dice = random.Random(7)
    text = TOKENS.issue(Purpose.BOUNCE, DELIVERY, expires=LATER)
    refused = 0
    for _ in range(10_000):
        chars = list(text)
        for position in dice.sample(range(1, 47), dice.randint(1, 6)):
            chars[position] = dice.choice(ALPHABET)
        tampered = "".join(chars)
        verdict = TOKENS.verify(Purpose.BOUNCE, tampered, now=NOW)
        assert isinstance(verdict, Refusal) == (tampered != text)
        refused += isinstance(verdict, Refusal)
    assert refused > 9_500


def test_expiry_is_told_apart_from_forgery() -> None:
    text = TOKENS.issue(Purpose.BOUNCE, DELIVERY, expires=LATER)
    token = TOKENS.verify(Purpose.BOUNCE, text, now=LATER)
    assert isinstance(token, Token)
    assert isinstance(TOKENS.verify(Purpose.BOUNCE, text, now=token.expires - 1), Token)
    assert TOKENS.verify(Purpose.BOUNCE, text, now=token.expires) is Refusal.EXPIRED
    forged = text[:-1] + ("0" if text[-1] != "0" else "1")
    assert TOKENS.verify(Purpose.BOUNCE, forged, now=token.expires) is Refusal.FORGED


def test_keys_rotate() -> None:
    """The old key's tokens are read while it stays in the list, and unknown after."""
    before = Tokens([OLD]).issue(Purpose.BOUNCE, DELIVERY, expires=LATER)
    during = TOKENS.verify(Purpose.BOUNCE, before, now=NOW)
    assert isinstance(during, Token)
    assert during.key_id == "1"
    assert Tokens([NEW]).verify(Purpose.BOUNCE, before, now=NOW) is Refusal.UNKNOWN_KEY
    impostor = Tokens([Key("1", b"x" * 32)])
    assert impostor.verify(Purpose.BOUNCE, before, now=NOW) is Refusal.FORGED


def test_unsubscribe_is_read_under_both_names() -> None:
    local = TOKENS.unsubscribe_address(DELIVERY, "b.example.com", expires=LATER).partition("@")[0]
    assert local.startswith("unsubscribe+")
    for spelling in (local, local.upper(), "u+" + local.removeprefix("unsubscribe+")):
        assert isinstance(TOKENS.read_unsubscribe_address(spelling, NOW), Token)
    assert TOKENS.read_return_path("b+" + local[12:], NOW) is Refusal.FORGED
    assert TOKENS.read_return_path(local, NOW) is Refusal.MALFORMED


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        (lambda: Tokens([]), "at least one"),
        (lambda: Tokens([OLD, OLD]), "different ids"),
        (lambda: Key("1", b"x" * 31), "at least 32"),
        (lambda: Key("u", b"x" * 32), "one character"),
        (lambda: Key("", b"x" * 32), "one character"),
        (lambda: TOKENS.issue(Purpose.BOUNCE, DELIVERY.upper(), expires=1), "ULID"),
        (lambda: TOKENS.issue(Purpose.BOUNCE, DELIVERY + "0", expires=1), "ULID"),
        (lambda: TOKENS.issue(Purpose.BOUNCE, DELIVERY, expires=-1), "does not fit"),
    ],
)
def test_bad_keys_and_subjects_are_refused(keys, word) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=word):
        keys()


def test_a_key_does_not_show_its_secret() -> None:
    assert "oooo" not in repr(OLD)


@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "Return-Path: <{}@b.example.com>",
        "MAIL FROM:<{}@b.example.com> SIZE=99",
        "SRS0=ab1c=xy=b.example.com={}@forwarder.example",
        "said b+short@x and tab+no, then <{}@b.example.com>",
    ],
)
def test_a_return_path_is_found_in_any_text(around: str) -> None:
    local = TOKENS.return_path(DELIVERY, "x", expires=LATER).partition("@")[0]
    for spelling in (local, local.upper()):
        found = find_token(around.format(spelling))
        assert found == local
        assert isinstance(TOKENS.read_return_path(found, NOW), Token)


@pytest.mark.parametrize("spoil", ["a{}", "{}0", "{}x@y", "b{}"])
def test_a_longer_word_is_no_token(spoil: str) -> None:
    local = TOKENS.return_path(DELIVERY, "x", expires=LATER).partition("@")[0]
    assert find_token(spoil.format(local)) is None


@given(st.text(max_size=200))
def test_finding_never_raises(text: str) -> None:
    assert find_token(text) is None


@pytest.mark.parametrize("near_miss", ["b+" + "0" * 45, "b+"])
def test_finding_is_linear(near_miss: str) -> None:
    assert find_token(near_miss * 20_000) is None
    assert_linear(find_token, lambda size: near_miss * (size // len(near_miss)), 1_000_000)
