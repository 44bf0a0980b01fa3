"""Settings of the weekly report."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Self

from pydantic import model_validator

from carom.settings.placement import Sender
from carom.settings.units import Section, key
from carom.settings.words import StreamName

if TYPE_CHECKING:
    from carom.report.mail import Weekly


class Weekday(StrEnum):
    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


class Report(Section):
    to: list[Sender] = key([], "Who gets the weekly report; nobody: none is sent.", "address")
    from_: Sender = key("", "Who it is from.", "address", alias="from")
    stream: StreamName = key("report", "It is mail of ours, and counted as such.")
    weekday: Weekday = key(Weekday.MONDAY, "The day it is sent on.", "monday ... sunday")
    hour: int = key(7, "Not before this hour.", "hour, UTC", ge=0, le=23)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.to and not self.from_:
            raise ValueError("`from` is missing: who the weekly report comes from")
        return self

    def weekly(self) -> Weekly:
        """The same as the plain value that `carom.report.mail` works with."""
        from carom.report.mail import Weekly  # here, since it loads all of SQLAlchemy

        return Weekly(
            self.to, self.from_, self.stream, list(Weekday).index(self.weekday), self.hour
        )
