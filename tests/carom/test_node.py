"""A process takes back only what surely dead processes of its own machine held."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from carom.node import Node, this


def test_a_process_that_runs_is_not_gone() -> None:
    assert not Node("box", 1, "b").gone(f"box/{os.getpid()}/x")


def test_a_process_that_ended_is_gone() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert Node("box", os.getpid(), "b").gone(f"box/{ended.pid}/x")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only /proc tells")
def test_a_killed_process_whose_parent_has_not_asked_for_its_end_is_gone() -> None:
    killed = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with killed:
        killed.kill()
        os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)  # dead, and left where it is
        assert Node("box", os.getpid(), "b").gone(f"box/{killed.pid}/x")


def test_an_earlier_start_with_our_pid_is_gone_and_we_are_not() -> None:
    here = Node("box", 1, "now")
    assert here.gone("box/1/before")
    assert not here.gone(here.name)


def test_other_machines_and_strange_names_are_left_to_their_leases() -> None:
    here = Node("box", 1, "now")
    assert not any(map(here.gone, ("other/999999/x", "box", "box/x/y", "", "box/²/y")))


def test_a_name_fits_its_column() -> None:
    node = this(lambda: "0123456789", "m" * 300)
    assert len(node.name) <= 64
    assert node.boot == "23456789"
