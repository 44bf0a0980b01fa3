"""Containers: what an attachment holds, unpacked in memory and within bounds.

What it is its first octets say, never its name or type: reporters mislabel zip as gzip and send
plain XML as octet-stream.  Nothing is written to disk, and nothing is unpacked ahead of the bounds:
octets are counted as they come out.

Raises `Unpackable`, whose text is for people.  Costs at most `MOST_OCTETS` of memory.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator

MOST_OCTETS = 20_000_000
"""Octets that come out of one attachment, all its files together."""
MOST_RATIO = 250
"""Times what went in; the most monotonous real report stays under a hundred."""
FREE_OCTETS = 1_000_000
"""Not measured by the ratio: small reports are cheap, whatever their shape."""
MOST_FILES = 20
MOST_MEMBERS = 20
"""Of a gzip, which may be several in a row."""
MOST_DEPTH = 2
"""A gzip in a zip is seen; what is deeper is a bomb."""

_PIECE = 65_536
_ZIP, _GZIP, _ENTRY = b"PK\x03\x04", b"\x1f\x8b", b"PK\x01\x02"
# what zipfile raises for hostile octets is not one family
_ZIP_TROUBLE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, ArithmeticError, EOFError, LookupError),
    *(OSError, RuntimeError, ValueError),
)
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


class Unpackable(ValueError):
    """It cannot be unpacked, or must not be."""


class _Budget:
    """How much may still come out."""

    def __init__(self, packed: int) -> None:
        self._left = min(MOST_OCTETS, max(FREE_OCTETS, packed * MOST_RATIO))

    def spend(self, octets: int) -> None:
        self._left -= octets
        if self._left < 0:
            raise Unpackable("unpacks to more than a report can be")


def unpack(data: bytes) -> list[bytes]:
    """The files in `data`, which may be a zip, a gzip, or the one file itself."""
    return list(_unpacked(data, _Budget(len(data)), MOST_DEPTH))


def _unpacked(data: bytes, budget: _Budget, depth: int) -> Iterator[bytes]:
    if not data.startswith((_ZIP, _GZIP)):
        yield data
        return
    if not depth:
        raise Unpackable("is packed too many times")
    files = _zip(data, budget) if data.startswith(_ZIP) else iter([_gzip(data, budget)])
    for file in files:
        yield from _unpacked(file, budget, depth - 1)


def _zip(data: bytes, budget: _Budget) -> Iterator[bytes]:
    # before zipfile makes an object of each entry: a million of them fit into a mail
    if data.count(_ENTRY) > MOST_FILES:
        raise Unpackable(f"has more than {MOST_FILES} files")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    yield _zipped(archive, entry, budget)
    except Unpackable:
        raise
    except _ZIP_TROUBLE as error:
        raise Unpackable(f"is no zip that can be read: {str(error)[:80]}") from error


def _zipped(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, budget: _Budget) -> bytes:
    if entry.compress_type not in _METHODS or entry.flag_bits & 1:
        raise Unpackable("is a zip that is encrypted or packed in an unusual way")
    out = bytearray()
    with archive.open(entry) as file:
        while piece := file.read(_PIECE):
            budget.spend(len(piece))
            out += piece
    return bytes(out)


def _gzip(data: bytes, budget: _Budget) -> bytes:
    """RFC 1952 section 2.2: members in a row; what follows the last one is padding."""
    out = bytearray()
    for _ in range(MOST_MEMBERS):
        unzip = zlib.decompressobj(wbits=31)
        rest = data
        try:
            while rest and not unzip.eof:
                piece = unzip.decompress(rest, _PIECE)
                budget.spend(len(piece))
                out += piece
                rest = unzip.unconsumed_tail
        except zlib.error as error:
            raise Unpackable(f"is no gzip that can be read: {str(error)[:80]}") from error
        if not unzip.eof:
            raise Unpackable("is a gzip that was cut short")
        data = unzip.unused_data
        if not data.startswith(_GZIP):
            return bytes(out)
    raise Unpackable("is a gzip of too many members")
