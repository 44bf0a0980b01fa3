"""A disk that forgets: what files may hold after a power cut, from a trace of the calls to it.

`strace` writes down every write, truncation, sync and removal in order, with its octets.  After a
cut a file holds everything that was synced, and of the rest whatever the drawn fate says: each
later write may be there, missing, or torn at a sector.  Order among writes that nobody synced is
not kept.  What the model takes from SQLite's own: octets beside a write are not harmed (power-safe
overwrite), and a directory's change lasts once it was made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

SECTOR = 512
TRACE = (
    *("strace", "-f", "-y", "-xx", "-s", "1000000", "-e", "signal=none"),
    *("-e", "trace=write,pwrite64,ftruncate,fsync,fdatasync,unlink"),
)

_CALL = re.compile(r"^\d+\s+(\w+)\((.*)$")
_OF_FILE = re.compile(r"(\d+)<([^>]*)>")
_WRITE = re.compile(r'\d+<[^>]*>, "([^"]*)", \d+(?:, (\d+))?')
_TRUNCATE = re.compile(r"\d+<[^>]*>, (\d+)")


@dataclass(frozen=True, slots=True)
class Call:
    """One call: what it did, to which file (its name, without the folder)."""

    kind: str  # write | truncate | sync | remove | said
    file: str
    octets: bytes = b""
    at: int = 0


def calls(trace: Path) -> Iterator[Call]:
    """The calls in order; `said` is what was written to standard output."""
    with trace.open() as lines:
        for line in lines:
            if (found := _CALL.match(line)) and (call := _call(found[1], found[2])):
                yield call


def _call(name: str, arguments: str) -> Call | None:
    if name == "unlink":
        return Call("remove", Path(_plain(arguments.split('"')[1]).decode()).name)
    of = _OF_FILE.match(arguments)
    if of is None:
        return None
    file = Path(_plain(of[2]).decode()).name
    match name:
        case "fsync" | "fdatasync":
            return Call("sync", file)
        case "ftruncate":
            size = _TRUNCATE.match(arguments)
            return Call("truncate", file, at=int(size[1])) if size else None
        case _:
            wrote = _WRITE.match(arguments)
            if wrote is None:
                return None
            if of[1] == "1":
                return Call("said", "", _plain(wrote[1]))
            return Call("write", file, _plain(wrote[1]), int(wrote[2] or 0))


def _plain(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


@dataclass(slots=True)
class Disk:
    """`base`: the files before the first call."""

    base: Mapping[str, bytes]
    synced: dict[str, bytearray] = field(default_factory=dict)
    pending: dict[str, list[Call]] = field(default_factory=dict)
    said: bytes = b""

    def __post_init__(self) -> None:
        self.synced = {name: bytearray(octets) for name, octets in self.base.items()}

    def hear(self, call: Call) -> None:
        match call.kind:
            case "said":
                self.said += call.octets
            case "sync":
                octets = self.synced.setdefault(call.file, bytearray())
                for one in self.pending.pop(call.file, ()):
                    _apply(octets, one)
            case "remove":
                self.synced.pop(call.file, None)
                self.pending.pop(call.file, None)
            case _:
                self.pending.setdefault(call.file, []).append(call)

    def after_a_cut(self, chance: Random) -> dict[str, bytes]:
        """The files as they may be when the power comes back."""
        left = {name: bytearray(octets) for name, octets in self.synced.items()}
        for name, waiting in self.pending.items():
            octets = left.setdefault(name, bytearray())
            for one in waiting:
                match chance.choice(("there", "there", "lost", "torn")):
                    case "there":
                        _apply(octets, one)
                    case "torn" if one.kind == "write":
                        cut = chance.randrange(0, len(one.octets), SECTOR)
                        _apply(octets, Call("write", name, one.octets[:cut], one.at))
        return {name: bytes(octets) for name, octets in left.items()}


def _apply(octets: bytearray, call: Call) -> None:
    if call.kind == "truncate":
        del octets[call.at :]
        octets.extend(bytes(call.at - len(octets)))
        return
    octets.extend(bytes(max(0, call.at - len(octets))))
    octets[call.at : call.at + len(call.octets)] = call.octets
