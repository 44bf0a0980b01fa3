"""Small pages for recipients: unsubscribing, preferences, "did not get it?".

No script, no cookie, no other host: one style whose hash the Content-Security-Policy names, forms
that post back to where they came from.  English or Chinese by `?lang=` or Accept-Language, light
or dark by the reader's system.  Whatever is shown of the record is escaped here; an address is
shown masked only, since a mail may be forwarded.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from analysis.explain import Language
from analysis.problem import Problem

MOST_OCTETS = 2_000
"""Of a form that is posted; ours have two short fields."""

_STYLE = (
    ":root{color-scheme:light dark}*{box-sizing:border-box}"
    "body{font:1.05rem/1.55 system-ui,'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',"
    "sans-serif;margin:0;padding:10vh 1.1rem 3rem;background:#f7f5f0;color:#1d2329;"
    "overflow-wrap:anywhere}"
    "main{max-width:34rem;margin:0 auto;padding:1.6rem 1.7rem 1.7rem;background:#fffefb;"
    "border:1px solid #dfdbd0;border-radius:12px}"
    "h1{font-size:1.4rem;line-height:1.3;margin:0 0 .7rem;text-wrap:balance}p{margin:.7rem 0}"
    "main>:last-child{margin-bottom:0}"
    "button{font:inherit;font-weight:600;padding:.55em 1.15em;border:0;border-radius:.45em;"
    "cursor:pointer;background:#0f5c5c;color:#fff}button.quiet{background:#efece4;color:#1d2329}"
    "button:focus-visible,a:focus-visible{outline:3px solid #b96f00;outline-offset:2px}"
    "a{color:#0f5c5c}ul{list-style:none;padding:0;margin:1rem 0}"
    "li{display:flex;flex-wrap:wrap;gap:.5rem 1rem;justify-content:space-between;"
    "align-items:center;padding:.7rem 0;border-top:1px solid #dfdbd0}"
    ".small{font-size:.9rem;color:#5a636c}"
    "@media(prefers-color-scheme:dark){body{background:#15181b;color:#e9e6df}"
    "main{background:#1d2125;border-color:#343a40}a{color:#79d0c6}"
    "button{background:#79d0c6;color:#0c1e1d}button.quiet{background:#343a40;color:#e9e6df}"
    "li{border-color:#343a40}.small{color:#a5acb3}}"
)
_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def page(lang: Language, title: str, *parts: str, status: int = 200) -> Response:
    """A page whose heading is `title`; `parts` are HTML made by the functions below."""
    return HTMLResponse(
        f'<!doctype html><html lang="{"zh-Hans" if lang == "zh" else "en"}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="robots" content="noindex">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
        f"<main><h1>{escape(title)}</h1>{''.join(parts)}</main></html>",
        status,
        headers=HEADERS,
    )


def words(text: str, *, small: bool = False) -> str:
    return f"<p{' class=small' if small else ''}>{escape(text)}</p>"


def form(button: str, fields: Mapping[str, str], *, to: str = "", quiet: bool = False) -> str:
    """A button that posts `fields`, to this page unless said otherwise."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in fields.items()
    )
    where = f' action="{escape(to)}"' if to else ""
    kind = ' class="quiet"' if quiet else ""
    return (
        f'<form method="post"{where}>{hidden}'
        f'<button type="submit"{kind}>{escape(button)}</button></form>'
    )


def link(text: str, to: str) -> str:
    return f'<p><a href="{escape(to)}">{escape(text)}</a></p>'


def rows(items: Sequence[tuple[str, str]]) -> str:
    """Lines of a text and what can be done about it (HTML made here)."""
    return "".join(
        ("<ul>", *(f"<li><span>{escape(text)}</span>{act}</li>" for text, act in items), "</ul>")
    )


def language(request: Request) -> Language:
    """What the reader asked for by `?lang=`, else the first of ours in Accept-Language."""
    asked = request.query_params.get("lang", "") or request.headers.get("accept-language", "")
    for part in asked[:200].lower().split(","):
        name = part.strip()[:2]
        if name in ("zh", "en"):
            return "zh" if name == "zh" else "en"
    return "en"


def masked(address: str) -> str:
    """`b***@example.net`: enough for its owner."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}***{at}{domain}" if at else "***"


async def read_form(request: Request) -> bytes:
    form = b""
    async for chunk in request.stream():
        form += chunk
        if len(form) > MOST_OCTETS:
            raise Problem(413, "body-too-large", f"at most {MOST_OCTETS} octets")
    return form


def fields(content: bytes) -> dict[str, str]:
    """The fields of a url-encoded form; the last of a name counts, what is no form has none."""
    try:
        return dict(parse_qsl(content.decode(), max_num_fields=10))
    except ValueError:  # UnicodeError is one
        return {}
