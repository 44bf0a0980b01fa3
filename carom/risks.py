"""Settings that work on one machine and are dangerous, or of no use, in public."""

from __future__ import annotations

import platform
import pyexpat
import stat
from collections.abc import Iterator
from pathlib import Path

from carom.errors import SettingsError
from carom.settings import Settings
from carom.settings.keyfiles import token_keys
from carom.settings.keys import mask_url
from carom.settings.ring import FILE as RING
from sender.doctor.finding import Finding, found

OTHERS = stat.S_IRWXG | stat.S_IRWXO
SAFE_PYTHON = (3, 11, 10)
"""Before it, header values can be turned into headers (CVE-2024-6923)."""
SAFE_EXPAT = (2, 6, 0)
"""Before it, one long token takes minutes (CVE-2023-52425)."""


def examine(settings: Settings, file: Path | None) -> list[Finding]:
    """`file`: the settings file, which may hold secrets itself."""
    amiss = [*_listeners(settings), *_secrets(settings, file), *_mail(settings), *_runtime()]
    return amiss or [found("settings.ok")]


def _listeners(settings: Settings) -> Iterator[Finding]:
    submission, api, ingest = settings.submission, settings.api, settings.ingest
    if submission.tls is None and not submission.listen.is_loopback:
        yield found("settings.submission_open", str(submission.listen))
    if api.tls is None and not api.listen.is_loopback:
        yield found("settings.api_open", str(api.listen))
    if not api.metrics_listen.is_loopback:
        yield found("settings.metrics_open", str(api.metrics_listen))
    if ingest.listen.is_loopback:
        yield found("settings.listen_local", str(ingest.listen))


def _secrets(settings: Settings, file: Path | None) -> Iterator[Finding]:
    try:
        token_keys(settings.tokens)
    except SettingsError as error:
        yield found("settings.no_token_key", trouble=str(error))
    for path in dict.fromkeys(_secret_files(settings, file)):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:  # said by whoever wants to read it
            continue
        if mode & OTHERS:
            yield found("settings.readable", str(path), mode=f"{mode:o}")


def _secret_files(settings: Settings, file: Path | None) -> Iterator[Path]:
    if file is not None and _holds_secrets(settings):
        yield file
    if file is not None:
        yield file.parent / RING
    yield from (entry.file for entry in settings.dkim.keys)
    yield from (entry.file for entry in settings.tokens.keys if entry.file is not None)
    yield from (entry.file for entry in settings.privacy.keys if entry.file is not None)
    yield from (one.password_file for one in settings.placement.seeds if one.password_file)
    if (database := settings.database.url).startswith("sqlite:///"):
        yield Path(database.removeprefix("sqlite:///"))
    listeners = settings.api.tls, settings.api.metrics_tls, settings.ingest.tls
    yield from (tls.key for tls in (*listeners, settings.submission.tls) if tls is not None)


def _holds_secrets(settings: Settings) -> bool:
    """API keys stand there by their hash only."""
    secrets = [entry.secret for entry in settings.tokens.keys]
    secrets += [entry.secret for entry in settings.privacy.keys]
    entrances = [settings.sender.relay, *settings.sender.routes, *settings.placement.seeds]
    urls = [settings.database.url, *settings.database.replicas]
    return any(
        (
            any(secret is not None for secret in secrets),
            any(one is not None and one.password.get_secret_value() for one in entrances),
            any(mask_url(url) != url for url in urls),
        )
    )


def _mail(settings: Settings) -> Iterator[Finding]:
    if target := settings.sender.static_mx.get("*"):
        yield found("settings.static_mx", str(target))
    wanting = [name for name, stream in settings.streams.items() if stream.unsubscribe]
    if wanting and not settings.api.public_url:
        yield found("settings.public_url", ", ".join(wanting))


def _runtime() -> Iterator[Finding]:
    python = (*map(int, platform.python_version_tuple()[:2]), _patch())
    for name, have, need in (
        ("Python", python, SAFE_PYTHON),
        ("expat", pyexpat.version_info, SAFE_EXPAT),
    ):
        if have < need:
            told = {"have": _dotted(have), "need": _dotted(need)}
            yield found("settings.parser", name, **told)


def _patch() -> int:
    digits = platform.python_version_tuple()[2]
    return int("".join(d for d in digits if d.isdigit()) or 0)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
