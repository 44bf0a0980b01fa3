"""How the report says its figures: words in a reader's language, ratios, waits, counts."""

from __future__ import annotations

from dataclasses import dataclass

from carom.console.words import Words
from carom.plots import percent, seconds
from carom.report.figures import HOUR, Figures, Group


@dataclass(frozen=True, slots=True)
class Saying:
    """The figures and the words to tell them in."""

    figures: Figures
    words: Words

    def __call__(self, key: str, **values: object) -> str:
        """A text of the section `report`."""
        return self.words(f"report.{key}", **values)

    def earlier(self) -> str:
        """What the span is compared with."""
        weeks = self.figures.weeks
        return self("week") if weeks == 1 else self("weeks", count=weeks)

    def compared(self) -> tuple[str, str]:
        return self("this"), self.earlier()

    def slot(self) -> str:
        """What the figures over time are counted in: `hour` or `day`."""
        times = [slot["time"] for slot in self.figures.series[:2]]
        return "hour" if len(times) == 2 and times[1] - times[0] <= HOUR else "day"

    def ratio(self, group: Group, name: str) -> str:
        ratio = group.ratio(name)
        return self("no_data") if ratio is None else percent(ratio)

    def counts(self, group: Group, name: str) -> str:
        found = group.now["ratios"][name]
        return self("of", count=f"{found['numerator']:,}", total=f"{found['denominator']:,}")

    def wait(self, value: float | None) -> str:
        return self("no_data") if value is None else seconds(value)
