"""Shares: who of several takes a delivery, and who instead; the same answer on every try.

Each name runs a race whose time is drawn from a hash of the delivery and the name, slowed down by
its weight (weighted rendezvous hashing).  So over many deliveries each name wins its share, one
delivery always gets the same order, on any machine, and adding or losing a name moves only the
deliveries that it wins.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from hashlib import blake2b

_WHOLE = float(1 << 64)


def ranked(delivery_id: str, weights: Mapping[str, float]) -> list[str]:
    """The names in the order in which they take this delivery.  Weights are more than 0."""
    return sorted(weights, key=lambda name: (_time(delivery_id, name) / weights[name], name))


def _time(delivery_id: str, name: str) -> float:
    """An exponentially distributed number."""
    drawn = blake2b(f"{delivery_id}\0{name}".encode(), digest_size=8).digest()
    return -math.log((int.from_bytes(drawn) + 0.5) / _WHOLE)
