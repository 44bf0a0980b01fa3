"""`carom placement` and its settings: seeds, their last results, and what is wrong with each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from carom import setup
from carom.__main__ import main
from carom.errors import SettingsError
from carom.placing import account, tries_loop
from carom.settings import Settings, load
from tests.servers import LOOPBACK, free_port
from tests.servers.dovecot import PASSWORD, Dovecot

ANN = "ann@seed.example"


def seed(name: str, port: int, /, **more: object) -> str:
    told = {
        "name": name,
        "address": ANN,
        "provider": "gmail",
        "imap": f"{LOOPBACK}:{port}",
        "password": PASSWORD,
        "tls": "none",
        **more,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in told.items() if value is not None]
    return "\n[[placement.seeds]]\n" + "\n".join(lines) + "\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return setup.write(tmp_path / "set-up", setup.plan("example.com"), lambda n: b"k" * n)


def with_seeds(config: Path, *seeds: str) -> list[str]:
    config.write_text(config.read_text() + "".join(seeds))
    return ["placement", "--config", str(config)]


def settings(config: Path, *seeds: str) -> Settings:
    with_seeds(config, *seeds)
    return load(config, environ={})


def test_each_seed_is_tried_and_what_is_wrong_is_said_with_the_mend(
    config: Path, start_dovecot: Callable[..., Dovecot], capsys: pytest.CaptureFixture[str]
) -> None:
    dovecot = start_dovecot(users={ANN: ""})
    fine = seed("fine", dovecot.imap_port)
    locked = seed("locked", dovecot.imap_port, password="wrong")
    gone = seed("gone", free_port())
    command = with_seeds(config, fine, locked, gone)
    assert main([*command, "--check"]) == 1
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0] == "fine: ok, inbox INBOX, junk Junk"
    assert lines[1].startswith("locked: login: [AUTHENTICATIONFAILED]")
    assert "application password" in lines[1]
    assert lines[2].startswith("gone: connect: ")
    assert told.err.strip().endswith("2 of 3 seeds cannot be read")
    assert "wrong" not in told.out + told.err

    main([*command, "--check", "--json"])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["ok"] for one in found] == [True, False, False]
    assert found[1]["reason"] == "login"


def test_without_results_it_says_so(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = with_seeds(config, seed("fine", 1143))
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "fine" in said
    assert "no result yet" in said
    assert "not known" in said
    assert "%" not in said.replace("(95 %)", ""), "no number of nothing"
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["estimate"]["known"] is False


def test_a_password_may_stand_in_a_file(config: Path) -> None:
    (config.parent / "seed.key").write_text("s3cret\n")
    given = settings(config, seed("ann", 143, password=None, password_file="seed.key"))
    made = account(given.placement.seeds[0])
    assert made.password == "s3cret"
    assert made.user == ANN
    assert "s3cret" not in repr(made)


def test_a_password_file_that_is_missing_is_named(config: Path) -> None:
    given = settings(config, seed("ann", 143, password=None, password_file="nowhere"))
    with pytest.raises(SettingsError, match=r"seed ann: password_file: .*nowhere: No such file"):
        account(given.placement.seeds[0])


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"imap": "imap.example.com:143"}, "loopback only"),
        ({"password": None}, "either password or password_file"),
        ({"password_file": "also"}, "either password or password_file"),
        ({"provider": "gmial"}, "did you mean gmail"),
        ({"address": "nobody"}, "address"),
        ({"name": "Two Words"}, "name"),
        ({"tls": "maybe"}, "implicit"),
        ({"folder": "INBOX"}, "folder"),
    ],
)
def test_a_seed_that_cannot_be_is_refused(
    config: Path, more: dict[str, object], expected: str
) -> None:
    with pytest.raises(SettingsError, match=expected):
        settings(config, seed("ann", 143, **more))


def test_two_seeds_of_one_name_are_refused(config: Path) -> None:
    with pytest.raises(SettingsError, match="same name"):
        settings(config, seed("ann", 143), seed("ann", 144))


LIVE = {"CAROM_INGEST__LISTEN": "0.0.0.0:25"}


@pytest.mark.parametrize(
    ("environ", "tried"),
    [
        ({}, False),
        (LIVE, True),
        ({"CAROM_INGEST__CANARY__EVERY": "1m"}, True),
        (LIVE | {"CAROM_INGEST__CANARY__EVERY": "never"}, False),
        (LIVE | {"CAROM_INGEST__DOMAIN": ""}, False),
        (LIVE | {"CAROM_SENDER__STATIC_MX": '{"*": "127.0.0.1:25"}'}, False),
        (LIVE | {"CAROM_SENDER__STATIC_MX": '{"example.net": "127.0.0.1:25"}'}, True),
        (
            {
                "CAROM_SENDER__STATIC_MX": '{"*": "127.0.0.1:25"}',
                "CAROM_INGEST__CANARY__ADDRESS": "canary@example.net",
            },
            True,
        ),
    ],
)
def test_the_loop_is_tried_where_there_is_a_real_path(
    config: Path, environ: dict[str, str], tried: bool
) -> None:
    assert tries_loop(load(config, environ=environ)) is tried
