"""A Prometheus that looks at a past we hand it: samples with the times they were taken at.

Samples become blocks by promtool; then Prometheus is asked for each recording rule at the time of
each sample, level by level, since a rule must see what it goes back to; last come the alerts, whose
`for` is counted here, as their series ALERTS.  All of it from the files that we ship, with their
own windows, however quickly the day was played.  (`promtool tsdb create-blocks-from rules` would
evaluate each level at another moment between two samples.)
"""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.dashboards import queries
from tests.dashboards.prometheus import Prometheus, program
from tests.dashboards.rule_files import Rule, read_rules

UNITS = {"s": 1, "m": 60, "h": 3_600}


@dataclass(slots=True)
class Samples:
    """Series, named as in an exposition -> (Unix seconds, value), in order."""

    series: dict[str, list[tuple[float, str]]] = field(default_factory=dict)

    def add(self, at: float, exposition: str, **more: str) -> None:
        """What a scrape showed; `more` are the labels that Prometheus adds."""
        extra = ",".join(f"{name}={json.dumps(value)}" for name, value in more.items())
        for line in exposition.splitlines():
            if line.startswith("#") or not line:
                continue
            name, _, value = line.rpartition(" ")
            bare, _, labels = name.rstrip("}").partition("{")
            inside = ",".join(part for part in (labels.rstrip(","), extra) if part)
            self.put(f"{bare}{{{inside}}}", at, value)

    def put(self, series: str, at: float, value: str) -> None:
        self.series.setdefault(series, []).append((at, value))

    def openmetrics(self) -> Iterator[str]:
        for name in sorted(self.series):
            for at, value in self.series[name]:
                yield f"{name} {value} {at:.3f}\n"
        yield "# EOF\n"


class History(Prometheus):
    """Serves the blocks of `data`."""

    def __init__(self, data: Path) -> None:
        super().__init__()
        self._blocks = data

    def _begin(self) -> None:
        (self.home / "prometheus.yml").write_text("{}\n")
        self._launch(self._blocks)


def load(data: Path, samples: Samples) -> None:
    """Add samples to the blocks of `data`."""
    file = data.parent / "samples.txt"
    with file.open("w") as out:
        out.writelines(samples.openmetrics())
    importing = [str(program("promtool")), "tsdb", "create-blocks-from", "openmetrics"]
    done = subprocess.run([*importing, str(file), str(data)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def record(data: Path, spans: Iterable[tuple[float, float]], step: float) -> None:
    """Evaluate the recording rules over each span."""
    spans = list(spans)
    for rules in levels(read_rules(queries.RULES)):
        samples = Samples()
        with History(data) as server:
            for rule, (since, until) in itertools.product(rules, spans):
                for series in server.over(rule.expr, since, until, step):
                    name = f"{rule.record}{{{_inside(series['metric'])}}}"
                    for at, value in series["values"]:
                        samples.put(name, float(at), value)
        load(data, samples)


def levels(rules: Iterable[Rule]) -> list[list[Rule]]:
    """Rules that ask for no other, those that ask for these, and so on."""
    left = {rule.record: rule for rule in rules}
    done: set[str] = set()
    found: list[list[Rule]] = []
    while left:
        ready = [
            rule
            for rule in left.values()
            if not (queries.metrics_and_labels(rule.expr).keys() & left.keys()) - done
        ]
        found.append(ready)
        done |= {rule.record for rule in ready}
        left = {name: rule for name, rule in left.items() if name not in done}
    return found


@dataclass(frozen=True, slots=True)
class Fired:
    alert: str
    labels: Mapping[str, str]
    at: tuple[float, ...]  # when it was firing


def fired(server: Prometheus, since: float, until: float, step: float) -> list[Fired]:
    """Every alert that fired in the span: true for as long as its `for` says, and still true."""
    found = []
    for alert in read_rules(queries.ALERTS):
        wait = float(alert.for_[:-1]) * UNITS[alert.for_[-1]]
        for series in server.over(alert.expr, since, until, step):
            times = [float(at) for at, _ in series["values"]]
            labels = {k: v for k, v in series["metric"].items() if k != "__name__"}
            if firing := tuple(_lasting(times, wait, step)):
                found.append(Fired(alert.alert, {**labels, **alert.labels}, firing))
    return found


def _lasting(times: list[float], wait: float, step: float) -> Iterator[float]:
    begun = before = None
    for at in times:
        if before is None or begun is None or at - before > step * 1.5:
            begun = at
        before = at
        if at - begun >= wait:
            yield at


def as_series(alerts: Iterable[Fired]) -> Samples:
    """ALERTS, as Prometheus writes it."""
    samples = Samples()
    for one in alerts:
        labels = {**one.labels, "alertname": one.alert, "alertstate": "firing"}
        for at in one.at:
            samples.put(f"ALERTS{{{_inside(labels)}}}", at, "1")
    return samples


def _inside(labels: Mapping[str, str]) -> str:
    named = ((key, value) for key, value in sorted(labels.items()) if key != "__name__")
    return ",".join(f"{key}={json.dumps(value)}" for key, value in named)
