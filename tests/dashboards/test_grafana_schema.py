"""The dashboards are what Grafana's own types say a dashboard is, to the options of each panel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from tests.dashboards import queries

SCHEMAS = Path(__file__).parent / "grafana_schema"

OF_PROMETHEUS = ("expr", "step", "textFormat", "titleFormat")
"""Of an annotation: the datasource's own, which Grafana's types leave out."""


def _validator(name: str) -> Draft7Validator:
    return Draft7Validator(json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8")))


DASHBOARD = _validator("dashboard")
OPTIONS = {kind: _validator(f"{kind}_options") for kind in ("stat", "timeseries", "table")}
FIELD = {kind: _validator(f"{kind}_field") for kind in ("timeseries", "table")}


def _wrong(validator: Draft7Validator, document: Any) -> list[str]:
    found = validator.iter_errors(document)
    return [f"{error.json_path}: {error.message[:200]}" for error in found]


@pytest.mark.parametrize("path", queries.GRAFANA, ids=lambda path: path.stem)
def test_a_dashboard_is_one_by_grafanas_types(path: Path) -> None:
    dashboard = queries.read_dashboard(path)
    for one in dashboard["annotations"]["list"]:
        for theirs in OF_PROMETHEUS:
            one.pop(theirs, None)
    assert _wrong(DASHBOARD, dashboard) == []


@pytest.mark.parametrize("path", queries.GRAFANA, ids=lambda path: path.stem)
def test_the_options_of_its_panels_are_those_of_their_kind(path: Path) -> None:
    for panel in queries.panels(queries.read_dashboard(path)):
        kind = panel["type"]
        assert _wrong(OPTIONS[kind], panel["options"]) == [], panel["title"]
        if kind in FIELD:
            custom = panel["fieldConfig"]["defaults"]["custom"]
            assert _wrong(FIELD[kind], custom) == [], panel["title"]


def test_the_schema_refuses_what_grafana_would() -> None:
    dashboard = queries.read_dashboard(queries.GRAFANA[0])
    dashboard["panels"][0]["gridPos"]["w"] = "wide"
    assert _wrong(DASHBOARD, dashboard)
