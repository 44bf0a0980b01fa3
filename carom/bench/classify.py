"""`carom bench classify`: reading and judging, against flufl.bounce doing its part of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from email import message_from_bytes

from flufl.bounce import all_failures

from analysis.reply import Reply
from analysis.rulebook import shipped
from carom.bench.figure import Figure
from carom.bench.mail import REPLIES, letters
from ingest.parse import read_mail

MESSAGES = 1_500
REPLY_ROUNDS = 2_000


def bench() -> list[Figure]:
    """Messages and replies per second on one core."""
    rulebook = shipped()
    mails = letters(MESSAGES)
    ours = _rate(len(mails), lambda: [read_mail(mail, rulebook) for mail in mails])
    theirs = _rate(len(mails), lambda: [all_failures(message_from_bytes(m)) for m in mails])
    lines = [f"{line} {n}" for n in range(REPLY_ROUNDS) for line in REPLIES]
    replies = _rate(len(lines), lambda: [rulebook.classify(Reply.read(line)) for line in lines])
    return [
        Figure("classify", "messages read and judged", ours, "/s", "flufl.bounce", theirs),
        Figure("classify", "SMTP replies judged", replies, "/s", note="one core"),
    ]


def _rate(count: int, work: Callable[[], object]) -> float:
    work()  # the first time compiles patterns
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)
