"""Settings of reputation: what of ours is looked up, and on which blocklists."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Annotated

from pydantic import AfterValidator

from carom.settings.units import Domain, Duration, Section, key


def _known(name: str) -> str:
    from sender.blocklists import shipped  # here, since it loads the resolver

    if name not in (lists := shipped()):
        raise ValueError(f"there is no list {name!r}; there are {', '.join(sorted(lists))}")
    return name


class Reputation(Section):
    addresses: list[IPv4Address | IPv6Address] = key(
        [],
        "The addresses that receivers see us send from, since a machine behind NAT does not know; "
        "empty: the public ones of `[[sender.routes]]`.",
    )
    domains: list[Domain] = key([], "Domains of ours to look up beside `[sender] domain`.")
    blocklists: list[Annotated[str, AfterValidator(_known)]] = key(
        [],
        "Lists to ask, by the names of sender/blocklists.toml; none by default, since each has "
        "terms of use.",
    )
    check_every: Duration = key(
        3_600.0, "Lists change within hours; asking more often may get us refused.", "duration"
    )
