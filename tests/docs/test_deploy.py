"""What stands in `deploy/` fits together and fits Carom: units, image, compose file, examples."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import yaml

from carom.role import Role
from carom.roles import GRACE
from carom.settings.keys import keys_below, variable
from carom.settings.model import Settings
from tests.dashboards import prometheus
from tests.docs import sandbox
from tests.docs.pages import ROOT
from tests.flows.house import SHOP, environment, set_up, until
from tests.peers.counting_sink import CountingSink
from tests.servers import LOOPBACK, free_port
from tests.servers.postgres import Postgres

DEPLOY = ROOT / "deploy"
UNITS = [DEPLOY / "systemd" / name for name in ("carom.service", "carom@.service")]
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
BACKUP = DEPLOY / "systemd/carom-backup.service"
each_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)


@each_unit
def test_a_unit_gives_carom_longer_to_stop_than_carom_takes(unit: Path) -> None:
    """The work first, then each of two listeners: `carom.roles`."""
    service = _section(unit, "Service")
    assert float(service["TimeoutStopSec"].rstrip("s")) >= (GRACE + 5) + 2 * GRACE
    assert service["KillSignal"] == "SIGTERM"


def test_no_unit_opens_what_is_kept_to_others() -> None:
    """systemd sets a folder's mode at each start of a unit that names it: 0755 unless told."""
    for unit in (DEPLOY / "systemd").glob("*.service"):
        service = _section(unit, "Service")
        assert service["StateDirectory"] == "carom"
        assert (service["StateDirectoryMode"], service["UMask"]) == ("0700", "0077"), unit.name


@pytest.mark.parametrize("unit", [*UNITS, BACKUP], ids=lambda unit: unit.name)
def test_systemd_finds_no_fault_with_a_unit(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    name = unit.name.replace("@.", "@sender.")
    (tmp_path / name).write_text(
        re.sub(r"ExecStart=/opt/carom/\S+", "ExecStart=/bin/true", unit.read_text())
    )
    done = _told("systemd-analyze", "verify", str(tmp_path / name))
    assert (done.returncode, done.stdout) == (0, "")
    done = _told("systemd-analyze", "security", "--offline=yes", "--no-pager", str(tmp_path / name))
    exposure = float(done.stdout.strip().splitlines()[-1].split(":")[1].split()[0])
    assert exposure <= 2.0, "of 10; an ordinary service has 9.6"


@pytest.mark.anyio
async def test_carom_serves_under_the_system_calls_that_the_unit_leaves(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    try:
        ctypes.CDLL(sandbox.LIBRARY)
    except OSError:
        pytest.skip("libseccomp is not installed")
    config, key = set_up(tmp_path)
    api = free_port()
    async with CountingSink() as sink:
        given = environment(f"sqlite:///{tmp_path / 'carom.db'}", mx=sink.port, api=api)
        serve = (sys.executable, "-m", "carom", "serve", "--config", str(config))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.docs.sandbox", str(UNITS[0]), *serve),
            cwd=ROOT,
            env={**os.environ, **given},
        )
        try:
            await until(lambda: _is_ready(api), within=60)
            await _submit(api, key)
            await until(lambda: asyncio.sleep(0, sink.copies))
            process.terminate()
            assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def test_the_compose_file_names_only_what_exists() -> None:
    for name, service in COMPOSE["services"].items():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            known = (DEPLOY / source).exists() if source[0] == "." else source in COMPOSE["volumes"]
            assert known, f"{name}: {volume}"
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        for other in service.get("depends_on", ()):
            assert other in COMPOSE["services"]
        if "build" in service:
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).exists()


def test_the_compose_file_runs_every_role_and_sets_only_what_is_a_setting() -> None:
    ours = {n: s for n, s in COMPOSE["services"].items() if s.get("image") == "carom"}
    roles = {s["command"][-1] for s in ours.values() if s["command"][0] == "serve"}
    assert roles == {role.value for role in Role}
    known = {variable(place) for place in keys_below(Settings)}
    assert {name for s in ours.values() for name in s["environment"]} <= known
    assert all(s["read_only"] and s["cap_drop"] == ["ALL"] for s in ours.values())


def test_only_the_bounce_listener_is_open_to_the_world() -> None:
    """What has no TLS or needs no stranger is bound to the host's loopback."""
    published = [p for s in COMPOSE["services"].values() for p in s.get("ports", ())]
    assert [p for p in published if not p.startswith("127.0.0.1:")] == ["25:2525"]


def test_the_image_sets_only_what_is_a_setting_and_is_not_root() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    known = {variable(place) for place in keys_below(Settings)}
    words = text.replace("\\\n", " ").split()
    named = {word.partition("=")[0] for word in words if word.startswith("CAROM_") and "__" in word}
    assert named <= known
    assert "\nUSER carom\n" in text
    assert "--require-hashes" in text
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"}
    assert all((ROOT / name).exists() for name in kept)


@pytest.mark.parametrize("file", sorted(DEPLOY.rglob("*.y*ml")), ids=lambda file: file.name)
def test_every_yaml_file_can_be_read(file: Path) -> None:
    assert isinstance(yaml.safe_load(file.read_text()), dict)


def test_every_scrape_target_is_a_service_of_the_compose_file() -> None:
    scraped = yaml.safe_load((DEPLOY / "prometheus/compose.yml").read_text())["scrape_configs"]
    targets = [t for job in scraped for group in job["static_configs"] for t in group["targets"]]
    assert {target.partition(":")[0] for target in targets} <= set(COMPOSE["services"])


def test_prometheus_accepts_its_configuration(tmp_path: Path) -> None:
    if reason := prometheus.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must have every server: {reason}", pytrace=False)
        pytest.skip(reason)
    shutil.copy(DEPLOY / "prometheus/compose.yml", tmp_path / "prometheus.yml")
    for name in ("rules.yml", "alerts.yml"):
        shutil.copy(ROOT / "dashboards/prometheus" / name, tmp_path)
    tool = str(prometheus.program("promtool"))
    done = _told(tool, "check", "config", str(tmp_path / "prometheus.yml"))
    assert done.returncode == 0, done.stdout


@pytest.mark.postgres
def test_postgresql_knows_every_setting_that_is_given(postgres_server: Postgres) -> None:
    lines = [
        line.partition("#")[0].partition("=")
        for file in sorted((DEPLOY / "postgresql").glob("*.conf"))
        for line in file.read_text().splitlines()
    ]
    given = {name.strip() for name, equals, _ in lines if equals}
    postgres_server.execute(
        "DO $$ DECLARE name text; BEGIN FOREACH name IN ARRAY ARRAY["
        + ", ".join(f"'{name}'" for name in sorted(given))
        + "] LOOP PERFORM current_setting(name); END LOOP; END $$"  # raises for an unknown one
    )


def _under_the_unit() -> tuple[str, ...]:
    """What runs a command under the backup unit's system calls, where that can be."""
    try:
        ctypes.CDLL(sandbox.LIBRARY)
    except OSError:
        return ()
    here = (sys.executable, "-m", "tests.docs.sandbox", str(BACKUP))
    return here if shutil.which("systemd-analyze") else ()


def test_a_backup_of_a_file_in_use_is_whole_and_old_ones_go(tmp_path: Path) -> None:
    database = tmp_path / "carom.db"
    with sqlite3.connect(database) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE kept (n INTEGER)")
        writer.executemany("INSERT INTO kept VALUES (?)", [(n,) for n in range(1_000)])
        writer.commit()
        folder = tmp_path / "backup"
        folder.mkdir()
        for day in range(10, 30):
            (folder / f"carom-202001{day}T000000Z.db").touch()
        script = str(DEPLOY / "backup/sqlite.sh")
        done = _told(*_under_the_unit(), script, str(database), str(folder))
    assert done.returncode == 0, done.stdout
    kept = sorted(folder.glob("carom-*.db"))
    assert len(kept) == 14
    assert kept[-1] == Path(done.stdout.strip())
    assert kept[-1].stat().st_mode & 0o077 == 0
    with sqlite3.connect(kept[-1]) as copy:
        assert copy.execute("SELECT count(*) FROM kept").fetchone() == (1_000,)


def _section(unit: Path, name: str) -> dict[str, str]:
    parser = RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit)
    return dict(parser[name])


def _told(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


async def _is_ready(api: int) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            return (await client.get(f"http://{LOOPBACK}:{api}/readyz")).status_code == 200
        except httpx.TransportError:
            return False


async def _submit(api: int, key: str) -> None:
    body = {"from": SHOP, "to": ["ann@known.example"], "subject": "Hello", "text": "Hello.\n"}
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(
            f"http://{LOOPBACK}:{api}/v1/messages",
            json=body,
            headers={"Authorization": f"Bearer {key}"},
        )
    assert answer.status_code == 202, answer.text
