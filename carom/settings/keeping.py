"""Settings of what is kept: the database, for how long, whom not to write to, logs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, ValidationInfo, model_validator

from carom.settings.units import Duration, Limit, Section, key

if TYPE_CHECKING:
    from analysis.retention import Keep
    from analysis.suppression import Limits

_SQLITE = "sqlite:///"
_DAY = 86_400.0


def _url(url: str, info: ValidationInfo) -> str:
    url = url.replace("postgresql+asyncpg://", "postgresql://", 1)  # SQLAlchemy's way to say it
    if not url.startswith((_SQLITE, "postgresql://")):
        raise ValueError("expected sqlite:///FILE or postgresql://USER@HOST/NAME")
    base: Path | None = (info.context or {}).get("base")
    if base is None or not url.startswith(_SQLITE):
        return url
    return f"{_SQLITE}{base / url.removeprefix(_SQLITE)}"


class Database(Section):
    url: Annotated[str, AfterValidator(_url)] = key(
        "sqlite:///carom.db", "SQLite for one machine, PostgreSQL for several.", "URL"
    )
    replicas: list[Annotated[str, AfterValidator(_url)]] = key(
        [],
        "Standbys of PostgreSQL that answer look-ups; what decides on sending asks `url`.",
        "URLs",
    )
    replica_lag: Duration = key(
        5.0,
        "A replica that is further behind is left alone; so late an answer may miss a change.",
        "duration",
        gt=0,
    )

    @model_validator(mode="after")
    def _standbys_are_of_one_kind(self) -> Database:
        if any(
            one.startswith(_SQLITE) for one in (*self.replicas, *[self.url] * bool(self.replicas))
        ):
            raise ValueError("replicas are standbys of PostgreSQL, and `url` their primary")
        return self


class Retention(Section):
    content_days: int = key(7, "Message bodies after the last delivery ended.", "days", ge=0)
    message_days: int = key(
        90, "Messages, deliveries and attempts without their bodies.", "days", ge=1
    )
    inbound_days: int = key(
        30, "Raw reports as they came, so that better rules can read them again.", "days", ge=0
    )
    event_days: int = key(90, "Events that webhooks and cursors can go back to.", "days", ge=1)
    audit_days: int = key(730, "Who changed what, and why.", "days", ge=1)
    cohort_days: int = key(
        400, "Counts by hour of what became of mail: small, without names.", "days", ge=1
    )
    aggregate_days: int = key(
        400, "DMARC and TLS reports: small, and worth a year's comparison.", "days", ge=1
    )

    def keep(self) -> Keep:
        """The same as the plain value that `analysis.retention` works with."""
        from analysis.retention import Keep  # here, since it loads all of SQLAlchemy

        return Keep(
            content=self.content_days * _DAY,
            messages=self.message_days * _DAY,
            inbound=self.inbound_days * _DAY,
            events=self.event_days * _DAY,
            audit=self.audit_days * _DAY,
            cohorts=self.cohort_days * _DAY,
            aggregates=self.aggregate_days * _DAY,
        )


class Suppression(Section):
    hard_bounce: Limit = key(
        365 * _DAY,
        "A dead address may be given to somebody else a year later.",
        "duration or never",
    )
    bad_domain: Limit = key(
        7 * _DAY, "A lapsed or mistyped domain is often mended in days.", "duration or never"
    )
    soft_bounce: Limit = key(7 * _DAY, "A full mailbox is emptied one day.", "duration or never")
    complaint: Limit = key(None, "The recipient said so.", "duration or never")
    unsubscribe: Limit = key(None, "The recipient said so.", "duration or never")
    manual: Limit = key(None, "A person said so.", "duration or never")
    soft_days: int = key(3, "Distinct days with a soft bounce that suppress ...", "days", ge=1)
    soft_window_days: int = key(14, "... when they lie within this time.", "days", ge=1)
    breaker: bool = key(
        True,
        "Hard bounces of a provider that suddenly fails most addresses are held, not suppressed.",
    )

    def limits(self, everywhere: frozenset[str]) -> Limits:
        """The same as the plain value that `analysis.suppression` works with; `everywhere` names
        the streams whose complaints and unsubscribes reach all streams."""
        from analysis.suppression import Limits  # here, since it loads all of SQLAlchemy

        return Limits(
            hard_bounce=self.hard_bounce,
            bad_domain=self.bad_domain,
            soft_bounce=self.soft_bounce,
            complaint=self.complaint,
            unsubscribe=self.unsubscribe,
            manual=self.manual,
            soft_days=self.soft_days,
            soft_window=self.soft_window_days * _DAY,
            everywhere=everywhere,
        )


class Level(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Format(StrEnum):
    JSON = "json"
    CONSOLE = "console"


class Log(Section):
    level: Level = key(Level.INFO, "At debug, addresses are written in full.", "debug ... error")
    format: Format = key(Format.JSON, "One object a line; console is for people.", "json, console")
