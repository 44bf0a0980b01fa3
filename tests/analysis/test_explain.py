"""Explanations: what stands outweighs what happened, and everybody gets words of their own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from analysis.advice import AUDIENCES, LANGUAGES, advise
from analysis.causes import CAUSES, HELD_BACK, NEVER, OWN_RESOLVER, UNJUDGED, WAITS
from analysis.explain import explain
from analysis.lifecycle import State
from analysis.suppression import Reason, Suppression
from analysis.verdict import Category

NOW = 1_790_000_000.0


def delivery(state: State, **more: Any) -> Any:
    row = {
        "id": "01m00000000000000000000000",
        "message_id": "01m00000000000000000000001",
        "subject": "Hi",
        "stream": "news",
        "recipient": "bob@example.net",
        "state": state.value,
        "attempts": 1,
        "provider": "other",
        "created_at": NOW - 60,
        "next_at": NOW + 60,
        "deadline": NOW + 3600,
        "accepted_at": None,
        "answered_at": None,
        "domain": "example.net",
        "settled_at": None,
        "code": None,
        "enhanced": None,
        "reply": None,
        "category": None,
        "fault": None,
        "rule": None,
    }
    return SimpleNamespace(**{**row, **more})


def entry(reason: Reason, category: str | None = None) -> Suppression:
    return Suppression(
        address_hash=bytes(32),
        stream="*",
        reason=reason,
        address="bob@example.net",
        since=NOW,
        until=None,
        evidence="550 no such user",
        actor="carom",
        category=category,
        rule="bad-mailbox/x",
    )


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_verdict_and_reason_has_words_for_everybody(lang: str) -> None:
    every = {NEVER, *State, *Reason}
    assert CAUSES[lang].keys() - {HELD_BACK} == every == UNJUDGED.keys()
    assert CAUSES[lang][HELD_BACK]
    for verdict in every:
        assert CAUSES[lang][verdict]
        assert set(UNJUDGED[verdict][lang]) == set(AUDIENCES)
        assert all(UNJUDGED[verdict][lang].values())


def test_what_is_held_back_says_who_asked_for_it_and_until_when() -> None:
    words = "held back: gmail asked us to slow down (421 4.7.28 unusual rate)"
    waiting = delivery(
        State.QUEUED, rule="pacing/suspended", category="rate_limit", fault="sender", reply=words
    )
    told = explain("bob@example.net", waiting, [])
    assert told["cause"] == CAUSES["en"][HELD_BACK]
    assert (told["evidence"], told["verdict"]) == (words, "queued")
    assert told["next_attempt"] is not None


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(
    ("rule", "by"),
    [("routes/out", "routes"), ("caps/frequency", "caps"), (OWN_RESOLVER, OWN_RESOLVER)],
)
def test_what_waits_for_our_own_sake_says_so(rule: str, by: str, lang: Any) -> None:
    waiting = delivery(State.QUEUED, rule=rule, category="network", fault="network", reply="held")
    assert explain("bob@example.net", waiting, [], lang=lang)["cause"] == WAITS[lang][by]
    gone = delivery(State.EXPIRED, rule=rule, category="network", fault="network", reply="held")
    assert explain("bob@example.net", gone, [], lang=lang)["cause"] != WAITS[lang][by]


def test_an_address_nothing_was_sent_to() -> None:
    told = explain("bob@example.net", None, [])
    assert told["verdict"] == "never_written"
    assert told["delivery"] is None
    assert told["next_attempt"] is None


def test_what_waits_says_why_and_when_it_is_tried_again() -> None:
    put_off = delivery(
        State.QUEUED, category="greylisted", fault="receiver", rule="grey/x", reply="try later"
    )
    told = explain("bob@example.net", put_off, [])
    assert told["verdict"] == "queued"
    assert told["next_attempt"] == "2026-09-21T14:14:20.000Z"
    assert told["evidence"] == "try later"
    assert told["advice"]["support"] == advise(Category.GREYLISTED, "support", "en")


def test_what_is_delivered_is_not_explained_by_an_earlier_refusal() -> None:
    later = delivery(State.DELIVERED, category="greylisted", accepted_at=NOW, settled_at=NOW)
    told = explain("bob@example.net", later, [], lang="zh")
    assert told["advice"] == UNJUDGED[State.DELIVERED]["zh"]
    assert told["next_attempt"] is None


def test_what_stands_outweighs_what_happened() -> None:
    told = explain("bob@example.net", delivery(State.DELIVERED), [entry(Reason.COMPLAINT)])
    assert (told["verdict"], told["reason"]) == ("suppressed", "complaint")
    assert told["delivery"]["state"] == "delivered"


def test_a_bounce_on_the_list_is_explained_by_its_category() -> None:
    told = explain("b@example.net", None, [entry(Reason.HARD_BOUNCE, "bad_mailbox")], lang="zh")
    assert told["advice"]["user"] == advise(Category.BAD_MAILBOX, "user", "zh")
    assert told["evidence"] == "550 no such user"


@pytest.mark.parametrize(
    ("reason", "category", "fault"),
    [
        (Reason.HARD_BOUNCE, "bad_mailbox", "recipient"),
        (Reason.HARD_BOUNCE, "bad_domain", "domain"),
        (Reason.HARD_BOUNCE, None, "recipient"),  # from another service's list
        (Reason.SOFT_BOUNCE, "mailbox_full", "recipient"),
        (Reason.COMPLAINT, None, "recipient"),
        (Reason.UNSUBSCRIBE, "bad_domain", "recipient"),
        (Reason.MANUAL, None, "sender"),
    ],
)
def test_a_suppression_says_whose_doing_it_is_and_why(
    reason: Reason, category: str | None, fault: str
) -> None:
    told = explain("b@example.net", None, [entry(reason, category)])
    assert (told["fault"], told["cause"]) == (fault, CAUSES["en"][reason])


def test_what_a_person_decided_is_not_explained_by_a_server() -> None:
    told = explain("b@example.net", None, [entry(Reason.UNSUBSCRIBE, "bad_mailbox")])
    assert told["advice"] == UNJUDGED[Reason.UNSUBSCRIBE]["en"]
