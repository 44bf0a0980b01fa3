"""Settings of everything that leaves: the delivery engine, signing, tokens, streams, providers."""

from __future__ import annotations

import os
from datetime import date
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, SecretStr, model_validator

from analysis import retry
from carom.settings.content import Content
from carom.settings.routing import RouteList
from carom.settings.units import (
    Domain,
    Duration,
    Endpoint,
    File,
    Listen,
    Network,
    Section,
    key,
    parse_domain,
    parse_endpoint,
)
from carom.settings.words import Class, RateText, RelayTls
from sender.caps import parse_cap


def _processes(value: Any) -> Any:
    return 0 if value == "auto" else value


def _schedule(text: str) -> str:
    retry.parse(text)
    return text


def _relay(value: Any) -> Any:
    return {"host": value} if isinstance(value, str) else value


def _cap(text: str) -> str:
    parse_cap(text)
    return text


def _destination(domain: str) -> str:
    return domain if domain == "*" else parse_domain(domain)


CapText = Annotated[str, AfterValidator(_cap)]
Destination = Annotated[str, AfterValidator(_destination)]
ScheduleText = Annotated[str, AfterValidator(_schedule)]


class Relay(Section):
    host: Listen = key(..., "Every message goes to this host.", "host:port")
    user: str = key("", "For AUTH; empty: none.")
    password: SecretStr = key(SecretStr(""), "For AUTH.")
    tls: RelayTls = key(
        RelayTls.OPPORTUNISTIC, "A password is only ever sent over verified TLS or loopback."
    )

    @model_validator(mode="after")
    def _both_or_none(self) -> Relay:
        if bool(self.user) != bool(self.password.get_secret_value()):
            raise ValueError("expected user and password together")
        return self


class Schedules(Section):
    otp: ScheduleText = key(
        retry.DEFAULTS["otp"],
        "Somebody waits at a screen: the first try again after 20 s.",
        "waits",
    )
    transactional: ScheduleText = key(
        retry.DEFAULTS["transactional"],
        "Greylisting passes in minutes, outages in days.",
        "waits",
    )
    bulk: ScheduleText = key(retry.DEFAULTS["bulk"], "Patient: receivers punish haste.", "waits")


class Deadlines(Section):
    otp: Duration = key(900.0, "A code is worthless afterwards; another way is better.", "duration")
    transactional: Duration = key(
        4 * 86_400.0, "RFC 5321 section 4.5.4.1: 4 to 5 days.", "duration"
    )
    bulk: Duration = key(3 * 86_400.0, "Yesterday's news need not arrive.", "duration")


class Timeouts(Section):
    """RFC 5321 section 4.5.3.2, except where a shorter wait loses nothing."""

    connect: Duration = key(30.0, "A dead host is seen sooner, and the next one tried.", "duration")
    banner: Duration = key(
        120.0, "Shorter than the 5 minutes asked: the next host is tried.", "duration"
    )
    command: Duration = key(300.0, "EHLO, MAIL, RCPT: section 4.5.3.2.2 and .3.", "duration")
    data: Duration = key(120.0, "DATA: section 4.5.3.2.4.", "duration")
    block: Duration = key(180.0, "Each block of content: section 4.5.3.2.5.", "duration")
    dot: Duration = key(600.0, "Section 4.5.3.2.6: a shorter wait makes duplicates.", "duration")
    quit: Duration = key(5.0, "Nothing depends on it.", "duration")


class Dns(Section):
    nameservers: list[Annotated[Endpoint, BeforeValidator(parse_endpoint)]] = key(
        [], "Empty: the system's. A validating resolver on loopback is best.", "host:port"
    )
    timeout: Duration = key(5.0, "One question to one server.", "duration")
    lifetime: Duration = key(15.0, "All tries of one question; then temporary trouble.", "duration")
    concurrency: int = key(100, "Open questions; more lose packets.", "questions", ge=1)
    cache: int = key(20_000, "Answers remembered.", "answers", ge=0)
    trust_ad: bool = key(
        False, "The resolver on loopback validates DNSSEC: DANE rests on what it calls authentic."
    )


class Tls(Section):
    mta_sts: bool = key(True, "Obey what receivers promise by MTA-STS, RFC 8461.")
    dane: bool = key(True, "Obey TLSA records, RFC 7672; needs [sender.dns] trust_ad.")
    authorities: File | None = key(
        None, "Certificate authorities to trust, PEM; unset: the system's.", "file"
    )
    reports: bool = key(
        False, "Tell receivers who ask for it what came of TLS with them, daily: RFC 8460."
    )
    report_contact: str = key(
        "", "From of these reports; empty: postmaster of [ingest] domain.", "address"
    )
    report_most: int = key(1_000, "Reports a day, the busiest receivers first.", "reports", ge=1)


class Sender(Section):
    hostname: Domain = key(
        "localhost",
        "Said in EHLO and Message-ID; its address must resolve back to it.",
        "host name",
    )
    domain: Domain = key("", "Where mail is from, when a message or stream does not say.", "domain")
    relay: Annotated[Relay | None, BeforeValidator(_relay)] = key(
        None, "Send everything to one host: host:port, or a table with user and password."
    )
    routes: RouteList = key(
        [], "Ways out by stream, class, domain and provider, in this order; then the relay or MX."
    )
    schedule: Schedules = key(Schedules(), "Waits between attempts by class.")
    deadline: Deadlines = key(Deadlines(), "When trying ends by class, unless the message says.")
    concurrency: int = key(200, "Conversations open at once.", "connections", ge=1)
    processes: Annotated[int, BeforeValidator(_processes)] = key(
        1,
        "That send, for one core is the limit of one; auto or 0: as many as cores. They share "
        "what is allowed, and are started and ended by `carom serve`.",
        "processes",
        ge=0,
        le=64,
    )
    site_connections: int = key(
        10,
        "Of these to one receiver that sender/pacing.toml and [providers] do not name: more "
        "is taken for an attack.",
        "connections",
        ge=1,
    )
    connection_messages: int = key(100, "On one connection before it is renewed.", "messages", ge=1)
    connection_idle: Duration = key(5.0, "A kept connection is closed after this.", "duration")
    mx_tries: int = key(5, "Addresses of one receiver tried in one attempt.", "addresses", ge=1)
    lease: Duration = key(
        300.0, "A claim not renewed for this long is another worker's: a crash costs this wait.",
        "duration", ge=5,
    )  # fmt: skip
    static_mx: dict[Destination, Listen] = key(
        {},
        'Fixed host by recipient domain, "*" for all, before any route: tests, staging, relays.',
        "host:port",
    )
    allow_networks: list[Network] = key(
        [], "Private networks that an MX may lie in; otherwise refused.", "network"
    )
    timeouts: Timeouts = key(Timeouts(), "Waits in an SMTP conversation.")
    dns: Dns = key(Dns(), "How names are looked up.")
    tls: Tls = key(Tls(), "Policies of receivers; without one, TLS where it works.")

    @property
    def sharers(self) -> int:
        """The processes that send, and share every limit."""
        return self.processes or os.cpu_count() or 1


class DkimState(StrEnum):
    WAITING = "waiting"
    ACTIVE = "active"
    RETIRED = "retired"


class DkimKey(Section):
    domain: Domain = key("", "The d= of the signature; empty: [sender] domain.", "domain")
    selector: str = key(
        ..., "The s= of the signature.", pattern="^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$"
    )
    file: File = key(..., "Private key, PEM: RSA or Ed25519.", "file")
    state: DkimState = key(
        DkimState.ACTIVE,
        "waiting: to be published, signs nothing yet; retired: signs no more, stays published "
        "while mail that it signed is under way. `carom keys dkim` moves keys on.",
        "waiting, active, retired",
    )
    since: date | None = key(None, "When it came into this state.", "date")


class Dkim(Section):
    keys: list[DkimKey] = key([], "Every one of a domain signs; two kinds reach every verifier.")
    overlap_days: int = key(
        14, "A retired key stays published so long: mail may be verified late.", "days", ge=1
    )
    rotate_days: int = key(365, "The doctor asks for a new key after this.", "days", ge=1)


class TokenKey(Section):
    id: str = key(..., "One character, part of the token.", pattern="^[0-9a-hjkmnp-tv-z]$")
    file: File | None = key(None, "Base64 of at least 32 random octets.", "file")
    secret: SecretStr | None = key(None, "The same, in place of a file.", "base64")

    @model_validator(mode="after")
    def _one_source(self) -> TokenKey:
        if (self.file is None) == (self.secret is None):
            raise ValueError("expected either file or secret")
        return self


class Tokens(Section):
    keys: list[TokenKey] = key([], "The first one signs, all are believed: that is rotation.")
    lifetime_days: int = key(
        14, "5 days in our queue, 5 in a remote one, and a margin.", "days", ge=1, le=365
    )


class SuppressionScope(StrEnum):
    ALL = "all"
    STREAM = "stream"


class Stream(Content):
    class_: Class = key(
        Class.TRANSACTIONAL,
        "Of messages that do not say.",
        "otp, transactional, bulk",
        alias="class",
    )
    suppression: SuppressionScope = key(
        SuppressionScope.STREAM, "How far an unsubscribe or complaint here reaches.", "all, stream"
    )
    unsubscribe: bool = key(
        False, "Write List-Unsubscribe with one click, RFC 8058; bulk mail needs it."
    )
    feedback: bool = key(
        False,
        'Answer each delivery with a link for "did not get it?"; needs [api] public_url.',
    )
    require_tls: bool = key(
        False, "Deliver only where the receiver's certificate holds; put off elsewhere."
    )
    from_: str = key("", "From, when a message does not say.", "address", alias="from")
    cap: CapText | None = key(
        None,
        "The most that one recipient gets: a message over it waits, or is answered as suppressed "
        "(frequency) where it would be too late.",
        "count per wait",
    )


class Provider(Section):
    """What is gone over for one mailbox provider; what is not set stays as shipped."""

    connections: int | None = key(None, "Open at once to it.", "connections", ge=1)
    connection_messages: int | None = key(None, "On one connection.", "messages", ge=1)
    rate: RateText | None = key(None, "Messages in a time, such as 20 per 1s.", "count per wait")
    per_site: bool | None = key(
        None, "Count for each set of mail exchangers, not for the provider as a whole."
    )
