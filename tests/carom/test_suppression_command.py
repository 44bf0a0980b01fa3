"""`carom suppression`: what was exported can be imported, and bad lines are named, not fatal."""

from __future__ import annotations

from pathlib import Path

import pytest

from carom import setup
from carom.__main__ import main


@pytest.fixture
def config(tmp_path: Path) -> str:
    return str(setup.write(tmp_path / "set-up", setup.plan("example.com"), lambda n: b"k" * n))


@pytest.mark.parametrize("name", ["list.csv", "list.ndjson"])
def test_an_exported_list_can_be_imported(config: str, tmp_path: Path, name: str) -> None:
    address, file = "+ann@example.net", tmp_path / name
    here = ["--config", config]
    assert main(["suppression", "add", address, "--why", "asked", *here]) == 0
    assert main(["suppression", "export", str(file), *here]) == 0
    assert main(["suppression", "remove", address, "--why", "test", *here]) == 0
    assert main(["suppression", "import", str(file), *here]) == 0
    assert main(["suppression", "check", address, *here]) == 1


def test_lines_that_cannot_be_taken_are_named_and_the_rest_is(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "list.ndjson"
    file.write_text('{"address": "ann@example.net"}\n{broken\n{"address": "nobody"}\n')
    assert main(["suppression", "import", str(file), "--config", config]) == 1
    told = capsys.readouterr()
    assert [line.split(": ")[1] for line in told.err.splitlines()] == ["line 2", "line 3"]
    assert "1 imported, 2 refused" in told.out
    assert main(["suppression", "check", "ann@example.net", "--config", config]) == 1


def test_the_list_is_shown_and_exported_to_standard_output(
    config: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    here = ["--config", config]
    assert main(["suppression", "add", "ann@example.net", "--why", "asked", *here]) == 0
    for command in ("export", "list"):
        capfdbinary.readouterr()
        assert main(["suppression", command, *here]) == 0
        assert b"ann@example.net" in capfdbinary.readouterr().out
