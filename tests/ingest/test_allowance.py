"""What strangers leave with us in a day is bounded: by whom, with whose token, and in all."""

from __future__ import annotations

import pytest

from ingest import allowance
from ingest.allowance import Allowance, Bounds
from ingest.recipients import Accepted
from sender.tokens import Purpose, Token

DAY = 86_400.0
NOW = 20_000 * DAY
BOUNDS = Bounds(anybody=1_000, client=300, token=100, least=0)
EVE, BOB = "192.0.2.1", "192.0.2.2"
OPEN = Accepted("fbl@bounces.example.com", "fbl", None)


def proven(subject: str) -> Accepted:
    token = Token(Purpose.BOUNCE, subject, NOW + DAY, "1")
    return Accepted(f"b+{subject}@bounces.example.com", "bounce", token)


def test_one_client_does_not_use_up_what_all_may_leave() -> None:
    room = Allowance(BOUNDS)
    assert room.take(EVE, [OPEN], 299, NOW)
    assert room.take(EVE, [OPEN], 299, NOW), "one more message, however large"
    assert not room.is_left(EVE, OPEN, NOW)
    assert not room.take(EVE, [OPEN], 1, NOW)
    assert room.take(BOB, [OPEN], 1, NOW)


def test_very_many_very_small_messages_are_bounded_too() -> None:
    room = Allowance(Bounds(anybody=1_000, client=300, token=100, least=50))
    assert sum(room.take(EVE, [OPEN], 1, NOW) for _ in range(100)) == 6


def test_many_clients_together_are_bounded_too() -> None:
    room = Allowance(BOUNDS)
    taken = sum(room.take(f"192.0.2.{number}", [OPEN], 100, NOW) for number in range(100))
    assert taken == 10
    assert not room.is_left("198.51.100.1", OPEN, NOW)


def test_machines_of_one_ipv6_network_are_one_client() -> None:
    room = Allowance(BOUNDS)
    taken = sum(room.take(f"2001:db8::{number:x}", [OPEN], 100, NOW) for number in range(100))
    assert taken == 3


def test_a_message_counts_once_for_each_copy_that_is_kept() -> None:
    room = Allowance(BOUNDS)
    assert room.take(EVE, [OPEN] * 3, 100, NOW)
    assert not room.is_left(EVE, OPEN, NOW)


def test_a_flood_to_open_addresses_keeps_no_bounce_out_and_a_token_is_bounded_by_itself() -> None:
    room = Allowance(BOUNDS)
    assert room.take(EVE, [OPEN], 1_000, NOW)
    assert not room.is_left(BOB, OPEN, NOW)
    assert room.take(EVE, [proven("0" * 26)], 100, NOW)
    assert not room.is_left(BOB, proven("0" * 26), NOW), "whoever comes with it"
    assert room.take(EVE, [proven("1" * 26)], 100, NOW)
    assert not room.take(EVE, [proven("2" * 26), OPEN], 1, NOW)
    assert room.take(EVE, [proven("2" * 26)], 100, NOW), "what is refused takes nothing"


def test_tomorrow_is_another_day() -> None:
    room = Allowance(BOUNDS)
    assert room.take(EVE, [OPEN], 1_000, NOW)
    assert not room.is_left(EVE, OPEN, NOW + DAY - 1)
    assert room.is_left(EVE, OPEN, NOW + DAY)


def test_a_proxy_on_loopback_is_no_client_of_its_own() -> None:
    room = Allowance(BOUNDS)
    assert room.take("127.0.0.1", [OPEN], 999, NOW)
    assert room.is_left("127.0.0.1", OPEN, NOW)


def test_only_who_was_heard_of_last_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "_BOOK", 10)
    room = Allowance(BOUNDS)
    assert room.take(EVE, [OPEN], 1_000, NOW)
    eves = proven("0" * 26)
    for number in range(1, 100):
        assert room.take(EVE, [proven(f"{number:026}")], 100, NOW)
        room.take(EVE, [eves], 10, NOW)
    assert not room.is_left(EVE, eves, NOW), "who goes on is not forgotten"
    assert not room.take(BOB, [OPEN], 1, NOW), "nor what all together left"
    assert room.is_left(EVE, proven(f"{1:026}"), NOW)
