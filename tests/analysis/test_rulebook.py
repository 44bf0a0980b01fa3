"""The rulebook: order, conditions, codes that lie, what may never be held against an address."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.reply import Reply, Stage
from analysis.rulebook import Rulebook, searchable, shipped, shipped_files
from analysis.rulefile import RuleError
from analysis.verdict import Category, Fault, Severity
from tests.growth import assert_linear

OURS = """
[[rule]]
name = "house-style"
pattern = ['the parrot is no more']
category = "mailbox_disabled"
examples = ["550 The parrot is no more"]
"""


def written(folder: Path, text: str, name: str = "ours.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def judge(reply: str, **known: object) -> tuple[Category, Fault, Severity, bool]:
    verdict = shipped().classify(Reply.read(reply, **known))  # type: ignore[arg-type]
    return verdict.category, verdict.fault, verdict.severity, verdict.suppress


def test_the_shipped_book_is_made_once() -> None:
    assert shipped() is shipped()


def test_a_dead_mailbox_is_hard_and_suppresses() -> None:
    assert judge("550 5.1.1 <a@example.net>: User unknown") == (
        Category.BAD_MAILBOX, Fault.RECIPIENT, Severity.HARD, True,
    )  # fmt: skip


@pytest.mark.parametrize(
    "reply",
    ["450 4.1.1 <a@example.net>: User unknown", "450 no such user", "451 4.2.1 mailbox disabled"],
)
def test_a_temporary_reply_is_never_lasting_whatever_its_words(reply: str) -> None:
    _, _, severity, suppress = judge(reply)
    assert (severity, suppress) == (Severity.SOFT, False)


def test_a_full_mailbox_is_soft_even_for_good() -> None:
    assert judge("552 5.2.2 mailbox full") == (
        Category.MAILBOX_FULL, Fault.RECIPIENT, Severity.SOFT, False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "reply", ["550 Sorry.", "550", "554 5.0.0 computer says no", "", "gibberish"]
)
def test_what_nobody_understands_is_unknown_and_temporary(reply: str) -> None:
    assert judge(reply, stage=Stage.RCPT) == (
        Category.UNKNOWN, Fault.UNKNOWN, Severity.SOFT, False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "category"),
    [
        ("550 5.1.1 too many recipients this hour", Category.RATE_LIMIT),
        ("550 5.1.0 sender rejected", Category.SENDER_REJECTED),
        (
            "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)",
            Category.BAD_MAILBOX,
        ),
        ("550 5.2.1 IP blacklisted", Category.REPUTATION),
        ("550 5.2.1 mailbox disabled", Category.MAILBOX_DISABLED),
        ("550 5.2.0 Mail rejete. Mail rejected. ofr_506 [506]", Category.SPAM_CONTENT),
        ("554 5.7.1 [192.0.2.1] blocked using zen.spamhaus.org; open resolver", Category.SYSTEM),
        ("554 5.7.1 [192.0.2.1] listed, 127.255.255.254", Category.SYSTEM),
        ("524 5.2.4 <a@example.net>: user unknown", Category.BAD_MAILBOX),
    ],
)
def test_codes_lie_and_the_words_decide(reply: str, category: Category) -> None:
    assert judge(reply)[0] is category


def test_the_enhanced_code_decides_where_words_do_not() -> None:
    verdict = shipped().classify(Reply.read("550 5.1.1 qwertz"))
    assert (verdict.category, verdict.rule) == (Category.BAD_MAILBOX, "enhanced/5.1.1")
    told = shipped().classify(Reply.read("550 5.1.1 user unknown"))
    assert verdict.confidence < told.confidence


def test_the_code_and_the_stage_decide_last() -> None:
    assert judge("552 qwertz", stage=Stage.RCPT)[0] is Category.MAILBOX_FULL
    assert judge("552 qwertz", stage=Stage.DOT)[0] is Category.TOO_BIG


def test_the_stage_tells_the_sender_from_the_recipient() -> None:
    assert judge("550 User unknown", stage=Stage.MAIL)[0] is Category.SENDER_REJECTED
    assert judge("550 User unknown", stage=Stage.RCPT)[0] is Category.BAD_MAILBOX


def test_the_provider_decides_where_the_words_are_shared() -> None:
    words = "550 Mailbox unavailable or access denied"
    assert judge(words, provider="qq")[0] is Category.RATE_LIMIT
    assert judge(words)[0] is Category.BAD_MAILBOX


@pytest.mark.parametrize(
    ("code", "text", "stage", "category", "suppress"),
    [
        ("5.1.2", "NXDOMAIN for example.invalid", Stage.DNS, Category.BAD_DOMAIN, True),
        ("5.1.10", "null MX", Stage.DNS, Category.BAD_DOMAIN, True),
        ("4.4.3", "SERVFAIL for example.net", Stage.DNS, Category.NETWORK, False),
        ("4.4.3", "Host or domain name not found, try again", Stage.DNS, Category.NETWORK, False),
        ("4.4.1", "connection refused", Stage.CONNECT, Category.NETWORK, False),
        ("4.4.2", "timed out", Stage.DOT, Category.NETWORK, False),
        ("4.7.5", "certificate verify failed", Stage.STARTTLS, Category.TLS_REQUIRED, False),
    ],
)
def test_our_own_trouble_is_judged_too(
    code: str, text: str, stage: Stage, category: Category, suppress: bool
) -> None:
    verdict = shipped().classify(Reply(None, code, text, stage))
    assert (verdict.category, verdict.suppress) == (category, suppress)


def test_an_address_in_the_text_decides_nothing() -> None:
    assert searchable("<spam.quota@virus.example>: user unknown") == "<@>: user unknown"
    assert judge("550 <spam@quota.example>: user unknown")[0] is Category.BAD_MAILBOX


def test_an_operators_rules_go_first(tmp_path: Path) -> None:
    mine = written(tmp_path, OURS)
    book = Rulebook.load([mine, *shipped_files()])
    assert book.classify(Reply.read("550 The parrot is no more")).rule == "ours/house-style"
    assert book.takers(Reply.read("550 user unknown, the parrot is no more"))[0] == (
        "ours/house-style"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[rule]]\nname = 'x'\ncategory = 'nonsense'", "category 'nonsense' is not one of"),
        ("[[rule]]\nname = 'x'\ncategory = 'policy'\npatern = 'y'", "unknown key 'patern'"),
        ("[[rule]]\nname = 'X y'\ncategory = 'policy'", "needs a name"),
        ("[[rule]]\nname = 'x'\ncategory = 'policy'\npattern = '('", "not an RE2 pattern"),
        ("[[rule]]\nname = 'x'\ncategory = 'policy'\npattern = '(?=a)b'", "not an RE2 pattern"),
        ("[[rule]]\nname = 'x'\ncategory = 'policy'\ncode = 999", "code must be"),
        ("[[rule]]\nname = 'x'\ncategory = 'policy'\nenhanced = '9.1'", "is not like"),
        ("[[rule]]\nname = 'x'\ncategory = 'policy'\nprovider = 'acme'", "provider 'acme'"),
        ("[[rule]]\nname = 'x'\ncategory = 'policy'\nconfidence = 3", "from 0 to 1"),
        ("[[rule]]\nname = 'x'\ncategory = 'reputation'\nsuppress = true", "may suppress"),
        ("[[rule]]\nname = 'x'\ncategory = 'policy'\n" * 2, "two rules are called ours/x"),
        ("rule = 3", "[[rule]] tables"),
        ("[[rule]", "not TOML"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(RuleError) as refusal:
        Rulebook.load([written(tmp_path, text)])
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="cannot be read"):
        Rulebook.load([tmp_path / "nowhere.toml"])


@given(st.text(max_size=400), st.sampled_from(Stage), st.sampled_from([None, 250, 421, 550, 999]))
@settings(max_examples=200, deadline=None)
def test_any_text_gets_a_verdict_that_keeps_the_promise(
    text: str, stage: Stage, code: int | None
) -> None:
    """Only a lasting fault of the recipient or its domain suppresses, and nothing raises."""
    verdict = shipped().classify(Reply(code, None, text.encode("utf-8", "replace").decode(), stage))
    if verdict.suppress:
        assert verdict.fault in (Fault.RECIPIENT, Fault.DOMAIN)
        assert verdict.severity is Severity.HARD
    if verdict.fault is Fault.SENDER:
        assert verdict.severity is not Severity.HARD


@pytest.mark.parametrize(
    "piece", ["user ", "quota exceed", "a@", "host said: ", "(((", "550-5.1.1 ", "not found "]
)
def test_hostile_text_is_judged_in_linear_time(piece: str) -> None:
    def reply(size: int) -> Reply:
        return Reply.read("550 " + piece * size)

    assert_linear(shipped().classify, reply, 6_400)
