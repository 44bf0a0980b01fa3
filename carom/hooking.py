"""Webhooks, made from the settings: who posts, the API's ways, the loop of the sender role."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Coroutine
from typing import TYPE_CHECKING

from analysis import retry
from analysis.access import Access
from analysis.webhook_api import Ways
from analysis.webhook_api import Webhooks as WebhookApi
from carom.engine import new_id
from carom.ways import authorities
from sender.webhook_http import Poster, read_url
from sender.webhooks import Pace, Webhooks

if TYPE_CHECKING:
    from carom.engine import Engine


def api(engine: Engine, access: Access) -> WebhookApi:
    """The routes; a test is posted by the process that answers them."""
    given = engine.settings.webhooks
    networks = tuple(given.allow_networks)

    def check(url: str) -> None:
        read_url(url, networks)

    ways = Ways(check, webhooks(engine).test, new_id, secrets.token_bytes, given.overlap)
    return WebhookApi(engine.store, access, ways, clock=engine.clock)


def telling(engine: Engine, stop: asyncio.Event) -> Coroutine[None, None, None]:
    """The loop of a process that sends."""
    return webhooks(engine).serve(stop)


def webhooks(engine: Engine) -> Webhooks:
    """Raises `SettingsError` for certificate authorities that cannot be read."""
    given = engine.settings.webhooks
    poster = Poster(
        engine.resolver,
        authorities(engine.settings),
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
