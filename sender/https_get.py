"""One small file over HTTPS from a host that a stranger named, at an address we have vetted.

Nothing is followed and nothing is guessed: one GET, certificate valid for the name, status 200,
at most `most` octets, all within `seconds`.  The address is literal and judged by the caller, so
that the name cannot lead elsewhere meanwhile.  What goes wrong raises `Unfetched`, whose text is
plain and whose `certificate` says whether it was that.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

import h11

from analysis.reply import clean

_PIECE = 16_384
_MAX_HEAD = 16_384


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


async def fetch(target: Target, tls: ssl.SSLContext, *, most: int, seconds: float) -> Fetched:
    """The file at `target`, or `Unfetched`."""
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(
                target.address, target.port, ssl=tls, server_hostname=target.host, limit=_PIECE
            )
            try:
                return await _get(reader, writer, target, most)
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


async def _get(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Target, most: int
) -> Fetched:
    talk = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)
    headers = [("Host", target.host), ("Accept", "text/plain"), ("Connection", "close")]
    request = h11.Request(method="GET", target=target.path, headers=headers)
    writer.write((talk.send(request) or b"") + (talk.send(h11.EndOfMessage()) or b""))
    content_type, content = "", bytearray()
    while True:
        match talk.next_event():
            case h11.NEED_DATA:
                talk.receive_data(await reader.read(_PIECE))
            case h11.Response(status_code=status, headers=found):
                if status != 200:
                    raise Unfetched(f"the answer was {status}")
                fields = dict(found)
                content_type = fields.get(b"content-type", b"").decode("latin-1")
            case h11.Data(data=data):
                content += data
                if len(content) > most:
                    raise Unfetched(f"more than {most} octets")
            case h11.EndOfMessage() | h11.ConnectionClosed():
                return Fetched(content_type.partition(";")[0].strip().lower(), bytes(content))
