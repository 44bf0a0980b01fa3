"""What an aggregate report is worth, and which of its sources are ours."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from analysis.aggregate import AuthResult, Outcome, TlsAggregate, TlsRow
from analysis.alignment import AHEAD, LONGEST, OLDEST, Ours, Proof, worth
from tests.ingest.aggregate_files import (
    DAY,
    dmarc_report,
    dmarc_row,
    origin,
    stranger,
    tls_report,
)
from tests.storing import NOW

OURS = Ours(
    frozenset({"example.com"}),
    "bounces.example.com",
    frozenset({("example.com", "carom")}),
    (ip_network("198.51.100.0/28"),),
)


def check(method: str, domain: str, result: str = "pass", selector: str = "") -> AuthResult:
    return AuthResult(method, domain, result, selector)


@pytest.mark.parametrize(
    ("row", "proof"),
    [
        (stranger("198.51.100.7"), Proof.SETTINGS),
        (stranger("198.51.100.77"), Proof.NONE),
        (stranger("2001:db8::1"), Proof.NONE),
        (stranger(checks=(check("spf", "bounces.example.com"),)), Proof.SPF),
        (stranger(checks=(check("spf", "bounces.example.com", "fail"),)), Proof.NONE),
        (stranger(checks=(check("spf", "xbounces.example.com"),)), Proof.NONE),
        (stranger(checks=(check("dkim", "example.com", selector="carom"),)), Proof.DKIM),
        (stranger(checks=(check("dkim", "example.com", selector="crm"),)), Proof.NONE),
        (stranger(checks=(check("dkim", "example.com"),)), Proof.DKIM),
        (stranger(checks=(check("dkim", "example.net"),)), Proof.NONE),
        (stranger("192.0.2.9"), Proof.BEFORE),
    ],
)
def test_a_source_is_ours_by_what_only_we_can_show(row: object, proof: Proof) -> None:
    assert OURS.proof_of(row, {"192.0.2.9"}) is proof  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"end": NOW + AHEAD + 1}, "a time to come"),
        ({"begin": NOW - OLDEST - DAY, "end": NOW - OLDEST - 1}, "long gone"),
        ({"begin": NOW, "end": NOW - 1}, "no span"),
        ({"begin": NOW - LONGEST - 1, "end": NOW}, "no span"),
    ],
)
def test_a_report_about_an_absurd_time_is_worth_nothing(other: dict[str, Any], why: str) -> None:
    assert why in str(worth(dmarc_report(**other), OURS, NOW))
    assert why in str(worth(tls_report(**other), OURS, NOW))


@pytest.mark.parametrize("domain", ["example.org", "notexample.com", "com", "example.com.evil.org"])
def test_a_report_about_others_is_worth_nothing(domain: str) -> None:
    assert worth(dmarc_report(domain=domain), OURS, NOW) == ("the report is not about our domains")
    row = TlsRow(domain, "sts", "success", 1)
    assert worth(tls_report(row), OURS, NOW) == "the report is not about our domains"


def test_what_is_not_about_us_is_left_out() -> None:
    rows = (dmarc_row(), dmarc_row(header_from="example.org"), dmarc_row(header_from=""))
    kept = worth(dmarc_report(*rows, domain="shop.example.com"), OURS, NOW)
    assert not isinstance(kept, str)
    assert [row.header_from for row in kept.rows] == [  # type: ignore[union-attr]
        "example.com",
        "shop.example.com",
    ]
    ours, theirs = (TlsRow(name, "sts", "success", 1) for name in ("example.com", "example.org"))
    assert worth(tls_report(ours, theirs), OURS, NOW) == TlsAggregate(origin(), (ours,))


def test_an_outcome_is_named_by_what_aligned() -> None:
    assert [Outcome.of(dkim=dkim, spf=spf) for dkim in (True, False) for spf in (True, False)] == [
        Outcome.ALIGNED,
        Outcome.DKIM_ONLY,
        Outcome.SPF_ONLY,
        Outcome.FAILED,
    ]
