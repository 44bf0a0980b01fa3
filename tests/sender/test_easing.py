"""While there is trouble with a provider it is sent less, and one conversation always stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.allowances import Allowance, Allowances, Rate
from sender.pacing import Pacing
from sender.places import Held
from sender.smtp import Host, Route
from sender.throttle import Throttle


@given(st.integers(1, 100), st.floats(0.01, 1.0))
def test_an_eased_site_keeps_one_conversation_and_gets_no_more_than_it_had(
    connections: int, ease: float
) -> None:
    throttle = Throttle(Allowance(connections), ease=ease)
    assert 1 <= throttle.places <= connections
    assert throttle.room(0.0) == throttle.places


def test_a_rate_is_eased_too() -> None:
    throttle = Throttle(Allowance(rate=Rate(10, 1.0)))
    for _ in range(10):
        throttle.begin(0.0)
    throttle.ease = 0.25
    assert throttle.tokens(4.0) == 1.0 * 10
    throttle.ease = 1.0
    assert throttle.next_token(0.0) == pytest.approx(0.1)
    throttle.ease = 0.25
    assert throttle.next_token(0.0) == pytest.approx(0.4)


def route(provider: str) -> Route:
    host = Host("mx.example.net", "192.0.2.1", 25)
    return Route(f"{provider} site", (host,), provider=provider)


@pytest.mark.anyio
async def test_sites_known_and_new_are_eased_and_eased_no_more() -> None:
    allowances = Allowances(Allowance(connections=8))
    pacing = Pacing(allowances, clock=lambda: 0.0, chance=lambda: 0.5)

    async def takes(provider: str, domain: str) -> int:
        """How many conversations may be under way at once."""
        passes = []
        while pacing.share(pacing.site_of(domain) or "", 0.0) > 2 * len(passes):  # type: ignore[operator]
            one = await pacing.enter(route(provider), domain)
            assert not isinstance(one, Held)
            passes.append(one)
        for one in passes:
            one.__exit__(None, None, None)
        return len(passes)

    assert await takes("gmail", "gmail.com") == 8
    pacing.ease({"gmail": 0.25, "yahoo": 0.5})
    assert await takes("gmail", "gmail.com") == 2
    assert await takes("yahoo", "yahoo.com") == 4
    assert await takes("qq", "qq.com") == 8
    pacing.ease({})
    assert await takes("gmail", "gmail.com") == 8
