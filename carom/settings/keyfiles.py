"""Turns what settings say of keys into keys: reads the files, refuses what cannot be used.

Every failure is a `SettingsError` of one line that names the key and its file, and nothing of its
content.
"""

from __future__ import annotations

import hmac
from base64 import b64decode
from datetime import UTC, date, datetime, time
from pathlib import Path

from analysis.keys import ApiKey
from carom.errors import SettingsError
from carom.settings.listeners import Api
from carom.settings.model import Settings
from carom.settings.privacy import PrivacyKey
from carom.settings.sending import TokenKey, Tokens
from sender.dkim_keys import KeyRefused, PrivateKey, load
from sender.doctor.ours import PublishedKey
from sender.signing import Signer
from sender.tokens import MIN_SECRET, Key


def token_keys(tokens: Tokens) -> tuple[Key, ...]:
    """The keys of `[tokens]`, the signing one first; refuses to be without any."""
    if not tokens.keys:
        raise SettingsError("[tokens] keys: none is set; `carom init` writes one")
    keys = {entry.id: _token_key(entry) for entry in tokens.keys}
    if len(keys) < len(tokens.keys):
        raise SettingsError("[tokens] keys: two have the same id; give each its own")
    return tuple(keys.values())


def dkim_keys(settings: Settings) -> tuple[Signer, ...]:
    """The keys of `[dkim]` that sign, loaded; none if none is set."""
    return tuple(
        Signer(known.domain, known.selector, known.key)
        for known in published_keys(settings)
        if known.state == "active"
    )


def published_keys(settings: Settings) -> tuple[PublishedKey, ...]:
    """Every key of `[dkim]`, loaded, wherever it stands in its life."""
    return tuple(
        PublishedKey(
            entry.domain or settings.sender.domain,
            entry.selector,
            _dkim_key(entry.file),
            entry.state.value,
            _midnight(entry.since),
        )
        for entry in settings.dkim.keys
    )


def _midnight(day: date | None) -> float | None:
    return None if day is None else datetime.combine(day, time(), UTC).timestamp()


def static_api_keys(api: Api) -> dict[str, ApiKey]:
    """The keys of `[api]` by id, in the shape of those in the database."""
    return {
        entry.id: ApiKey(entry.id, entry.name, bytes.fromhex(entry.hash), frozenset(entry.scopes))
        for entry in api.keys
    }


def privacy_keys(settings: Settings) -> tuple[bytes, ...]:
    """What erased addresses are known by, the key for new ones first; none if nothing is set.

    Where `[privacy]` has none, they are made from those of `[tokens]`.
    """
    if own := settings.privacy.keys:
        return tuple(_secret("[privacy] key", entry) for entry in own)
    return tuple(
        hmac.digest(_token_key(entry).secret, b"erased addresses", "sha256")
        for entry in settings.tokens.keys
    )


def _token_key(entry: TokenKey) -> Key:
    return Key(entry.id, _secret(f"[tokens] key {entry.id}", entry))


def _secret(where: str, entry: TokenKey | PrivacyKey) -> bytes:
    if entry.file is not None:
        where, text = f"{where}: {entry.file}", _read(entry.file)
    else:
        text = entry.secret.get_secret_value().encode() if entry.secret else b""
    try:
        secret = b64decode(text.strip(), validate=True)
    except ValueError:
        raise SettingsError(f"{where}: is not base64") from None
    if len(secret) < MIN_SECRET:
        raise SettingsError(f"{where}: has {len(secret)} octets; at least {MIN_SECRET} are needed")
    return secret


def _dkim_key(file: Path) -> PrivateKey:
    try:
        return load(_read(file))
    except KeyRefused as error:
        raise SettingsError(f"{file}: {error}") from None


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from None
