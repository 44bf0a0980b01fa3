"""The reading room: what kills the reader kills neither us nor the neighbours' readings."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from analysis.facts import Reading
from analysis.rulebook import shipped
from ingest.parse import read_mail
from ingest.reading_desk import Unreadable
from ingest.reading_room import MESSAGES_A_DESK, Limits, NoDesk, ReadingRoom
from tests.fuzz.herd import herd
from tests.storing import until

UNRULY = "tests.ingest.unruly:reader"
LIMITS = Limits(seconds=0.3, memory=200_000_000, patience=30.0)

Open = Callable[..., ReadingRoom]


@pytest.fixture
def room() -> Iterator[Open]:
    """`room()`: a reading room with the unruly reader, closed at the end."""
    opened: list[ReadingRoom] = []

    def open_(given: Callable[[], object] = lambda: "", maker: str = UNRULY, **other: Any) -> Any:
        opened.append(ReadingRoom(maker, given, replace(LIMITS, **other)))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


def said(answers: list[Reading | Unreadable]) -> list[str | None]:
    return [a.why if isinstance(a, Unreadable) else a.error for a in answers]


def test_every_message_is_read_as_it_is_in_our_own_process(room: Open) -> None:
    rules = shipped()
    sound = herd()
    answers = room(lambda: rules, "ingest.parse:reader", seconds=5.0).read(sound)
    assert answers == [read_mail(content, rules) for content in sound]


def test_nothing_runs_before_there_is_mail_and_after_closing(room: Open) -> None:
    one = room()
    assert one.pid is None
    assert one.read([]) == []
    assert one.pid is None
    one.read([b"a"])
    assert one.pid is not None
    one.close()
    assert one.pid is None
    with pytest.raises(NoDesk, match="closed"):
        one.read([b"a"])


@pytest.mark.parametrize(
    ("culprit", "why"),
    [
        (b"loop", "reading it takes more than 0.3 s"),
        (b"backtrack", "reading it takes more than 0.3 s"),
        (b"eat", "reading it takes more memory"),
        (b"exit 0", "ends the process"),
        (b"exit 7", "ends the process"),
        (b"crash", "ends the process"),
        (b"raise", "could not be read: LookupError"),
    ],
)
def test_a_culprit_is_unreadable_and_its_neighbours_are_read(
    room: Open, culprit: bytes, why: str
) -> None:
    if culprit == b"eat" and sys.platform == "darwin":
        pytest.skip("macOS limits no address space")
    one = room()
    first, bad, *rest = one.read([b"a", culprit, b"b", b"c"])
    assert isinstance(bad, Unreadable)
    assert why in bad.why
    assert said([first, *rest]) == ["a", "b", "c"]
    assert said(one.read([b"d"])) == ["d"]


def test_several_culprits_in_one_batch(room: Open) -> None:
    answers = room().read([b"exit 1", b"loop", b"a", b"crash", b"raise", b"exit 2", b"b"])
    assert [isinstance(answer, Unreadable) for answer in answers] == [
        *(True, True, False, True, True, True, False)
    ]


def test_a_reader_that_hangs_without_working_is_ended(room: Open) -> None:
    answers = room(patience=3.0).read([b"a", b"hang", b"b"])
    assert [isinstance(answer, Unreadable) for answer in answers] == [False, True, False]


def test_a_death_that_does_not_come_again_costs_the_message_nothing(
    room: Open, tmp_path: Path
) -> None:
    """As when the system, short of memory, ended the process in the middle of innocent mail."""
    once = f"once {tmp_path / 'mark'}"
    assert said(room().read([b"a", once.encode(), b"b"])) == ["a", once, "b"]


def test_what_is_printed_does_not_get_into_the_line(room: Open) -> None:
    assert said(room().read([b"print a", b"stdout b", b"c"])) == ["print a", "stdout b", "c"]


def test_messages_larger_than_a_batch_go_in_order(room: Open) -> None:
    contents = [f"{n} ".encode() + b"x" * 700_000 for n in range(5)]
    assert said(room(seconds=5.0).read(contents)) == [content.decode() for content in contents]


def test_a_change_of_what_is_given_starts_a_fresh_reader(room: Open) -> None:
    """How new rules reach the readers."""
    given = ["old rules", "new rules"]
    current = [given[0]]
    one = room(lambda: current[0])
    [before] = one.read([b"a"])
    same = one.pid
    one.read([b"a"])
    assert one.pid == same
    current[0] = given[1]
    [after] = one.read([b"a"])
    assert isinstance(before, Reading)
    assert isinstance(after, Reading)
    assert (before.extra["given"], after.extra["given"]) == ("old rules", "new rules")
    assert one.pid != same


def test_a_reader_that_has_read_very_many_makes_way_for_a_fresh_one(room: Open) -> None:
    one = room(seconds=5.0)
    for _ in range(2):
        answers = one.read([b"a"] * (MESSAGES_A_DESK // 2))
        assert len(answers) == MESSAGES_A_DESK // 2
    first = one.pid
    assert said(one.read([b"b"])) == ["b"]
    assert one.pid != first


@pytest.mark.anyio
async def test_without_mail_the_reader_goes_and_comes_back_for_the_next(room: Open) -> None:
    one = room(idle=0.05)
    one.read([b"a"])
    pid = one.pid
    assert pid is not None

    async def gone() -> bool:
        with suppress(ProcessLookupError):
            os.kill(pid, 0)  # also finds a dead process that nobody has waited for
            return False
        return one.pid is None

    await until(gone)
    assert said(one.read([b"b"])) == ["b"]


def test_a_signal_to_the_whole_group_does_not_end_the_reader(room: Open) -> None:
    """The service finishes its batch after Ctrl-C; its reader must not die first."""
    one = room()
    one.read([b"a"])
    pid = one.pid
    assert pid is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    assert said(one.read([b"b"])) == ["b"]
    assert one.pid == pid


@pytest.mark.anyio
async def test_the_reader_goes_with_its_service_however_that_ends() -> None:
    lines = (
        "import os",
        "from ingest.reading_room import Limits, ReadingRoom",
        f"room = ReadingRoom({UNRULY!r}, lambda: None, Limits())",
        "room.read([b'a'])",
        "print(room.pid, flush=True)",
        "os._exit(1)",
    )
    done = await anyio.run_process([sys.executable, "-c", "\n".join(lines)], check=False)
    pid = int(done.stdout)

    async def gone() -> bool:
        return not _runs(pid)

    await until(gone)


def _runs(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return "\nState:\tZ" not in _status(pid)
    return False


def _status(pid: int) -> str:
    file = Path(f"/proc/{pid}/status")
    return file.read_text() if file.exists() else ""


@pytest.mark.parametrize("maker", ["no.such.module:reader", "tests.ingest.unruly:nothing"])
def test_a_reader_that_does_not_start_says_so_and_can_come_later(room: Open, maker: str) -> None:
    with pytest.raises(NoDesk, match="did not start"):
        room(maker=maker).read([b"a"])
