"""One small file over HTTPS, from or to a host that a stranger named, at an address we have vetted.

Nothing is followed and nothing is guessed: one GET or POST, certificate valid for the name, status
200 (of a POST any 2xx), at most `most` octets, all within `seconds`.  The address is literal and
judged by the caller, so that the name cannot lead elsewhere meanwhile.  What goes wrong raises
`Unfetched`, whose text is plain and whose `certificate` says whether it was that.

`ask` is the same for who wants to hear any status: once there is one it does not raise, and says
instead why the content is not whole.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

import h11

from analysis.reply import clean

T = TypeVar("T")

_PIECE = 16_384
_MAX_HEAD = 16_384
_MOST_ANSWER = 65_536
_HTTPS = 443


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
    port: int = _HTTPS


@dataclass(frozen=True, slots=True)
class Posting:
    """What is handed over."""

    content_type: str
    content: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer of any status.  `cut`: why there is no more of its content; empty: it is whole."""

    status: int
    content_type: str
    content: bytes
    cut: str = ""


async def fetch(target: Target, tls: ssl.SSLContext, *, most: int, seconds: float) -> Fetched:
    """The file at `target`, or `Unfetched`."""
    heard = await ask(target, tls, None, most=most, seconds=seconds)
    if heard.status != 200:
        raise Unfetched(f"the answer was {heard.status}")
    if heard.cut:
        raise Unfetched(heard.cut)
    return Fetched(heard.content_type, heard.content)


async def post(target: Target, tls: ssl.SSLContext, posting: Posting, *, seconds: float) -> None:
    """Hand a file over, or raise `Unfetched`; what the answer says is not kept."""
    heard = await ask(target, tls, posting, most=_MOST_ANSWER, seconds=seconds)
    if not 200 <= heard.status < 300:
        raise Unfetched(f"the answer was {heard.status}")
    if heard.cut:
        raise Unfetched(heard.cut)


async def ask(
    target: Target,
    tls: ssl.SSLContext | None,
    posting: Posting | None,
    *,
    most: int,
    seconds: float,
) -> Heard:
    """The answer to a GET or, with `posting`, a POST; `Unfetched` where there is none.

    `tls` None: HTTP in the clear, for hosts that the operator allows.
    """
    end = asyncio.get_running_loop().time() + seconds
    reader, writer = await _plainly(_open(target, tls), end, seconds)
    talk = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)
    content = bytearray()
    try:
        writer.write(_request(talk, target, posting, _HTTPS if tls else 80))
        head = await _plainly(_head(reader, talk), end, seconds)
        try:
            cut = await _plainly(_content(reader, talk, content, most), end, seconds)
        except Unfetched as error:
            cut = str(error)
    finally:
        writer.transport.abort()
    kind = dict(head.headers).get(b"content-type", b"").decode("latin-1")
    return Heard(
        head.status_code, kind.partition(";")[0].strip().lower(), bytes(content[:most]), cut
    )


async def _open(
    target: Target, tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(
        target.address,
        target.port,
        ssl=tls,
        server_hostname=target.host if tls else None,
        limit=_PIECE,
    )


async def _plainly(work: Awaitable[T], end: float, seconds: float) -> T:
    """What `work` gives until `end`; whatever goes wrong on the way, in plain words."""
    try:
        async with asyncio.timeout_at(end):
            return await work
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


def _request(
    talk: h11.Connection, target: Target, posting: Posting | None, usual_port: int
) -> bytes:
    host = f"[{target.host}]" if ":" in target.host else target.host
    host += "" if target.port == usual_port else f":{target.port}"  # RFC 9110 section 7.2
    headers = [("Host", host), ("Accept", "*/*" if posting else "text/plain")]
    headers.append(("Connection", "close"))
    sent: list[h11.Event] = [h11.EndOfMessage()]
    if posting is not None:
        length = str(len(posting.content))
        headers += [("Content-Type", posting.content_type), ("Content-Length", length)]
        headers += posting.headers
        sent.insert(0, h11.Data(data=posting.content))
    method = "GET" if posting is None else "POST"
    sent.insert(0, h11.Request(method=method, target=target.path, headers=headers))
    return b"".join(talk.send(event) or b"" for event in sent)


async def _head(reader: asyncio.StreamReader, talk: h11.Connection) -> h11.Response:
    while True:
        match talk.next_event():
            case h11.NEED_DATA:
                talk.receive_data(await reader.read(_PIECE))
            case h11.Response() as head:
                return head


async def _content(
    reader: asyncio.StreamReader, talk: h11.Connection, content: bytearray, most: int
) -> str:
    while True:
        match talk.next_event():
            case h11.NEED_DATA:
                talk.receive_data(await reader.read(_PIECE))
            case h11.Data(data=data):
                content += data
                if len(content) > most:
                    return f"more than {most} octets"
            case h11.EndOfMessage() | h11.ConnectionClosed():
                return ""
