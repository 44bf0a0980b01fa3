"""Keys made, taken into use and retired: `keys.toml` goes over `carom.toml`, with an overlap."""

from __future__ import annotations

import stat
from datetime import date
from pathlib import Path

import pytest

from carom.__main__ import main
from carom.errors import SettingsError
from carom.settings import load, ring
from carom.settings.keyfiles import dkim_keys, published_keys, token_keys
from sender.tokens import Token, Tokens

NOW = 1_700_000_000.0


@pytest.fixture
def config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["init", str(tmp_path / "m"), "--domain", "example.com"]) == 0
    capsys.readouterr()
    return tmp_path / "m" / "carom.toml"


def run(config: Path, *arguments: str) -> int:
    return main(["keys", *arguments, "--config", str(config)])


def signing(config: Path) -> set[str]:
    return {signer.selector for signer in dkim_keys(load(config, {}))}


def test_a_new_key_waits_and_signs_nothing(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = config.read_text()
    assert run(config, "dkim", "new") == 0
    assert "carom-r2._domainkey.example.com. 3600 IN TXT" in capsys.readouterr().out
    assert signing(config) == {"carom-r1", "carom-e1"}
    assert [key.state for key in published_keys(load(config, {}))] == [
        "active",
        "active",
        "waiting",
    ]
    assert config.read_text() == before, "nobody's carom.toml is rewritten"
    made = [config.parent / ring.FILE, config.parent / "dkim-example.com-carom-r2.pem"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in made} == {0o600}


def test_an_activated_key_retires_the_one_of_its_kind(config: Path) -> None:
    assert run(config, "dkim", "new", "--kind", "ed25519", "--selector", "winter") == 0
    assert run(config, "dkim", "activate", "winter", "--force") == 0
    assert signing(config) == {"carom-r1", "winter"}
    states = {key.selector: key.state for key in published_keys(load(config, {}))}
    assert states == {"carom-r1": "active", "carom-e1": "retired", "winter": "active"}


def test_every_key_that_must_be_published_is_in_the_zone(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(config, "dkim", "new")
    run(config, "dkim", "retire", "carom-e1")
    capsys.readouterr()
    assert main(["dns", "--zone", "--config", str(config)]) == 0
    zone = capsys.readouterr().out
    for selector in ("carom-r1", "carom-r2", "carom-e1"):
        assert f"\n{selector}._domainkey.example.com. 3600 IN TXT" in zone


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("dkim", "activate", "no-such"), 2, "there are: carom-r1, carom-e1"),
        (("dkim", "new", "--selector", "carom-r1"), 2, "has it already"),
        (("dkim", "new", "--domain", "no domain"), 2, "expected a domain name"),
        (("dkim", "forget", "carom-r1"), 2, "only a retired key is forgotten"),
    ],
)
def test_what_cannot_be_done_is_one_line_with_the_mend(
    config: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    assert run(config, *arguments) == code
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1


def test_the_last_key_that_signs_is_not_retired(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(config, "dkim", "retire", "carom-e1") == 0
    assert run(config, "dkim", "retire", "carom-r1") == 1
    assert "activate another first" in capsys.readouterr().err


def test_a_key_of_carom_toml_is_not_forgotten_into_signing_again(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(config, "dkim", "retire", "carom-e1")
    assert run(config, "dkim", "forget", "carom-e1") == 2
    assert "take the line with carom-e1 out" in capsys.readouterr().err
    text = config.read_text()
    config.write_text("\n".join(line for line in text.splitlines() if "carom-e1" not in line))
    assert run(config, "dkim", "forget", "carom-e1") == 0
    assert signing(config) == {"carom-r1"}


def test_a_rotated_token_key_signs_and_the_old_one_is_still_believed(config: Path) -> None:
    old = Tokens(token_keys(load(config, {}).tokens))
    path = old.return_path("01jd000000000000000000000a", "b.example", expires=NOW + 86_400)
    assert run(config, "token", "rotate") == 0
    keys = token_keys(load(config, {}).tokens)
    assert [key.id for key in keys] == ["2", "1"]
    new = Tokens(keys)
    assert isinstance(new.read_return_path(path.partition("@")[0], NOW), Token)
    fresh = new.return_path("01jd000000000000000000000a", "b.example", expires=NOW + 86_400)
    assert isinstance(new.read_return_path(fresh.partition("@")[0], NOW), Token)
    assert not isinstance(old.read_return_path(fresh.partition("@")[0], NOW), Token)


def test_a_ring_is_read_as_it_is_written(tmp_path: Path) -> None:
    entry = {"selector": "a", "domain": "x.example", "file": 'odd "name".pem', "state": "active"}
    written = {"dkim": [{**entry, "since": date(2026, 11, 23)}], "tokens": []}
    ring.write(tmp_path, written)
    assert ring.read(tmp_path) == written


@pytest.mark.parametrize("text", ["[[[", "x = 1\n", "\ufeff\x00"])
def test_a_broken_ring_is_refused_by_its_name(config: Path, text: str) -> None:
    (config.parent / ring.FILE).write_text(text)
    with pytest.raises(SettingsError, match=r"keys\.toml: "):
        load(config, {})
