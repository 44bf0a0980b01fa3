from __future__ import annotations

from itertools import pairwise
from random import Random

from carom.ids import STEP, ids

AT = 1_800_000_000.123
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"


def number(ulid: str) -> int:
    value = 0
    for digit in ulid:
        value = value * 32 + _DIGITS.index(digit)
    return value


def test_ids_of_one_moment_sort_as_they_were_made() -> None:
    new_id = ids(lambda: AT)
    made = [new_id() for _ in range(2_000)]
    assert made == sorted(made)
    assert len({one[:10] for one in made}) == 1, "of one millisecond"


def test_who_knows_one_id_of_a_moment_knows_no_other() -> None:
    new_id = ids(lambda: AT, Random(1).randbytes)
    made = [number(new_id()) for _ in range(2_000)]
    steps = [after - before for before, after in pairwise(made)]
    assert len(set(steps)) == len(steps)
    assert min(steps) > 2 ** (STEP - 20)


def test_a_moment_with_too_many_ids_begins_anew_and_repeats_none() -> None:
    chance = Random(2)
    widest = b"\xff" * (STEP // 8)
    new_id = ids(lambda: AT, lambda size: widest if size == len(widest) else chance.randbytes(size))
    made = [new_id() for _ in range(2**17)]
    assert made != sorted(made)
    assert len(set(made)) == len(made)
