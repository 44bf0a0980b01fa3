"""The domain that an organisation registered, whatever stands before it."""

from __future__ import annotations

import pytest

from analysis.organisation import organisational_domain


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("example.com", "example.com"),
        ("mail.eu.example.com", "example.com"),
        ("shop.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),  # a public suffix: nobody's
        ("localhost", "localhost"),
    ],
)
def test_the_organisational_domain(name: str, expected: str) -> None:
    assert organisational_domain(name) == expected
