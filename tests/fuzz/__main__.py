"""`python -m tests.fuzz [--messages 200000] [--seed N] [--servers] [--keep FILE]`.

Exit 1 where anything was raised or a limit was not held: p99 20 ms, worst 250 ms, memory flat.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from analysis.rulebook import shipped
from ingest.parse import reader
from tests.fuzz.herd import herd
from tests.fuzz.mutator import mutants
from tests.fuzz.run import Accounts, read_all
from tests.fuzz.server_made import exim_made, postfix_made
from tests.servers import exim, postfix

P99, WORST, GROWTH = 0.020, 0.250, 8_000_000
"""Seconds, seconds, and octets by which memory may grow over the second half of a run."""


def main() -> int:
    asked = _arguments()
    sound = [*herd(), *(asyncio.run(_server_made()) if asked.servers else [])]
    print(f"{len(sound)} sound messages, seed {asked.seed}")
    read = reader(shipped())
    for mail in sound:
        read(mail)
    with Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), transient=True) as bar:
        task = bar.add_task("reading", total=asked.messages)
        accounts = read_all(
            mutants(sound, asked.seed), asked.messages, read, lambda: bar.advance(task)
        )
    print(accounts)
    if asked.keep:
        asked.keep.write_bytes(accounts.slowest[1])
    return 0 if held(accounts) else 1


def held(accounts: Accounts) -> bool:
    late = accounts.memory[-1] - accounts.memory[len(accounts.memory) // 2]
    quick = accounts.share(0.99) < P99 and accounts.slowest[0] < WORST
    return not accounts.raised and quick and late < GROWTH


async def _server_made() -> list[bytes]:
    made: list[bytes] = []
    for missing, make in ((postfix.missing(), postfix_made), (exim.missing(), exim_made)):
        if missing:
            print(f"without their mail: {missing}")
        else:
            made += await make()
    return made


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--servers", action="store_true", help="also mutate real servers' reports")
    parser.add_argument("--keep", type=Path, help="write the slowest message there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
