"""A DNS server on loopback, UDP and TCP, that answers from a zone or misbehaves on purpose.

    async with DnsServer() as server:
        server.add("example.net", "MX", "10 mx1.example.net.", "20 mx2.example.net.")
        server.add("mx1.example.net", "A", "192.0.2.1")
        server.behave("broken.example", Manner.SERVFAIL)
        ...ask server.nameserver...
        assert server.asked["example.net", "MX"] == 1

It plays a recursive resolver: it follows CNAMEs in its zone, says NXDOMAIN with an SOA for what it
does not know, and truncates answers that are too long for UDP.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from enum import Enum
from types import TracebackType

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from sender.resolver import Bounds

MAX_CHAIN = 20


class Manner(Enum):
    """What is done with a question instead of an answer."""

    SERVFAIL = "SERVFAIL"
    REFUSED = "REFUSED"
    DROP = "drop"  # never answered
    GARBAGE = "garbage"  # octets that are no message
    WRONG_ID = "wrong id"  # somebody guesses
    REFERRAL = "referral"  # other servers to ask, as from one that does not recurse
    RESET = "reset"  # an answer that is truncated over UDP, and hung up on over TCP


SILENT = frozenset({Manner.DROP, Manner.GARBAGE, Manner.WRONG_ID, Manner.RESET})


def bounds_for(manner: Manner | None = None) -> Bounds:
    """Hasty where it is the silence that is waited for, else as patient as a slow machine needs."""
    return Bounds(timeout=0.2, lifetime=0.5) if manner in SILENT else Bounds(60.0, 60.0)


class DnsServer:
    def __init__(self, *, ttl: int = 300, negative_ttl: int = 60) -> None:
        self.asked: Counter[tuple[str, str]] = Counter()  # UDP questions by name and type
        self.asked_tcp: Counter[tuple[str, str]] = Counter()
        self.open = 0  # questions held back at this moment
        self.most_open = 0
        self.gate = asyncio.Event()  # clear it to hold answers back
        self.gate.set()
        self.authenticated = False  # set AD in answers
        self._ttl = ttl
        self._negative_ttl = negative_ttl
        self._zone: dict[tuple[str, str], dns.rrset.RRset] = {}
        self._zone[".", "NS"] = dns.rrset.from_text(".", ttl, "IN", "NS", "a.root.example.")
        self._manners: dict[tuple[str, str | None], Manner] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> DnsServer:
        loop = asyncio.get_running_loop()
        while True:
            self._tcp = await asyncio.start_server(self._on_tcp, "127.0.0.1", 0)
            self.port: int = self._tcp.sockets[0].getsockname()[1]
            try:
                self._udp, _ = await loop.create_datagram_endpoint(
                    lambda: _Udp(self), ("127.0.0.1", self.port)
                )
            except OSError:  # the port is taken for UDP: another one
                self._tcp.close()
                continue
            return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._udp.close()
        self._tcp.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def nameserver(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def add(self, name: str, rdtype: str, *records: str, ttl: int | None = None) -> None:
        """Put records at a name, in place of those that were there."""
        self._zone[name, rdtype] = dns.rrset.from_text(
            f"{name}.", self._ttl if ttl is None else ttl, "IN", rdtype, *records
        )

    def remove(self, name: str, rdtype: str) -> None:
        del self._zone[name, rdtype]

    def behave(self, name: str, manner: Manner | None, rdtype: str | None = None) -> None:
        """Misbehave for a name, for one type or all; None: behave again."""
        if manner is None:
            self._manners.pop((name, rdtype))
        else:
            self._manners[name, rdtype] = manner

    async def until_open(self, count: int) -> None:
        """Wait until so many questions are held back by the gate."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.open >= count)

    async def answer(self, wire: bytes, *, tcp: bool) -> bytes | None:
        """The octets to send back, or None for silence."""
        with suppress(dns.exception.DNSException):
            query = dns.message.from_wire(wire)
            name, rdtype = _asked(query)
            (self.asked_tcp if tcp else self.asked)[name, rdtype] += 1
            await self._held()
            manner = self._manners.get((name, rdtype)) or self._manners.get((name, None))
            if manner is not None:
                return self._misbehave(query, manner, tcp=tcp)
            return _wire(self._look_up(query), query, tcp=tcp)
        return None

    async def _held(self) -> None:
        async with self._changed:
            self.open += 1
            self.most_open = max(self.most_open, self.open)
            self._changed.notify_all()
        await self.gate.wait()
        self.open -= 1

    def _misbehave(self, query: dns.message.Message, manner: Manner, *, tcp: bool) -> bytes | None:
        response = _response(query)
        match manner:
            case Manner.SERVFAIL | Manner.REFUSED:
                response.set_rcode(dns.rcode.from_text(manner.value))
            case Manner.GARBAGE:
                return query.to_wire()[:2] + b"\x80\x00 no DNS message"
            case Manner.WRONG_ID:
                response.id ^= 0xFFFF
            case Manner.REFERRAL:
                response.authority.append(
                    dns.rrset.from_text("example.", 300, "IN", "NS", "ns.example.")
                )
            case Manner.RESET if not tcp:
                response.flags |= dns.flags.TC
            case _:
                return None
        return response.to_wire()

    def _look_up(self, query: dns.message.Message) -> dns.message.Message:
        response = _response(query)
        if self.authenticated:
            response.flags |= dns.flags.AD
        name, rdtype = _asked(query)
        for _ in range(MAX_CHAIN):
            if (found := self._zone.get((name, rdtype))) is not None:
                response.answer.append(found)
                return response
            if (alias := self._zone.get((name, "CNAME"))) is None:
                break
            if alias not in response.answer:
                response.answer.append(alias)
            name = _plain(alias[0].target)
        else:
            return response  # a loop: all of it, and no end
        if not self._exists(name):
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(self._soa(name))
        return response

    def _exists(self, name: str) -> bool:
        return any(known == name or known.endswith(f".{name}") for known, _ in self._zone)

    def _soa(self, name: str) -> dns.rrset.RRset:
        top = name.rpartition(".")[2]
        text = f"ns.{top}. admin.{top}. 1 3600 600 86400 {self._negative_ttl}"
        return dns.rrset.from_text(f"{top}.", self._negative_ttl, "IN", "SOA", text)

    async def _on_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            size = int.from_bytes(await reader.readexactly(2))
            answer = await self.answer(await reader.readexactly(size), tcp=True)
            if answer is not None:
                writer.write(len(answer).to_bytes(2) + answer)
                await writer.drain()
        writer.close()

    def on_udp(self, wire: bytes, peer: tuple[str, int]) -> None:
        async def reply() -> None:
            if (answer := await self.answer(wire, tcp=False)) is not None:
                self._udp.sendto(answer, peer)

        task = asyncio.create_task(reply())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._server.on_udp(data, addr)


def _asked(query: dns.message.Message) -> tuple[str, str]:
    question = query.question[0]
    return _plain(question.name), dns.rdatatype.to_text(question.rdtype)


def _plain(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _response(query: dns.message.Message) -> dns.message.Message:
    response = dns.message.make_response(query)
    response.flags |= dns.flags.RA
    return response


def _wire(response: dns.message.Message, query: dns.message.Message, *, tcp: bool) -> bytes:
    """Truncated to nothing but TC where it is too long for UDP: RFC 2181 section 9."""
    wire = response.to_wire(max_size=65_535)
    if tcp or len(wire) <= max(512, query.payload):
        return wire
    short = _response(query)
    short.flags |= dns.flags.TC
    return short.to_wire()
