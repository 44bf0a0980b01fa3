"""Pages that are written by the code they describe: `docs/commands.md` and `docs/metrics.md`.

    .venv/bin/python -m tests.docs.reference

writes both.  A test compares them with what stands in the folder, so that a new option or metric
cannot be forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import typer
from prometheus_client import Metric
from typer.core import TyperGroup
from typer.main import get_command

from analysis.metrics import Gauges, Metrics
from analysis.probe_metrics import ProbeGauges
from carom.cli import COMMANDS, resolve
from tests.docs.pages import ROOT

_COMMANDS = """\
# Commands

Every command with its arguments and options, as `carom COMMAND --help` shows them. `carom` is
`.venv/bin/carom` after `make demo`. Settings are read from `--config FILE`, else `$CAROM_CONFIG`,
else `./carom.toml`. Errors are one line on stderr with the mend; exit status 2 means wrong usage or
settings, 1 a failed check, 0 that all is well. This page is written by
`python -m tests.docs.reference`.
"""
_METRICS = """\
# Metrics

Every Prometheus metric of `[api] metrics_listen` (`http://127.0.0.1:9825/metrics`), as the registry
has it. Label sets are closed or bounded: `provider` is one of about 25 mailbox providers found by
MX, streams past the first few share `other`, and no address is in any of them. Counters and
histograms of several processes add up: take `sum`. Gauges are read from the one database by each
process, so all say the same: take `max`. A counter's name ends in `_total` when it is scraped, a
histogram has `_bucket`, `_sum` and `_count`. Beside these are Python's own `process_` metrics.
Counters are written to the database once a second and at the end, and a process that starts goes on
where dead ones of its machine left off: a process that is killed loses what it counted in its last
second, at most. The cohort gauges and `/v1/stats` are counted in the transactions of the facts
themselves and lose nothing. Prometheus (the header `X-Prometheus-Scrape-Timeout-Seconds` tells) is
shown each new series at zero first, so that `increase` sees also the first event.
What to do when one looks wrong stands in the [runbook](../dashboards/runbook.md). This page is
written by `python -m tests.docs.reference`.

| metric | kind | labels | is |
|---|---|---|---|
"""


def commands_page() -> str:
    return _COMMANDS + "".join(_of_command(path) for path in COMMANDS)


def metrics_page() -> str:
    rows = (_of_metric(metric, labels) for metric, labels in metrics())
    return _METRICS + "".join(rows)


def metrics() -> list[tuple[Metric, tuple[str, ...]]]:
    """Every metric of ours with its labels, in the order of names."""
    whole = Metrics()
    whole.observe(Gauges({}, {}, 0, probes=ProbeGauges(silence=0.0)))  # some wait for a value
    made = {id(one): one for one in whole.registry._names_to_collectors.values()}.values()
    found = [
        (metric, tuple(getattr(one, "_labelnames", ())))
        for one in made
        for metric in _described(one)
        if metric.name.startswith("carom_")
    ]
    return sorted(found, key=lambda pair: pair[0].name)


def options(path: str) -> list[Any]:
    """The parameters of a command, as typer has them; of a group, those of all its commands."""
    return [one for _, parameters in _leaves(path) for one in parameters]


def _leaves(path: str) -> Iterator[tuple[str, list[Any]]]:
    found = resolve(COMMANDS[path][0])
    if isinstance(found, typer.Typer):
        command = get_command(found)
        inner = command.commands.items() if isinstance(command, TyperGroup) else [("", command)]
        yield from ((f"{path} {name}".strip(), list(one.params)) for name, one in inner)
        return
    assert callable(found)
    app = typer.Typer(add_completion=False)
    app.command()(found)
    yield path, list(get_command(app).params)


def _described(collector: Any) -> Iterable[Metric]:
    """A labelled metric yields nothing to collect until a label set exists; it can be described."""
    describe = getattr(collector, "describe", None)
    return describe() if describe else collector.collect()


def _of_metric(metric: Metric, labels: tuple[str, ...]) -> str:
    name = metric.name + ("_total" if metric.type == "counter" else "")
    shown = ", ".join(f"`{label}`" for label in labels)
    return f"| `{name}` | {metric.type} | {shown} | {_cell(metric.documentation)} |\n"


def _of_command(path: str) -> str:
    about = COMMANDS[path][1]
    return "".join(
        f"\n## `carom {name}`\n\n{about}\n" + _table(parameters)
        for name, parameters in _leaves(path)
    )


def _table(parameters: list[Any]) -> str:
    if not parameters:
        return ""
    rows = "".join(f"| {_spelt(one)} | {_cell(one.help or '')} |\n" for one in parameters)
    return "\n| option | does |\n|---|---|\n" + rows


def _spelt(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{(parameter.metavar or parameter.name).strip('{}').upper()}`"
    return ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def main() -> None:
    (ROOT / "docs/commands.md").write_text(commands_page(), "utf-8")
    (ROOT / "docs/metrics.md").write_text(metrics_page(), "utf-8")


if __name__ == "__main__":
    main()
