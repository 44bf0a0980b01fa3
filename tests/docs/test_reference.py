"""Reference pages are what the code says today."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs import reference
from tests.docs.pages import ROOT

_METRIC_NAME = re.compile(r'"(carom_[a-z0-9_]+)"')
_PACKAGES = ("analysis", "sender", "ingest", "carom")


def test_every_command_is_documented_with_its_options_of_today() -> None:
    """Mend: `.venv/bin/python -m tests.docs.reference`."""
    assert (ROOT / "docs/commands.md").read_text() == reference.commands_page()


def test_every_metric_is_documented_as_the_registry_has_it() -> None:
    """Mend: `.venv/bin/python -m tests.docs.reference`."""
    assert (ROOT / "docs/metrics.md").read_text() == reference.metrics_page()


def test_no_metric_is_made_that_the_page_does_not_know() -> None:
    """One that is made late or elsewhere would be missing from the registry that was asked."""
    known = {metric.name for metric, _ in reference.metrics()}
    made = {name.removesuffix("_total"): file for file in _makers() for name in _made_in(file)}
    assert {name: file for name, file in made.items() if name not in known} == {}


def _makers() -> list[Path]:
    files = (file for name in _PACKAGES for file in (ROOT / name).rglob("*.py"))
    return [file for file in files if "prometheus_client import" in file.read_text()]


def _made_in(file: Path) -> list[str]:
    return _METRIC_NAME.findall(file.read_text())
