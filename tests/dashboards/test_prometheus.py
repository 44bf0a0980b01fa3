"""A real Prometheus scrapes Carom's metrics: every panel has something to show, no alert fires."""

from __future__ import annotations

from typing import Any

import promql_parser
import pytest

from tests.dashboards import queries
from tests.dashboards.prometheus import Prometheus
from tests.dashboards.queries import Query
from tests.dashboards.rule_files import read_rules
from tests.dashboards.traffic import Carom

# A rate needs two scrapes, a recorded ratio one evaluation more, what is read from it another.
SCRAPES = 30
PATIENCE = 60.0

pytestmark = pytest.mark.xdist_group("prometheus")  # one server for the module

QUIET = ("What is wrong now?", "Which incidents are open?", "What does the doctor say?")
"""Lists of what is wrong: empty while all is well."""
PANEL_QUERIES = [
    query
    for query in queries.panel_queries(interval="4s", week="1s")
    if not any(title in query.where for title in QUIET)
]


def _shown(scraping: Prometheus, carom: Carom, promql: str) -> list[dict[str, Any]]:
    """What a query yields, as soon as it yields something."""
    while not (found := scraping.query(promql)) and carom.scrapes < SCRAPES:
        carom.wait_for_scrape(PATIENCE)
    return found


@pytest.mark.parametrize("query", PANEL_QUERIES, ids=lambda query: query.where)
def test_a_panel_shows_data(scraping: Prometheus, carom: Carom, query: Query) -> None:
    found = _shown(scraping, carom, query.promql)
    assert found
    assert all(sample["value"][1] != "NaN" for sample in found)


def test_mail_arrives_as_it_was_counted(scraping: Prometheus, carom: Carom) -> None:
    """Of 1,000 settled 970 were accepted, and 5 of them came back."""
    found = _shown(scraping, carom, "stream:carom_arrived:ratio15m")
    assert [sample["metric"]["stream"] for sample in found] == ["shop"]
    assert float(found[0]["value"][1]) == pytest.approx(0.965, abs=0.001)


def test_nothing_fires_while_all_is_well(scraping: Prometheus, carom: Carom) -> None:
    assert _shown(scraping, carom, 'up{job="carom"} == 1')
    assert scraping.query("ALERTS") == []


def test_our_reader_reads_rules_as_prometheus_does(scraping: Prometheus) -> None:
    read = [
        (rule["name"], promql_parser.parse(rule["query"]).prettify(), _written(rule))
        for rule in scraping.rules()
    ]
    ours = [
        (
            rule.record or rule.alert,
            promql_parser.parse(rule.expr).prettify(),
            {**rule.labels, **rule.annotations},
        )
        for path in (queries.ALERTS, queries.RULES)
        for rule in read_rules(path)
    ]
    assert sorted(ours, key=str) == sorted(read, key=str)


def _written(rule: dict[str, Any]) -> dict[str, str]:
    return {**rule.get("labels", {}), **rule.get("annotations", {})}
