"""How much of everything: so much in the short form of a check, so much in the full one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Amount:
    """So much in the short form, so much in the full one."""

    full: bool
    part: float = 1.0  # of the full form, where the machine or the evening is short

    def __call__(self, short: int, full: int) -> int:
        return max(short, round(full * self.part)) if self.full else short

    def some(self, short: Sequence[int], full: Sequence[int]) -> Sequence[int]:
        return full if self.full else short
