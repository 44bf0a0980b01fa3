"""The life of keys on disk: made, taken into use, retired; kept in `keys.toml` beside the settings.

A DKIM key is made as `waiting` and signs nothing; `activate` puts it in the place of the key of its
kind and domain, which is `retired`: it signs no more and stays published while mail that it signed
is under way.  A token key is put in front of the others, which are believed until they expire.

Nothing here asks the DNS or prints.  Fails with `UsageError` or `SettingsError`, one line.
"""

from __future__ import annotations

import os
import tomllib
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from carom.errors import SettingsError, UsageError
from carom.settings import Loaded, Settings
from carom.settings import ring as rings
from carom.settings.keyfiles import published_keys
from carom.settings.ring import Entry, Ring
from sender.dkim_keys import KeyKind, generate, kind_of
from sender.doctor.ours import KeyState, PublishedKey

TOKEN_IDS = "123456789abcdefghjkmnpqrstvwxyz0"  # noqa: S105  one character each, no secret
_LETTER = {KeyKind.RSA: "r", KeyKind.ED25519: "e"}


@dataclass(frozen=True, slots=True)
class Keyring:
    settings: Settings
    file: Path

    @property
    def folder(self) -> Path:
        return self.file.parent

    @classmethod
    def of(cls, loaded: Loaded) -> Keyring:
        if loaded.file is None:
            raise UsageError("there is no settings file to keep keys beside; give one by --config")
        return cls(loaded.settings, loaded.file)

    def every(self) -> tuple[PublishedKey, ...]:
        return published_keys(self.settings)

    def find(self, selector: str, domain: str = "") -> PublishedKey:
        known = [k for k in self.every() if k.selector == selector and domain in ("", k.domain)]
        if not known:
            there = ", ".join(key.selector for key in self.every()) or "none"
            raise UsageError(f"no DKIM key has the selector {selector}; there are: {there}")
        if len(known) > 1:
            raise UsageError(f"several domains have the selector {selector}; say --domain")
        return known[0]

    def new_dkim(self, kind: KeyKind, domain: str, selector: str, today: date) -> str:
        """Make a key that waits for its record; returns its selector."""
        domain = domain or self.settings.sender.domain
        if not domain:
            raise UsageError("--domain: say which, since [sender] domain is not set")
        taken = {key.selector for key in self.every() if key.domain == domain}
        selector = selector or _free(f"carom-{_LETTER[kind]}", taken)
        if selector in taken:
            raise UsageError(f"--selector {selector}: {domain} has it already; take another")
        file = f"dkim-{domain}-{selector}.pem"
        _create(self.folder / file, generate(kind))
        entry = {"selector": selector, "domain": domain, "file": file}
        self._put({**entry, "state": "waiting", "since": today})
        return selector

    def replaced_by(self, key: PublishedKey) -> list[PublishedKey]:
        """The keys that sign now and are retired when `key` is activated."""
        return [
            one
            for one in self.every()
            if one.state == "active"
            and one.domain == key.domain
            and one.selector != key.selector
            and kind_of(one.key) is kind_of(key.key)
        ]

    def activate(self, key: PublishedKey, today: date) -> list[PublishedKey]:
        """Sign with `key` from the next start on; the keys that it retires."""
        retired = self.replaced_by(key)
        for one in retired:
            self.move(one, "retired", today)
        self.move(key, "active", today)
        return retired

    def move(self, key: PublishedKey, state: KeyState, today: date) -> None:
        [entry] = [
            entry
            for entry in self.settings.dkim.keys
            if entry.selector == key.selector
            and (entry.domain or self.settings.sender.domain) == key.domain
        ]
        file = entry.file.absolute()
        if file.is_relative_to(self.folder.absolute()):
            file = file.relative_to(self.folder.absolute())
        moved = {"selector": key.selector, "domain": key.domain, "file": str(file)}
        self._put({**moved, "state": state, "since": today})

    def forget(self, key: PublishedKey) -> Path:
        """Take a retired key out of the ring; returns its file, which is left to the operator."""
        if key.state != "retired":
            raise UsageError(f"{key.selector}: is {key.state}; only a retired key is forgotten")
        if self._stands_in_settings(key):
            raise UsageError(
                f"{self.file}: take the line with {key.selector} out of [dkim] keys first; once it"
                f" is not retired in {rings.FILE} any more, it would sign again"
            )
        ring = rings.read(self.folder)
        kept = [entry for entry in ring["dkim"] if not _is(entry, key)]
        [file] = [entry["file"] for entry in ring["dkim"] if _is(entry, key)]
        rings.write(self.folder, {**ring, "dkim": kept})
        return self.folder / str(file)

    def rotate_token(self, random: Callable[[int], bytes]) -> tuple[str, Path]:
        """A new token key in front of the others; its id and file."""
        taken = {entry.id for entry in self.settings.tokens.keys}
        fresh = next((one for one in TOKEN_IDS if one not in taken), None)
        if fresh is None:
            raise UsageError("[tokens] keys: every id is taken; remove keys that have expired")
        file = self.folder / f"token-{fresh}.key"
        _create(file, b64encode(random(32)) + b"\n")
        ring = rings.read(self.folder)
        entries = [{"id": fresh, "file": file.name}, *ring["tokens"]]
        rings.write(self.folder, {**ring, "tokens": entries})
        return fresh, file

    def _stands_in_settings(self, key: PublishedKey) -> bool:
        """Whether carom.toml itself lists it; there it is active unless it says otherwise."""
        entries = tomllib.loads(self.file.read_text("utf-8")).get("dkim", {}).get("keys", [])
        default = self.settings.sender.domain
        return any(
            (entry.get("selector"), entry.get("domain") or default) == (key.selector, key.domain)
            for entry in entries
        )

    def _put(self, entry: Entry) -> None:
        ring: Ring = rings.read(self.folder)
        others = [
            one
            for one in ring["dkim"]
            if (one["selector"], one["domain"]) != (entry["selector"], entry["domain"])
        ]
        rings.write(self.folder, {**ring, "dkim": [*others, entry]})


def _is(entry: Entry, key: PublishedKey) -> bool:
    return (entry["selector"], entry["domain"]) == (key.selector, key.domain)


def _free(stem: str, taken: set[str]) -> str:
    number = 1
    while f"{stem}{number}" in taken:
        number += 1
    return f"{stem}{number}"


def _create(file: Path, content: bytes) -> None:
    """Write a secret that only its owner reads; an old one is never written over."""
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
    except FileExistsError:
        raise UsageError(f"{file}: is there already; move it away first") from None
    except OSError as error:
        raise SettingsError(f"{file}: cannot be written: {error.strerror}") from None
