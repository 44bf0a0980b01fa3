"""One small file over HTTPS, from or to a host that a stranger named, at an address we have vetted.

Nothing is followed and nothing is guessed: one GET or POST, certificate valid for the name, status
200 (of a POST any 2xx), at most `most` octets, all within `seconds`.  The address is literal and
judged by the caller, so that the name cannot lead elsewhere meanwhile.  What goes wrong raises
`Unfetched`, whose text is plain and whose `certificate` says whether it was that.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Container
from dataclasses import dataclass

import h11

from analysis.reply import clean

_PIECE = 16_384
_MAX_HEAD = 16_384
_MOST_ANSWER = 65_536


class Unfetched(Exception):
    def __init__(self, why: str, *, certificate: bool = False) -> None:
        super().__init__(why)
        self.certificate = certificate


@dataclass(frozen=True, slots=True)
class Fetched:
    content_type: str  # without parameters, lower case
    content: bytes


@dataclass(frozen=True, slots=True)
class Target:
    host: str  # for SNI, the certificate and the Host header
    address: str  # literal
    path: str
    port: int = 443


@dataclass(frozen=True, slots=True)
class Posting:
    """What is handed over."""

    content_type: str
    content: bytes


async def fetch(target: Target, tls: ssl.SSLContext, *, most: int, seconds: float) -> Fetched:
    """The file at `target`, or `Unfetched`."""
    return await _ask(target, tls, None, most, seconds)


async def post(target: Target, tls: ssl.SSLContext, posting: Posting, *, seconds: float) -> None:
    """Hand a file over, or raise `Unfetched`; what the answer says is not kept."""
    await _ask(target, tls, posting, _MOST_ANSWER, seconds)


async def _ask(
    target: Target, tls: ssl.SSLContext, posting: Posting | None, most: int, seconds: float
) -> Fetched:
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(
                target.address, target.port, ssl=tls, server_hostname=target.host, limit=_PIECE
            )
            try:
                writer.write(_request(talk := _talk(), target, posting))
                return await _answer(reader, talk, most, range(200, 300) if posting else (200,))
            finally:
                writer.transport.abort()
    except ssl.SSLCertVerificationError as error:
        raise Unfetched(f"certificate: {error.verify_message}", certificate=True) from error
    except TimeoutError as error:
        raise Unfetched(f"no answer within {seconds:g} s") from error
    except ssl.SSLError as error:
        raise Unfetched(f"TLS failed: {error.reason}") from error
    except OSError as error:
        raise Unfetched(clean(f"{error.strerror or error}", 100)) from error
    except h11.RemoteProtocolError as error:
        raise Unfetched(f"not HTTP: {clean(str(error), 100)}") from error


def _talk() -> h11.Connection:
    return h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)


def _request(talk: h11.Connection, target: Target, posting: Posting | None) -> bytes:
    headers = [("Host", target.host), ("Accept", "text/plain"), ("Connection", "close")]
    sent: list[h11.Event] = [h11.EndOfMessage()]
    if posting is not None:
        length = str(len(posting.content))
        headers += [("Content-Type", posting.content_type), ("Content-Length", length)]
        sent.insert(0, h11.Data(data=posting.content))
    method = "GET" if posting is None else "POST"
    sent.insert(0, h11.Request(method=method, target=target.path, headers=headers))
    return b"".join(talk.send(event) or b"" for event in sent)


async def _answer(
    reader: asyncio.StreamReader, talk: h11.Connection, most: int, good: Container[int]
) -> Fetched:
    content_type, content = "", bytearray()
    while True:
        match talk.next_event():
            case h11.NEED_DATA:
                talk.receive_data(await reader.read(_PIECE))
            case h11.Response(status_code=status, headers=found):
                if status not in good:
                    raise Unfetched(f"the answer was {status}")
                fields = dict(found)
                content_type = fields.get(b"content-type", b"").decode("latin-1")
            case h11.Data(data=data):
                content += data
                if len(content) > most:
                    raise Unfetched(f"more than {most} octets")
            case h11.EndOfMessage() | h11.ConnectionClosed():
                return Fetched(content_type.partition(";")[0].strip().lower(), bytes(content))
