"""The whole of `carom.toml`: every section by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import StringConstraints

from carom.settings.judging import Rules
from carom.settings.keeping import Database, Log, Retention, Suppression
from carom.settings.listeners import Api, Ingest, Submission
from carom.settings.sending import (
    Dkim,
    Provider,
    ProviderName,
    Sender,
    Stream,
    SuppressionScope,
    Tokens,
)
from carom.settings.units import Section, key

if TYPE_CHECKING:
    from analysis.suppression import Limits

StreamName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


class Placement(Section):
    """Seed inboxes; nothing can be set yet."""


class Settings(Section):
    database: Database = key(Database(), "Where everything is kept.")
    api: Api = key(Api(), "The HTTP API, its console and its metrics.")
    submission: Submission = key(Submission(), "Mail handed in by SMTP.")
    ingest: Ingest = key(Ingest(), "The listener that bounces come back to.")
    sender: Sender = key(Sender(), "Everything that leaves.")
    dkim: Dkim = key(Dkim(), "Signatures.")
    tokens: Tokens = key(Tokens(), "What proves that a return path is ours.")
    streams: dict[StreamName, Stream] = key({}, "Kinds of mail that are kept and counted apart.")
    providers: dict[ProviderName, Provider] = key({}, "Limits that differ for a mailbox provider.")
    rules: Rules = key(Rules(), "What replies and reports mean.")
    placement: Placement = key(Placement(), "Seed inboxes.")
    retention: Retention = key(Retention(), "How long things are kept.")
    suppression: Suppression = key(Suppression(), "How long an address is not written to.")
    log: Log = key(Log(), "What is logged, on stderr.")

    def suppression_limits(self) -> Limits:
        """The limits of `[suppression]`, with what the streams say of their reach."""
        scope = SuppressionScope.ALL
        return self.suppression.limits(
            frozenset(name for name, stream in self.streams.items() if stream.suppression is scope)
        )
