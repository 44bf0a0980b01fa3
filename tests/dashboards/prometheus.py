"""A Prometheus of its own, with the configuration that we ship, once a second.

Debian's package would start a service: `.ci/servers` unpacks it beside the system.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

from tests.dashboards.queries import DASHBOARDS
from tests.servers import LOOPBACK, Server, ServerFailedError, end_group, free_port

_START_SECONDS = 60.0
_STOP_SECONDS = 60.0
_LOOK_AGAIN_SECONDS = 0.05

_direct = build_opener(ProxyHandler({}))


def program(name: str) -> str | None:
    """Where `prometheus` or `promtool` is: on PATH, or where `.ci/servers` unpacks it."""
    store = os.environ.get("CAROM_SERVERS") or Path.home() / ".cache/carom-servers"
    return shutil.which(name) or shutil.which(name, path=Path(store) / "prometheus/usr/bin")


def missing() -> str | None:
    """Why Prometheus cannot run here, or None."""
    if program("prometheus") and program("promtool"):
        return None
    return "Prometheus is not unpacked: run .ci/servers as root on Debian"


class Prometheus(Server):
    """Scrapes `target` (host:port) as job carom and evaluates our rules, every second."""

    def __init__(self, target: str = "") -> None:
        super().__init__()
        self.port = free_port()
        self._target = target
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def query(self, promql: str, at: float | None = None) -> list[dict[str, Any]]:
        """The instant vector that a query yields now, or at a time in Unix seconds."""
        when = {} if at is None else {"time": f"{at}"}
        result: list[dict[str, Any]] = self._get("query", query=promql, **when)["result"]
        return result

    def over(self, promql: str, since: float, until: float, step: float) -> list[dict[str, Any]]:
        """The range vector of a query, a value each `step` seconds."""
        span = {"start": f"{since}", "end": f"{until}", "step": f"{step}"}
        result: list[dict[str, Any]] = self._get("query_range", query=promql, **span)["result"]
        return result

    def rules(self) -> list[dict[str, Any]]:
        """Every rule that it has read, in order, group by group."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, call: str, **arguments: str) -> dict[str, Any]:
        url = f"{self.url}/api/v1/{call}?{urlencode(arguments)}"
        try:
            with _direct.open(url, timeout=60) as answer:
                data: dict[str, Any] = json.load(answer)["data"]
                return data
        except HTTPError as error:
            raise ServerFailedError(f"{arguments}: {error.read().decode()}") from error

    def _begin(self) -> None:
        for path in (DASHBOARDS / "prometheus").glob("*.yml"):
            text = path.read_text(encoding="utf-8").replace("127.0.0.1:9825", self._target)
            quick = text.replace(": 15s", ": 1s").replace("interval: 2m", "interval: 1s")
            (self.home / path.name).write_text(quick, encoding="utf-8")
        self._launch(self.home / "data")

    def _launch(self, data: Path) -> None:
        with (self.home / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    str(program("prometheus")),
                    f"--config.file={self.home}/prometheus.yml",
                    f"--storage.tsdb.path={data}",
                    f"--web.listen-address={LOOPBACK}:{self.port}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._ready():
            # wait() is the pause: it returns early only if the process is gone.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_LOOK_AGAIN_SECONDS)
            if self._process.returncode is not None or time.monotonic() > deadline:
                raise ServerFailedError(f"prometheus: {self.log()}")

    def _ready(self) -> bool:
        try:
            with _direct.open(f"{self.url}/-/ready", timeout=60) as answer:
                return bool(answer.status == 200)
        except OSError:  # refused, or 503 while it opens its storage
            return False

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        end_group(process.pid)

    def _logs(self) -> list[Path]:
        return [self.home / "log"]
