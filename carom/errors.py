"""What a user did or can mend: shown as one line on stderr, never as a traceback.

The text says what is wrong and the mend, without a final full stop and without anything secret.
Every command may raise these; `carom.__main__` prints them and exits with `exit_code`.
"""

from __future__ import annotations


class CaromError(Exception):
    """A failed check, or something outside Carom that is not as it must be."""

    exit_code = 1


class UsageError(CaromError):
    """Wrong arguments, or a command that does not fit what it was pointed at."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting that is unknown, of the wrong kind, or missing where it is needed."""
