"""Settings: declared in one place each, read once at the top, handed down as plain values.

`load` is the only reader of the environment.  Sections: `listeners`, `sending`, `judging` and
`keeping`, put together in `model`; how they are read in `load`; how they are shown in `show`.
"""

from __future__ import annotations

from carom.settings.load import Loaded, load, load_with_origins
from carom.settings.model import Settings

__all__ = ["Loaded", "Settings", "load", "load_with_origins"]
