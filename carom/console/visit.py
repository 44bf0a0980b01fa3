"""A visit: one request by one person, with what is known of them and how to answer.

Made by `greet`: the session behind the cookie if it stands, the language and the colours that were
chosen.  `check_form` lets a POST pass only from our own pages: same origin where the browser names
one, and the session's own token in the form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from analysis import sessions
from analysis.explain import Language
from analysis.problem import Problem
from analysis.reply import clean
from analysis.sessions import Session
from carom.console import rendering
from carom.console.desk import Desk
from carom.console.words import Words, preferred

BASE = "/console"
COOKIE = "carom_console"
LANG, THEME = "carom_lang", "carom_theme"
THEMES = ("auto", "light", "dark")
A_YEAR = 365 * 86_400
DONE = (
    "suppressed",
    "lifted",
    "nothing_lifted",
    "resent",
    "cancelled",
    "nothing_cancelled",
    "revoked",
    "noted",
    "closed",
    "released",
    "dropped",
)
"""What a page may say was just done: a closed set, since anybody can write a link."""

MOST_OCTETS = 32_000
"""Of a form."""
MOST_FIELDS = 40


@dataclass(frozen=True, slots=True)
class Visit:
    desk: Desk
    request: Request
    words: Words
    theme: str
    now: float
    session: Session | None = None
    token: str = ""
    form: Mapping[str, str] = field(default_factory=dict)

    def may(self, scope: str) -> bool:
        scopes = self.session.scopes if self.session else frozenset()
        return scope in scopes or "admin" in scopes

    @property
    def base(self) -> str:
        """The console's path as this browser sees it: behind a proxy the public URL may have a
        path of its own, which the proxy takes off."""
        url = urlsplit(self.desk.public_url)
        public = url.netloc == self.request.headers.get("host", "")
        return (url.path.rstrip("/") if public else "") + BASE

    @property
    def lang(self) -> Language:
        return "zh" if self.words.lang == "zh" else "en"

    @property
    def actor(self) -> str:
        """How the audit names this person."""
        return f"{self.session.actor}, console" if self.session else "console"

    def ask(self, name: str, most: int = 300) -> str:
        """A parameter of the URL, cut and without controls; empty where it is missing."""
        return clean(self.request.query_params.get(name, ""), most)

    def given(self, name: str, most: int = 1_000) -> str:
        """A field of the form, cut and without controls; empty where it is missing."""
        return clean(self.form.get(name, ""), most)

    def here(self, **changed: str) -> str:
        """This page's own URL with some parameters set otherwise."""
        url = self.request.url
        if self.request.method != "GET":
            return f"{self.base}?{urlencode(changed)}"
        kept = {k: v for k, v in self.request.query_params.items() if k != "done"}
        path = self.base + url.path.removeprefix(BASE)
        return f"{path}?{urlencode(kept | changed)}"

    def page(self, template: str, status: int = 200, **known: Any) -> Response:
        """The template as a page."""
        words, now = self.words, self.now
        html = rendering.TEMPLATES.get_template(template).render(
            t=words,
            base=self.base,
            visit=self,
            path=self.base + self.request.url.path.removeprefix(BASE),
            query=self.ask("q"),
            done=words.of("done", self.ask("done", 40)) if self.ask("done", 40) in DONE else "",
            csrf=sessions.csrf(self.token) if self.session else "",
            version=self.desk.version,
            now=now,
            when=lambda at: rendering.when(at, words, now),
            ago=lambda at: rendering.ago(at, words, now),
            sentence=lambda pieces: rendering.sentence(pieces, words, now),
            provider=words.provider,
            moment=rendering.moment,
            **known,
        )
        return HTMLResponse(html, status)

    def trouble(self, status: int, words: str) -> Response:
        """A page that says what went wrong."""
        return self.page("trouble.html", status, number=status, said=words)

    def go(self, path: str) -> Response:
        """To another page of ours, by GET."""
        return RedirectResponse(f"{self.base}{path}", 303)


async def greet(desk: Desk, request: Request) -> Visit:
    """Who comes, as far as their cookie proves it."""
    cookies, query = request.cookies, request.query_params
    lang = preferred(
        query.get("lang"), cookies.get(LANG), accept=request.headers.get("accept-language", "")
    )
    theme = next(
        (one for one in (query.get("theme"), cookies.get(THEME)) if one in THEMES), THEMES[0]
    )
    visit = Visit(desk, request, Words(lang), theme, desk.clock())
    token = cookies.get(COOKIE, "")
    session = await _session(desk, token, visit.now)
    return visit if session is None else replace(visit, session=session, token=token)


async def _session(desk: Desk, token: str, now: float) -> Session | None:
    """The session that stands, with what its key may do now if a key began it."""
    if not token:
        return None
    found = await desk.store.read(
        lambda tx: sessions.find(tx, token, now=now, lasting=desk.lasting)
    )
    if found is not None and found.key_id is not None:
        key = await desk.access.known(found.key_id)
        found = None if key is None else replace(found, scopes=key.scopes)
    if found is not None and sessions.stale(found, now):
        await desk.store.write(lambda tx: sessions.note_seen(tx, token, now=now))
    return found


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form; the last of doubles counts.  Raises `Problem`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Problem(415, "unsupported-media-type", "expected a form")
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > MOST_OCTETS:
            raise Problem(413, "body-too-large", f"at most {MOST_OCTETS} octets")
    try:
        fields = parse_qsl(
            content.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="replace"
        )
    except ValueError:  # UnicodeDecodeError is one
        raise Problem(400, "not-a-form", "the form cannot be read") from None
    return dict(fields)


def id_in(request: Request) -> str:
    """The `{id}` of the path; empty where it has not the shape of any id of ours."""
    given = str(request.path_params["id"]).lower()
    return given if given.isascii() and given.isalnum() and len(given) <= 32 else ""


def from_ourselves(desk: Desk, request: Request) -> bool:
    """Whether a POST comes from a page of ours, as far as the browser tells.

    A client that names no origin is no browser of today; the form's token decides alone then.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return True
    ours = {urlsplit(desk.public_url).netloc, request.headers.get("host", "")} - {""}
    try:
        return urlsplit(origin).netloc in ours
    except ValueError:  # `http://[`
        return False


def check_form(visit: Visit, *, signed_in: bool) -> None:
    """Raises a 403 `Problem` for a form that did not come from our own page."""
    proven = not signed_in or sessions.same(visit.form.get("csrf", ""), sessions.csrf(visit.token))
    if not (proven and from_ourselves(visit.desk, visit.request)):
        raise Problem(403, "forged", visit.words("trouble.forged"))
