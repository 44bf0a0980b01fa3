"""Evidence: was it a person who fetched this, a machine, or can nobody tell?

Pure; what speaks for what is data (`engagement.toml`).  Where two signs differ the one for a
machine wins: a rate that is too low does less harm than one that counts scanners as readers.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from analysis.engagement import Who

MOST_AGENT = 400
"""Characters of a user agent that are read."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """One request, as far as it is evidence.  `age`: seconds since the next host took the mail."""

    method: str
    agent: str
    address: str
    headers: Mapping[str, str]  # by lower-case name
    age: float | None


@dataclass(frozen=True, slots=True)
class Agent:
    words: tuple[str, ...]
    exact: str
    who: Who

    def fits(self, agent: str) -> bool:
        return bool(self.exact and agent == self.exact) or any(word in agent for word in self.words)


@dataclass(frozen=True, slots=True)
class Evidence:
    headers: tuple[tuple[str, frozenset[str]], ...]
    agents: tuple[Agent, ...]
    networks: tuple[tuple[IPv4Network | IPv6Network, Who], ...]
    machine_within: float

    def judge(self, fetch: Fetch) -> Who:
        if fetch.method == "HEAD" or self._says_so(fetch.headers):
            return Who.MACHINE
        if fetch.age is None or fetch.age < self.machine_within:
            return Who.MACHINE
        agent = fetch.agent[:MOST_AGENT].strip().lower()
        signs = [one.who for one in self.agents if one.fits(agent)]
        signs += self._networks_of(fetch.address)
        for who in (Who.MACHINE, Who.UNKNOWN, Who.HUMAN):
            if who in signs:
                return who
        return Who.UNKNOWN

    def _says_so(self, headers: Mapping[str, str]) -> bool:
        for name, values in self.headers:
            said = headers.get(name, "").lower()
            if any(value in said for value in values):
                return True
        return False

    def _networks_of(self, address: str) -> list[Who]:
        try:
            known = ip_address(address)
        except ValueError:  # a socket of the system has none
            return []
        return [who for network, who in self.networks if known in network]


def shipped() -> Evidence:
    """The evidence of `engagement.toml`."""
    told = tomllib.loads(files("analysis").joinpath("engagement.toml").read_text(encoding="utf-8"))
    return Evidence(
        headers=tuple((one["name"], frozenset(one["values"])) for one in told["header"]),
        agents=tuple(
            Agent(tuple(one.get("words", ())), one.get("exact", ""), Who(one["class"]))
            for one in told["agent"]
        ),
        networks=tuple(
            (ip_network(text), Who(one["class"]))
            for one in told["network"]
            for text in one["networks"]
        ),
        machine_within=float(told["time"]["machine_within"]),
    )
