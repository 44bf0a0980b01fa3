"""`carom privacy` and `carom audit`: given out, erased, and the record still holds."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from carom import setup
from carom.__main__ import main

ANN = "ann@example.net"


@pytest.fixture
def here(tmp_path: Path) -> list[str]:
    file = setup.write(tmp_path / "set-up", setup.plan("example.com"), lambda n: b"k" * n)
    return ["--config", str(file)]


def test_a_person_is_given_their_data_and_then_erased(
    here: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "ann.json"
    assert main(["suppression", "add", ANN, "--why", "asked", *here]) == 0
    assert main(["privacy", "export", ANN, str(out), *here]) == 0
    told = json.loads(out.read_text())
    assert [one["evidence"] for one in told["suppressions"]] == ["asked"]
    assert [one["action"] for one in told["audit"]] == ["suppression.suppress"]
    assert main(["privacy", "erase", ANN, "--why", "asked", *here]) == 0
    assert "1 suppressions go on withholding" in capsys.readouterr().out
    assert main(["suppression", "check", ANN, *here]) == 1
    assert main(["audit", "verify", *here]) == 0


def test_a_touched_audit_fails_the_check(
    here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["suppression", "add", ANN, "--why", "asked", *here]) == 0
    assert main(["suppression", "remove", ANN, "--why", "asked", *here]) == 0
    assert main(["audit", "verify", *here]) == 0
    head = capsys.readouterr().out.split()[-1]
    assert main(["audit", "verify", "--head", head, *here]) == 0
    assert main(["audit", "verify", "--head", "0", *here]) == 2
    with sqlite3.connect(Path(here[1]).parent / "carom.db") as database:
        database.execute("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)")
    assert main(["audit", "verify", *here]) == 0  # whoever kept no hash cannot know
    assert main(["audit", "verify", "--head", head, *here]) == 1
    assert "is not in the chain" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["export"], ["erase", "--why", "x"]])
def test_what_is_no_address_is_wrong_usage(here: list[str], command: list[str]) -> None:
    assert main(["privacy", command[0], "nobody", *command[1:], *here]) == 2
