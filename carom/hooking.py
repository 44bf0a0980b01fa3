"""Webhooks and feedback, made from the settings: who posts, who sends once more, the API's ways."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import replace

import structlog

from analysis import lookup, retry
from analysis.access import Access
from analysis.address import AddressError, parse_mailbox
from analysis.batch import Overloaded
from analysis.feedback import Feedback
from analysis.problem import Problem
from analysis.store import StoreUnavailable
from analysis.webhook_api import Ways
from analysis.webhook_api import Webhooks as WebhookApi
from carom.engine import Engine
from carom.settings import Settings
from ingest.feedback import FeedbackLinks
from sender.intake import Refused
from sender.resend import again_order_of
from sender.webhook_http import Poster, read_url
from sender.webhooks import Pace, Webhooks

log = structlog.get_logger()


def api(engine: Engine, access: Access) -> WebhookApi:
    """The routes; a test is posted by the process that answers them."""
    given = engine.settings.webhooks
    networks = tuple(given.allow_networks)

    def check(url: str) -> None:
        read_url(url, networks)

    ways = Ways(check, webhooks(engine).test, engine.new_id, secrets.token_bytes, given.overlap)
    return WebhookApi(engine.store, access, ways, clock=engine.clock)


def telling(engine: Engine, stop: asyncio.Event) -> Coroutine[None, None, None]:
    """The loop of a process that sends."""
    return webhooks(engine).serve(stop)


def webhooks(engine: Engine) -> Webhooks:
    """The caller of endpoints, not begun."""
    given = engine.settings.webhooks
    poster = Poster(
        engine.resolver,
        engine.authorities,
        tuple(given.allow_networks),
        given.timeout,
    )
    return Webhooks(
        engine.store,
        poster,
        retry.parse(given.schedule),
        clock=engine.clock,
        random=random.random,
        observer=engine.counting,
        pace=Pace(places=given.concurrency),
    )


def feedback(engine: Engine) -> tuple[Feedback, FeedbackLinks]:
    """What hears "did not get it?", and the links that say it."""
    hears = Feedback(
        engine.store,
        lambda message_id, recipient: once_more(engine, message_id, recipient),
        engine.counting,
        clock=engine.clock,
    )
    public_url = engine.settings.api.public_url
    return hears, FeedbackLinks(engine.tokens, hears, public_url=public_url, clock=engine.clock)


def feedback_url(settings: Settings, links: FeedbackLinks) -> Callable[[str, str], str | None]:
    """The link of a stream's delivery: where the stream wants one and it can be reached."""
    wanted = {name for name, stream in settings.streams.items() if stream.feedback}
    if not settings.api.public_url:
        wanted = set()
    return lambda stream, delivery_id: links.url(delivery_id) if stream in wanted else None


async def once_more(engine: Engine, message_id: str, recipient: str) -> str | None:
    """Send a stored message again, with the haste and the probing of a login code: somebody waits.

    The id of the new message, or None where it cannot be: the content is gone, or we are busy.
    """
    message, content = await engine.store.read(
        lambda tx: (lookup.message(tx, message_id), lookup.content(tx, message_id))
    )
    if message is None or content is None:
        return None
    try:
        to = [parse_mailbox({"email": recipient})]
        order = replace(again_order_of(message, content, to), class_="otp")
        receipt = await engine.intake.accept(order)
    except (AddressError, Refused, Problem, Overloaded, StoreUnavailable) as error:
        log.warning("a message was not tried once more", message=message_id, error=str(error))
        return None
    return str(receipt.answer["id"])
