"""Source addresses: the same one for a delivery, and only such as this machine has."""

from __future__ import annotations

from collections import Counter

from sender.places import Held
from sender.smtp import Host
from sender.sources import FIRST, LONGEST, LOOKED_AT, Source, Sources, bind_trouble

MX4, MX6 = Host("mx.example.net", "192.0.2.9"), Host("mx.example.net", "2001:db8::9")
POOL = (Source("192.0.2.1", "one.example.com"), Source("192.0.2.2"), Source("2001:db8::1"))


class Machine:
    """Addresses that it has, a clock, and how often it was asked."""

    def __init__(self, *lost: str) -> None:
        self.lost = set(lost)
        self.now = 1_000.0
        self.asked: Counter[str] = Counter()

    def trouble(self, address: str) -> str | None:
        self.asked[address] += 1
        return "cannot assign requested address" if address in self.lost else None

    def sources(self) -> Sources:
        return Sources(clock=lambda: self.now, trouble=self.trouble)


def addresses(sources: Sources, hosts: list[Host], count: int = 50) -> list[str]:
    picked = [sources.pick(POOL, f"delivery {n}", hosts) for n in range(count)]
    return [one.address for one in picked if isinstance(one, Source)]


def test_a_delivery_keeps_its_address_and_all_are_used() -> None:
    sources = Machine().sources()
    first = addresses(sources, [MX4, MX6])
    assert set(first) == {source.address for source in POOL}
    assert addresses(sources, [MX4, MX6]) == first


def test_an_address_goes_only_to_hosts_of_its_family() -> None:
    sources = Machine().sources()
    assert set(addresses(sources, [MX6])) == {"2001:db8::1"}
    assert "2001:db8::1" not in addresses(sources, [MX4])
    held = sources.pick(POOL[:2], "delivery", [MX6])
    assert isinstance(held, Held)
    assert held.verdict.rule == "routes/source"


def test_a_lost_address_is_out_and_comes_back() -> None:
    machine = Machine("192.0.2.1")
    sources = machine.sources()
    before = addresses(Machine().sources(), [MX4])
    moved = addresses(sources, [MX4])
    assert set(moved) == {"192.0.2.2"}
    assert machine.asked["192.0.2.1"] == 1
    machine.now += FIRST
    assert set(addresses(sources, [MX4])) == {"192.0.2.2"}
    assert machine.asked["192.0.2.1"] == 2
    machine.lost.clear()
    machine.now += FIRST
    assert set(addresses(sources, [MX4])) == {"192.0.2.2"}, "the wait has doubled"
    machine.now += FIRST
    assert addresses(sources, [MX4]) == before


def test_where_all_are_lost_deliveries_wait_for_the_next_look() -> None:
    machine = Machine("192.0.2.1", "192.0.2.2")
    sources = machine.sources()
    held = sources.pick(POOL[:2], "delivery", [MX4])
    assert isinstance(held, Held)
    assert held.until == machine.now + FIRST
    assert "192.0.2.1, 192.0.2.2" in held.verdict.evidence
    for _ in range(10):
        machine.now += LONGEST
        sources.pick(POOL[:2], "delivery", [MX4])
    held = sources.pick(POOL[:2], "delivery", [MX4])
    assert isinstance(held, Held)
    assert held.until == machine.now + LONGEST


def test_a_good_address_is_looked_at_now_and_then_and_when_in_doubt() -> None:
    machine = Machine()
    sources = machine.sources()
    for _ in range(10):
        assert sources.usable("192.0.2.1")
    assert machine.asked["192.0.2.1"] == 1
    machine.now += LOOKED_AT
    assert sources.usable("192.0.2.1")
    machine.lost.add("192.0.2.1")
    assert sources.usable("192.0.2.1")
    assert not sources.usable("192.0.2.1", doubted=True)
    assert machine.asked["192.0.2.1"] == 3


def test_what_the_system_says() -> None:
    assert bind_trouble("127.0.0.1") is None
    assert bind_trouble("192.0.2.77") == "cannot assign requested address"
