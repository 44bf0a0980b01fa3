"""Whose word counts for a host's TLS: DANE's, then MTA-STS's, then the message's, then nobody's."""

from __future__ import annotations

import pytest

from sender.mta_sts import Mode, Policy
from sender.mx import Exchangers
from sender.smtp import Host, Route, Tls, TlsMode, TlsPolicy
from sender.tls_policy import Promise, judge
from sender.tls_report import Failing, Kind
from sender.tlsa import Tlsa, Usage

ONE, TWO = Host("mx1.example.net", "192.0.2.1"), Host("mx2.example.net", "192.0.2.2")
FOUND = Exchangers("example.net", (ONE, TWO), ("mx1.example.net", "mx2.example.net"))
PIN = (Tlsa(Usage.DANE_EE, 1, 1, b"\0" * 32),)
PINNED, UNUSABLE, SILENT = Promise(PIN), Promise(unusable=True), Promise(trouble="timeout")


def sts(mode: Mode, *mx: str) -> Policy:
    return Policy(mode, mx, 86_400)


BOTH = ("mx1.example.net", "mx2.example.net")
ENFORCED, TESTED = sts(Mode.ENFORCE, *BOTH), sts(Mode.TESTING, *BOTH)


def terms(
    policy: Policy | None, promise: Promise | None = None, *, require: bool = False
) -> tuple[TlsMode, TlsPolicy] | None:
    """Mode and label for mx1, None where it may not be used."""
    promises = {} if promise is None else {ONE.name: promise}
    judged = judge(FOUND, policy, promises, require=require)
    mode = TlsMode.VERIFIED if require else TlsMode.OPPORTUNISTIC
    for host in judged.hosts:
        if host.name == ONE.name:
            found = Route("x", judged.hosts, tls=mode).terms(host)
            return found.mode, found.policy
    return None


OPEN = (TlsMode.OPPORTUNISTIC, TlsPolicy.OPPORTUNISTIC)
BY_STS = (TlsMode.VERIFIED, TlsPolicy.STS)
BY_DANE = (TlsMode.DANE, TlsPolicy.DANE)
BY_MESSAGE = (TlsMode.VERIFIED, TlsPolicy.REQUIRED)
ELSEWHERE = sts(Mode.ENFORCE, "mx2.example.net")
TESTED_ELSEWHERE = sts(Mode.TESTING, "mx2.example.net")


@pytest.mark.parametrize(
    ("policy", "promise", "plain", "required"),
    [
        (None, None, OPEN, BY_MESSAGE),
        (None, Promise(), OPEN, BY_MESSAGE),
        (None, PINNED, BY_DANE, BY_DANE),
        (None, UNUSABLE, (TlsMode.REQUIRED, TlsPolicy.DANE), BY_MESSAGE),
        (None, SILENT, None, None),
        (ENFORCED, None, BY_STS, BY_STS),
        (ENFORCED, Promise(), BY_STS, BY_STS),
        (ENFORCED, PINNED, BY_DANE, BY_DANE),
        (ENFORCED, UNUSABLE, BY_STS, BY_STS),
        (ENFORCED, SILENT, None, None),
        (ELSEWHERE, None, None, None),
        (ELSEWHERE, PINNED, BY_DANE, BY_DANE),
        (ELSEWHERE, UNUSABLE, None, None),
        (TESTED, None, OPEN, BY_MESSAGE),
        (TESTED, PINNED, BY_DANE, BY_DANE),
        (TESTED, UNUSABLE, (TlsMode.REQUIRED, TlsPolicy.DANE), BY_MESSAGE),
        (TESTED_ELSEWHERE, None, OPEN, BY_MESSAGE),
    ],
)
def test_every_combination_of_policies(
    policy: Policy | None,
    promise: Promise | None,
    plain: tuple[TlsMode, TlsPolicy] | None,
    required: tuple[TlsMode, TlsPolicy] | None,
) -> None:
    assert terms(policy, promise) == plain
    assert terms(policy, promise, require=True) == required


def test_without_any_policy_nothing_is_made_anew() -> None:
    assert judge(FOUND, None, {}).hosts is FOUND.hosts


def test_hosts_are_judged_one_by_one_and_stay_in_order() -> None:
    judged = judge(FOUND, ENFORCED, {TWO.name: PINNED})
    assert [host.name for host in judged.hosts] == [ONE.name, TWO.name]
    modes = [host.tls.mode for host in judged.hosts if host.tls]
    assert modes == [TlsMode.VERIFIED, TlsMode.DANE]


def test_what_fails_before_anybody_connects_is_told() -> None:
    [barred] = judge(FOUND, ELSEWHERE, {}).objections
    assert (barred.host, barred.kind, barred.failing) == (ONE.name, Kind.STS, Failing.VALIDATION)
    [tested] = judge(FOUND, TESTED_ELSEWHERE, {}).objections
    assert (tested.host, tested.failing) == (ONE.name, Failing.VALIDATION)
    [silent] = judge(FOUND, None, {ONE.name: SILENT}).objections
    assert (silent.kind, silent.failing) == (Kind.TLSA, Failing.DNSSEC_INVALID)


def test_a_host_named_in_a_policy_in_testing_is_on_trial() -> None:
    first, second = judge(FOUND, TESTED_ELSEWHERE, {}).hosts
    assert first.tls is None
    assert second.tls is not None
    assert (second.tls.trial, second.tls.kind) == (True, Kind.STS)


def test_the_terms_of_a_route_are_never_weakened_by_a_host() -> None:
    trial = Host("mx", "192.0.2.1", tls=Tls(TlsMode.OPPORTUNISTIC, TlsPolicy.OPPORTUNISTIC))
    encrypted = Host("mx", "192.0.2.1", tls=Tls(TlsMode.REQUIRED, TlsPolicy.DANE))
    for host in (trial, encrypted):
        assert Route("x", (host,), tls=TlsMode.VERIFIED).terms(host).mode is TlsMode.VERIFIED
    assert Route("x", (trial,), username="ann").terms(trial).mode is TlsMode.REQUIRED
    assert Route("x", (encrypted,)).terms(encrypted).mode is TlsMode.REQUIRED


def test_dane_without_records_cannot_be_said() -> None:
    with pytest.raises(ValueError, match="TLSA"):
        Tls(TlsMode.DANE, TlsPolicy.DANE)
    with pytest.raises(ValueError, match="each host"):
        Route("x", (ONE,), tls=TlsMode.DANE)
