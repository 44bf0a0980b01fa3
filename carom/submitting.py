"""SMTP submission, made from the engine: who may come in, and where mail goes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import islice

import structlog
from sqlalchemy import Connection

from analysis import suppression
from analysis.access import Access
from analysis.batch import Batch
from analysis.keys import ApiKey
from analysis.problem import Problem
from analysis.smtpd import Limits, Reason
from analysis.smtpd.door import is_loopback
from analysis.suppression import Question, Suppression
from carom.engine import Engine
from carom.errors import SettingsError
from carom.settings.keyfiles import static_api_keys
from carom.settings.listeners import Submission as Section
from sender.headers import MAX_BLOCK
from sender.logins import LoginLimits, Logins
from sender.submission import Desk, Submission, may_be_probed

log = structlog.get_logger()

Entries = Sequence[Suppression | None]


def submission(engine: Engine) -> Submission:
    """The entrance for SMTP clients, not yet bound.  Raises `SettingsError`."""
    section = engine.settings.submission
    _check(section)
    return Submission(
        Desk(_logins(engine), _Withheld(engine).ask, engine.intake.accept),
        listen=str(section.listen),
        tls_listen=None if section.tls_listen is None else str(section.tls_listen),
        hostname=engine.settings.sender.hostname,
        limits=_limits(section),
        observe=_observe,
        tls=engine.certificates.context(section.tls, "submission"),
        balancers=section.proxy_from,
        plain_auth=is_loopback if section.allow_plaintext_auth_on_loopback else _nobody,
    )


class _Withheld:
    """Asks the suppression list at RCPT.

    One message's questions are asked together, and with what others ask meanwhile: a hop to a
    thread costs more than a few more questions.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._batch: Batch[Sequence[Question], Entries] = Batch(self._read, lanes=2)

    async def ask(self, hashes: Sequence[bytes], stream: str) -> Entries:
        found = await self._batch.put([Question(one, stream) for one in hashes])
        for entry in found:
            if entry is not None and not may_be_probed(entry):
                metrics = self._engine.metrics
                metrics.suppressed_sends.labels(metrics.stream(stream), entry.reason.value).inc()
        return found

    async def _read(self, messages: Sequence[Sequence[Question]]) -> list[Entries]:
        now = self._engine.clock()
        questions = [question for asked in messages for question in asked]

        def work(tx: Connection) -> list[Suppression | None]:
            return suppression.ask(tx, questions, now)

        found = iter(await self._engine.store.read(work))
        return [list(islice(found, len(asked))) for asked in messages]


def _logins(engine: Engine) -> Logins:
    access = Access(engine.store, static_api_keys(engine.settings.api), monotonic=time.monotonic)

    async def find(text: str) -> ApiKey | None:
        try:
            return await access.caller(f"Bearer {text}")
        except Problem:  # 401, whose words are HTTP's
            return None

    given = engine.settings.submission.limits
    limits = LoginLimits(connection=given.failed_logins, address=given.failed_logins_per_ip)
    return Logins(find, limits=limits)


def _observe(reason: Reason) -> None:
    log.debug("submission.refused", reason=reason.value)


def _nobody(_client: str) -> bool:
    return False


def _check(section: Section) -> None:
    if section.tls is not None:
        return
    if section.tls_listen is not None:
        raise SettingsError("[submission] tls_listen: give the certificate, [submission.tls]")
    if not (is_loopback(section.listen.host) or section.listen.host == "localhost"):
        log.warning("submission has no certificate: only clients on this machine can log in")


def _limits(section: Section) -> Limits:
    given = section.limits
    return Limits(
        connections=given.connections,
        client_connections=given.connections_per_ip,
        client_arrivals=given.connections_per_minute,
        session_seconds=given.session,
        command_seconds=given.command,
        crowded_seconds=given.busy_command,
        data_rate=given.min_rate,
        recipients=section.recipients,
        errors=given.refusals,
        commands=given.junk_commands,
        message=section.message_size,
        header=MAX_BLOCK,
    )
