"""The HTTP application: every router wired to the engine, every error a problem document.

Nothing of our inside gets out: an exception that nobody foresaw is a 500 without a word of it, and
goes to the log by way of the server.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Match, Route

from analysis.access import Access
from analysis.address import AddressError, Mailbox, parse_mailbox
from analysis.aggregate_api import Aggregates
from analysis.api import Insight
from analysis.body import answer, refusal
from analysis.examined_api import Health
from analysis.feedback_api import FeedbackApi
from analysis.incident_api import Incidents
from analysis.placement_api import Placements
from analysis.privacy_api import Privacy
from analysis.problem import Problem, not_found, unavailable
from analysis.store import Store, StoreUnavailable, ping
from analysis.suppression_api import Suppressions
from carom import __version__, content, hooking, policy_host
from carom.console.routes import console
from carom.docs import add_docs
from carom.engine import Engine
from carom.errors import SettingsError
from carom.gate import Bounds, Gate
from carom.settings import Settings
from carom.settings.keyfiles import static_api_keys
from ingest.preferences import Preferences
from ingest.unsubscribe import Unsubscribing
from sender.api import Messages

DESCRIPTION = (
    "Send transactional mail and know what became of it.  Authorization: `Bearer KEY`.  "
    "Errors are problem documents (RFC 9457); listings are paged by an opaque `cursor`."
)


def create_app(engine: Engine) -> FastAPI:
    """The application of an engine.  Raises `SettingsError` for a setting it cannot work with."""
    settings, store, clock = engine.settings, engine.store, engine.clock
    limits = settings.suppression_limits()
    access = Access(store, static_api_keys(settings.api), monotonic=time.monotonic)
    senders, stored = _senders(settings), content.templates(engine, access)
    feedback, missing = hooking.feedback(engine)
    messages = Messages(
        store,
        engine.replicas,
        access,
        engine.intake,
        clock=clock,
        senders=senders,
        fill=stored.fill,
        feedback=hooking.feedback_url(settings, missing),
    )
    leaving = Unsubscribing(store, engine.tokens, clock=clock, limits=limits)
    app = FastAPI(
        title="Carom",
        version=__version__,
        description=DESCRIPTION,
        openapi_url=None,  # `carom.docs` answers it
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for router in (
        messages.router(),
        Suppressions(store, engine.replicas, access, clock=clock, limits=limits).router(),
        Insight(store, engine.replicas, access, clock=clock).router(),
        Privacy(store, access, clock=clock).router(),
        Incidents(store, access, clock=clock).router(),
        Health(store, access).router(),
        Aggregates(store, access, clock=clock).router(),
        Placements(store, access, clock=clock, window=settings.placement.window).router(),
        leaving.router(),
        Preferences(store, engine.tokens, clock=clock, limits=limits).router(),
        hooking.api(engine, access).router(),
        FeedbackApi(store, access, feedback).router(),
        missing.router(),
        stored.router(lint=partial(content.previewed, engine), submit=messages.submit_filled),
        content.lints(engine, access, stored.fill, senders).router(),
        content.engagement(engine).router(),
        _policy_host(settings),
        _health(store),
    ):
        app.router.routes.extend(router.routes)  # flat: included routers are matched twice
    app.router.routes.extend(console(engine, access, secrets.token_bytes))
    add_docs(app)
    _answer_errors(app)
    app.add_middleware(Gate, bounds=_bounds(settings))
    return app


def _senders(settings: Settings) -> Mapping[str, Mailbox]:
    """By stream, the From of messages that do not say."""
    found = {}
    for name, stream in settings.streams.items():
        if stream.from_:
            try:
                found[name] = parse_mailbox(stream.from_)
            except AddressError as error:
                raise SettingsError(f"[streams.{name}] from: {error}") from error
    return found


def _bounds(settings: Settings) -> Bounds:
    api = settings.api
    return Bounds(api.body_limit, api.raw_body_limit, api.header_limit, api.request_deadline)


def _health(store: Store) -> APIRouter:
    api = APIRouter(tags=["health"])

    @api.get("/healthz")
    async def healthz() -> Response:
        """The process is alive."""
        return answer({"status": "ok"})

    @api.get("/readyz")
    async def readyz() -> Response:
        """The process can do its work: the database answers."""
        await store.read(ping)
        return answer({"status": "ready"})

    return api


def _policy_host(settings: Settings) -> APIRouter:
    api = APIRouter(include_in_schema=False)

    @api.get(policy_host.PATH)
    async def mta_sts(request: Request) -> Response:
        """The MTA-STS policy, to who asks for it under its own name."""
        asked = request.headers.get("host", "").lower().partition(":")[0].rstrip(".")
        if not settings.ingest.domain or asked != policy_host.host(settings):
            raise not_found("policy")
        return PlainTextResponse(policy_host.policy(settings))

    return api


def _answer_errors(app: FastAPI) -> None:
    handlers: dict[type[Exception], Any] = {
        Problem: _problem,
        RequestValidationError: _validation,
        HTTPException: _http,
        StoreUnavailable: _unavailable,
        ClientDisconnect: _gone,
        Exception: _unforeseen,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _problem(_request: Request, error: Problem) -> Response:
    return error.response()


async def _validation(_request: Request, error: RequestValidationError) -> Response:
    """Of path and query: the part that says which is no name of the client's."""
    found = [{**one, "loc": tuple(one["loc"])[1:]} for one in error.errors()]
    return refusal(found).response()  # type: ignore[arg-type]


async def _http(request: Request, error: HTTPException) -> Response:
    match error.status_code:
        case 404:
            problem = Problem(404, "not-found", "there is nothing at this path; see /docs")
        case 405:
            allowed = ", ".join(_allowed(request))
            problem = Problem(
                405,
                "method-not-allowed",
                f"this path has {allowed}",
                headers={"Allow": allowed},
            )
        case status:
            problem = Problem(status, "http", "the request cannot be answered")
    return problem.response()


def _allowed(request: Request) -> list[str]:
    """The methods of every route at this path; the router itself knows the first one's only."""
    routes = (route for route in request.app.routes if isinstance(route, Route))
    there = [r for r in routes if r.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in there for method in route.methods or ()})


async def _unavailable(_request: Request, _error: StoreUnavailable) -> Response:
    return unavailable().response()


async def _gone(_request: Request, _error: ClientDisconnect) -> Response:
    """Nobody is there to read it; it ends the request without a traceback."""
    return Problem(400, "incomplete", "the request ended before its body").response()


async def _unforeseen(_request: Request, _error: Exception) -> Response:
    return Problem(500, "internal", "something went wrong here; it was logged").response()
