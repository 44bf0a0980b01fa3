"""How long a receiver asks us to wait is read from its words, and never made up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.hint import LONGEST, wait_hint
from tests.growth import assert_linear

ASKED = {
    "Greylisted, please try again in 300 seconds": 300,
    "retry in 5 minutes": 300,
    "You are greylisted for 60s": 60,
    "Greylisting in action, please come back in 00:04:59": 299,
    "come back in 01:00:00": 3_600,
    "Please try again in 1 hour": 3_600,
    "temporarily deferred; retrytime=300": 300,
    "deferred, Retry-After: 120": 120,
    "try again after 15 min": 900,
    "Try again after 90 secs.": 90,
    "rate limit exceeded, please retry your message after 10 minutes": 600,
    "Please wait at least 5 minutes before trying": 300,
    "Too many connections; wait 30s": 30,
    "Too fast. Wait another 2 minutes and 30 seconds": 150,
    "after 300 seconds try again": 300,
    "Greylisted (remaining 299 seconds)": 299,
    "try again in an hour": 3_600,
    "please retry in five minutes": 300,
    "try again in 1h 30m": 5_400,
    "Host 192.0.2.10 greylisted: retry in 45 seconds": 45,
    "Bitte versuchen Sie es in 10 Minuten erneut": 600,
    "Versuchen Sie es nach 300 Sekunden wieder": 300,
    "Bitte warten Sie 2 Stunden": 7_200,
    "Merci de réessayer dans 5 minutes": 300,
    "Veuillez patienter 60 secondes": 60,
    "Essai refusé, à nouveau dans 1 heure": 3_600,
    "请在300秒后重试": 300,
    "连接过于频繁,请 10 分钟 后再试": 600,
    "請1小時後重新投遞": 3_600,
}

NOT_ASKED = [
    "",
    "Greylisted, try again later",
    "Too many messages in 60 seconds",
    "More than 10 connections in 1 minute, try again later",
    "try again later, limit is 100 messages per 1 hour",
    "Please try again later. Quota of 500 mails in 24 hours exceeded",
    "try again later too many messages in 60 seconds",
    "try again in a few minutes",
    "try again in 0 seconds",
    "try again in 400 days",
    "message was in the queue for 5 days",
    "too many retries in 60 seconds",
    "mail from 192.0.2.1 deferred",
    "Try again at 14:05",
    "user is over quota since 3 days",
]


@pytest.mark.parametrize("text", ASKED)
def test_a_wait_that_is_asked_for_is_read(text: str) -> None:
    assert wait_hint(text) == ASKED[text]


@pytest.mark.parametrize("text", NOT_ASKED)
def test_a_length_of_time_that_is_no_request_is_left_alone(text: str) -> None:
    assert wait_hint(text) is None


@given(st.integers(1, 600_000), st.sampled_from(["seconds", "sec", "s", "Sekunden", "secondes"]))
def test_any_number_of_seconds_is_read_as_it_stands(number: int, unit: str) -> None:
    assert wait_hint(f"please try again in {number} {unit}") == number


words = st.sampled_from(
    ["try", "again", "in", "5", "minutes", "00:05:00", "wait", ",", "后", "秒", "10", "s", "retry"]
)


@given(st.text() | st.lists(words).map(" ".join))
def test_any_text_is_read_to_a_bounded_wait_or_none(text: str) -> None:
    wait = wait_hint(text)
    assert wait is None or 0.0 < wait <= LONGEST


@pytest.mark.parametrize(
    "piece", ["again ", "in 5 ", "5 minutes ", "5 ", "again a b c d e ", "wait in for ", "1:"]
)
def test_hostile_text_is_read_in_linear_time(piece: str) -> None:
    assert_linear(wait_hint, lambda size: piece * size, 100_000)
