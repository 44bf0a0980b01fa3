"""Rendering a stored template: subject, HTML and text of one message, in a thread and in time.

The work is `sender.sandbox`'s, which ends by itself; here a few at once are let to it, so that a
slow template takes neither the event loop nor every thread.  Where a template has no text, it is
made of the HTML that was rendered.  Fails with `Unrenderable`, which names the field as the API
does: `data.user.name` for what the data lack, `template` or `template.html` for the template.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from analysis.templates import Content
from sender.html_text import text_of
from sender.sandbox import Missing, TemplateFault, compiled, render

AT_ONCE = 2
MOST_SEARCHED = 10_000
"""Values of the data that are looked through for where something is missing."""


class Unrenderable(ValueError):
    """`field` and `text` are for the client."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.field = field
        self.text = text


@dataclass(frozen=True, slots=True)
class Rendered:
    subject: str
    html: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class Bounds:
    seconds: float = 1.0
    most: int = 1_000_000  # characters of each part


class Rendering:
    def __init__(self, bounds: Bounds, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._bounds = bounds
        self._monotonic = monotonic
        self._places = asyncio.Semaphore(AT_ONCE)

    async def render(self, content: Content, data: Mapping[str, Any]) -> Rendered:
        """Raises `Unrenderable`."""
        async with self._places:
            return await asyncio.to_thread(self.render_here, content, data)

    async def check(self, content: Content) -> None:
        """Whether each part can be compiled; raises `Unrenderable`."""
        async with self._places:
            await asyncio.to_thread(check, content)

    def render_here(self, content: Content, data: Mapping[str, Any]) -> Rendered:
        """In the thread that asks, within `seconds` for all parts together."""
        until = self._monotonic() + self._bounds.seconds

        def part(name: str, source: str | None) -> str | None:
            if source is None:
                return None
            with _named(name, data):
                return render(
                    source,
                    data,
                    html=name == "html",
                    until=until,
                    most=self._bounds.most,
                    monotonic=self._monotonic,
                )

        subject = " ".join((part("subject", content.subject) or "").split())
        html = part("html", content.html)
        text = part("text", content.text)
        return Rendered(subject, html, text_of(html) if text is None and html else text)


def check(content: Content) -> None:
    """Whether each part can be compiled; raises `Unrenderable`."""
    if content.html is None and content.text is None:
        raise Unrenderable("html", "give `html`, `text` or both")
    for name in ("subject", "html", "text"):
        source = getattr(content, name)
        if source is not None:
            with _named(name, {}):
                compiled(source, html=name == "html")


class _named:  # noqa: N801  reads as a word at its one use
    """Turns what the sandbox says of a part into an `Unrenderable`."""

    def __init__(self, part: str, data: Mapping[str, Any]) -> None:
        self._part = part
        self._data = data

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Missing):
            where = place_of(self._data, error.holder, error.name)
            raise Unrenderable(where, f"is missing; the template's {self._part} needs it")
        if isinstance(error, TemplateFault):
            line = f" (line {error.line})" if error.line else ""
            raise Unrenderable(f"template.{self._part}", error.text + line)


def place_of(data: Mapping[str, Any], holder: Any, name: Any) -> str:
    """Where in the request's `data` something is missing: `data.items[1].price`."""
    asked = name if isinstance(name, str | int) else type(name).__name__
    last = f"[{asked}]" if isinstance(asked, int) else f".{asked[:80]}"
    if holder is None:
        return f"data{last}"
    found = next((where for where, value in _walk(data) if value is holder), "data")
    return f"{found}{last}"


def _walk(data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    left: list[tuple[str, Any]] = [("data", data)]
    for _ in range(MOST_SEARCHED):
        if not left:
            return
        where, value = left.pop()
        yield where, value
        if isinstance(value, Mapping):
            left += [(f"{where}.{key}", one) for key, one in value.items()]
        elif isinstance(value, list):
            left += [(f"{where}[{n}]", one) for n, one in enumerate(value)]
