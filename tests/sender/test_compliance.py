"""The lint: each finding where it belongs, none where mail is well, and its cost."""

from __future__ import annotations

import pytest

from analysis.address import parse_mailbox
from sender.compliance import Facts, Standing, check
from sender.compliance_findings import TEXTS
from sender.compose import Draft
from sender.letters import of_draft
from sender.lint_api import letter_of

NOW = 1_790_000_000.0


def organisation(name: str) -> str:
    return ".".join(name.split(".")[-2:])


FACTS = Facts(
    signing=frozenset({"example.com"}),
    default="example.com",
    return_path="bounces.example.com",
    unsubscribe=frozenset({"news"}),
    organisation=organisation,
)


def codes(
    *,
    from_: str = "Shop <a@example.com>",
    subject: str = "Your order",
    text: str | None = "Hello.",
    html: str | None = None,
    stream: str = "default",
    class_: str = "transactional",
    facts: Facts = FACTS,
) -> list[str]:
    mailbox = parse_mailbox(from_)
    draft = Draft(mailbox, (parse_mailbox("b@example.net"),), subject, text, html)
    return [one.code for one in check(of_draft(draft), facts, Standing(stream, class_, NOW))]


def raw_codes(*lines: str) -> list[str]:
    letter = letter_of("\r\n".join(lines).encode(), NOW)
    return [one.code for one in check(letter, FACTS, Standing("default", "transactional", NOW))]


def test_good_mail_has_no_findings() -> None:
    assert codes() == []
    assert codes(html='<p>See <a href="https://example.com/a">your order</a></p>') == []
    assert codes(from_="Shop <a@mail.example.com>") == []
    assert codes(stream="news", class_="bulk") == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"from_": "Shop <a@example.org>"}, "from_unaligned"),
        ({"from_": '"ceo@bank.example" <a@example.com>'}, "name_of_another"),
        ({"from_": "a@example.com"}, "name_missing"),
        ({"class_": "bulk"}, "unsubscribe_missing"),
        ({"text": None, "html": "<p>Hello there, all of you.</p>"}, "text_missing"),
        ({"text": " "}, "empty"),
        ({"subject": ""}, "subject_empty"),
        ({"subject": "BUY THIS NOW"}, "subject_shouts"),
        ({"subject": "Win $$$!!!"}, "subject_shouts"),
        ({"subject": "Re: your order"}, "subject_pretends"),
        ({"subject": "x" * 200}, "subject_long"),
        ({"text": "Hello {{ name }}"}, "placeholder"),
        ({"html": '<a href="#">x</a>'}, "link_empty"),
        ({"html": '<a href="">x</a>'}, "link_empty"),
        ({"html": '<a href="javascript:x()">x</a>'}, "link_empty"),
        ({"html": '<a href="/path">x</a>'}, "link_empty"),
        ({"html": '<a href="http://localhost:3000/x">x</a>'}, "link_local"),
        ({"html": '<a href="https://10.0.0.1/">x</a>'}, "link_local"),
        ({"html": '<a href="https://8.8.8.8/">x</a>'}, "link_numeric"),
        ({"html": '<a href="http://example.com/">x</a>'}, "link_insecure"),
        ({"html": '<a href="https://evil.example/">www.bank.example</a>'}, None),
        ({"html": '<a href="https://evil.test.org/">https://bank.com</a>'}, "link_mismatch"),
        ({"html": '<a href="http://bank.com/">https://bank.com</a>'}, "link_mismatch"),
        ({"html": "<img src=x>"}, "image_without_alt"),
        ({"html": '<img src=x alt="">'}, "image_alone"),
        ({"html": "<form>x</form>"}, "active"),
        ({"html": "x" * 103_000}, "clipped"),
    ],
)
def test_each_finding_is_found(change: dict[str, str], code: str | None) -> None:
    found = codes(**change)  # type: ignore[arg-type]
    assert code is None or code in found


def test_without_a_key_the_return_path_still_aligns() -> None:
    bare = Facts(frozenset(), "example.com", "bounces.example.com", frozenset(), organisation)
    assert codes(facts=bare) == ["unsigned"]
    assert codes(facts=bare, from_="S <a@example.org>") == ["from_unaligned"]


def test_a_ready_message_is_read_by_its_headers_and_parts() -> None:
    head = ("From: Shop <a@example.com>", "To: b@example.net", "Subject: Hi")
    assert raw_codes(*head, "", "Hello") == []
    assert raw_codes(*head, "Date: yesterday", "", "Hello") == ["date_invalid"]
    assert raw_codes(*head, "Message-ID: x", "", "Hello") == ["message_id_invalid"]
    assert "from_malformed" in raw_codes("From: a@x.example, b@x.example", *head[1:], "", "Hello")
    assert "from_malformed" in raw_codes(*head[1:], "", "Hello")
    assert "line_too_long" in raw_codes(*head, "", "x" * 999)
    assert raw_codes(*head, "List-Unsubscribe: <mailto:u@example.com>", "", "Hello") == [
        "one_click_missing"
    ]
    html = ("Content-Type: text/html", "Content-Transfer-Encoding: base64", "")
    assert raw_codes(*head, *html, "PGEgaHJlZj0iIyI+eDwvYT4=") == ["text_missing", "link_empty"]


def test_every_finding_says_how_to_mend_it_in_both_languages() -> None:
    for code, told in TEXTS.items():
        assert told.severity in ("error", "warning", "advice"), code
        assert min(map(len, (told.en, told.mend_en))) > 10, code
        assert min(map(len, (told.zh, told.mend_zh))) > 3, code


def test_findings_are_bounded_and_count_their_places() -> None:
    links = '<a href="#">x</a>' * 500
    mailbox = parse_mailbox("S <a@example.com>")
    draft = Draft(mailbox, (mailbox,), "Hi", "x", links)
    [found] = check(of_draft(draft), FACTS, Standing("default", "transactional", NOW))
    assert (found.code, found.count) == ("link_empty", 500)
