"""The dashboards are valid, say what they show, and ask only for what Carom exposes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from prometheus_client.parser import text_string_to_metric_families

from analysis import examined
from analysis.aggregate import Outcome as Aligned
from analysis.aggregate_metrics import SOURCES as SENDERS
from analysis.engagement import What, Who
from analysis.facts import Kind
from analysis.metrics import PUT_OFF, Metrics
from analysis.smtpd.door import Reason as Refused
from analysis.suppression import Reason
from analysis.verdict import Category, Fault
from analysis.webhooks import Result as Told
from dashboards.__main__ import GRAFANA, written
from dashboards.boards import BOARDS
from ingest.seed_account import Reason as SeedReason
from sender.submit import RANKS
from tests.dashboards import queries, traffic
from tests.dashboards.queries import Query
from tests.dashboards.rule_files import read_rules

EVERY_QUERY = list(queries.every_query())
PANELS = [
    pytest.param(panel, id=f"{path.stem}: {panel['title']}")
    for path in queries.GRAFANA
    for panel in queries.panels(queries.read_dashboard(path))
]
every_dashboard = pytest.mark.parametrize("path", queries.GRAFANA, ids=lambda path: path.stem)
every_query = pytest.mark.parametrize("query", EVERY_QUERY, ids=lambda query: query.where)

# Prometheus adds the first two to every sample that it scrapes.
SCRAPED = {"job", "instance"}
DISK = {*SCRAPED, "mountpoint", "fstype"}  # as node_exporter tells
PROMETHEUS_OWN = {
    "up": SCRAPED,
    "scrape_duration_seconds": SCRAPED,
    "node_filesystem_avail_bytes": DISK,
    "node_filesystem_size_bytes": DISK,
    "ALERTS": {"alertname", "alertstate", "severity", "service", "stream", "provider", "class"},
}
LABEL_VALUES: Mapping[str, Set[str]] = {
    "outcome": set(traffic.OUTCOMES),
    "result": {*traffic.RESULTS, *Aligned, *Told, "pass", "counted", "refused"},
    "type": set(traffic.COMPLAINTS),
    "source": {*traffic.SOURCES, *SENDERS},
    "category": set(Category),
    "fault": set(Fault),
    "check": set(examined.CHECKS),
    "state": set(examined.STATES),
    "class": {*RANKS, *Who},
    "kind": {*Kind, *What},
    "reason": {*Reason, *Refused, *SeedReason, *PUT_OFF},
}


def exposed() -> dict[str, set[str]]:
    """Name of each series that Carom exposes -> its labels."""
    metrics = Metrics()
    traffic.tick(metrics)
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return {name: labels | SCRAPED for name, labels in found.items()}


def recorded() -> dict[str, set[str]]:
    """Name of each recording rule -> the labels that its first part promises."""
    names = [rule.record for rule in read_rules(queries.RULES)]
    return {name: _level(name) for name in names}


def _level(record: str) -> set[str]:
    level = record.partition(":")[0]
    return set() if level == "carom" else set(level.split("_"))


KNOWN: Mapping[str, set[str]] = {**exposed(), **recorded(), **PROMETHEUS_OWN}


def _labels_of(metrics: Iterable[str]) -> set[str]:
    return {label for metric in metrics for label in KNOWN[metric]}


def test_every_metric_is_filled_by_the_made_up_traffic() -> None:
    """Otherwise a metric's series would be unknown here, and its queries refused."""
    metrics = Metrics()
    traffic.tick(metrics)
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        assert family.samples, family.name


@every_query
def test_every_query_parses(query: Query) -> None:
    promql_parser.parse(query.promql)


@every_query
def test_every_query_asks_only_for_metrics_and_labels_that_exist(query: Query) -> None:
    asked = queries.metrics_and_labels(query.promql)
    assert asked, "a query of no metric shows nothing"
    for metric, labels in asked.items():
        assert metric in KNOWN, f"no such metric: {metric}"
        assert labels <= KNOWN[metric], metric
    assert queries.grouping_labels(query.promql) <= _labels_of(asked)


@every_query
def test_every_query_asks_only_for_label_values_that_exist(query: Query) -> None:
    """A value that nobody counts is a panel that is always quiet."""
    for label, value in queries.label_values(query.promql):
        if label in LABEL_VALUES and value != ".*":
            assert set(value.split("|")) <= LABEL_VALUES[label], label


def test_a_recorded_series_has_the_labels_of_its_name() -> None:
    for rule in read_rules(queries.RULES):
        asked = queries.metrics_and_labels(rule.expr)
        grouped = queries.grouping_labels(rule.expr)
        carried = grouped or _labels_of(asked)
        if _level(rule.record):
            assert carried == _level(rule.record), rule.record
        else:
            assert not grouped, rule.record


@every_dashboard
def test_uid_is_stable_and_says_carom(path: Path) -> None:
    assert queries.read_dashboard(path)["uid"] == f"carom-{path.stem}"


def test_the_files_are_what_the_boards_draw() -> None:
    """Mend: `python -m dashboards`."""
    assert {board.stem for board in BOARDS} == {path.stem for path in queries.GRAFANA}
    for board in BOARDS:
        path = GRAFANA / f"{board.stem}.json"
        assert path.read_text(encoding="utf-8") == written(board), path.name


@every_dashboard
def test_a_dashboard_can_be_pointed_at_any_prometheus_stream_and_provider(path: Path) -> None:
    dashboard = queries.read_dashboard(path)
    variables = {one["name"]: one for one in dashboard["templating"]["list"]}
    assert {"datasource", "stream", "provider"} <= variables.keys()
    for name in ("stream", "provider"):
        asked = variables[name]["query"]["query"].removeprefix("label_values(").rstrip(")")
        metric, label = asked.split(", ")
        assert label in KNOWN[metric]


@every_dashboard
def test_panels_have_ids_of_their_own_and_do_not_overlap(path: Path) -> None:
    found = list(queries.panels(queries.read_dashboard(path)))
    assert len({panel["id"] for panel in found}) == len(found)
    taken = [cell for panel in found for cell in _cells(panel["gridPos"])]
    assert len(taken) == len(set(taken))
    assert max(column for column, _ in taken) < 24


def _cells(grid: dict[str, int]) -> list[tuple[int, int]]:
    columns = range(grid["x"], grid["x"] + grid["w"])
    return [(x, y) for x in columns for y in range(grid["y"], grid["y"] + grid["h"])]


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_answers_a_question_and_explains_its_answer(panel: dict[str, Any]) -> None:
    assert panel["title"].endswith("?")
    assert len(panel["description"]) > 60
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"]


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_reads_the_chosen_datasource_at_the_interval_of_the_screen(
    panel: dict[str, Any],
) -> None:
    """Or over a day, where one message in a hundred decides."""
    for part in (panel, *panel["targets"]):
        assert part["datasource"]["uid"] == "${datasource}"
    for target in panel["targets"]:
        windows = set(re.findall(r"\[(.+?)\]", target["expr"]))
        assert windows <= {"$__rate_interval", "1d"}


@pytest.mark.parametrize("panel", PANELS)
def test_an_override_names_a_field_that_the_panel_has(panel: dict[str, Any]) -> None:
    organised = [t["options"] for t in panel["transformations"] if t["id"] == "organize"]
    fields = {target["legendFormat"] for target in panel["targets"]}
    for options in organised:
        fields |= set(options["renameByName"].values()) | set(options["indexByName"])
    for override in panel["fieldConfig"]["overrides"]:
        name = override["matcher"]["options"]
        if override["matcher"]["id"] == "byName" and "{{" not in "".join(fields):
            assert name in fields
