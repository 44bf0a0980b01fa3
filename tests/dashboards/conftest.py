"""Prometheus and its promtool; without them the tests are skipped by name, or fail with CI=true."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.dashboards import prometheus
from tests.dashboards.traffic import Carom


def _need_prometheus() -> None:
    if reason := prometheus.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must have every server: {reason}", pytrace=False)
        pytest.skip(reason)


@pytest.fixture
def promtool() -> str:
    """The path of promtool."""
    _need_prometheus()
    return str(prometheus.program("promtool"))


@pytest.fixture(scope="module")
def carom() -> Iterator[Carom]:
    """What is scraped."""
    with Carom() as answering:
        yield answering


@pytest.fixture(scope="module")
def scraping(carom: Carom) -> Iterator[prometheus.Prometheus]:
    """A Prometheus that scrapes `carom` with our rules and alerts."""
    _need_prometheus()
    with prometheus.Prometheus(carom.target) as server:
        yield server
