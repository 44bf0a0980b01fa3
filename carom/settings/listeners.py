"""Settings of everything that listens: the HTTP API, SMTP submission, the bounce listener."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from carom.settings.placement import Canary
from carom.settings.units import (
    Domain,
    Duration,
    File,
    Listen,
    Network,
    Section,
    Size,
    key,
    parse_endpoint,
)


class Scope(StrEnum):
    SEND = "send"
    READ = "read"
    SUPPRESS = "suppress"
    ADMIN = "admin"


class Tls(Section):
    cert: File = key(..., "Certificate chain, PEM.", "file")
    key: File = key(..., "Its private key, PEM.", "file")


class StaticKey(Section):
    """An API key that is known from the settings and needs no database."""

    id: str = key(
        ..., "Shown in the audit; the part after carom_ in the key.", pattern="^[a-z0-9]+$"
    )
    name: str = key("", "Who uses it.")
    hash: str = key(
        ..., "SHA-256 of the whole key, in hexadecimal; the key itself is not stored.",
        pattern="^[0-9a-f]{64}$",
    )  # fmt: skip
    scopes: list[Scope] = key(..., "What it may do.", "send, read, suppress, admin", min_length=1)


class Api(Section):
    listen: Listen = key(
        parse_endpoint("127.0.0.1:8025"),
        "Loopback, until there is `tls` here or a proxy with TLS in front of it.",
        "host:port",
    )
    metrics_listen: Listen = key(
        parse_endpoint("127.0.0.1:9825"),
        "Its own listener, since metrics need no key and must not be public.",
        "host:port",
    )
    tls: Tls | None = key(
        None, "Certificate for HTTPS; without it, a proxy with TLS belongs in front."
    )
    metrics_tls: Tls | None = key(
        None, "Certificate for HTTPS to the metrics; scrapes often come by another network."
    )
    public_url: str = key(
        "",
        "Where recipients reach this API: the base of unsubscribe links. Empty: none are written.",
        "URL",
        pattern="^(https?://[^/?# ]+(/[^?# ]*)?)?$",
    )
    keys: list[StaticKey] = key([], "API keys beside those in the database (`carom keys`).")
    body_limit: Size = key(
        12_000_000, "A JSON body; without a limit one request can take all memory.", "octets"
    )
    raw_body_limit: Size = key(
        25_000_000, "A body with attachments or a raw message; receivers refuse more.", "octets"
    )
    header_limit: Size = key(16_000, "All request headers; more is an attack.", "octets")
    request_deadline: Duration = key(
        30.0, "From the first octet to the answer, so that a slow client holds nothing.", "duration"
    )
    connections: int = key(500, "Open at once; more are answered 503.", "connections", ge=1)


class SubmissionLimits(Section):
    connections: int = key(500, "Open at once, from everybody.", "connections", ge=1)
    connections_per_ip: int = key(
        100, "Open at once, from one address: an application with a pool.", "connections", ge=1
    )
    connections_per_minute: int = key(
        1_000, "Opened by one address in a minute.", "connections", ge=1
    )
    session: Duration = key(3_600.0, "A whole session; applications keep them.", "duration")
    command: Duration = key(
        300.0, "The wait for a command or for data; RFC 5321 section 4.5.3.2.7.", "duration"
    )
    busy_command: Duration = key(
        10.0, "The same when more than 80 % of slots are in use.", "duration"
    )
    min_rate: int = key(500, "Slower data is a trick to hold a slot.", "octets a second", ge=0)
    refusals: int = key(1_000, "In a session; each suppressed recipient is one.", "replies", ge=1)
    junk_commands: int = key(1_000, "Between two accepted messages.", "commands", ge=1)
    failed_logins: int = key(3, "In one connection, which then ends.", "logins", ge=1)
    failed_logins_per_ip: int = key(
        20, "In ten minutes, from one address other than loopback.", "logins", ge=1
    )


class Submission(Section):
    listen: Listen = key(
        parse_endpoint("127.0.0.1:2587"),
        "Submission with STARTTLS; 587 needs the right to bind low ports.",
        "host:port",
    )
    tls_listen: Listen | None = key(
        None, "Submission with TLS from the start (465); not opened unless set.", "host:port"
    )
    tls: Tls | None = key(None, "Certificate; without it keys are taken from loopback only.")
    allow_plaintext_auth_on_loopback: bool = key(
        True,
        "First steps on one machine need no certificate; other clients always need TLS.",
    )
    message_size: Size = key(25_000_000, "Receivers refuse more.", "octets")
    recipients: int = key(
        50,
        "Of one message, at most what the API takes; more are put off with 452 and come again.",
        "recipients",
        ge=1,
        le=50,
    )
    proxy_from: list[Network] = key(
        [], "Load balancers that say by the PROXY protocol whose connection it is; no other may.",
        "network",
    )  # fmt: skip
    limits: SubmissionLimits = key(SubmissionLimits(), "Bounds against hostile or broken clients.")


class IngestLimits(Section):
    connections: int = key(500, "Open at once, from everybody.", "connections", ge=1)
    connections_per_ip: int = key(30, "Open at once, from one address.", "connections", ge=1)
    connections_per_minute: int = key(
        300, "Opened by one address in a minute.", "connections", ge=1
    )
    session: Duration = key(600.0, "A whole session: NOOP must not hold a slot.", "duration")
    command: Duration = key(60.0, "The wait for a command or for data.", "duration")
    busy_command: Duration = key(
        10.0, "The same when more than 80 % of slots are in use.", "duration"
    )
    min_rate: int = key(500, "Slower data is a trick to hold a slot.", "octets a second", ge=0)
    recipients: int = key(50, "In one transaction.", "recipients", ge=1)
    errors: int = key(20, "Refused commands before the session is closed.", "commands", ge=1)
    junk_commands: int = key(100, "Commands that lead to no mail, such as NOOP.", "commands", ge=1)
    message_size: Size = key(
        10_000_000, "Counted octet by octet, also in one endless line.", "octets"
    )
    daily_open: Size = key(
        2_000_000_000,
        "In a day, to addresses that need no token: it is kept for `inbound_days`, and anybody may "
        "write there. A message counts for 10 kB at least. More is put off (452).",
        "octets",
    )
    daily_open_per_ip: Size = key(
        500_000_000,
        "The same, from one address other than loopback: a busy provider's complaints come from "
        "few. Behind a balancer without PROXY protocol all mail is the balancer's.",
        "octets",
    )
    daily_token: Size = key(
        20_000_000,
        "In a day, to one return path, which everybody knows who got that mail.",
        "octets",
    )
    header: Size = key(100_000, "The header of a report; parsers are slow on more.", "octets")
    parse_time: Duration = key(1.0, "CPU time for one report before it is put aside.", "duration")
    parse_memory: Size = key(
        256_000_000,
        "Address space of the process that parses; it needs 50 MB for itself.",
        "octets",
        ge=100_000_000,
    )


class Ingest(Section):
    listen: Listen = key(
        parse_endpoint("127.0.0.1:2525"),
        "The MX of the bounce domain; 25 needs the right to bind low ports.",
        "host:port",
    )
    domain: Domain = key("", "Domain of the return paths: bounces come back to it.", "domain")
    tls: Tls | None = key(None, "Certificate for STARTTLS; without it, none is offered.")
    proxy_from: list[Network] = key(
        [], "Load balancers that say by the PROXY protocol whose connection it is; no other may.",
        "network",
    )  # fmt: skip
    mta_sts: Literal["testing", "enforce", "none"] = key(
        "testing",
        "The MTA-STS policy that the API serves; `enforce` once no TLS report complains of it.",
    )
    limits: IngestLimits = key(IngestLimits(), "Bounds against hostile or broken peers.")
    canary: Canary = key(Canary(), "Do bounces come back to us at all?")
