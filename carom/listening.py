"""The bounce listener, made from the engine: what it accepts, and where it stores it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from analysis.batch import Batch
from analysis.ids import beside
from analysis.smtpd import Limits
from carom import placing
from carom.engine import Engine
from carom.settings.listeners import IngestLimits
from ingest import inbox
from ingest.allowance import Allowance, Bounds
from ingest.inbox import Raw
from ingest.listener import Inbound, Listener
from ingest.recipients import Accepted, Recipients


def listener(engine: Engine) -> Listener:
    """The MX of the bounce domain, not yet bound."""
    settings = engine.settings

    async def keep(messages: Sequence[list[Raw]]) -> list[None]:
        raws = [raw for message in messages for raw in message]
        await engine.store.write(lambda tx: inbox.keep(tx, raws))
        return [None] * len(messages)

    batch: Batch[list[Raw], None] = Batch(keep)
    reflect = placing.reflector(engine)

    async def store(inbound: Inbound) -> None:
        if raws := raws_of(await reflect(inbound), engine.new_id):
            await batch.put(raws)
            engine.backlog.came(len(raws))
            engine.reader.wake()

    return Listener(
        [str(settings.ingest.listen)],
        hostname=settings.sender.hostname,
        recipients=Recipients(
            settings.ingest.domain,
            read_return_path=engine.tokens.read_return_path,
            read_unsubscribe_address=engine.tokens.read_unsubscribe_address,
            read_canary_address=placing.read_canary(engine),
        ),
        store=store,
        clock=engine.clock,
        observe=lambda reason: engine.counting.refused(reason.value),
        limits=_limits(settings.ingest.limits),
        tls=engine.certificates.context(settings.ingest.tls, "ingest"),
        balancers=settings.ingest.proxy_from,
        has_room=engine.backlog.has_room,
        allowance=Allowance(_bounds(settings.ingest.limits)),
    )


def raws_of(inbound: Inbound, new_id: Callable[[], str]) -> list[Raw]:
    """One raw row for each address of ours: each is read by itself."""
    return [_raw(inbound, accepted, new_id()) for accepted in inbound.recipients]


def _raw(inbound: Inbound, accepted: Accepted, raw_id: str) -> Raw:
    about = None if accepted.token is None else accepted.token.subject_id
    return Raw(
        id=raw_id if about is None else beside(raw_id, about),
        received_at=inbound.received_at,
        peer=inbound.peer,
        helo=inbound.helo,
        mail_from=inbound.mail_from,
        recipient=accepted.address,
        purpose=accepted.purpose,
        subject_id=about,
        content=inbound.content,
    )


def _limits(given: IngestLimits) -> Limits:
    return Limits(
        connections=given.connections,
        client_connections=given.connections_per_ip,
        client_arrivals=given.connections_per_minute,
        session_seconds=given.session,
        command_seconds=given.command,
        crowded_seconds=given.busy_command,
        data_rate=given.min_rate,
        recipients=given.recipients,
        errors=given.errors,
        commands=given.junk_commands,
        message=given.message_size,
        header=given.header,
    )


def _bounds(given: IngestLimits) -> Bounds:
    return Bounds(given.daily_open, given.daily_open_per_ip, given.daily_token)
