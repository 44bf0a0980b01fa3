"""Every PromQL that is shipped, where it stands, and what it asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser

from tests.dashboards.rule_files import read_rules

DASHBOARDS = Path(__file__).parents[2] / "dashboards"
RULES = DASHBOARDS / "prometheus" / "rules.yml"
ALERTS = DASHBOARDS / "prometheus" / "alerts.yml"
GRAFANA = sorted((DASHBOARDS / "grafana").glob("*.json"))


@dataclass(frozen=True, slots=True)
class Query:
    where: str
    promql: str


def read_dashboard(path: Path) -> dict[str, Any]:
    dashboard: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return dashboard


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every panel that shows something, also those inside of rows."""
    for panel in dashboard["panels"]:
        yield from panel.get("panels", ())
        if panel["type"] != "row":
            yield panel


def filled(promql: str, *, interval: str = "1m", week: str = "1w") -> str:
    """What Grafana sends when every stream and provider is chosen."""
    return (
        promql.replace("$__rate_interval", interval)
        .replace("$stream", ".*")
        .replace("$provider", ".*")
        .replace("offset 1w", f"offset {week}")
        .replace("offset 1d", f"offset {week if week != '1w' else '1d'}")
    )


def panel_queries(**filling: str) -> Iterator[Query]:
    for path in GRAFANA:
        for panel in panels(read_dashboard(path)):
            for target in panel["targets"]:
                where = f"{path.stem}: {panel['title']} {target['refId']}"
                yield Query(where, filled(target["expr"], **filling))


def every_query() -> Iterator[Query]:
    yield from panel_queries()
    for path in GRAFANA:
        for one in read_dashboard(path)["annotations"]["list"]:
            if "expr" in one:
                yield Query(f"{path.stem}: annotation {one['name']}", one["expr"])
    for path in (RULES, ALERTS):
        for rule in read_rules(path):
            yield Query(f"{path.name}: {rule.record or rule.alert}", rule.expr)


def metrics_and_labels(promql: str) -> dict[str, set[str]]:
    """Metric -> the labels it is selected by."""
    asked: dict[str, set[str]] = {}
    for selector in _selectors(promql):
        labels = {matcher.name for matcher in selector.matchers.matchers}
        asked.setdefault(selector.name, set()).update(labels)
    return asked


def label_values(promql: str) -> list[tuple[str, str]]:
    """Each label with the value, or the alternatives `a|b`, that it is selected by."""
    matchers = [m for selector in _selectors(promql) for m in selector.matchers.matchers]
    return [(matcher.name, matcher.value) for matcher in matchers]


def grouping_labels(promql: str) -> set[str]:
    """Labels named by `by`, `on`, `group_left` and their opposites."""
    named: set[str] = set()
    for node in _nodes(promql):
        modifier = getattr(node, "modifier", None)
        for labels in (modifier, getattr(modifier, "matching", None)):
            named.update(getattr(labels, "labels", None) or ())
        named.update(getattr(modifier, "group_labels", None) or ())
    return named


def _selectors(promql: str) -> list[Any]:
    # a range `metric[5m]` holds its selector; the walk does not descend to it
    found = (getattr(node, "vector_selector", node) for node in _nodes(promql))
    return [one for one in found if isinstance(one, promql_parser.VectorSelector)]


def _nodes(promql: str) -> list[Any]:
    nodes: list[Any] = []
    promql_parser.walk(promql_parser.parse(promql), pre_visit=nodes.append)
    return nodes
