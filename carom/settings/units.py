"""The kinds of value a setting can have, as an operator writes them.

Durations are `20s`, `15m`, `4h`, `3d` or plain seconds, and are seconds afterwards; sizes are
`100kB`, `12MB` (thousands) or plain octets; an endpoint is `host:port`, `[::1]:port` for IPv6.
Each raises ValueError with the form that was expected, which becomes the user's one-line error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
)

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ms|s|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_SIZE = re.compile(r"([0-9]+) ?(B|kB|MB|GB)?")
_OCTETS = {None: 1, "B": 1, "kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,253}[A-Za-z0-9_])?\.?", re.ASCII)
_DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9-]{1,63}")


class Section(BaseModel):
    """One table of `carom.toml`: closed, and unchangeable once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def key(default: Any, why: str, unit: str = "", **constraints: Any) -> Any:
    """Declare one setting: its default, the reason for it and its unit, in this one place."""
    return Field(default, description=why, json_schema_extra={"unit": unit}, **constraints)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host (name or address, without brackets) and a port; port 0 listens on any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it; a name other than localhost counts as reachable."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse_endpoint(value: object) -> Endpoint:
    """Read `host:port` or `[IPv6 address]:port`."""
    if isinstance(value, Endpoint):
        return value
    host, colon, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    inner = host[1:-1] if host.startswith("[") and host.endswith("]") else ""
    named = bool(_HOST.fullmatch(host)) or bool(re.fullmatch(r"[0-9a-fA-F:.%]+", inner))
    if not (colon and named and port.isascii() and port.isdigit() and int(port) <= 65_535):
        raise ValueError("expected host:port, such as 127.0.0.1:8025 or [::1]:8025")
    return Endpoint(inner or host, int(port))


def parse_duration(value: object) -> float:
    """Read `20s`, `15m`, `4h`, `3d`, `2w`, `500ms` or a number of seconds; seconds come back."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12:
        return float(value)
    if isinstance(value, str):
        if found := _DURATION.fullmatch(value.strip()):
            return float(found[1]) * _SECONDS[found[2]]
        if value.isascii() and value.strip().isdigit():
            return float(value)
    raise ValueError("expected a duration, such as 20s, 15m, 4h or 3d, or a number of seconds")


def parse_limit(value: object) -> float | None:
    """Read a duration, or `never` for one that does not end (None)."""
    if value is None or value == "never":
        return None
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{error}, or never") from None


def format_duration(seconds: float | None) -> str:
    """Write seconds as `parse_limit` reads them, in the largest unit that divides them."""
    if seconds is None:
        return "never"
    for unit in ("d", "h", "m", "s"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{int(seconds // _SECONDS[unit])}{unit}"
    return f"{round(seconds * 1_000)}ms" if seconds else "0s"


def parse_size(value: object) -> int:
    """Read `100kB`, `12MB`, `1GB` or a number of octets; octets come back."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (found := _SIZE.fullmatch(value.strip())):
        return int(found[1]) * _OCTETS[found[2]]
    raise ValueError("expected a size, such as 100kB or 12MB, or a number of octets")


def format_size(octets: int) -> str:
    """Write octets as `parse_size` reads them."""
    for unit in ("GB", "MB", "kB"):
        if octets and octets % _OCTETS[unit] == 0:
            return f"{octets // _OCTETS[unit]}{unit}"
    return str(octets)


def parse_domain(value: str) -> str:
    """Lower-case a domain name and see that it is one; `""` says that none is set."""
    domain = value.strip().rstrip(".").lower()
    if domain and not _DOMAIN.fullmatch(domain):
        raise ValueError("expected a domain name in ASCII (punycode), such as mail.example.com")
    return domain


def _beside_settings(path: Path, info: ValidationInfo) -> Path:
    base = (info.context or {}).get("base")
    return base / path.expanduser() if base is not None else path


Listen = Annotated[Endpoint, BeforeValidator(parse_endpoint), PlainSerializer(str, return_type=str)]
Duration = Annotated[
    float, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str)
]
Limit = Annotated[
    float | None, BeforeValidator(parse_limit), PlainSerializer(format_duration, return_type=str)
]
Size = Annotated[int, BeforeValidator(parse_size), PlainSerializer(format_size, return_type=str)]
Domain = Annotated[str, AfterValidator(parse_domain)]
File = Annotated[Path, AfterValidator(_beside_settings), PlainSerializer(str, return_type=str)]
"""A path; a relative one is taken from the folder of the settings file."""
Network = IPv4Network | IPv6Network
