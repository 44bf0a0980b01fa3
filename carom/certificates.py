"""Our listeners' certificates, loaded as TLS contexts."""

from __future__ import annotations

import ssl

from carom.errors import SettingsError
from carom.settings.listeners import Tls


def server_context(given: Tls | None, section: str) -> ssl.SSLContext | None:
    """The context of a listener, or None where no certificate is set.

    Raises SettingsError, naming `section` and the file, for one that cannot be used.
    """
    if given is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(given.cert, given.key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"[{section}] tls: {given.cert}: {error.strerror or error}") from error
    return context
