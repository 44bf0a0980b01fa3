"""`carom keys`: a key is shown once and listed with those of the settings; changes are audited."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from analysis.schema import audit
from carom.__main__ import main
from carom.opening import with_store
from carom.settings import load
from tests.flows.house import set_up


@pytest.fixture
def config(tmp_path: Path) -> Path:
    config, _ = set_up(tmp_path)
    return config


def run(config: Path, *arguments: str) -> int:
    return main(["keys", *arguments, "--config", str(config)])


def test_a_key_is_made_listed_and_revoked_and_the_audit_knows(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(config, "add", "the shop", "--scope", "send") == 0
    made = capsys.readouterr().out.strip()
    key_id = made.split("_")[1]
    assert run(config, "list") == 0
    [fixed, listed] = capsys.readouterr().out.splitlines()
    assert fixed.endswith("  init  admin read send suppress  (settings)")
    assert listed == f"{key_id}  the shop  send"
    assert run(config, "revoke", key_id) == 0
    assert run(config, "revoke", key_id) == 1
    rows = with_store(
        load(config), lambda store: store.read(lambda tx: tx.execute(select(audit)).all())
    )
    assert [(row.action, row.subject) for row in rows] == [
        ("key.add", key_id),
        ("key.revoke", key_id),
    ]
    assert made not in str(rows)


def test_a_key_of_the_settings_is_revoked_there(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [fixed] = load(config).api.keys
    assert run(config, "revoke", fixed.id) == 1
    assert "take its line out of [api] keys" in capsys.readouterr().err
