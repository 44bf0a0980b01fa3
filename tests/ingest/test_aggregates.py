"""Mails with aggregate reports: known by their outside, read from whatever holds the file."""

from __future__ import annotations

import pytest

from analysis.facts import Kind, Reading
from analysis.rulebook import shipped
from ingest import aggregates, containers
from ingest.aggregates import MOST_PARTS
from ingest.parse import read_mail
from tests.ingest.aggregate_files import (
    DMARC_NAME,
    dmarc_report,
    dmarc_xml,
    mail,
    packed,
    tls_json,
    tls_mail,
    tls_report,
    zipped,
)

XML = dmarc_xml(dmarc_report())
JSON = tls_json(tls_report())


def read(content: bytes) -> Reading:
    return read_mail(content, shipped())


@pytest.mark.parametrize(
    ("kind", "name", "how"),
    [
        ("application/zip", f"{DMARC_NAME}.zip", "zip"),
        ("application/gzip", f"{DMARC_NAME}.xml.gz", "gzip"),
        ("application/x-gzip", f"{DMARC_NAME}.xml.gz", "gzip"),
        ("application/octet-stream", f"{DMARC_NAME}.xml.gz", "gzip"),
        ("application/octet-stream", f"{DMARC_NAME}.zip", "zip"),
        ("application/x-zip-compressed", "report.zip", "zip"),
        ("application/zip", f"{DMARC_NAME}.zip", "gzip"),  # it says zip, it is none
        ("text/xml", f"{DMARC_NAME}.xml", "plain"),
        ("application/xml", "", "plain"),
        ("text/plain", f"{DMARC_NAME}.xml", "plain"),
    ],
)
@pytest.mark.parametrize("multipart", ["multipart/mixed", ""])
def test_a_dmarc_report_is_read_however_it_is_packed(
    kind: str, name: str, how: str, multipart: str
) -> None:
    reading = read(mail(packed(XML, how), kind=kind, name=name, multipart=multipart))
    assert (reading.kind, reading.error) == (Kind.DMARC_AGGREGATE, None)
    assert reading.aggregate == dmarc_report()


@pytest.mark.parametrize("subject", ["Your daily report", "Report Domain: example.com"])
def test_plain_xml_needs_no_name_and_no_subject(subject: str) -> None:
    reading = read(mail(XML, kind="text/xml", name="", subject=subject))
    assert reading.aggregate == dmarc_report()


@pytest.mark.parametrize(
    ("kind", "how"), [("application/tlsrpt+gzip", "gzip"), ("application/tlsrpt+json", "plain")]
)
@pytest.mark.parametrize("multipart", ['multipart/report; report-type="tlsrpt"', "multipart/mixed"])
def test_a_tls_report_is_read(kind: str, how: str, multipart: str) -> None:
    reading = read(tls_mail(packed(JSON, how), kind=kind, multipart=multipart))
    assert (reading.kind, reading.error) == (Kind.TLS_RPT, None)
    assert reading.aggregate == tls_report()


def test_of_a_zip_with_several_files_the_report_is_read() -> None:
    files = zipped({"readme.txt": b"hello", f"{DMARC_NAME}.xml": XML})
    reading = read(mail(files, kind="application/zip"))
    assert reading.aggregate == dmarc_report()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (packed(bytes(20_000_000), "gzip"), "more than a report can be"),
        (packed(b"<feedback><record>", "gzip"), "broken"),
        (packed(XML, "gzip")[:-20], "cut short"),
        (packed(b"hello", "gzip"), "no part of the mail holds a report"),
    ],
)
def test_a_report_that_cannot_be_read_keeps_its_kind_and_says_why(content: bytes, why: str) -> None:
    reading = read(mail(content))
    assert (reading.kind, reading.aggregate) == (Kind.DMARC_AGGREGATE, None)
    assert why in (reading.error or "")


def test_of_a_mail_full_of_bombs_a_bounded_number_is_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[bytes] = []

    def unpack(data: bytes) -> list[bytes]:
        tried.append(data)
        return containers.unpack(data)

    monkeypatch.setattr(aggregates, "unpack", unpack)
    bomb = packed(bytes(19_000_000), "gzip")
    part = mail(bomb).partition(b"--=_e\r\nContent-Type: text/plain")[2]
    parts = b"--=_e\r\nContent-Type: text/plain" + part.replace(b"--=_e--\r\n", b"")
    content = mail(bomb).replace(b"--=_e--\r\n", parts * 100 + b"--=_e--\r\n")
    assert read(content).aggregate is None
    assert 0 < len(tried) <= MOST_PARTS
