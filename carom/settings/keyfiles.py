"""Turns what settings say of keys into keys: reads the files, refuses what cannot be used.

Every failure is a `SettingsError` of one line that names the key and its file, and nothing of its
content.
"""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

from analysis.keys import ApiKey
from carom.errors import SettingsError
from carom.settings.listeners import Api
from carom.settings.model import Settings
from carom.settings.sending import TokenKey, Tokens
from sender.dkim_keys import KeyRefused, PrivateKey, load
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
    """The keys of `[dkim]`, loaded; none if none is set."""
    return tuple(
        Signer(entry.domain or settings.sender.domain, entry.selector, _dkim_key(entry.file))
        for entry in settings.dkim.keys
    )


def static_api_keys(api: Api) -> dict[str, ApiKey]:
    """The keys of `[api]` by id, in the shape of those in the database."""
    return {
        entry.id: ApiKey(entry.id, entry.name, bytes.fromhex(entry.hash), frozenset(entry.scopes))
        for entry in api.keys
    }


def _token_key(entry: TokenKey) -> Key:
    where = f"[tokens] key {entry.id}"
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
    return Key(entry.id, secret)


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
