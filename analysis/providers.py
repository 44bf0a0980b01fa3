"""Mailbox providers: the closed set of names that rules and metrics may use.

A provider is known by its mail exchangers, since thousands of domains live behind a few of them;
the domain's own name decides only where no mail exchanger is known to us.  Whatever is not in
providers.toml is `other`; the set is closed so that a metric's labels stay few.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

OTHER = "other"


def _read() -> Mapping[str, Mapping[str, list[str]]]:
    text = Path(__file__).with_name("providers.toml").read_text(encoding="utf-8")
    return MappingProxyType(tomllib.loads(text))


def _index(table: Mapping[str, Mapping[str, list[str]]], key: str) -> Mapping[str, str]:
    found = {name: provider for provider, row in table.items() for name in row.get(key, ())}
    return MappingProxyType(found)


_TABLE = _read()
_BY_MX = _index(_TABLE, "mx")
_BY_DOMAIN = _index(_TABLE, "domains")

PROVIDERS: tuple[str, ...] = (*_TABLE, OTHER)
"""Every provider's name, `other` last."""


def provider_of(mx_hosts: Iterable[str], domain: str = "") -> str:
    """The provider behind these mail exchangers, best first, or else behind the domain."""
    for host in mx_hosts:
        for suffix in _suffixes(host):
            if suffix in _BY_MX:
                return _BY_MX[suffix]
    return _BY_DOMAIN.get(_plain(domain), OTHER)


def _suffixes(host: str) -> Iterator[str]:
    """`mx.example.net`, `example.net`, `net`: the longest first."""
    rest = _plain(host)
    while rest:
        yield rest
        _, _, rest = rest.partition(".")


def _plain(name: str) -> str:
    return name.strip().rstrip(".").lower()
