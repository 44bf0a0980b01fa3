"""Settings of the support console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carom.settings.units import Duration, Section, key

if TYPE_CHECKING:
    from analysis.sessions import Lasting


class Console(Section):
    enabled: bool = key(True, "Pages for people at /console, behind a sign-in.")
    idle: Duration = key(3_600.0, "A session that is not used ends: desks are shared.", "duration")
    life: Duration = key(
        12 * 3_600.0, "A session ends after a working day, however busy it is.", "duration"
    )

    def lasting(self) -> Lasting:
        """The same as the plain value that `analysis.sessions` works with."""
        from analysis.sessions import Lasting  # here, since it loads all of SQLAlchemy

        return Lasting(self.idle, self.life)
