"""What a page of HTML says: its text, a line a block, in time linear in its length."""

from __future__ import annotations

import html
import re

_BREAK = re.compile(
    r"<(?:br|/?p|/?div|/?tr|/?li|/?h[1-6]|/?table|/?blockquote)\b[^<>]*>", re.IGNORECASE
)
_CELL_END = re.compile(r"</t[dh]\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>\n]*(?:\n[^<>\n]*){0,30}>")


def html_to_text(page: str) -> str:
    """Text of an HTML page, a line per block, a tab between cells; without scripts and styles."""
    for begin, end in (("<style", "</style>"), ("<script", "</script>"), ("<!--", "-->")):
        page = _without(page, begin, end)
    page = _TAG.sub("", _BREAK.sub("\n", _CELL_END.sub("\t", page)))
    try:
        page = html.unescape(page)
    except ValueError:  # a character number of thousands of digits
        return page
    return page.replace("\xa0", " ")


def _without(page: str, begin: str, end: str) -> str:
    lower = page.lower()
    if len(lower) != len(page) or begin not in lower:
        return page
    kept: list[str] = []
    at = 0
    while (start := lower.find(begin, at)) >= 0:
        kept.append(page[at:start])
        stop = lower.find(end, start)
        if stop < 0:
            return "".join(kept)
        at = stop + len(end)
    return "".join([*kept, page[at:]])
