"""What a share of few samples says of the share of all: the Wilson score interval.

A bare `98 %` of fifty samples may be 90 % or 99.6 %.  The interval holds the true share in about
95 of 100 such counts, also near 0 and 1 and for a handful of samples, where the textbook's normal
interval leaves [0, 1] or shrinks to nothing (E. B. Wilson, JASA 22, 1927; Brown, Cai and DasGupta,
Statistical Science 16, 2001).  It supposes samples that do not depend on each other.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

Z_95 = 1.959963984540054
"""Standard deviations that hold 95 % of a normal distribution."""


class Interval(NamedTuple):
    low: float
    high: float

    @property
    def width(self) -> float:
        return self.high - self.low


UNKNOWN = Interval(0.0, 1.0)


def wilson(hits: int, samples: int, z: float = Z_95) -> Interval:
    """Where the true share lies, given `hits` of `samples`; anywhere, given none.

    Raises ValueError unless 0 <= hits <= samples.
    """
    if not 0 <= hits <= samples:
        raise ValueError(f"{hits} of {samples} is no share")
    if samples == 0:
        return UNKNOWN
    share, square = hits / samples, z * z
    scale = 1 + square / samples
    centre = (share + square / (2 * samples)) / scale
    reach = z * sqrt(share * (1 - share) / samples + square / (4 * samples * samples)) / scale
    # rounding must not push the share itself out: at 0 and at all it is the very end
    return Interval(max(0.0, min(share, centre - reach)), min(1.0, max(share, centre + reach)))
