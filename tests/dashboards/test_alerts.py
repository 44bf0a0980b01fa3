"""Each alert fires on its fault and on no ordinary day, and its page in the runbook exists."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.dashboards import queries
from tests.dashboards.rule_files import Rule, read_rules

SEVERITIES = {"warning", "critical"}
UNIT_TESTS = sorted((queries.DASHBOARDS / "prometheus/tests").glob("*.yml"))
RUNBOOK = (queries.DASHBOARDS / "runbook.md").read_text(encoding="utf-8")
ALERTS = read_rules(queries.ALERTS)
every_alert = pytest.mark.parametrize(
    "alert", ALERTS, ids=lambda alert: f"{alert.alert} {alert.labels['severity']}"
)


def _sections() -> dict[str, str]:
    """Anchor, as GitHub makes it from a heading -> the text below."""
    _, *parts = re.split(r"^## (.+)$", RUNBOOK, flags=re.MULTILINE)
    return {title.lower(): text for title, text in zip(parts[::2], parts[1::2], strict=True)}


@every_alert
def test_an_alert_says_how_bad_it_is_and_what_happened(alert: Rule) -> None:
    assert alert.labels["severity"] in SEVERITIES
    assert alert.labels["service"] == "carom"
    assert alert.annotations["summary"]
    assert alert.for_


@every_alert
def test_an_alert_leads_to_its_page_in_the_runbook(alert: Rule) -> None:
    page, _, anchor = alert.annotations["runbook_url"].partition("#")
    assert page.endswith("/dashboards/runbook.md")
    assert anchor == alert.alert.lower()
    for part in ("**Meaning.**", "**First look.**", "**Mend.**"):
        assert part in _sections()[anchor]


@every_alert
def test_an_alert_on_a_ratio_looks_through_two_windows_or_more(alert: Rule) -> None:
    windows = set(re.findall(r":ratio(\d+[mhd])", alert.expr))
    assert len(windows) != 1


def test_the_runbook_has_no_page_without_an_alert() -> None:
    assert set(_sections()) == {alert.alert.lower() for alert in ALERTS}


def test_every_link_of_a_dashboard_into_the_runbook_leads_to_a_page() -> None:
    for path in queries.GRAFANA:
        for anchor in re.findall(r"runbook\.md#(\w+)", path.read_text(encoding="utf-8")):
            assert anchor in _sections(), path.name


@every_alert
def test_an_alert_has_a_fault_that_makes_it_fire(alert: Rule) -> None:
    faults = "".join(path.read_text(encoding="utf-8") for path in UNIT_TESTS)
    fired = re.findall(r'alertname="(\w+)".*?severity="(\w+)"', faults)
    assert (alert.alert, alert.labels["severity"]) in fired


@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.stem)
def test_promtool_passes(promtool: str, path: Path) -> None:
    done = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_shipped_configuration(promtool: str) -> None:
    shipped = queries.DASHBOARDS / "prometheus/prometheus.yml"
    done = subprocess.run([promtool, "check", "config", shipped], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
