"""What the pages of the console are handed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from analysis.access import Access
from analysis.rulesource import RulebookSource
from analysis.sessions import Lasting
from analysis.store import Store
from analysis.suppression import Limits
from carom.settings.sending import Stream
from sender.intake import Intake


@dataclass(frozen=True, slots=True)
class Desk:
    store: Store
    access: Access
    intake: Intake
    rules: RulebookSource
    limits: Limits
    lasting: Lasting
    streams: Mapping[str, Stream]
    static_keys: Mapping[str, tuple[str, frozenset[str]]]  # of the settings: id -> name, scopes
    public_url: str
    held_sites: Callable[[], Mapping[str, int]]  # how many this process holds back, by provider
    clock: Callable[[], float]
    random: Callable[[int], bytes]
    version: str

    @property
    def secure(self) -> bool:
        """Whether people come by TLS, so that cookies may insist on it."""
        return self.public_url.startswith("https://")
