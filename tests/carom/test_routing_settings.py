"""`[[sender.routes]]`: how a route is written, what is refused, and the plan that comes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.store import open_store
from carom import ways
from carom.errors import SettingsError
from carom.settings import Settings, load
from carom.settings.load import load_with_origins
from carom.settings.show import as_markdown, as_toml
from sender.mx import MailExchange
from sender.route_choice import Match, Plan
from sender.route_health import Bounds
from sender.routes import Relay, Routes
from sender.smtp import TlsMode
from sender.sources import Source
from sender.warmup import Ladder, Warmup

LISTED = """
[[sender.routes]]
name = "esp"
host = "smtp.esp.example:587"
user = "shop"
password = "hunter2"
stream = ["news", "offers"]
class = "bulk"
domain = [".example.org", "*.example.net", "example.com"]
provider = "gmail"
share = 3
failures = 5
window = "2m"
probe = "10s"

[[sender.routes]]
name = "own"
failover = false
source = [{ address = "192.0.2.1", hostname = "out1.example.com" }, "2001:db8::1"]
[sender.routes.warmup]
ladder = "50, 100, 200"
since = 2026-11-23
"""


def read(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "carom.toml").write_text(text)
    return load(tmp_path / "carom.toml", {})


def plans(settings: Settings, tmp_path: Path) -> list[Plan]:
    """As the engine makes them."""
    store = open_store(f"sqlite:///{tmp_path / 'carom.db'}")
    exchange = MailExchange(None, random=lambda: 0.5)  # type: ignore[arg-type]  asked for nothing
    routes = Routes(exchange, static=frozenset())
    choice = ways.choice(settings, routes, Warmup(store, lambda: 0.0))
    return [] if choice is None else list(choice.plans)


def test_a_route_becomes_a_plan(tmp_path: Path) -> None:
    esp, own = plans(read(tmp_path, LISTED), tmp_path)
    assert esp == Plan(
        "esp",
        Relay(
            "smtp.esp.example",
            587,
            tls=TlsMode.VERIFIED,  # a password is sent to nobody unknown
            username="shop",
            password="hunter2",
            name="esp",
        ),
        Match(
            frozenset({"news", "offers"}),
            frozenset({".example.org", ".example.net", "example.com"}),
            frozenset({"gmail"}),
            frozenset({"bulk"}),
        ),
        share=3,
        bounds=Bounds(5, 120, 10),
    )
    assert own == Plan(
        "own",
        sources=(Source("192.0.2.1", "out1.example.com"), Source("2001:db8::1")),
        failover=False,
        ladder=Ladder((50, 100, 200), 20_780),
    )


def test_tables_by_name_are_the_same(tmp_path: Path) -> None:
    text = '[sender.routes.b]\nhost = "b.example:25"\n[sender.routes.a]\nhost = "a.example:25"\n'
    assert [plan.name for plan in plans(read(tmp_path, text), tmp_path)] == ["b", "a"]


def test_without_routes_nothing_chooses(tmp_path: Path) -> None:
    assert plans(read(tmp_path, ""), tmp_path) == []


def test_routes_from_the_environment() -> None:
    routes = [{"name": "esp", "host": "127.0.0.1:2525"}]
    settings = load(None, {"CAROM_SENDER__ROUTES": json.dumps(routes)})
    assert [route.name for route in settings.sender.routes] == ["esp"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('name = "default"', "another name than default"),
        ('name = "a"\nuser = "x"', "user and password together"),
        ('name = "a"\nkind = "relay"', "expected the host of this relay"),
        (
            'name = "a"\nkind = "mx"\nhost = "a.example:25"',
            "expected no host for",
        ),
        ('name = "a"\nkind = "carrier pigeon"', "mx|relay"),
        ('name = "a"\nuser = "x"\npassword = "y"', "a host to sign in to"),
        ('name = "a"\nsource = ["mail.example"]', "address"),
        ('name = "a"\ndomain = ["not a domain"]', "expected a domain name"),
        ('name = "a"\ndomain = ["."]', "expected a domain, or .domain"),
        ('name = "a"\nprovider = "gmial"', "did you mean gmail?"),
        ('name = "a"\nshare = 0', "share"),
        ('name = "a"\nwarmup = { ladder = "many", since = 2026-11-23 }', "no ladder, such as"),
        ('name = "a"\nhosts = "a.example:25"', "did you mean"),
        ('name = "a"\n[[sender.routes]]\nname = "a"', "a is given twice"),
        ("share = 1", "name: must be set"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(
    tmp_path: Path, line: str, said: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        read(tmp_path, f"[[sender.routes]]\n{line}\n")
    assert "[sender] routes" in str(refused.value)
    assert said in str(refused.value)


def test_a_cap_is_a_setting_of_a_stream(tmp_path: Path) -> None:
    settings = read(tmp_path, '[streams.news]\ncap = "3 per 1h"\n')
    assert settings.streams["news"].cap == "3 per 1h"
    with pytest.raises(SettingsError, match="no rate, such as"):
        read(tmp_path, '[streams.news]\ncap = "often"\n')


def test_what_is_shown_hides_the_password_and_keeps_the_shape(tmp_path: Path) -> None:
    (tmp_path / "carom.toml").write_text(LISTED)
    shown = as_toml(load_with_origins(tmp_path / "carom.toml", {}))
    assert "hunter2" not in shown
    assert 'warmup = { ladder = "50, 100, 200", since = "2026-11-23" }' in shown
    assert "routes[].warmup.ladder" in as_markdown()
