"""The routes of the console: each page with the scope it needs, and what holds for all of them.

A page is seen only by who is signed in with its scope; others are led to the sign-in and back, or
told what they lack.  Every answer carries the policy; trouble is a page, not a document.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from analysis.access import Access
from analysis.problem import RETRY_AFTER, Problem
from analysis.store import StoreUnavailable
from carom import __version__
from carom.console.desk import Desk
from carom.console.door import Door
from carom.console.pages import (
    audit,
    back,
    finding,
    incidents,
    keyring,
    listed,
    message,
    overview,
    person,
    puzzles,
    streams,
    waiting,
)
from carom.console.rendering import HEADERS
from carom.console.visit import (
    A_YEAR,
    BASE,
    LANG,
    THEME,
    THEMES,
    Visit,
    check_form,
    greet,
    read_form,
)
from carom.console.words import LANGUAGES
from carom.engine import Engine

Show = Callable[[Visit], Awaitable[Response]]

STATIC = Path(__file__).parent / "static"
FILES = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
OPEN = ""
"""In place of a scope: for everybody."""


@dataclass(frozen=True, slots=True)
class Page:
    method: str
    path: str
    show: Show
    scope: str = "read"


def pages(door: Door) -> tuple[Page, ...]:
    """Every page; one that changes anything is a POST."""
    return (
        Page("GET", "", overview.show),
        Page("GET", "/sign-in", door.show, OPEN),
        Page("POST", "/sign-in", door.sign_in, OPEN),
        Page("GET", "/link/{token}", door.follow, OPEN),
        Page("POST", "/sign-out", door.sign_out),
        Page("GET", "/search", finding.show),
        Page("GET", "/address", person.show),
        Page("POST", "/suppress", person.suppress, "suppress"),
        Page("POST", "/lift", person.lift, "suppress"),
        Page("GET", "/messages/{id}", message.show),
        Page("POST", "/messages/{id}/resend", message.resend, "send"),
        Page("POST", "/messages/{id}/cancel", message.cancel, "send"),
        Page("GET", "/queue", waiting.show),
        Page("GET", "/suppressions", listed.show),
        Page("GET", "/incidents", incidents.show),
        Page("POST", "/incidents/{id}", incidents.decide, "suppress"),
        Page("GET", "/not-understood", puzzles.show),
        Page("GET", "/inbound", back.show),
        Page("GET", "/inbound/{id}", back.show_raw),
        Page("GET", "/streams", streams.show),
        Page("GET", "/keys", keyring.show, "admin"),
        Page("POST", "/keys", keyring.make, "admin"),
        Page("POST", "/keys/{id}/revoke", keyring.revoke, "admin"),
        Page("GET", "/audit", audit.show, "admin"),
    )


def console(engine: Engine, access: Access, random: Callable[[int], bytes]) -> list[Route]:
    """The routes on an engine; none where the settings turn the console off."""
    settings = engine.settings
    if not settings.console.enabled:
        return []
    desk = Desk(
        engine.store,
        access,
        engine.intake,
        engine.rules,
        settings.suppression_limits(),
        settings.console.lasting(),
        settings.streams,
        {key.id: (key.name, frozenset(key.scopes)) for key in settings.api.keys},
        settings.api.public_url,
        engine.pacing.suspended,
        engine.clock,
        random,
        __version__,
    )
    routes = [_route(desk, page) for page in pages(Door())]
    routes.append(Route(f"{BASE}/static/{{name}}", _static))
    routes.append(_route(desk, Page("GET", "/{rest:path}", _nothing, OPEN)))
    return routes


def _route(desk: Desk, page: Page) -> Route:
    async def answer(request: Request) -> Response:
        visit = await _greeted(desk, request)
        if isinstance(visit, Response):
            return visit
        try:
            response = await _shown(visit, page)
        except Problem as problem:
            response = visit.trouble(problem.status, problem.detail)
        except StoreUnavailable:
            response = visit.trouble(503, visit.words("trouble.unavailable"))
            response.headers["Retry-After"] = str(RETRY_AFTER)
        return _dressed(visit, response)

    return Route(f"{BASE}{page.path}", answer, methods=[page.method])


async def _greeted(desk: Desk, request: Request) -> Visit | Response:
    try:
        return await greet(desk, request)
    except StoreUnavailable:
        return Problem(503, "unavailable", "the database is away; try again").response()


async def _shown(visit: Visit, page: Page) -> Response:
    if page.scope and visit.session is None:
        return _to_the_door(visit)
    if page.scope and not visit.may(page.scope):
        return visit.trouble(403, visit.words("trouble.scope", scope=page.scope))
    if page.method == "POST":
        visit = replace(visit, form=await read_form(visit.request))
        check_form(visit, signed_in=bool(page.scope))
    return await page.show(visit)


def _to_the_door(visit: Visit) -> Response:
    url = visit.request.url
    here = url.path + (f"?{url.query}" if url.query else "")
    back_to = here if visit.request.method == "GET" else BASE
    return visit.go(f"/sign-in?next={quote(back_to, safe='')}")


def _dressed(visit: Visit, response: Response) -> Response:
    """The policy, and the choices of language and colours that this request made."""
    response.headers.update(HEADERS)
    asked = visit.request.query_params
    for cookie, name, known in ((LANG, "lang", LANGUAGES), (THEME, "theme", THEMES)):
        if (chosen := asked.get(name, "")) in known:
            response.set_cookie(
                cookie,
                chosen,
                max_age=A_YEAR,
                path=visit.base,
                secure=visit.desk.secure,
                httponly=True,
                samesite="lax",
            )
    return response


async def _nothing(visit: Visit) -> Response:
    if visit.request.url.path == f"{BASE}/":
        return RedirectResponse(visit.base, 308)
    return visit.trouble(404, visit.words("trouble.not_found"))


async def _static(request: Request) -> Response:
    """Files of a closed list: no path is made from what a stranger sends."""
    name = request.path_params["name"]
    if name not in FILES:
        missing = Problem(404, "not-found", "there is no such file").response()
        missing.headers.update(HEADERS)
        return missing
    return FileResponse(STATIC / name, media_type=FILES[name], headers=HEADERS)
