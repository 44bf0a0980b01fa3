"""The metrics listener's application: `GET /metrics` and `GET /healthz`, nothing else, no key.

The text format, or OpenMetrics with exemplars for a scraper that asks for it, as Prometheus does.

Prometheus, known by a header of its own, sees each series begin at zero (`analysis.births`).

Gauges are read from the database at scrape.  When it cannot be read the counters are served all
the same, since that is when they are wanted most; the gauges then keep what they last said.
"""

from __future__ import annotations

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from analysis.store import StoreUnavailable
from carom.engine import Engine

log = structlog.get_logger()


def metrics_app(engine: Engine) -> Starlette:
    """The application for `[api] metrics_listen`."""

    async def metrics(request: Request) -> Response:
        try:
            engine.metrics.observe(await engine.gauges())
        except StoreUnavailable:
            log.warning("gauges could not be read for a scrape")
        accept = request.headers.get("accept", "")
        content, form = engine.metrics.in_format(accept, _scraper(request))
        return Response(content, headers={"Content-Type": form})

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    return Starlette(routes=[Route("/metrics", metrics), Route("/healthz", healthz)])


def _scraper(request: Request) -> str:
    """Prometheus by where it calls from; empty for whoever else reads."""
    if "x-prometheus-scrape-timeout-seconds" not in request.headers or request.client is None:
        return ""
    return request.client.host
