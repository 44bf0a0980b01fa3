"""Settings of the doctor: what it calls, and how often the service asks it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from carom.settings.units import Domain, Duration, Listen, Section, key, parse_endpoint


class Doctor(Section):
    every: Duration = key(
        3_600.0,
        "The service examines itself this often: metrics, events and `GET /v1/doctor`; 0: never. "
        'By itself only with a listener beyond loopback and no static_mx "*".',
        "duration",
    )
    receivers: list[Domain] = key(
        ["gmail.com", "outlook.com", "qq.com"],
        "Their mail exchangers are called to see whether port 25 is open; nothing is sent.",
        "domain",
    )
    time_server: Annotated[Listen | None, BeforeValidator(lambda value: value or None)] = key(
        parse_endpoint("pool.ntp.org:123"),
        "Asked by SNTP how far our clock is off; empty: nobody.",
        "host:port",
    )
    mx_port: int = key(
        25, "Where the MX of the bounce domain is called; others call 25.", ge=1, le=65_535
    )
    timeout: Duration = key(10.0, "For each call.", "duration")
