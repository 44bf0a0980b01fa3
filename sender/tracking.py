"""Tracking: the links and the pixel that tell whether a message was opened or clicked.

Off unless a stream asks for it, and never in login codes unless that is said too.  At compose,
each `http(s)` link of the HTML part is sent by way of `/c/TOKEN?u=TARGET` and a picture of one
point, `/o/TOKEN.gif`, is put at the end.  The token names the delivery and, for a click, vouches
for the target, so that the address redirects to nothing but what we wrote.

Promises: nothing of the HTML changes but the values of `href`, and the picture; done twice it is
as done once; a link marked `data-carom-track="off"`, one to ourselves (unsubscribe), and one too
long to be passed on stay as they are.  A message to several people has one body for all, which
cannot say whose it is: it is not tracked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from html import escape
from urllib.parse import quote

from sender.compose import Draft
from sender.html_tokens import Kind, Token, tokens
from sender.tokens import Purpose, Tokens

MOST_TARGET = 1_500
"""Characters; longer ones would make addresses that mail programs cut."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a stream asks for."""

    opens: bool = False
    clicks: bool = False
    codes: bool = False  # in messages of the class `otp` too


@dataclass(frozen=True, slots=True)
class Tracking:
    """`base` is where recipients reach us, without a final slash; `lifetime` in seconds."""

    tokens: Tokens
    base: str
    lifetime: float
    wishes: Mapping[str, Wish]  # by stream; others are not tracked

    def tracked(
        self, draft: Draft, delivery_id: str, *, stream: str, class_: str, start: float
    ) -> Draft:
        """The draft with its HTML tracked, or the same draft."""
        wish = self.wishes.get(stream)
        if wish is None or draft.html is None or (class_ == "otp" and not wish.codes):
            return draft
        expires = start + self.lifetime
        html = draft.html
        if wish.clicks:

            def through(target: str) -> str:
                token = self.tokens.issue(Purpose.CLICK, delivery_id, expires=expires, bound=target)
                return f"{self.base}/c/{token}?u={quote(target, safe='')}"

            html = with_links(html, self.base, through)
        if wish.opens:
            token = self.tokens.issue(Purpose.OPEN, delivery_id, expires=expires)
            html = with_picture(html, self.base, token)
        return replace(draft, html=html)


def with_links(html: str, base: str, through: Callable[[str], str]) -> str:
    """`html` with the targets of its links replaced by what `through` makes of them."""
    pieces: list[str] = []
    done = 0
    for token in tokens(html):
        if token.kind is not Kind.OPEN or token.tag not in ("a", "area"):
            continue
        for one in token.attributes[: _first_href(token)]:
            target = one.value.strip()
            if one.name == "href" and _is_tracked(token, target, base):
                pieces += (html[done : one.start], f'"{escape(through(target))}"')
                done = one.end
    return "".join((*pieces, html[done:]))


def _first_href(token: Token) -> int:
    """Behind the first `href`: browsers pass over a second one."""
    names = [one.name for one in token.attributes]
    return names.index("href") + 1 if "href" in names else 0


def _is_tracked(token: Token, target: str, base: str) -> bool:
    return (
        target.lower().startswith(("http://", "https://"))
        and len(target) <= MOST_TARGET
        and target.isprintable()
        and not (target == base or target.startswith(f"{base}/"))
        and token.get("data-carom-track") != "off"
    )


def with_picture(html: str, base: str, token: str) -> str:
    """`html` with the picture before the end of its body, unless it has one."""
    if f'"{base}/o/' in html:
        return html
    picture = f'<img src="{base}/o/{token}.gif" width="1" height="1" alt="">'
    end = max(
        (one.start for one in tokens(html) if one.kind is Kind.CLOSE and one.tag == "body"),
        default=len(html),
    )
    return html[:end] + picture + html[end:]
