"""One small file, from exactly the host that was meant, or a plain word of what went wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sender.https_get import Fetched, Target, Unfetched, fetch
from tests.peers.certificates import Certificate, certificate_for
from tests.peers.policy_host import PolicyHost

pytestmark = pytest.mark.anyio

NAME = "mta-sts.example.net"


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return certificate_for(NAME)


@pytest.fixture
async def host(certificate: Certificate) -> AsyncIterator[PolicyHost]:
    async with PolicyHost(certificate.server) as running:
        yield running


async def get(
    host: PolicyHost, certificate: Certificate, *, name: str = NAME, seconds: float = 5
) -> Fetched:
    target = Target(name, "127.0.0.1", "/.well-known/mta-sts.txt", host.port)
    return await fetch(target, certificate.client, most=1_000, seconds=seconds)


async def why_not(host: PolicyHost, certificate: Certificate, **terms: object) -> Unfetched:
    with pytest.raises(Unfetched) as failed:
        await get(host, certificate, **terms)  # type: ignore[arg-type]
    return failed.value


async def test_a_file_comes_with_its_type(host: PolicyHost, certificate: Certificate) -> None:
    host.serve("here", kind="Text/Plain; charset=utf-8")
    assert await get(host, certificate) == Fetched("text/plain", b"here")
    assert host.requests == ["GET /.well-known/mta-sts.txt HTTP/1.1"]
    assert host.server_names == [NAME]


@pytest.mark.parametrize(
    "framing",
    [
        b"HTTP/1.1 200 OK\r\n\r\nhere",
        b"HTTP/1.0 200 OK\r\n\r\nhere",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n2\r\nre\r\n0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere",
    ],
)
async def test_every_framing_of_http(
    host: PolicyHost, certificate: Certificate, framing: bytes
) -> None:
    host.answer = framing
    assert (await get(host, certificate)).content == b"here"


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "404 Not Found", "204 No", "500 Oh"])
async def test_only_200_is_an_answer_and_no_redirect_is_followed(
    host: PolicyHost, certificate: Certificate, status: str
) -> None:
    host.serve("", status=status)
    assert status[:3] in str(await why_not(host, certificate))
    assert host.asked == 1


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2_000, "more than 1000"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 50_000, "more than 1000"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 50_000, "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhere", "not HTTP"),
        (b"220 mx.example.net ESMTP\r\n", "not HTTP"),
        (b"", "not HTTP"),
    ],
)
async def test_what_is_too_long_or_no_http_is_refused(
    host: PolicyHost, certificate: Certificate, answer: bytes, word: str
) -> None:
    host.answer = answer
    assert word in str(await why_not(host, certificate))


async def test_an_answer_that_does_not_come_is_given_up(
    host: PolicyHost, certificate: Certificate
) -> None:
    host.gate.clear()
    assert "within 0.2 s" in str(await why_not(host, certificate, seconds=0.2))
    host.gate.set()


async def test_nobody_there(host: PolicyHost, certificate: Certificate) -> None:
    host.close()
    assert not (await why_not(host, certificate)).certificate


async def test_the_certificate_must_hold(host: PolicyHost, certificate: Certificate) -> None:
    wrong_name = await why_not(host, certificate, name="mta-sts.example.com")
    unknown = await why_not(host, certificate_for(NAME))
    async with PolicyHost(certificate_for(NAME, expired=True).server) as late:
        expired = await why_not(late, certificate)
    assert wrong_name.certificate
    assert unknown.certificate
    assert expired.certificate
    assert host.asked == late.asked == 0
