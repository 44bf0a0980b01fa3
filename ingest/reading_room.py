"""The reading room: mail is read in a process of its own, which may die of it; ours may not.

The reader bounds its own work (`ingest.mime`); this is for the day on which that has a hole.  A
message whose reading takes too long, too much memory or the interpreter with it gets an
`Unreadable` that says so; the messages beside it get their readings.

The process (`ingest.reading_desk`) starts with the first message, ends after a while without any,
and is replaced when it died, when it has read very many, and when what it was given (the rules) is
no longer the same object.
A message in whose reading it died for another reason than its own time, as when the system ran out
of memory, is read once more, alone, before it is called unreadable.

Refuses with `NoDesk`, which may pass, where no process can be started: nothing was read then.
Blocks, so it is to be called off the event loop, by one caller at a time.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Thread

from analysis.facts import Reading
from ingest.reading_desk import Order, Unreadable, receive, send

BATCH_OCTETS = 1_000_000
"""Mail that is handed over at once; a larger message goes alone."""

MESSAGES_A_DESK = 20_000
"""After so many a fresh process takes over: what patterns remember of texts is freed with it."""

_BOOT = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]);"
    "from ingest.reading_desk import main; main()"
)


class NoDesk(Exception):
    """The reading process did not start."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading may take."""

    seconds: float = 1.0  # of CPU, for one message
    memory: int = 256_000_000  # octets of address space, of the process
    patience: float = 60.0  # seconds of wall time for one message, and for the start
    idle: float = 30.0  # seconds without mail, after which the process ends


class ReadingRoom:
    """`maker` is the `module:function` that makes the reader from what `given()` returns, there."""

    def __init__(self, maker: str, given: Callable[[], object], limits: Limits) -> None:
        self._maker = maker
        self._given = given
        self._limits = limits
        self._desk: _Desk | None = None
        self._closed = False

    def read(self, contents: Sequence[bytes]) -> list[Reading | Unreadable]:
        """What each message says, in order."""
        answers: list[Reading | Unreadable] = []
        while len(answers) < len(contents):
            batch = _batch(contents[len(answers) :])
            answers += self._answers(batch)
        return answers

    @property
    def pid(self) -> int | None:
        """The process that reads, or None where none runs."""
        return self._desk.pid if self._desk is not None and self._desk.alive else None

    def close(self) -> None:
        """End the process; what is being read in another thread fails with `NoDesk`."""
        self._closed = True
        self._dismiss()

    def _answers(self, batch: Sequence[bytes]) -> list[Reading | Unreadable]:
        """At least one answer; the rest of the batch is asked again where the desk died."""
        answers: list[Reading | Unreadable] = []
        try:
            for answer in self._seated().ask(batch):
                answers.append(answer)  # noqa: PERF402 - kept also where the desk dies
        except (EOFError, OSError):
            why = self._post_mortem()
            if len(answers) < len(batch):
                culprit = batch[len(answers)]
                answers.append(Unreadable(why) if why else self._once_more(culprit))
        return answers

    def _once_more(self, content: bytes) -> Reading | Unreadable:
        """A message alone before a fresh desk, since the first death may have been chance."""
        try:
            return next(self._seated().ask([content]))
        except (EOFError, OSError):
            return Unreadable(self._post_mortem() or "reading it ends the process that reads")

    def _seated(self) -> _Desk:
        """The desk, with what is given now."""
        given = self._given()
        if self._desk is not None and not self._desk.serves(given):
            self._dismiss()
        if self._closed:
            raise NoDesk("the reading room is closed")
        if self._desk is None:
            self._desk = _Desk(self._maker, given, self._limits)
        return self._desk

    def _dismiss(self) -> int | None:
        """End the desk; how it ended, or None where there was none."""
        desk, self._desk = self._desk, None
        return None if desk is None else desk.end()

    def _post_mortem(self) -> str | None:
        """Why the desk died where the message is known to be the reason."""
        if self._dismiss() == -signal.SIGPROF:
            return f"reading it takes more than {self._limits.seconds:g} s"
        return None


def _batch(contents: Sequence[bytes]) -> Sequence[bytes]:
    octets = 0
    for number, content in enumerate(contents):
        octets += len(content)
        if number and octets > BATCH_OCTETS:
            return contents[:number]
    return contents


class _Desk:
    """One started process."""

    def __init__(self, maker: str, given: object, limits: Limits) -> None:
        self._given = given
        self._asked = 0
        ours, theirs = socket.socketpair()
        self._line = ours
        ours.settimeout(limits.patience)
        with theirs:
            try:
                self._process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - ourselves
                    [sys.executable, "-P", "-c", _BOOT, json.dumps(sys.path)],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                )
            except OSError as error:
                ours.close()
                raise NoDesk(f"no process to read in: {error}") from error
        # waits for its end, so that no dead process stays in the system's table
        Thread(target=self._process.wait, name="end of the reading desk", daemon=True).start()
        try:
            send(ours, Order(maker, given, limits.seconds, limits.memory, limits.idle))
            receive(ours)
        except (EOFError, OSError) as error:
            raise NoDesk(f"the reading process did not start: exit {self.end()}") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def serves(self, given: object) -> bool:
        """Whether it may be asked once more."""
        return self._given is given and self.alive and self._asked < MESSAGES_A_DESK

    def ask(self, batch: Sequence[bytes]) -> Iterator[Reading | Unreadable]:
        """Answers as they come; `EOFError` or `OSError` where the desk dies or is silent."""
        self._asked += len(batch)
        send(self._line, batch)  # taken in whole before anything is answered: no deadlock
        for _ in batch:
            yield receive(self._line)

    def end(self) -> int:
        """How it ended: an exit code, or a signal's number below zero."""
        self._line.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(0.2)  # dying already
        self._process.kill()
        return self._process.wait()
