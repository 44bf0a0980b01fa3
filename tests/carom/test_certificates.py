"""Certificates that are renewed while they are in use: by the next handshake, on every listener."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path

import pytest

from carom.certificates import Certificates
from carom.errors import SettingsError
from carom.settings.listeners import Tls
from tests.flows.house import carom_house
from tests.peers.certificates import Certificate, certificate_for
from tests.peers.scripted_mx import ScriptedMX
from tests.peers.smtp_client import dial
from tests.servers import LOOPBACK, free_port

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def first() -> Certificate:
    return certificate_for(LOOPBACK)


@pytest.fixture(scope="module")
def second() -> Certificate:
    return certificate_for(LOOPBACK)


def put(folder: Path, cert: bytes, key: bytes) -> Tls:
    """As programs that renew certificates do: beside, then in place."""
    for name, pem in (("cert.pem", cert), ("key.pem", key)):
        (folder / "new").write_bytes(pem)
        os.replace(folder / "new", folder / name)
    return Tls(cert=folder / "cert.pem", key=folder / "key.pem")


def shown(context: ssl.SSLContext, name: str | None = None) -> bytes:
    """The certificate that a handshake shows, with or without a name asked for; DER."""
    asks = ssl.create_default_context()
    asks.check_hostname, asks.verify_mode = False, ssl.CERT_NONE
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asks.wrap_bio(down, up, server_hostname=name)
    server = context.wrap_bio(up, down, server_side=True)
    for side in (client, server) * 3:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return client.getpeercert(binary_form=True) or b""


@pytest.mark.parametrize("name", [None, "mx.example.com"])
def test_a_renewed_certificate_is_shown_in_the_next_handshake(
    tmp_path: Path, first: Certificate, second: Certificate, name: str | None
) -> None:
    certificates = Certificates()
    context = certificates.context(put(tmp_path, first.chain_pem, first.key_pem), "ingest")
    assert context is not None
    assert shown(context, name) == first.der
    assert certificates.renew() == []
    put(tmp_path, second.chain_pem, second.key_pem)
    assert certificates.renew() == ["ingest"]
    assert certificates.renew() == []
    assert shown(context, name) == second.der


@pytest.mark.parametrize("broken", ["half", "another's key", "gone"])
def test_files_that_cannot_be_used_leave_what_is_there(
    tmp_path: Path, first: Certificate, second: Certificate, broken: str
) -> None:
    certificates = Certificates()
    files = put(tmp_path, first.chain_pem, first.key_pem)
    context = certificates.context(files, "ingest")
    assert context is not None
    match broken:
        case "half":
            put(tmp_path, second.chain_pem[:200], second.key_pem)
        case "another's key":
            put(tmp_path, second.chain_pem, first.key_pem)
        case _:
            files.cert.unlink()
    for _ in range(2):
        assert certificates.renew() == []
        assert shown(context) == first.der
    put(tmp_path, second.chain_pem, second.key_pem)
    assert certificates.renew() == ["ingest"]
    assert shown(context) == second.der


def test_what_cannot_be_used_at_the_start_is_an_error_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"\[api\] tls: .*cert.pem"):
        Certificates().context(Tls(cert=tmp_path / "cert.pem", key=tmp_path / "key.pem"), "api")
    assert Certificates().context(None, "api") is None


async def test_every_listener_speaks_tls_and_follows_its_files(
    tmp_path: Path, first: Certificate, second: Certificate
) -> None:
    files = put(tmp_path, first.chain_pem, first.key_pem)
    tls = {
        f"CAROM_{section}__{name}": str(file)
        for section in ("API__TLS", "API__METRICS_TLS", "INGEST__TLS", "SUBMISSION__TLS")
        for name, file in (("CERT", files.cert), ("KEY", files.key))
    }
    tls["CAROM_SUBMISSION__TLS_LISTEN"] = f"{LOOPBACK}:{free_port()}"
    url = f"sqlite:///{tmp_path / 'carom.db'}"
    async with ScriptedMX() as mx, carom_house(tmp_path, url, mx=mx.port, **tls) as carom:
        ports = carom.bound
        assert ports.api and ports.metrics and ports.submission_tls  # noqa: PT018
        assert ports.ingest and ports.submission  # noqa: PT018
        for certificate in (first, second):
            put(tmp_path, certificate.chain_pem, certificate.key_pem)
            carom.engine.certificates.renew()
            await _get(ports.api, "/healthz", certificate)
            await _get(ports.metrics, "/metrics", certificate)
            await _greeted(ports.submission_tls, certificate)
            for port in (ports.ingest, ports.submission):
                await _starts_tls(port, certificate)


async def _get(port: int, path: str, certificate: Certificate) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, port, ssl=certificate.client)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    writer.transport.abort()


async def _greeted(port: int, certificate: Certificate) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, port, ssl=certificate.client)
    assert (await reader.readline()).startswith(b"220 ")
    writer.transport.abort()


async def _starts_tls(port: int, certificate: Certificate) -> None:
    async with dial(port) as wire:
        assert (await wire.say("STARTTLS")).startswith("220 ")
        await wire.start_tls(certificate.client)
        assert (await wire.say("EHLO client.example.net")).startswith("250-")
