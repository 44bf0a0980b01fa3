"""S4, the fuzz: thousands of spoilt messages in seconds, on every run of the tests.

The full form reads a million and looks at time and memory; `python -m tests.fuzz --servers` does
the same with a bar, from any seed.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import pytest
from hypothesis import HealthCheck, given, settings

from analysis.facts import Kind, Reading
from analysis.reply import MAX_TEXT
from analysis.rulebook import shipped
from analysis.verdict import Fault, Severity
from ingest.addresses import MAX_ADDRESS
from ingest.parse import reader
from tests.amounts import Amount
from tests.fuzz.__main__ import held
from tests.fuzz.herd import herd
from tests.fuzz.mutator import MOST, mutants
from tests.fuzz.run import Accounts, read_all
from tests.fuzz.server_made import exim_made, postfix_made
from tests.fuzz.tree import mails
from tests.growth import BEYOND

SHORT, FULL = 1_000, 200_000
"""Messages of each of the five herds."""

read = reader(shipped())


def test_the_same_seed_gives_the_same_messages() -> None:
    first, second = (list(islice(mutants(herd(), 7), 50)) for _ in range(2))
    assert [len(mail) for mail in first] == [len(mail) for mail in second]
    assert max(map(len, first)) <= MOST
    assert len(set(first)) > 40


def test_the_herd_is_of_every_kind() -> None:
    assert {read(mail).kind for mail in herd()} >= set(Kind) - {Kind.MDN, Kind.TLS_RPT}


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_spoilt_mail_raises_nothing_and_is_not_dear(
    seed: int, amount: Amount, seen: Callable[[str], None]
) -> None:
    accounts = _spoil(herd(), seed, amount, seen)
    assert len(accounts.kinds) > 5  # it was spoilt, but not beyond recognition


@pytest.mark.anyio
@pytest.mark.postfix
async def test_spoilt_reports_of_postfix_raise_nothing(
    amount: Amount, seen: Callable[[str], None]
) -> None:
    made = await postfix_made()
    assert {read(mail).kind for mail in made} == {Kind.BOUNCE, Kind.DELAYED, Kind.DELIVERED}
    _spoil(made, 5, amount, seen)


@pytest.mark.anyio
@pytest.mark.exim
async def test_spoilt_reports_of_exim_raise_nothing(
    amount: Amount, seen: Callable[[str], None]
) -> None:
    made = await exim_made()
    assert {read(mail).kind for mail in made} == {Kind.BOUNCE}
    _spoil(made, 5, amount, seen)


def _spoil(made: list[bytes], seed: int, amount: Amount, seen: Callable[[str], None]) -> Accounts:
    accounts = read_all(mutants(made, seed), amount(SHORT, FULL), read)
    assert not accounts.raised
    assert accounts.slowest[0] < BEYOND, accounts.slowest[1][:300]
    assert held(accounts) or not amount.full, accounts
    seen(
        f"{len(accounts.times)} of {len(made)} sound ones, seed {seed}: uncaught 0, "
        f"p99 {accounts.share(0.99) * 1e3:.1f} ms, worst {accounts.slowest[0] * 1e3:.0f} ms of CPU"
    )
    return accounts


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(mails())
def test_whatever_it_says_a_reading_is_fit_to_store_and_suppresses_only_the_lasting(
    mail: bytes,
) -> None:
    reading = read(mail)
    assert not (reading.error or "").startswith("could not be read")
    assert _storable(reading)
    for recipient in reading.recipients:
        verdict = recipient.verdict
        assert 0 < len(recipient.address) <= MAX_ADDRESS
        assert len(recipient.diagnostic) <= MAX_TEXT
        if verdict.suppress:
            assert (verdict.severity, recipient.action) == (Severity.HARD, "failed")
            assert verdict.fault in (Fault.RECIPIENT, Fault.DOMAIN)


def _storable(reading: Reading) -> bool:
    """Whether a database takes all of its text: no lone surrogates, no NUL."""
    text = repr(reading.kind) + str(reading.message_id) + reading.reporting_mta
    text += "".join(
        f"{r.address}{r.diagnostic}{r.remote_mta}{r.original}" for r in reading.recipients
    )
    text += "".join(r.verdict.evidence for r in reading.recipients) + "".join(
        reading.extra.values()
    )
    text.encode()
    return "\0" not in text
