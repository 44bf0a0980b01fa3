"""What commands print their tables and bars on."""

from __future__ import annotations

import os

from rich.console import Console


def paper(*, stderr: bool = False, highlight: bool = True) -> Console:
    """A console that writes plain text where nobody looks, and where NO_COLOR is set (Rich would
    still print bold)."""
    plain = bool(os.environ.get("NO_COLOR"))
    return Console(
        stderr=stderr, highlight=highlight, color_system=None if plain else "auto", no_color=plain
    )
