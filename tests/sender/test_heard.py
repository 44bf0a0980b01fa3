"""An answer is about the pace of a site only where it is not about its message."""

from __future__ import annotations

import pytest

from analysis.reply import Reply, Stage
from analysis.rulebook import shipped
from sender.heard import Heard, heard

CLASSIFY = shipped().classify

SAID = [
    ("deferred", "421 4.7.28 Gmail has detected an unusual rate of mail from you", Heard.SLOWER),
    ("deferred", "421 4.3.2 too many connections, come back later", Heard.SLOWER),
    ("deferred", "421 try again later", Heard.SLOWER),
    ("deferred", "451 4.7.1 too many messages, slow down", Heard.SLOWER),
    ("deferred", "450 4.7.1 Greylisted, try again in 300 seconds", Heard.TAKEN),
    ("deferred", "452 4.2.2 mailbox full", Heard.TAKEN),
    ("deferred", "450 4.2.1 The user you are trying to contact is receiving mail too quickly",
     Heard.TAKEN),
    ("refused", "550 5.1.1 no such user", Heard.TAKEN),
    ("refused", "550 5.7.1 blocked using a DNS blocklist: your IP has a poor reputation",
     Heard.NOTHING),
    ("deferred", "451 4.3.0 internal error", Heard.NOTHING),
    ("accepted", "250 2.0.0 taken", Heard.TAKEN),
]  # fmt: skip


@pytest.mark.parametrize(("result", "said", "means"), SAID)
def test_what_is_said_is_told_apart(result: str, said: str, means: Heard) -> None:
    reply = Reply.read(said, stage=Stage.RCPT)
    assert heard(result, reply, CLASSIFY(reply)) is means


@pytest.mark.parametrize(
    ("stage", "means"),
    [
        (Stage.CONNECT, Heard.SILENT),
        (Stage.BANNER, Heard.SILENT),
        (Stage.DOT, Heard.SILENT),
        (Stage.STARTTLS, Heard.NOTHING),
        (Stage.UNKNOWN, Heard.NOTHING),
    ],
)
def test_silence_counts_where_the_host_should_have_spoken(stage: Stage, means: Heard) -> None:
    reply = Reply(None, "4.4.1", "connection timed out", stage)
    assert heard("deferred", reply, CLASSIFY(reply)) is means
