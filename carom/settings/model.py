"""The whole of `carom.toml`: every section by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import model_validator

from carom.settings.console import Console
from carom.settings.content import Templates
from carom.settings.doctor import Doctor
from carom.settings.intake import Intake
from carom.settings.judging import Rules
from carom.settings.keeping import Database, Log, Retention, Suppression
from carom.settings.listeners import Api, Ingest, Submission
from carom.settings.placement import Placement
from carom.settings.privacy import Privacy
from carom.settings.report import Report
from carom.settings.reports import Dmarc, Tlsrpt
from carom.settings.reputation import Reputation
from carom.settings.sending import (
    Dkim,
    Provider,
    Sender,
    Stream,
    SuppressionScope,
    Tokens,
)
from carom.settings.units import Section, key
from carom.settings.webhooks import Webhooks
from carom.settings.words import ProviderName, StreamName

if TYPE_CHECKING:
    from analysis.suppression import Limits


class Settings(Section):
    database: Database = key(Database(), "Where everything is kept.")
    api: Api = key(Api(), "The HTTP API, its console and its metrics.")
    console: Console = key(Console(), "The support console.")
    submission: Submission = key(Submission(), "Mail handed in by SMTP.")
    intake: Intake = key(Intake(), "How much may wait before more is put off.")
    ingest: Ingest = key(Ingest(), "The listener that bounces come back to.")
    sender: Sender = key(Sender(), "Everything that leaves.")
    dkim: Dkim = key(Dkim(), "Signatures.")
    reputation: Reputation = key(Reputation(), "What receivers think of us.")
    dmarc: Dmarc = key(Dmarc(), "What receivers report of our domains.")
    tlsrpt: Tlsrpt = key(Tlsrpt(), "What senders report of TLS with our listener.")
    tokens: Tokens = key(Tokens(), "What proves that a return path is ours.")
    streams: dict[StreamName, Stream] = key({}, "Kinds of mail that are kept and counted apart.")
    templates: Templates = key(Templates(), "How stored templates are rendered.")
    providers: dict[ProviderName, Provider] = key({}, "Limits that differ for a mailbox provider.")
    rules: Rules = key(Rules(), "What replies and reports mean.")
    webhooks: Webhooks = key(Webhooks(), "Who is told of events, and how patiently.")
    placement: Placement = key(Placement(), "Seed inboxes.")
    doctor: Doctor = key(Doctor(), "Whether the world sees us as it must.")
    report: Report = key(Report(), "The weekly report by mail.")
    privacy: Privacy = key(Privacy(), "What is left of a person who was erased.")
    retention: Retention = key(Retention(), "How long things are kept.")
    suppression: Suppression = key(Suppression(), "How long an address is not written to.")
    log: Log = key(Log(), "What is logged, on stderr.")

    @model_validator(mode="after")
    def _disk_in_sight(self) -> Self:
        if self.intake.free_space is not None and not self.database.url.startswith("sqlite:"):
            raise ValueError("[intake] free_space is for SQLite: PostgreSQL has database_size")
        return self

    def faces_the_world(self, *, asked: bool) -> bool:
        """Whether what tries the real path of our mail may begin by itself.

        Of a listener on loopback nobody knows, unless the operator `asked`; a `static_mx` for every
        domain leaves no path to try.
        """
        known = asked or not self.ingest.listen.is_loopback
        return bool(self.ingest.domain) and known and "*" not in self.sender.static_mx

    def suppression_limits(self) -> Limits:
        """The limits of `[suppression]`, with what the streams say of their reach."""
        scope = SuppressionScope.ALL
        return self.suppression.limits(
            frozenset(name for name, stream in self.streams.items() if stream.suppression is scope)
        )
