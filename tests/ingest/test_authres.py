"""Authentication-Results as receivers write them, and as strangers forge them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.authres import METHODS, OTHER, RESULTS, Authentication, read
from tests.growth import assert_linear

ALL_PASS = Authentication("pass", "pass", "pass")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            (
                "mx.example.net; spf=pass smtp.mailfrom=b@bounces.example.com; "
                "dkim=pass header.d=example.com; dmarc=pass header.from=example.com"
            ),
            ALL_PASS,
        ),
        ("mx.example.net 1; none", Authentication()),
        ("mx.example.net", Authentication()),
        ("", Authentication()),
        # without a name in front, comments between, in capitals
        (
            (
                "spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=x; dkim=PASS (ok; dmarc=fail)"
                " header.d=y;dmarc=bestguesspass action=none"
            ),
            Authentication("pass", "pass", "none"),
        ),
        # one of two signatures is enough
        ("mx.example.net; dkim=neutral; dkim=pass; dkim=fail", Authentication(None, "pass")),
        ("mx.example.net; dkim=fail; dkim=temperror", Authentication(None, "fail")),
        (
            "mx.example.net;\r\n\tspf = softfail;\r\n\tdkim/1 = pass",
            Authentication("softfail", "pass"),
        ),
        ('mx.example.net; spf=fail reason="spf=pass; dkim=pass"', Authentication("fail")),
        ("mx.example.net; spf=hardfail; dmarc=wonderful", Authentication("fail", None, OTHER)),
        ("mx.example.net; xspf=pass; arc=pass; iprev=pass", Authentication()),
        ("mx.example.net (unclosed; spf=pass", Authentication()),
    ],
)
def test_what_a_receiver_says(header: str, expected: Authentication) -> None:
    assert read([header]) == expected


def test_the_topmost_of_the_receivers_own_is_believed() -> None:
    theirs = "mx.example.net; spf=fail"
    forged = "mx.example.net; spf=pass; dkim=pass; dmarc=pass"
    relay = "relay.example.org; spf=none"
    assert read([theirs, forged]).spf == "fail"
    assert read([relay, theirs, forged], ["MX.example.net"]).spf == "fail"
    assert read([relay, forged], ["other.example"]) == Authentication()
    assert read([], ["mx.example.net"]) == Authentication()


@given(st.lists(st.text(max_size=200), max_size=4), st.lists(st.text(max_size=20), max_size=2))
def test_nothing_raises_and_results_are_of_a_closed_set(headers: list[str], ids: list[str]) -> None:
    found = read(headers, ids)
    for method in METHODS:
        assert getattr(found, method) in {*RESULTS, OTHER, None}


@pytest.mark.parametrize("piece", ["(", '"', "dkim=", ";", "\\", '"\\', "a" * 10, " = "])
def test_hostile_text_is_read_in_linear_time(piece: str) -> None:
    assert_linear(read, lambda size: [piece * size], 1_000_000)
