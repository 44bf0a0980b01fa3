"""One line of a benchmark: what was measured, against what, in the same run on the same machine."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    bench: str
    what: str
    value: float
    unit: str
    against: str = ""  # the peer or limit; empty where there is none
    against_value: float | None = None  # None: the peer is missing here
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times the peer's figure ours is."""
        return self.value / self.against_value if self.against_value else None

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio, "cores": os.cpu_count()}

    def __str__(self) -> str:
        line = f"{self.bench:<9} {self.what}: {_number(self.value)} {self.unit}"
        if self.ratio is not None and self.against_value is not None:
            line += f" = {self.ratio:.2f} x {self.against} ({_number(self.against_value)})"
        elif self.against:
            line += f"; {self.against}: not here, skipped"
        return f"{line}; {self.note}" if self.note else line


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def share(values: list[float], part: float) -> float:
    """The value under which this part of the values lies; they need not be sorted."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
