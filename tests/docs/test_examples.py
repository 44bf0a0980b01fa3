"""Every example that is marked to be run is run, in the order of its page, against one service.

The service is what a reader has after `carom init` and `carom serve`; its mail goes to a host on
loopback that refuses `gone...`.  An example has `CAROM_URL`, `CAROM_API_KEY` and `CAROM_CONFIG` in
its environment and `carom` on its path, and fails as a shell does, or by an assertion of its own.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.docs import pages
from tests.docs.pages import Example
from tests.flows.house import environment, set_up, until
from tests.flows.mortal import Fate, mortal
from tests.peers.counting_sink import CountingSink
from tests.servers import LOOPBACK, free_port

pytestmark = pytest.mark.anyio

PAGES = [page for page in pages.documents() if pages.examples(page)]


def test_the_guides_have_examples_that_run() -> None:
    assert {"docs/api.md", "docs/start.md"} <= {pages.name_of(page) for page in PAGES}


async def test_every_example_runs(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    async with _service(tmp_path) as given:
        for page in PAGES:
            for example in pages.examples(page):
                await _run(example, tmp_path, given)


@asynccontextmanager
async def _service(folder: Path) -> AsyncIterator[dict[str, str]]:
    """A running service and what an example needs to know of it."""
    config, key = set_up(folder)
    async with CountingSink() as sink:
        api, ingest = free_port(), free_port()
        url = f"sqlite:///{folder / 'carom.db'}"
        settings = environment(url, mx=sink.port, ingest=ingest, api=api)
        async with mortal(folder, config, settings, Fate([])):
            await until(lambda: _listens(api), within=60)
            yield settings | {
                "CAROM_URL": f"http://{LOOPBACK}:{api}",
                "CAROM_API_KEY": key,
                "CAROM_CONFIG": str(config),
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            }


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    return True


async def _run(example: Example, folder: Path, given: dict[str, str]) -> None:
    arguments = {
        "sh": ["bash", "-euo", "pipefail", "-c", example.code],
        "python": [sys.executable, "-c", example.code],
    }[example.language]
    done = await asyncio.to_thread(
        subprocess.run,
        arguments,
        cwd=folder,
        env={"HOME": str(folder), **given},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{example}\n{example.code}\n{done.stdout}"
