"""What concerns the content of messages, made from the settings: lint, tracking, templates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analysis.access import Access
from analysis.engagement import What, Who
from analysis.organisation import organisational_domain
from carom.engine import Engine
from carom.errors import SettingsError
from carom.settings import Settings
from ingest.engagement import Engagement
from ingest.evidence import shipped
from sender.compliance import Facts, Standing, check
from sender.compliance_findings import Finding
from sender.letters import Letter
from sender.lint_api import Lints
from sender.linting import Linting
from sender.template_api import Templates
from sender.templates import Bounds, Rendered, Rendering
from sender.tokens import Tokens
from sender.tracking import Tracking, Wish

DAY = 86_400.0
LINKS_WORK = 365 * DAY


def facts(settings: Settings) -> Facts:
    """What is ours, as the lint needs it."""
    sender = settings.sender
    return Facts(
        signing=frozenset(key.domain or sender.domain for key in settings.dkim.keys),
        default=sender.domain,
        return_path=settings.ingest.domain,
        unsubscribe=frozenset(n for n, stream in settings.streams.items() if stream.unsubscribe),
        organisation=organisational_domain,
    )


def linting(settings: Settings) -> Linting:
    policies = {name: stream.compliance for name, stream in settings.streams.items()}
    return Linting(facts(settings), policies)


def tracking(settings: Settings, tokens: Tokens) -> Tracking | None:
    """None where no stream asks for it.  Raises `SettingsError` where links would lead nowhere."""
    wishes = {
        name: Wish(stream.opens, stream.clicks, stream.track_codes)
        for name, stream in settings.streams.items()
        if stream.opens or stream.clicks
    }
    if not wishes:
        return None
    base = settings.api.public_url.rstrip("/")
    if not base:
        name = next(iter(wishes))
        raise SettingsError(
            f"[streams.{name}] opens and clicks need [api] public_url, which recipients reach"
        )
    return Tracking(tokens, base, LINKS_WORK, wishes)


def templates(engine: Engine, access: Access) -> Templates:
    given = engine.settings.templates
    rendering = Rendering(Bounds(given.render, given.size))
    return Templates(engine.store, access, rendering, clock=engine.clock)


def lints(engine: Engine, access: Access, fill: Any, senders: Any) -> Lints:
    return Lints(access, linting(engine.settings), fill=fill, senders=senders, clock=engine.clock)


def previewed(engine: Engine, rendered: Rendered) -> Sequence[dict[str, Any]]:
    """What the lint says of a preview, which has no sender yet."""
    letter = Letter(None, rendered.subject, rendered.text, rendered.html, {}, 0)
    standing = Standing("preview", "transactional", engine.clock())
    return [one.view() for one in _found(engine, letter, standing)]


def _found(engine: Engine, letter: Letter, standing: Standing) -> tuple[Finding, ...]:
    return check(letter, facts(engine.settings), standing)


def engagement(engine: Engine) -> Engagement:
    def told(stream: str, what: What, who: Who) -> None:
        metrics = engine.metrics
        metrics.engagement.labels(metrics.stream(stream), what.value, who.value).inc()

    return Engagement(engine.store, engine.tokens, shipped(), clock=engine.clock, told=told)
