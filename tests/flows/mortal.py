"""`carom serve` as a process of its own that is killed at chosen moments and started again.

A `Fate` counts the moments that matter (`tick`) and kills at the drawn ones; the `Mortal` is
started again at once, as systemd would do.  At the end it is told to stop in order.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random


@dataclass(frozen=True, slots=True)
class Death:
    """At a count of ticks, or a little after it, when a COMMIT or an answer may be under way."""

    tick: int
    delay: float  # seconds


@dataclass(slots=True)
class Fate:
    """Kills whoever `process` is when the count of ticks reaches a drawn death."""

    deaths: list[Death]
    ticks: int = 0
    kills: int = 0
    process: asyncio.subprocess.Process | None = None
    _dying: asyncio.subprocess.Process | None = None

    def tick(self) -> None:
        """One more moment at which a death makes a difference."""
        self.ticks += 1
        process = self.process
        if process is None or process.returncode is not None or self._dying is process:
            return
        if self.deaths and self.ticks >= self.deaths[0].tick:
            self._dying = process
            self.kills += 1
            asyncio.get_running_loop().call_later(self.deaths.pop(0).delay, process.kill)


def deaths(seed: int, count: int, ticks: int) -> list[Death]:
    """So many, spread by chance over the first nine tenths of `ticks`, half of them delayed."""
    chance = Random(seed)
    moments = sorted(chance.sample(range(1, ticks * 9 // 10), count))
    return [Death(tick, max(0.0, chance.uniform(-0.02, 0.02))) for tick in moments]


@dataclass(slots=True)
class Mortal:
    """The running service.  `said` is all that it wrote to stderr, over all its lives."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    fate: Fate
    _stopping: bool = False

    async def live(self) -> None:
        """Be started again after each death, until `stop`."""
        while not self._stopping:
            with self.log.open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "carom",
                    "serve",
                    *self.arguments,
                    env={**os.environ, **self.environment},
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            self.fate.process = process
            code = await process.wait()
            if code != -signal.SIGKILL and not self._stopping:
                raise AssertionError(f"it ended by itself with {code}\n{self.said()}")

    async def stop(self) -> int:
        """End it in order; its exit status."""
        self._stopping = True
        process = self.fate.process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        return await process.wait()

    async def end(self) -> None:
        """End it at once if it still lives."""
        process = self.fate.process
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    def said(self) -> str:
        return self.log.read_text(errors="replace")


@asynccontextmanager
async def mortal(
    folder: Path, config: Path, environment: Mapping[str, str], fate: Fate
) -> AsyncIterator[Mortal]:
    """The service, alive until the block ends; a block that fails shows what the service said."""
    service = Mortal(["--config", str(config)], environment, folder / "serve.log", fate)
    try:
        async with asyncio.TaskGroup() as group:  # a service that ends by itself ends the story
            group.create_task(service.live())
            yield service
            fate.deaths.clear()
            assert await service.stop() == 0
    except BaseException:
        print(service.said()[-20_000:])
        raise
    finally:
        await service.end()
