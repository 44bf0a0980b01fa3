"""`carom classify` gives every file and every reply its line, in order."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from carom.__main__ import main
from tests.ingest.letters import group, letter, notice, report

DSN = report(
    group(
        final_recipient="rfc822; gone@example.net",
        action="failed",
        status="5.1.1",
        diagnostic_code="smtp; 550 5.1.1 user unknown",
    )
)
RECIPIENT_KEYS = {
    *("address", "action", "status", "reply_code", "category", "fault", "severity", "suppress"),
    *("rule", "evidence", "confidence", "advice"),
}


def run(capfd: pytest.CaptureFixture[str], *argv: str) -> list[dict[str, Any]]:
    assert main(["classify", *argv, "--json"]) == 0
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_a_bounce_is_one_line_of_the_contracts_shape(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.eml").write_bytes(DSN)
    (line,) = run(capfd, str(tmp_path / "a.eml"))
    assert line["kind"] == "bounce"
    assert {"file", "kind", "feedback_type", "token", "error", "recipients"} <= line.keys()
    (recipient,) = line["recipients"]
    assert recipient.keys() >= RECIPIENT_KEYS
    assert (recipient["address"], recipient["category"]) == ("gone@example.net", "bad_mailbox")
    assert (recipient["severity"], recipient["fault"]) == ("hard", "recipient")
    assert recipient["advice"]["en"]
    assert recipient["advice"]["zh"]


def test_a_directory_is_read_whole_in_sorted_order(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("b/2.eml", "b/1.eml", "a.eml", "c/d/0.eml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(letter(["Subject: hello"], "x"))
    names = [
        Path(line["file"]).relative_to(tmp_path).as_posix() for line in run(capfd, str(tmp_path))
    ]
    assert names == ["a.eml", "b/1.eml", "b/2.eml", "c/d/0.eml"]


def test_what_cannot_be_opened_has_its_line_too(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone.eml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "noise.eml").write_bytes(bytes(range(256)) * 10)
    gone, noise = run(capfd, str(tmp_path))
    assert "cannot be opened" in gone["error"]
    assert (noise["kind"], noise["recipients"]) == ("normal", [])


def test_a_hostile_folder_has_a_line_for_each_thing_in_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A pipe is not waited for, an endless device not read, and a name may be any octets."""
    os.mkfifo(tmp_path / "a-pipe")
    (tmp_path / "b-device").symlink_to("/dev/zero")
    (tmp_path / "c-loop").symlink_to(tmp_path)
    (tmp_path / "d-gone").symlink_to(tmp_path / "nowhere")
    for name in (b"e-\xff.eml", b"f-\x1b[2J.eml", b"g-\n.eml"):
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_bytes(DSN)
    lines = run(capfd, str(tmp_path))
    assert [Path(line["file"]).name for line in lines] == [
        *("a-pipe", "b-device", "d-gone", "e-\ufffd.eml", "f-\x1b[2J.eml", "g-\n.eml")
    ]
    assert [line["error"] for line in lines[:2]] == ["is no file"] * 2
    assert [line["kind"] for line in lines[3:]] == ["bounce"] * 3
    assert main(["classify", str(tmp_path)]) == 0
    assert "\x1b" not in capfd.readouterr().out
    assert run(capfd, "--reply", os.fsdecode(b"550 5.1.1 \xff"))[0]["category"] == "bad_mailbox"


def test_one_reply_has_its_judgement_at_the_top(capfd: pytest.CaptureFixture[str]) -> None:
    (line,) = run(capfd, "--reply", "550 5.1.1 user unknown")
    assert line["reply"] == "550 5.1.1 user unknown"
    assert line["category"] == "bad_mailbox"
    assert line.keys() >= {"fault", "severity", "suppress", "rule", "confidence", "advice"}


def test_replies_are_answered_line_by_line_even_empty_ones(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.txt").write_bytes(b"550 5.1.1 user unknown\r\n\n452 4.2.2 mailbox full\n")
    lines = run(capfd, "--replies", str(tmp_path / "r.txt"))
    assert [line["reply"] for line in lines] == [
        "550 5.1.1 user unknown",
        "",
        "452 4.2.2 mailbox full",
    ]
    assert [line["category"] for line in lines[::2]] == ["bad_mailbox", "mailbox_full"]


def test_people_get_a_table(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.eml").write_bytes(notice("<gone@example.net>: [x] user unknown"))
    assert main(["classify", str(tmp_path)]) == 0
    assert "bounce" in capfd.readouterr().out


@pytest.mark.parametrize("argv", [[], ["--reply", "x", "--replies", "y"], ["/no/such/file"]])
def test_wrong_usage_is_one_line_and_exit_code_two(
    argv: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["classify", *argv]) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1
