"""Settings of what is taken: how much may wait before more is put off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carom.settings.units import Limit, Section, Size, key

if TYPE_CHECKING:
    from sender.pressure import Limits


class Intake(Section):
    waiting: int | None = key(
        None,
        "Of one class; more is put off (429, 451) and comes again. Unset: no limit.",
        "deliveries",
        ge=1,
    )
    oldest: Limit = key(
        None,
        "More of a class is put off while its oldest due delivery has waited for longer.",
        "duration or never",
    )
    unread: int = key(
        1_000_000,
        "Not read yet; more are put off by the listener (451) and come again, from half of it on "
        "those to addresses without a token. So many mean that nobody reads, and some GB of the "
        "disk. 0: no limit.",
        "reports",
        ge=0,
    )
    free_space: Size | None = key(
        None,
        "Kept free on SQLite's disk for what becomes of mail: new mail is put off (503, 452). "
        "Unset: it is taken until the disk is full.",
        "octets",
    )
    database_size: Size | None = key(
        None,
        "All that the database may take before new mail is put off; PostgreSQL's disk is not in "
        "sight from here. Unset: no limit.",
        "octets",
    )

    def limits(self) -> Limits:
        """The same as the plain value that `sender.pressure` works with."""
        from sender.pressure import Limits  # here, since it loads all of SQLAlchemy

        return Limits(self.waiting, self.oldest, self.free_space, self.database_size)
