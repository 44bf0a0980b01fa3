"""The audit of what we depend on, without a network: no library under the version that mends a hole
we know of, neither here nor in what `pyproject.toml` lets in, and nothing in the locks unhashed.

Who learns of a hole adds its line; `pip-audit -r requirements.txt` finds what nobody told us.
"""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
FLOORS = {
    "aiosmtpd": ("1.4.6", "CVE-2024-27305, smuggling; CVE-2024-34083, commands before STARTTLS"),
    "aiosmtplib": ("5.1.3", "GHSA-v3q9-hj7j-63hq, commands; GHSA-vxj7-4xrp-5vr4, STARTTLS"),
    "cryptography": ("46", "older ones carry an OpenSSL of their own with known holes"),
    "defusedxml": ("0.7.1", "the release that ours was read in"),
    "dkimpy": ("1.1.8", "its quadratic folding is what sender/signing.py goes around"),
    "dnspython": ("2.9.0", "CVE-2023-29483; an answer that takes all of a processor"),
    "h11": ("0.16.0", "CVE-2025-43859, smuggling by chunks"),
    "jinja2": ("3.1.6", "CVE-2025-27516, a way out of the sandbox"),
    "starlette": ("1.0.1", "CVE-2024-47874, -2025-54121, -2025-62727, -2026-48710"),
}
_PINNED = re.compile(r"^([a-zA-Z0-9._-]+)(?:\[[^]]*\])?==[^ ;]+", re.MULTILINE)


@pytest.mark.parametrize("name", FLOORS)
def test_no_library_is_older_than_its_last_known_hole(name: str) -> None:
    floor, why = FLOORS[name]
    assert Version(version(name)) >= Version(floor), why
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [asked] = [one for one in map(Requirement, project["dependencies"]) if one.name.lower() == name]
    below = [
        s for s in asked.specifier if s.operator == ">=" and Version(s.version) < Version(floor)
    ]
    assert not below, f"pyproject.toml lets an older one in: {why}"


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_every_locked_library_has_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    pinned = [line for line in text.splitlines() if _PINNED.match(line)]
    assert len(pinned) > 20
    assert [line.split("==")[0] for line in pinned if "--hash=sha256:" not in line] == []
