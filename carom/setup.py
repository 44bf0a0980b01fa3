"""A first set-up: the files that make `carom serve` run as it is, on loopback.

`write` makes all of them or none: it refuses to touch a folder that already holds one of them, and
takes back what it wrote when it fails half-way.  Every file is readable by its owner only.  The
API key is registered in the settings by its hash, so that it holds for any database.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import idna

from analysis.keys import SCOPES, ApiKey, make
from carom.errors import UsageError
from carom.settings.load import DEFAULT_FILE
from carom.settings.units import parse_domain
from sender.dkim_keys import KeyKind, generate

TOKEN_KEY = "token.key"  # noqa: S105  a file name
PRIVACY_KEY = "privacy.key"
API_KEY = "api.key"
OWN_RULES = "own-rules.toml"
SELECTORS = {KeyKind.RSA: "carom-r1", KeyKind.ED25519: "carom-e1"}
"""Numbered, since a new key is published under a new selector before the old one is taken away."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Names in ASCII.  Raises UsageError where they cannot be what they are meant for."""

    domain: str
    bounce_domain: str
    hostname: str

    def __post_init__(self) -> None:
        if self.bounce_domain == self.domain:
            raise UsageError(
                f"--bounce-domain {self.bounce_domain}: its mail comes to Carom;"
                f" take a domain of its own, such as bounces.{self.domain}"
            )


def plan(domain: str, bounce_domain: str = "", hostname: str = "") -> Plan:
    """The names of a set-up, with those not given derived from the domain."""
    domain = ascii_domain("--domain", domain)
    return Plan(
        domain,
        ascii_domain("--bounce-domain", bounce_domain or f"bounces.{domain}"),
        ascii_domain("--hostname", hostname or f"mta.{domain}"),
    )


def write(directory: Path, names: Plan, random: Callable[[int], bytes]) -> Path:
    """Write the set-up into `directory`, made if it is missing; returns its settings file."""
    api_key = make("init", SCOPES, random)
    content: dict[str, bytes] = {_pem(kind): generate(kind) for kind in SELECTORS}
    content[TOKEN_KEY] = b64encode(random(32)) + b"\n"
    content[PRIVACY_KEY] = b64encode(random(32)) + b"\n"
    content[API_KEY] = f"{api_key.text}\n".encode()
    content[OWN_RULES] = _RULES
    content[DEFAULT_FILE] = _settings(names, api_key.key).encode()
    _refuse_to_overwrite(directory, content)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_all(directory, content)
    return directory / DEFAULT_FILE


def ascii_domain(option: str, domain: str) -> str:
    """A domain in A-labels; UsageError, naming the option, for what is none."""
    try:
        name = domain if domain.isascii() else idna.encode(domain, uts46=True).decode()
        name = parse_domain(name)
    except ValueError:  # idna.IDNAError is one
        name = ""
    if "." not in name:
        raise UsageError(f"{option} {domain}: expected a domain name, such as example.com")
    return name


def _refuse_to_overwrite(directory: Path, content: Mapping[str, bytes]) -> None:
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory}: is not a folder")
    if there := [name for name in content if os.path.lexists(directory / name)]:
        raise UsageError(
            f"{directory}: there is already a set-up ({', '.join(there)});"
            " take another folder, or move these away"
        )


def _write_all(directory: Path, content: Mapping[str, bytes]) -> None:
    written: list[Path] = []
    try:
        for name, octets in content.items():
            path = directory / name
            # O_EXCL, so that neither a link nor a second `init` can come in between.
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            written.append(path)
            with os.fdopen(handle, "wb") as file:
                file.write(octets)
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise


def _pem(kind: KeyKind) -> str:
    return f"dkim-{kind}.pem"


def _settings(names: Plan, api_key: ApiKey) -> str:
    dkim = "\n".join(
        f'  {{ selector = "{selector}", file = "{_pem(kind)}" }},'
        for kind, selector in SELECTORS.items()
    )
    return f"""\
# Carom's settings.  Only what differs from the defaults has to stand here; every key with its
# default, unit and reason: `carom settings --markdown`.  What is in force: `carom settings`.
# Relative paths start from this folder.  CAROM_SECTION__KEY in the environment goes over it.

[database]
url = "sqlite:///carom.db"  # or postgresql://user@host/name

[api]
listen = "127.0.0.1:8025"
metrics_listen = "127.0.0.1:9825"
# public_url = "https://mail.{names.domain}"  # where recipients reach it: for unsubscribe links
# The key in {API_KEY}, by its SHA-256.  Take the line away and the key is void.
keys = [
  {{ id = "{api_key.id}", name = "{api_key.name}", scopes = {json.dumps(list(SCOPES))}, \
hash = "{api_key.secret_hash.hex()}" }},
]

[submission]
listen = "127.0.0.1:2587"

[ingest]
listen = "127.0.0.1:2525"  # the MX of the bounce domain: public and on port 25 when it is live
domain = "{names.bounce_domain}"

[sender]
hostname = "{names.hostname}"  # said in EHLO: must resolve to this host's address, and back
domain = "{names.domain}"
# relay = "smtp.example.com:587"  # send everything to one host
# static_mx = {{ "*" = "127.0.0.1:2526" }}  # or to a test server, whatever the domain

[dkim]
keys = [
{dkim}
]  # rotate: carom keys dkim new; what it makes stands in keys.toml, which is read with this file

[tokens]
keys = [{{ id = "1", file = "{TOKEN_KEY}" }}]  # rotate: carom keys token rotate

[privacy]
keys = [{{ file = "{PRIVACY_KEY}" }}]  # of erased addresses; keep it: it cannot be made again

[rules]
file = "{OWN_RULES}"  # what replies mean, where you know better; read again when it changes
"""


_RULES = b"""\
# Your own rules: what replies and bounces mean, asked before Carom's.  Read again within seconds
# of a change, without a restart.  Replies that no rule took come with a rule to fill in: in the
# console under "Unknown replies", or by `carom rules unknown`.  Check it: `carom rules check`.
"""
