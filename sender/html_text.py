"""The text part of a message that was written in HTML alone.

What a reader of plain text needs: paragraphs, lists with their marks, tables row by row, links with
their address behind them, images by their `alt`.  Scripts, style sheets, comments and what is
hidden from the eye are left out.  Linear in its input; never raises; the same text for the same
HTML.  Lines are not folded: composing encodes them, and readers fold as wide as their window is.
"""

from __future__ import annotations

import re
from html import unescape

from sender.html_tokens import Kind, Token, tokens

MOST_DEEP = 20
"""Lists within lists that are indented; deeper ones stand where the last one does."""

_PARAGRAPHS = frozenset({
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "blockquote", "pre", "table",
    "hr", "form", "fieldset", "figure",
})  # fmt: skip
_LINES = frozenset({
    "div", "tr", "li", "dt", "dd", "section", "article", "header", "footer", "main", "nav",
    "aside", "address", "center", "caption",
})  # fmt: skip
_SKIPPED = frozenset(["head", "script", "style", "title", "template"])
_SPACE = re.compile(r"[\s\u200b\u00ad\ufeff]+")
_HIDDEN = re.compile(r"display\s{0,9}:\s{0,9}none", re.IGNORECASE)
_VOID = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source",
    "track", "wbr",
})  # fmt: skip


def text_of(html: str) -> str:
    """The text of a document or a piece of one, with a line end at its end unless it is empty."""
    page = _Page()
    for token in tokens(html):
        page.take(token, html)
    return page.text()


class _Page:
    """What has been read so far.

    A break is pending until words come, since one at the edge of a table's cell is none.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []  # its pieces
        self._pending = 0  # 1: a new line before the next words, 2: a paragraph
        self._cell_begins = False
        self._mark = ""  # of this line, and of the next one that gets words: a list's
        self._next_mark = ""
        self._skipping: list[str] = []  # open tags within what is not shown
        self._lists: list[int | None] = []  # the number of the last item; None: no numbers
        self._links: list[tuple[str, int, int]] = []  # target, line, piece where its words begin

    def take(self, token: Token, html: str) -> None:
        if self._skipping:
            self._skip(token)
        elif token.kind is Kind.TEXT:
            self._words(unescape(html[token.start : token.end]))
        elif token.kind is Kind.OPEN:
            self._open(token)
        elif token.kind is Kind.CLOSE:
            self._close(token.tag)

    def text(self) -> str:
        self._pending = 0
        self._end_line()
        return "".join(f"{line}\n" for line in self._lines)

    def _skip(self, token: Token) -> None:
        """Until the tag is closed that is not shown; the same within it is counted."""
        first = self._skipping[0]
        if token.kind is Kind.OPEN and token.tag == first:
            self._skipping.append(first)
        elif token.kind is Kind.CLOSE and token.tag == "body":
            self._skipping.clear()
        elif token.kind is Kind.CLOSE and token.tag == first:
            self._skipping.pop()

    def _open(self, token: Token) -> None:
        tag = token.tag
        if tag in _SKIPPED or (_is_hidden(token) and tag not in _VOID):
            self._skipping.append(tag)
        elif tag == "br":
            self._pending = max(self._pending, 1)
        elif tag == "hr":
            self._break(2)
            self._words("---")
            self._break(2)
        elif tag == "img":
            self._words(f" {token.get('alt') or ''} ")
        elif tag == "a":
            if len(self._links) < MOST_DEEP:
                self._links.append((token.get("href") or "", len(self._lines), len(self._line)))
        elif tag in ("td", "th"):
            self._begin_cell()
        elif tag in _PARAGRAPHS or tag in _LINES:
            self._open_block(tag)

    def _open_block(self, tag: str) -> None:
        inner = tag in ("ul", "ol") and self._lists
        self._break(2 if tag in _PARAGRAPHS and not inner else 1)
        if tag in ("ul", "ol"):
            self._lists.append(0 if tag == "ol" else None)
        elif tag == "li":
            self._next_mark = self._item_mark()

    def _close(self, tag: str) -> None:
        if tag == "a" and self._links:
            self._end_link(*self._links.pop())
        elif tag in ("td", "th"):
            self._end_cell()
        elif tag in ("ul", "ol") and self._lists:
            self._lists.pop()
            self._break(1 if self._lists else 2)
        elif tag in _PARAGRAPHS:
            self._break(2)
        elif tag in _LINES:
            self._break(1)

    def _item_mark(self) -> str:
        indent = "  " * (min(len(self._lists), MOST_DEEP) - 1)
        if not self._lists or self._lists[-1] is None:
            return f"{indent}- "
        self._lists[-1] += 1
        return f"{indent}{self._lists[-1]}. "

    def _begin_cell(self) -> None:
        if self._line and not self._pending:
            self._line[-1] = self._line[-1].rstrip(" ")
            self._line.append(" | ")
        self._cell_begins = True

    def _end_cell(self) -> None:
        """A break at its end is none; what was pending before an empty cell still is."""
        if not self._cell_begins:
            self._pending = 0
        self._cell_begins = False

    def _words(self, text: str) -> None:
        squeezed = _SPACE.sub(" ", text)
        if squeezed == " " and (self._pending or not self._line):
            return
        if self._pending:
            self._end_line()
        if not self._line or self._line[-1].endswith(" "):
            squeezed = squeezed.lstrip(" ")
        if squeezed:
            self._line.append(squeezed)
            self._cell_begins = False

    def _end_link(self, target: str, line: int, piece: int) -> None:
        """The address behind the words, unless they are the address."""
        target = _SPACE.sub("", target)
        scheme, _, rest = target.partition(":")
        if scheme.lower() not in ("http", "https", "mailto", "tel"):
            return
        said = "".join(self._line[piece:] if line == len(self._lines) else self._line).strip(" |")
        bare = rest.lstrip("/")
        if said and said.rstrip("/") in (target.rstrip("/"), bare.rstrip("/")):
            return
        self._words(f" <{bare if scheme.lower() == 'mailto' else target}>")

    def _break(self, size: int) -> None:
        if not self._cell_begins:
            self._pending = max(self._pending, size)

    def _end_line(self) -> None:
        line = "".join(self._line).strip(" |")
        if line:
            self._lines.append(self._mark + line)
        if self._pending > 1 and self._lines:
            self._lines.append("")
        self._mark, self._next_mark = self._next_mark, ""
        self._line = []
        self._pending = 0
        self._cell_begins = False


def _is_hidden(token: Token) -> bool:
    return token.get("hidden") is not None or bool(_HIDDEN.search(token.get("style") or ""))
