"""Who may come in, and how much may be held at once: the limits and their counters.

One `Door` stands before all connections of a server.  It counts connections in all and by client,
arrivals by client and minute, and the octets of messages that are being read.  It never waits and
never raises: the answer is yes or a `Reason`.  Time is an argument, in seconds of any clock that
does not go back.  IPv6 clients are counted by /64, which is what one machine is given.

Memory is bounded by the connections there are and by `_MINUTE_BOOK` clients a minute.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, ip_address, ip_network

_MINUTE_BOOK = 20_000


class Reason(StrEnum):
    """Why something was refused: the labels of a metric, so the set is closed."""

    UNKNOWN_RECIPIENT = "unknown_recipient"
    FORGED_TOKEN = "forged_token"  # noqa: S105 a label
    EXPIRED_TOKEN = "expired_token"  # noqa: S105 a label
    RELAY_DENIED = "relay_denied"
    LOGIN = "login"  # who asked to send is not known, or may not
    SUPPRESSED = "suppressed"
    TOO_BIG = "too_big"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    RATE = "rate"
    SYNTAX = "syntax"
    TIMEOUT = "timeout"
    ERRORS = "errors"
    UNREAD = "unread"  # as many reports wait to be read as may
    TROUBLE = "trouble"  # ours


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server bears.  Octets, seconds and counts."""

    connections: int = 500
    client_connections: int = 30
    client_arrivals: int = 300  # a minute
    crowded: float = 0.8  # of all connections; from there on patience is `crowded_seconds`
    session_seconds: float = 600.0
    command_seconds: float = 60.0  # for a whole command, and for each look at the data rate
    crowded_seconds: float = 10.0
    data_rate: int = 500  # octets a second, over each `command_seconds` of a message
    store_seconds: float = 60.0
    linger_seconds: float = 5.0  # to read our last words
    line: int = 2_048  # octets of a command; RFC 5321 section 4.5.3.1.4 and its extensions
    recipients: int = 50
    errors: int = 20  # 5xx replies in a session
    commands: int = 100  # between two accepted messages
    message: int = 10_000_000
    header: int = 100_000
    held: int = 256_000_000  # octets of all messages that are being read or stored


def is_loopback(client: str) -> bool:
    """Whether the client is this machine: it is not held to the limits of one client."""
    try:
        return ip_address(client).is_loopback
    except ValueError:
        return False


def client_address(peername: object) -> str:
    """Return the address in a socket's peername, IPv4 also where it came mapped; else ``."""
    if not isinstance(peername, tuple) or not peername:
        return ""
    try:
        address = ip_address(str(peername[0]).partition("%")[0])
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


class Door:
    """`exempt` names clients that only the limits on the whole hold for."""

    def __init__(self, limits: Limits, *, exempt: Callable[[str], bool] = is_loopback) -> None:
        self._limits = limits
        self._exempt = exempt
        self._inside: Counter[str] = Counter()
        self._total = 0
        self._minute = -1
        self._arrivals: Counter[str] = Counter()
        self._held = 0

    @property
    def inside(self) -> int:
        """Connections that came in and have not left."""
        return self._total

    @property
    def patience(self) -> float:
        """Seconds that a client may take, fewer when there is little room left."""
        if self._total > self._limits.crowded * self._limits.connections:
            return self._limits.crowded_seconds
        return self._limits.command_seconds

    def enter(self, client: str, now: float) -> Reason | None:
        """Let a connection in, or say why not.  Who came in must `leave`."""
        if self._total >= self._limits.connections:
            return Reason.TOO_MANY_CONNECTIONS
        key = network_of(client)
        if not self._exempt(client):
            if self._inside[key] >= self._limits.client_connections:
                return Reason.TOO_MANY_CONNECTIONS
            if self._arrived(key, now) > self._limits.client_arrivals:
                return Reason.RATE
        self._total += 1
        self._inside[key] += 1
        return None

    def leave(self, client: str) -> None:
        key = network_of(client)
        self._total -= 1
        self._inside[key] -= 1
        if self._inside[key] <= 0:
            del self._inside[key]

    def hold(self, octets: int) -> bool:
        """Ask for room for part of a message; what was granted must be given back."""
        if self._held + octets > self._limits.held:
            return False
        self._held += octets
        return True

    def give_back(self, octets: int) -> None:
        self._held -= octets

    def _arrived(self, key: str, now: float) -> int:
        if (minute := int(now // 60)) != self._minute or len(self._arrivals) >= _MINUTE_BOOK:
            self._minute = minute
            self._arrivals.clear()
        self._arrivals[key] += 1
        return self._arrivals[key]


def network_of(client: str) -> str:
    """Return what one machine is given: the address itself, or the /64 of an IPv6 one."""
    if ":" not in client:
        return client
    return str(ip_network(f"{client}/64", strict=False).network_address)
