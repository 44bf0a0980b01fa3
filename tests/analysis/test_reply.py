"""A reply is read in every shape that systems write it in, and is safe to keep."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.reply import MAX_TEXT, Reply, Stage
from tests.growth import assert_linear


@pytest.mark.parametrize(
    ("line", "code", "enhanced", "text"),
    [
        ("550 5.1.1 user unknown", 550, "5.1.1", "user unknown"),
        ("550", 550, None, ""),
        ("550 #5.1.0 Address rejected.", 550, "5.1.0", "Address rejected."),
        ("550-5.1.1 no\r\n550 5.1.1 such user", 550, "5.1.1", "no such user"),
        ("550-5.1.1 no 550-5.1.1 such 550 5.1.1 user", 550, "5.1.1", "no such user"),
        ("550 550 5.1.1 twice", 550, "5.1.1", "twice"),
        ("smtp; 550 5.1.1 user unknown", 550, "5.1.1", "user unknown"),
        ("SMTP;550-'5.7.1 <a@b>... refused'", 550, "5.7.1", "<a@b>... refused'"),
        ("x-postfix; host unreachable", None, None, "host unreachable"),
        ("host mx.example.net[192.0.2.1] said: 552 5.2.2 full", 552, "5.2.2", "full"),
        ("<a@example.net>: host mx said: 450-4.2.0 later", 450, "4.2.0", "later"),
        (
            "SMTP error from remote mail server after RCPT TO:<a@b>: host mx [192.0.2.1]: 550 no",
            550,
            None,
            "no",
        ),
        ("sorry, no mailbox here (#5.1.1)", None, "5.1.1", "sorry, no mailbox here (#5.1.1)"),
        ("571 Message refused", 571, None, "Message refused"),
        ("5.4.4 no such host", None, "5.4.4", "no such host"),
        ("only words", None, None, "only words"),
        ("the limit is: 550 kB", None, None, "the limit is: 550 kB"),
        ("", None, None, ""),
    ],
)
def test_shapes(line: str, code: int | None, enhanced: str | None, text: str) -> None:
    reply = Reply.read(line)
    assert (reply.code, reply.enhanced, reply.text) == (code, enhanced, text)


@pytest.mark.parametrize(
    ("said", "stage"),
    [
        ("(in reply to RCPT TO command)", Stage.RCPT),
        ("(in reply to end of DATA command)", Stage.DOT),
        ("(in reply to HELO command)", Stage.EHLO),
        ("no more", Stage.UNKNOWN),
    ],
)
def test_postfix_names_the_stage(said: str, stage: Stage) -> None:
    assert Reply.read(f"550 refused {said}").stage is stage


def test_a_known_stage_is_kept() -> None:
    assert Reply.read("550 no (in reply to RCPT TO command)", stage=Stage.REPORT).stage is (
        Stage.REPORT
    )


@given(st.text(max_size=600))
def test_whatever_was_said_is_safe_and_short(said: str) -> None:
    reply = Reply.read(said)
    assert len(reply.text) <= MAX_TEXT
    assert not set(reply.text) & set("\x00\x1b\r\x7f")
    str(reply).encode("utf-8")


@pytest.mark.parametrize("piece", ["host ", "said: ", "550 ", "a@", "smtp;", "server : ", "(#5."])
def test_hostile_text_is_read_in_linear_time(piece: str) -> None:
    assert_linear(Reply.read, lambda size: piece * size, 16_000)
