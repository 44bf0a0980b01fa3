"""`/v1/templates`: put, look at, preview, test and archive; and the filling of messages with them.

Writing needs the scope `admin`, looking `read`, previews and tests `send`.  A `PUT` makes a new
version, or none if the newest says the same; nothing is ever overwritten.  What cannot be rendered
is 422 with the field at fault: `data.user.name`, `template.html`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, Field
from starlette.requests import Request
from starlette.responses import Response

from analysis import templates
from analysis.access import Access, Caller, actor
from analysis.batch import Batch
from analysis.body import Body, answer, read_body, read_cursor, write_cursor
from analysis.problem import invalid, not_found
from analysis.store import Store
from analysis.templates import LANGUAGE, NAME, Content, Version
from sender.order import Data, Mailboxes, MailboxField, NewMessage, TemplateChoice
from sender.sandbox import MOST_SOURCE
from sender.templates import Rendered, Rendering, Unrenderable

Note = Annotated[str, Field(max_length=1_000)]
Lint = Callable[[Rendered], Sequence[dict[str, Any]]]
Submit = Callable[[NewMessage], Awaitable[Response]]


def _language(text: str) -> str:
    folded = text.lower().replace("_", "-")
    if folded and not LANGUAGE.fullmatch(folded):
        raise ValueError("expected a language such as `en` or `zh-hant`")
    return folded


Lang = Annotated[str, AfterValidator(_language)]


class NewTemplate(Body):
    """One language's version; without `text` it is made of the HTML when a message is."""

    subject: str = Field(max_length=4_000)
    html: str | None = Field(None, max_length=MOST_SOURCE)
    text: str | None = Field(None, max_length=MOST_SOURCE)
    lang: Lang = ""
    note: Note = ""


class Sample(Body):
    """Sample data, for a stored version or for what is being written (`draft`)."""

    data: Data = Field(default_factory=dict)
    lang: Lang = ""
    version: int | None = Field(None, ge=1, le=1_000_000_000)
    draft: NewTemplate | None = None


class Trial(Body):
    """A test send to one address."""

    to: Mailboxes = Field(min_length=1, max_length=1)
    from_: MailboxField | None = Field(None, alias="from")
    data: Data = Field(default_factory=dict)
    lang: Lang = ""
    version: int | None = Field(None, ge=1, le=1_000_000_000)
    stream: str = "default"


class Templates:
    def __init__(
        self, store: Store, access: Access, rendering: Rendering, *, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._access = access
        self._rendering = rendering
        self._clock = clock
        self._finding: Batch[TemplateChoice, Version | None] = Batch(self._find_all, lanes=2)

    async def fill(self, message: NewMessage) -> tuple[NewMessage, str]:
        """The message with what its template says, and `name@version`; raises `Problem`."""
        choice = message.template
        if choice is None:
            raise ValueError("the message has no template")
        if message.subject or message.text is not None or message.html is not None:
            raise invalid("template", "comes with its own `subject`, `text` and `html`: leave out")
        found = await self._finding.put(choice)
        if found is None:
            raise invalid("template", f"there is no template {choice}; see GET /v1/templates")
        made = await self._rendered(found.content, message.data or {})
        said = {"subject": made.subject, "html": made.html, "text": made.text}
        return message.model_copy(update={**said, "template": None, "data": None}), found.reference

    async def _find_all(self, choices: Sequence[TemplateChoice]) -> list[Version | None]:
        return await self._store.read(
            lambda tx: [
                templates.find(tx, one.name, lang=one.lang, version=one.version) for one in choices
            ]
        )

    async def _rendered(self, content: Content, data: dict[str, Any]) -> Rendered:
        try:
            return await self._rendering.render(content, data)
        except Unrenderable as error:
            raise invalid(error.field, error.text) from error

    def router(self, *, lint: Lint, submit: Submit) -> APIRouter:
        """`lint` says what a message lacks; `submit` hands one in and answers."""
        api = APIRouter(prefix="/v1/templates", tags=["templates"])
        read = [Depends(self._access.require("read"))]
        send = [Depends(self._access.require("send"))]
        write = [Depends(self._access.require("admin"))]

        async def preview(name: str, request: Request) -> Response:
            """What a message would look like with these data, and what is wrong with it."""
            return await self._preview(name, await read_body(request, Sample), lint)

        async def test(name: str, request: Request) -> Response:
            """Send a test message to one address."""
            wish = await read_body(request, Trial)
            choice = TemplateChoice(name=_name(name), lang=wish.lang, version=wish.version)
            message = NewMessage.model_construct(
                to=wish.to, from_=wish.from_, stream=wish.stream, template=choice, data=wish.data
            )
            return await submit(message)

        api.get("", dependencies=read)(self.list_all)
        api.get("/{name}", dependencies=read)(self.get)
        api.get("/{name}/versions/{version}", dependencies=read)(self.get_version)
        api.put("/{name}", dependencies=write)(self.put)
        api.delete("/{name}", dependencies=write)(self.archive)
        api.post("/{name}/preview", dependencies=send)(preview)
        api.post("/{name}/test", status_code=202, dependencies=send)(test)
        return api

    async def list_all(
        self, cursor: str | None = None, limit: Annotated[int, Query(ge=1, le=500)] = 100
    ) -> Response:
        """Templates in use, by name."""
        (after,) = read_cursor(cursor, str) or ("",)
        page = await self._store.read(lambda tx: templates.browse(tx, after=after, limit=limit))
        more = write_cursor(page[-1]["name"]) if len(page) == limit else None
        return answer({"templates": page, "cursor": more})

    async def get(self, name: str, lang: Lang = "") -> Response:
        """The version in use for a language, and the list of all versions."""
        known = _name(name)
        found, kept = await self._store.read(
            lambda tx: (templates.find(tx, known, lang=lang), templates.versions(tx, known))
        )
        if found is None:
            raise not_found("template")
        return answer({**found.view(), "versions": [one.view(whole=False) for one in kept]})

    async def get_version(self, name: str, version: int) -> Response:
        """One version, archived or not."""
        known = _name(name)
        kept = await self._store.read(lambda tx: templates.versions(tx, known, limit=10_000))
        for one in kept:
            if one.version == version:
                return answer(one.view())
        raise not_found("version of a template")

    async def put(self, name: str, request: Request, key: Caller) -> Response:
        """Put a version: 201 if it is new, 200 if the newest one says the same."""
        given = await read_body(request, NewTemplate)
        if not NAME.fullmatch(name):
            raise invalid("name", "expected 1 to 64 lower-case letters, digits, `-`, `_` and `.`")
        content = _content(given)
        try:
            await self._rendering.check(content)
        except Unrenderable as error:
            raise invalid(error.field.removeprefix("template."), error.text) from error
        now, who = self._clock(), actor(key)
        made, new = await self._store.write(
            lambda tx: templates.put(tx, name, content, now=now, actor=who, note=given.note)
        )
        return answer(made.view(), 201 if new else 200)

    async def archive(
        self, name: str, key: Caller, why: Annotated[str, Query(max_length=1_000)] = ""
    ) -> Response:
        """Take a template out of use; what was sent still names its version."""
        known, now, who = _name(name), self._clock(), actor(key)
        gone = await self._store.write(
            lambda tx: templates.archive(tx, known, now=now, actor=who, why=why)
        )
        if not gone:
            raise not_found("template")
        return answer({"name": known, "archived": gone})

    async def _preview(self, name: str, wish: Sample, lint: Lint) -> Response:
        content, version = await self._previewed(_name(name), wish)
        made = await self._rendered(content, wish.data)
        said = {"subject": made.subject, "html": made.html, "text": made.text}
        findings = lint(made)
        return answer({
            "name": name,
            "version": version,
            "lang": content.lang,
            **said,
            "text_made": content.text is None and made.text is not None,
            "findings": findings,
        })  # fmt: skip

    async def _previewed(self, name: str, wish: Sample) -> tuple[Content, int | None]:
        if wish.draft is not None:
            return _content(wish.draft), None
        found = await self._store.read(
            lambda tx: templates.find(tx, name, lang=wish.lang, version=wish.version)
        )
        if found is None:
            raise not_found("template")
        return found.content, found.version


def _content(given: NewTemplate) -> Content:
    for field in ("subject", "html", "text"):
        if "\0" in (getattr(given, field) or ""):
            raise invalid(field, "contains a NUL character")
    return Content(given.subject, given.html, given.text, given.lang)


def _name(name: str) -> str:
    """A name that can be; anything else is not found, whatever it holds."""
    if not NAME.fullmatch(name):
        raise not_found("template")
    return name
