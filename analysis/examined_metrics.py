"""Gauges of the doctor, read from the database at scrape: every check in every state, 0 or 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy import Connection

from analysis import examined


@dataclass(frozen=True, slots=True)
class Health:
    """What a scrape reads.  `at`: of the last examination, Unix seconds; 0: there was none."""

    states: Mapping[str, str] = field(default_factory=dict)  # by check
    at: float = 0.0


def read(tx: Connection) -> Health:
    return Health(*examined.states(tx))


class HealthGauges:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._check = Gauge(
            "carom_doctor_check",
            "Whether a check of carom doctor is in this state: 1, else 0",
            ("check", "state"),
            registry=registry,
        )
        self._at = Gauge(
            "carom_doctor_last_run_timestamp_seconds",
            "When the service examined itself last; 0: not yet",
            registry=registry,
        )

    def observe(self, health: Health) -> None:
        for check in examined.CHECKS:
            for state in examined.STATES:
                self._check.labels(check, state).set(health.states.get(check) == state)
        self._at.set(health.at)
