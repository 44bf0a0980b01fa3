"""The command line: fast to start, and one line on stderr for whatever its user does wrong."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import typer

from carom import __version__, cli
from carom.__main__ import main
from carom.commands import group
from carom.errors import CaromError


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "carom", *arguments], capture_output=True, text=True, check=False
    )


def test_the_version_is_shown() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"carom {__version__}\n", "")


def test_help_names_every_command_and_imports_none() -> None:
    script = (
        "import sys; from carom.__main__ import main; main(['--help']);"
        "loaded = [m for m in sys.modules if m.startswith(('carom.commands.', 'pydantic',"
        " 'sqlalchemy', 'rich', 'asyncio'))]; sys.exit(' '.join(loaded) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0
    for name in {path.split()[0] for path in cli.COMMANDS}:
        assert f"\n  {name} " in done.stdout


@pytest.mark.parametrize("path", cli.COMMANDS)
def test_every_command_in_the_table_exists(path: str) -> None:
    target, about = cli.COMMANDS[path]
    command = cli.resolve(target)
    assert isinstance(command, typer.Typer) or callable(command)
    assert about.endswith((".", "?"))


@pytest.mark.parametrize("path", cli.COMMANDS)
def test_every_command_has_help(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*path.split(), "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: carom {path} ")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["setings"], "carom: No such command 'setings'. Did you mean 'settings'?"),
        (["--colour"], "carom: No such option: --colour"),
        (["settings", "--jsn"], "carom: No such option: --jsn"),
        (["settings", "more"], "carom: Got unexpected extra argument"),
        (["settings", "--config"], "carom: Option '--config' requires an argument"),
        (["settings", "--config", "/no/such/file"], "carom: /no/such/file: no such file"),
        (["init"], "carom: Missing argument 'DIR'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(expected)
    assert shown.err.count("\n") == 1


def test_nothing_asked_for_shows_the_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert capsys.readouterr().out.startswith("Usage: carom ")


def test_a_command_may_have_two_words_or_be_a_group(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app = group("Several.")
    app.command("one")(lambda: typer.echo("one ran"))
    app.command("two")(lambda: typer.echo("two ran"))
    monkeypatch.setattr(sys.modules["tests"], "app", app, raising=False)
    monkeypatch.setattr(sys.modules["tests"], "leaf", lambda: typer.echo("leaf ran"), raising=False)
    monkeypatch.setitem(cli.COMMANDS, "several", ("tests:app", "Several."))
    monkeypatch.setitem(cli.COMMANDS, "tree leaf", ("tests:leaf", "A leaf."))
    monkeypatch.setitem(cli.GROUPS, "tree", "A tree.")
    assert [main(["several", "two"]), main(["tree", "leaf"])] == [0, 0]
    assert capsys.readouterr().out == "two ran\nleaf ran\n"
    assert [main(["several"]), main(["tree"]), main(["tree", "lef"])] == [2, 2, 2]
    errors = capsys.readouterr().err.splitlines()
    assert errors[0] == "carom: Missing command. See carom several --help."
    assert errors[1] == "carom: Missing command. See carom tree --help."
    assert errors[2].startswith("carom: No such command 'lef'. Did you mean 'leaf'?")


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    """Run a command of our own table that raises this."""

    def fail() -> None:
        raise error

    monkeypatch.setitem(cli.COMMANDS, "fail", ("tests:fail", "Fail."))
    monkeypatch.setattr(sys.modules["tests"], "fail", fail, raising=False)
    return main(["fail"])


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (CaromError("two\nlines"), 1, "carom: two lines\n"),
        (
            PermissionError(13, "Permission denied", "/etc/shadow"),
            1,
            "carom: /etc/shadow: Permission denied\n",
        ),
        (OSError(98, "Address already in use"), 1, "carom: Address already in use\n"),
        (KeyboardInterrupt(), 130, ""),
        (typer.Exit(3), 3, ""),
    ],
)
def test_trouble_outside_becomes_one_line(
    error: BaseException,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert failing(monkeypatch, error) == code
    assert capsys.readouterr().err == line


def test_a_database_that_is_gone_becomes_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from analysis.store import StoreUnavailable

    assert failing(monkeypatch, StoreUnavailable("disk full")) == 1
    assert capsys.readouterr().err == "carom: database: disk full\n"


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        failing(monkeypatch, ZeroDivisionError())


def test_a_reader_that_leaves_early_is_no_error() -> None:
    """`carom settings --markdown | head -1`, with a pipe that is closed before anything is read."""
    process = subprocess.Popen(
        [sys.executable, "-m", "carom", "settings", "--markdown"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 1
    assert error == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "carom", "settings"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "carom: No space left on device\n")


@pytest.mark.timeout(30)
def test_control_c_ends_a_command_without_a_traceback(tmp_path: Path) -> None:
    """The command waits for a writer on a FIFO; it is interrupted once it has opened it."""
    fifo = tmp_path / "carom.toml"
    subprocess.run(["mkfifo", str(fifo)], check=True)
    # a shell that put the tests into the background has them, and their children, ignore it
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "carom", "settings", "--config", str(fifo)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    with fifo.open("wb"):  # returns when the command has it open for reading
        while process.poll() is None:  # a signal just before its read() is not seen until the next
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error == b""


def test_main_takes_the_arguments_of_the_process() -> None:
    done = run("settings", "--no-such")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_whoever_asks_in_a_folder_without_settings_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for said in ("carom: no settings here, so this is a new ./carom.db", ""):
        assert main(["suppression", "check", "ann@example.net"]) == 0
        shown = capfd.readouterr()
        assert shown.out == "ann@example.net is not suppressed\n"
        assert shown.err.startswith(said)
        assert bool(shown.err) is bool(said)
