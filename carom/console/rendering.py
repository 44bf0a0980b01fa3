"""Templates to HTML: everything escaped, everything named, times for people and for machines.

A name that a template mistypes is an error, never a hole in the page.  Templates show times by
`when` (absolute and relative) and pieces of a sentence by `sentence`; both make `<time>` elements.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from analysis.telling import Piece, clock
from carom.console.words import Words

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    # not `no-referrer`: browsers would then send `Origin: null` with our own forms
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}

_TICKED = re.compile(r"`([^`]+)`")


def ticks(text: str) -> Markup:
    """A text of ours, with what stands between backticks as code."""
    return Markup(_TICKED.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704  escaped


TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
TEMPLATES.filters["ticks"] = ticks
TEMPLATES.filters["path"] = lambda text: quote(str(text), safe="")


def moment(value: float | str) -> float:
    """Unix seconds of a time as `lookup` writes it."""
    return value if isinstance(value, float | int) else datetime.fromisoformat(value).timestamp()


def when(value: float | str | None, words: Words, now: float) -> Markup:
    """A time as people say it beside the exact one; nothing for None."""
    if value is None:
        return Markup()
    at = moment(value)
    absolute = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return Markup(
        '<span class="when"><time datetime="{}">{}</time> <span class="ago">{}</span></span>'
    ).format(_machine(at), absolute, words.ago(at, now))


def ago(value: float | str | None, words: Words, now: float) -> Markup:
    """A time as people say it; the exact one on pointing at it."""
    if value is None:
        return Markup()
    at = moment(value)
    exact = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        _machine(at), exact, words.ago(at, now)
    )


def sentence(pieces: Sequence[Piece], words: Words, now: float) -> Markup:
    """The answer, its moments marked as such."""
    return Markup("").join(
        one
        if isinstance(one, str)
        else Markup('<time datetime="{}" title="{}">{}</time>').format(
            _machine(one), words.ago(one, now), clock(one, now)
        )
        for one in pieces
    )


def _machine(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
