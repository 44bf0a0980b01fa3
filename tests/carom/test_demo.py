"""The demo: the whole loop against misbehaving providers, and books that add up."""

from __future__ import annotations

import io
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from analysis.facts import Kind
from analysis.lifecycle import FINAL, State
from analysis.rulebook import shipped
from carom.demo.cast import CAST, ROLES, addresses, role_of
from carom.demo.letters import bounce, complaint, out_of_office
from carom.demo.run import demo
from carom.demo.verdicts import Books
from ingest.parse import read_mail

LETTER = b"From: shop@example.com\r\nMessage-ID: <1@example.com>\r\nSubject: hi\r\n\r\nhello\r\n"


@given(st.integers(1, 3000))
def test_the_cast_has_exactly_as_many_mailboxes_as_asked_for_all_distinct(count: int) -> None:
    found = list(addresses(count))
    assert len(found) == len(set(found)) == count
    assert all(address.count("@") == 1 for address in found)


@pytest.mark.parametrize("count", [60, 617, 1000, 617 * 613])
def test_every_role_is_in_the_cast_and_most_are_harmless(count: int) -> None:
    roles = Counter(role_of(address).name for address in addresses(count))
    assert set(roles) == set(ROLES)
    assert roles["ok"] > count // 2


def test_the_shares_of_the_roles_make_a_thousand() -> None:
    assert sum(role.share for role in CAST) == 1000
    assert all(role.ends in FINAL | {State.DELIVERED} for role in CAST)


def test_what_the_providers_write_back_is_understood_by_our_own_reader() -> None:
    book = shipped()
    kinds = [
        read_mail(letter, book).kind
        for letter in (
            bounce("b@x.example", "u@y.example", LETTER, "5.1.1", "550 5.1.1 No such user here"),
            complaint("fbl@x.example", "u@y.example", LETTER),
            out_of_office("b@x.example", "u@y.example"),
        )
    ]
    assert kinds == [Kind.BOUNCE, Kind.COMPLAINT, Kind.AUTOREPLY]


def books(**states: int) -> Books:
    return Books(3, states, (), (0.1, 0.2, 9.0), {}, 0)


def test_books_are_fine_only_if_they_add_up_and_nothing_waits() -> None:
    assert books(delivered=2, bounced=1).fine
    assert not books(delivered=2).fine
    assert not books(delivered=2, queued=1).fine
    assert not Books(1, {"delivered": 1}, (), (), {}, 1).fine
    assert not Books(1, {"delivered": 1}, (), (), {}, 0, ("ann",)).fine


def test_percentiles_are_of_what_was_accepted() -> None:
    assert [books().wait(share) for share in (0.0, 0.5, 0.99)] == [0.1, 0.2, 9.0]
    assert Books(0, {}, (), (), {}, 0).wait(0.5) == 0.0


@pytest.mark.anyio
async def test_a_small_demo_accounts_for_every_message() -> None:
    """About 12 s: the mailbox that stays full has to use up its schedule."""
    paper = io.StringIO()
    assert await demo(60, False, Console(file=paper, width=120))
    shown = paper.getvalue()
    assert "60 accepted = " in shown
    sums = shown.partition("60 accepted = ")[2].partition("\n")[0]
    assert sum(int(part.split()[0]) for part in sums.split(" + ")) == 60
    assert "for our own fault: 0" in shown
