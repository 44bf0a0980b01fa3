"""Binding a port of the settings: what goes wrong is told with the setting and the mend."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from carom.errors import CaromError
from carom.settings.units import Endpoint


@contextmanager
def binding(section: str, **settings: Endpoint | None) -> Iterator[None]:
    """An `OSError` within becomes a `CaromError` that names the setting whose port it is about."""
    try:
        yield
    except OSError as error:
        known = {name: where for name, where in settings.items() if where is not None}
        about = (name for name, where in known.items() if f", {where.port}" in str(error))
        name = next(about, next(iter(known)))
        where = known[name]
        variable = f"CAROM_{section}__{name}".upper()
        raise CaromError(
            f"[{section}] {name} = {where}: {_why(error)}, or set another one ({variable})"
        ) from error


def _why(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "another process listens there already: stop it"
        case errno.EACCES:
            return "not allowed: a port below 1024 needs the right to bind it (see deploy/)"
        case errno.EADDRNOTAVAIL:
            return "this machine has no such address: name one of its own"
        case _:
            return f"cannot be listened at ({error.strerror or error})"
