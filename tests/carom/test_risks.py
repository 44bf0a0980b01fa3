"""Risky settings: what is dangerous or useless in public is named, with the mend."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carom import risks, setup
from carom.settings import load


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return setup.write(tmp_path / "m", setup.plan("example.com"), lambda n: b"r" * n)


def codes(config: Path, **environ: str) -> set[str]:
    found = risks.examine(load(config, environ), config)
    return {one.code for one in found} - {"settings.parser", "settings.listen_local"}


def test_a_fresh_set_up_has_no_risk(config: Path) -> None:
    assert codes(config) <= {"settings.ok"}


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("CAROM_SUBMISSION__LISTEN", "0.0.0.0:587", "settings.submission_open"),
        ("CAROM_API__LISTEN", "0.0.0.0:8025", "settings.api_open"),
        ("CAROM_API__METRICS_LISTEN", "[::]:9825", "settings.metrics_open"),
        ("CAROM_SENDER__STATIC_MX", '{"*": "127.0.0.1:2526"}', "settings.static_mx"),
        ("CAROM_STREAMS__NEWS__UNSUBSCRIBE", "true", "settings.public_url"),
        ("CAROM_TOKENS__KEYS", "[]", "settings.no_token_key"),
    ],
)
def test_a_risk_is_found(config: Path, name: str, value: str, code: str) -> None:
    assert codes(config, **{name: value}) == {code}


@pytest.mark.parametrize(
    "name", ["token.key", "privacy.key", "dkim-rsa.pem", "dkim-ed25519.pem", "carom.db"]
)
def test_a_secret_that_others_can_read_is_found(config: Path, name: str) -> None:
    (config.parent / name).touch()
    (config.parent / name).chmod(0o640)
    [one] = [f for f in risks.examine(load(config, {}), config) if f.code == "settings.readable"]
    assert one.mend() == f"chmod 600 {config.parent / name}"


def test_a_settings_file_is_a_secret_only_when_it_holds_one(config: Path) -> None:
    config.chmod(0o644)
    assert "settings.readable" not in codes(config)
    relay = '{"host": "smtp.example.com:587", "user": "u", "password": "p"}'
    assert "settings.readable" in codes(config, CAROM_SENDER__RELAY=relay)
    seed = {"name": "a", "address": "a@example.net", "imap": "h:993", "password": "p"}
    assert "settings.readable" in codes(config, CAROM_PLACEMENT__SEEDS=json.dumps([seed]))
    for url in ("postgresql://u:p@h/d", "postgresql://h/d?password=p"):
        assert "settings.readable" in codes(config, CAROM_DATABASE__URL=url)
    assert "settings.readable" not in codes(config, CAROM_DATABASE__URL="postgresql://u@h/d")


def test_a_bounce_listener_on_loopback_is_told(config: Path) -> None:
    found = {one.code for one in risks.examine(load(config, {}), config)}
    assert "settings.listen_local" in found
