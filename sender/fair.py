"""Fair division: each gets what it wants or an equal part of what is left (max-min fairness).

Whoever wants little is served in full, those who want more than there is share alike, and what
nobody wants is spread over all, so that a want that grows finds room.  The same wants give the same
parts on every machine.  Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

Want = float | None
"""How much somebody can use; None: as much as there is."""


def fair(total: float, wants: Mapping[str, Want]) -> dict[str, float]:
    """Parts that add up to `total`, which may be none for nobody."""
    parts: dict[str, float] = {}
    left = total
    for name in (order := sorted(wants, key=lambda name: (_size(wants[name]), name))):
        equal = left / (len(order) - len(parts))
        parts[name] = min(_size(wants[name]), equal)
        left -= parts[name]
    return {name: part + left / len(parts) for name, part in parts.items()}


def fair_whole(total: int, wants: Mapping[str, Want]) -> dict[str, int]:
    """The same in whole pieces, at least one for each who wants one while there are enough."""
    exact = fair(total, wants)
    parts = {name: int(part) for name, part in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (parts[name] - exact[name], name))
    for name in by_remainder[: total - sum(parts.values())]:
        parts[name] += 1
    return parts


def _size(want: Want) -> float:
    return float("inf") if want is None else want
