"""The desk: a process of its own that reads mail for a `ReadingRoom`, and may die of it.

Runs our own code on hostile bytes, one batch after another, and answers each message as soon as it
is read.  What one message may cost is held by the system, not by this code: the timer of the
process' CPU time (its signal kills, also in the middle of a C function that holds the interpreter)
and the limit of its address space, where the system has one.  Ends by itself when its room goes
away or asks nothing for a while, so that a service at rest has no such process.

The line is a socket on descriptor 0.  To the desk: an `Order`, then lists of messages; from it: one
frame when it is ready, then a `Reading` or `Unreadable` a message.  A frame is a length of four
octets and a pickle: both ends are our own code of one user, and no pickle comes out of mail.
"""

from __future__ import annotations

import contextlib
import importlib
import pickle
import resource
import signal
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from analysis.facts import Reading

MAX_FRAME: Final = 64_000_000
"""Octets of one frame: a batch of mail, or the rules."""

_LENGTH: Final = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message that has no reading, and why."""

    why: str


Read = Callable[[bytes], Reading]


@dataclass(frozen=True, slots=True)
class Order:
    """What the desk is to do.  `maker` is `module:function`, called once with `given`: a `Read`."""

    maker: str
    given: object
    seconds: float  # of CPU for one message
    memory: int  # octets of address space of the whole process
    idle: float  # seconds without a question, after which the desk ends


def send(line: socket.socket, thing: object) -> None:
    data = pickle.dumps(thing, pickle.HIGHEST_PROTOCOL)
    line.sendall(_LENGTH.pack(len(data)) + data)


def receive(line: socket.socket) -> Any:
    """The next frame's content; `EOFError` where the other end is gone, `TimeoutError` where it is
    silent for longer than the line's timeout."""
    (size,) = _LENGTH.unpack(_octets(line, _LENGTH.size))
    if size > MAX_FRAME:
        raise EOFError(f"a frame of {size} octets")
    return pickle.loads(_octets(line, size))  # noqa: S301 - our own, see above


def _octets(line: socket.socket, count: int) -> bytearray:
    data = bytearray(count)
    view = memoryview(data)
    while view:
        got = line.recv_into(view)
        if not got:
            raise EOFError
        view = view[got:]
    return data


def main() -> None:
    """Serve the room until it is gone or silent."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)  # sent to the whole group: the room ends us
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    with socket.socket(fileno=0) as line, contextlib.suppress(EOFError, TimeoutError, OSError):
        _serve(line)


def _serve(line: socket.socket) -> None:
    order: Order = receive(line)
    module, _, name = order.maker.partition(":")
    read = cast(Read, getattr(importlib.import_module(module), name)(order.given))
    _limit_memory(order.memory)
    send(line, None)
    line.settimeout(order.idle)
    while True:
        for content in receive(line):
            answer = _answer(read, content, order.seconds)
            send(line, answer)
            if answer is _OUT_OF_MEMORY:
                return  # what is left of the heap is in doubt


_OUT_OF_MEMORY = Unreadable("reading it takes more memory than ingest.limits.parse_memory allows")


def _answer(read: Read, content: bytes, seconds: float) -> Reading | Unreadable:
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        return read(content)
    except MemoryError:
        return _OUT_OF_MEMORY
    except Exception as trouble:  # noqa: BLE001 - a fault of the reader is about this mail alone
        return Unreadable(f"could not be read: {type(trouble).__name__}: {str(trouble)[:200]}")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)


def _limit_memory(octets: int) -> None:
    """Where the system refuses (macOS), the limits inside the reader are what there is."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    if most != resource.RLIM_INFINITY:
        octets = min(octets, most)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (octets, most))
