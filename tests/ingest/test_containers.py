"""Attachments are unpacked within bounds, whatever they claim to be."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.containers import FREE_OCTETS, MOST_FILES, MOST_MEMBERS, Unpackable, unpack
from tests.ingest.aggregate_files import packed, zipped


@given(st.binary(max_size=2_000), st.sampled_from(["gzip", "zip"]))
def test_what_was_packed_comes_out_or_is_unpacked_once_more(data: bytes, how: str) -> None:
    if not data.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        assert unpack(packed(data, how)) == [data]
        assert unpack(data) == [data]


@given(st.binary(max_size=300), st.sampled_from([b"PK\x03\x04", b"\x1f\x8b", b""]))
def test_any_octets_are_unpacked_or_refused(data: bytes, start: bytes) -> None:
    with suppress(Unpackable):
        assert isinstance(unpack(start + data), list)


@given(st.integers(0, 400), st.integers(0, 255), st.sampled_from(["gzip", "zip"]))
def test_a_spoilt_archive_is_unpacked_or_refused(at: int, octet: int, how: str) -> None:
    data = bytearray(packed(b"<feedback/>" * 40, how))
    data[at % len(data)] = octet
    with suppress(Unpackable):
        unpack(bytes(data))


def test_a_zip_of_several_files_gives_each_and_no_folders() -> None:
    assert unpack(zipped({"a/": b"", "a/one": b"1", "two": b"2"})) == [b"1", b"2"]


def test_a_gzip_in_a_zip_is_seen_and_nothing_deeper() -> None:
    twice = zipped({"report.xml.gz": gzip.compress(b"<feedback/>")})
    assert unpack(twice) == [b"<feedback/>"]
    with pytest.raises(Unpackable, match="too many times"):
        unpack(gzip.compress(twice))


def test_members_in_a_row_are_one_file_and_padding_is_none_of_it() -> None:
    assert unpack(gzip.compress(b"one ") + gzip.compress(b"two") + b"\0\0") == [b"one two"]


ZEROS = bytes(20_000_000)


@pytest.mark.parametrize(
    "bomb",
    [
        pytest.param(gzip.compress(ZEROS), id="gzip 1000:1"),
        pytest.param(zipped({"a": ZEROS}), id="zip 1000:1"),
        pytest.param(zipped({str(n): bytes(200_000) for n in range(15)}), id="many small"),
        pytest.param(zipped({"a.gz": gzip.compress(ZEROS)}), id="gzip in zip"),
        pytest.param(zipped({str(n): b"" for n in range(MOST_FILES + 1)}), id="many files"),
        pytest.param(gzip.compress(b"") * (MOST_MEMBERS + 1), id="many members"),
        pytest.param(gzip.compress(b"cut short" * 99)[:-9], id="cut short"),
        pytest.param(b"PK\x03\x04" + b"PK\x01\x02" * 2_000_000, id="entries of no file"),
    ],
)
def test_a_bomb_is_refused(bomb: bytes) -> None:
    with pytest.raises(Unpackable):
        unpack(bomb)


def test_a_zip_that_lies_about_its_size_is_counted_as_it_comes_out() -> None:
    bomb = bytearray(zipped({"a": bytes(3 * FREE_OCTETS)}))
    entry = bomb.find(b"PK\x01\x02")
    bomb[entry + 24 : entry + 28] = (10).to_bytes(4, "little")
    try:
        files = unpack(bytes(bomb))
    except Unpackable:
        return
    assert sum(map(len, files)) <= 10


def test_unusual_packing_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a", b"report")
    with pytest.raises(Unpackable, match="unusual"):
        unpack(out.getvalue())
    with pytest.raises(Unpackable, match="no gzip"):
        unpack(b"\x1f\x8b" + zlib.compress(b"x"))
