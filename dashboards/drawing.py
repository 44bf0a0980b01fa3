"""Dashboards said in a few words and drawn as Grafana's JSON.

A `Board` is rows of panels; a `Panel` is a question, the queries that answer it, a unit and the
values at which its colour changes.  Panels of a row share its 24 columns, so none can overlap.
Whatever is the same everywhere (datasource, variables, links) is said here once.  Knows nothing of
Carom but the names of its job, its runbook and its console.

Grafana's dashboard schema version 41; the tests hold what is drawn to Grafana's own types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dashboards.furniture import (
    RUNBOOK,
    SOURCE,
    Json,
    link_out,
    link_to_boards,
    marks,
    variables,
)

Step = tuple[float | None, str]

COLUMNS = 24
SCHEMA_VERSION = 41

GOOD: tuple[Step, ...] = ((None, "green"),)
ANY_IS_BAD: tuple[Step, ...] = ((None, "green"), (1, "red"))


def rises(yellow: float, red: float) -> tuple[Step, ...]:
    """More is worse."""
    return (None, "green"), (yellow, "yellow"), (red, "red")


def falls(yellow: float, green: float) -> tuple[Step, ...]:
    """Less is worse."""
    return (None, "red"), (yellow, "yellow"), (green, "green")


@dataclass(frozen=True, slots=True)
class Query:
    """A query and what its series are called; in a table: the heading of its column."""

    expr: str
    legend: str = ""
    unit: str = ""  # in a table: of this column, else the panel's
    steps: tuple[Step, ...] = ()  # in a table: colours the cells
    exemplars: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    title: str  # a question
    description: str
    queries: Sequence[Query]
    unit: str
    kind: Literal["timeseries", "stat", "table"] = "timeseries"
    steps: tuple[Step, ...] = GOOD
    decimals: int | None = None
    width: int = 0  # columns; 0: an equal share of what its row has left
    alert: str = ""  # whose page of the runbook helps
    board: str = ""  # stem of the board that tells more
    none: str = ""  # what stands there when nothing is found
    top: float | None = None  # the axis reaches so far
    stacked: bool = False
    log: bool = False
    dashed: str = ""  # regular expression of names that are drawn dashed
    right: str = ""  # regular expression of names that are bars on the right axis
    right_unit: str = "short"
    links: Mapping[str, Json] | None = None  # in a table: column -> a link from its cells
    by: Sequence[str] = ()  # in a table: the labels that are its first columns
    hidden: Sequence[str] = ()  # in a table: columns that are not shown


@dataclass(frozen=True, slots=True)
class Row:
    height: int
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    stem: str
    title: str
    question: str
    rows: Sequence[Row]
    since: str = "now-24h"


def draw(board: Board) -> Json:
    """The dashboard as Grafana imports it."""
    return {
        "uid": f"carom-{board.stem}",
        "title": f"Carom: {board.title}",
        "description": board.question,
        "tags": ["carom"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": "1m",
        "time": {"from": board.since, "to": "now"},
        "fiscalYearStartMonth": 0,
        "annotations": {"list": marks()},
        "links": [
            link_to_boards(),
            link_out("Runbook", RUNBOOK),
            link_out("Console", "${console}/console"),
        ],
        "templating": {"list": variables()},
        "panels": list(_laidlink_out(board.rows)),
    }


def _laidlink_out(rows: Sequence[Row]) -> Iterator[Json]:
    number, y = 1, 0
    for row in rows:
        x = 0
        free = COLUMNS - sum(panel.width for panel in row.panels)
        equal = free // max(1, sum(not panel.width for panel in row.panels))
        for panel in row.panels:
            width = panel.width or equal
            yield _panel(panel, number, {"h": row.height, "w": width, "x": x, "y": y})
            number, x = number + 1, x + width
        if x > COLUMNS:
            raise ValueError(f"{row.panels[0].title!r}: its row is {x} columns wide")
        y += row.height


def _panel(panel: Panel, number: int, grid: Json) -> Json:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": grid,
        "targets": [
            _target(chr(ord("A") + n), query, panel.kind) for n, query in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": list(_overrides(panel))},
        "options": _OPTIONS[panel.kind],
        "links": list(_panel_links(panel)),
        "transformations": _one_table(panel) if panel.kind == "table" else [],
    }


def _target(letter: str, query: Query, kind: str) -> Json:
    drawn = {
        "refId": letter,
        "datasource": SOURCE,
        "expr": query.expr,
        "legendFormat": "" if kind == "table" else query.legend,
        "editorMode": "code",
        "range": kind == "timeseries",
        "instant": kind != "timeseries",
    }
    if kind != "timeseries":
        drawn["format"] = "table" if kind == "table" else "time_series"
    if query.exemplars:
        drawn["exemplar"] = True
    return drawn


def _defaults(panel: Panel) -> Json:
    by_value = panel.kind == "stat" or panel.kind == "table"
    found: Json = {
        "unit": panel.unit,
        "color": {"mode": "thresholds" if by_value else "palette-classic"},
        "thresholds": _thresholds(panel.steps),
    }
    if panel.decimals is not None:
        found["decimals"] = panel.decimals
    if panel.top is not None:
        found |= {"min": 0, "max": panel.top}
    if panel.none:
        found["noValue"] = panel.none
    if panel.kind == "timeseries":
        found["custom"] = _lines(panel)
    if panel.kind == "table":
        found["custom"] = {"align": "auto", "inspect": False, "cellOptions": {"type": "auto"}}
    return found


def _thresholds(steps: Sequence[Step]) -> Json:
    drawn = [{"value": value, "color": colour} for value, colour in steps]
    return {"mode": "absolute", "steps": drawn}


def _lines(panel: Panel) -> Json:
    custom: Json = {
        "drawStyle": "line",
        "lineWidth": 1 if panel.stacked else 2,
        "fillOpacity": 40 if panel.stacked else 0,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if len(panel.steps) > 1 else "off"},
    }
    if panel.log:
        return custom | {"scaleDistribution": {"type": "log", "log": 10}, "axisSoftMin": 0.1}
    return custom | {"axisSoftMin": 0}


def _overrides(panel: Panel) -> Iterator[Json]:
    if panel.dashed:
        dashes = {"fill": "dash", "dash": [10, 10]}
        yield _override("byRegexp", panel.dashed, {"custom.lineStyle": dashes})
    if panel.right:
        yield _override("byRegexp", panel.right, _bars(panel.right_unit))
    if panel.kind == "table":
        yield from _columns(panel)


def _bars(unit: str) -> Json:
    return {
        "unit": unit,
        "custom.axisPlacement": "right",
        "custom.drawStyle": "bars",
        "custom.fillOpacity": 20,
        "custom.lineWidth": 0,
        "custom.stacking": {"mode": "normal", "group": "B"},
    }


def _columns(panel: Panel) -> Iterator[Json]:
    for query in panel.queries:
        drawn: Json = {"unit": query.unit} if query.unit else {}
        if query.steps:
            drawn["thresholds"] = _thresholds(query.steps)
            drawn["custom.cellOptions"] = {"type": "color-background", "mode": "basic"}
        if drawn:
            yield _override("byName", query.legend, drawn)
    for column, link in (panel.links or {}).items():
        yield _override("byName", column, {"links": [link]})


def _override(match: str, name: str, properties: Json) -> Json:
    pairs = [{"id": key, "value": value} for key, value in properties.items()]
    return {"matcher": {"id": match, "options": name}, "properties": pairs}


def _one_table(panel: Panel) -> list[Json]:
    """The results of all queries beside each other, one line for each set of labels."""
    many = len(panel.queries) > 1
    value = {f"Value #{chr(ord('A') + n)}" if many else "Value": q.legend
             for n, q in enumerate(panel.queries)}  # fmt: skip
    organise = {
        "excludeByName": dict.fromkeys(["Time", *panel.hidden], True),
        "indexByName": {name: n for n, name in enumerate([*panel.by, *value])},
        "renameByName": {name: legend for name, legend in value.items() if legend},
    }
    merge = [{"id": "merge", "options": {}}] if many else []
    return [*merge, {"id": "organize", "options": organise}]


def _panel_links(panel: Panel) -> Iterator[Json]:
    if panel.alert:
        yield link_out("What to do", f"{RUNBOOK}#{panel.alert.lower()}")
    if panel.board:
        yield link_out("More", f"/d/carom-{panel.board}?${{__url_time_range}}&${{__all_variables}}")


_OPTIONS: Mapping[str, Json] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "background",
        "graphMode": "none",
        "textMode": "auto",
        "justifyMode": "auto",
        "orientation": "auto",
        "wideLayout": True,
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
    },
    "table": {"showHeader": True, "cellHeight": "sm", "frameIndex": 0},
}
