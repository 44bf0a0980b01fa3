"""The documents as data: which there are, their headings, links, code and runnable examples.

A fenced block whose first line names a language and then `run` is an example that is run as it
stands: ```` ```sh run ````.  Nothing here knows what a page is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(
    r"^ *(?P<mark>```+)(?P<info>[^\n`]*)\n(?P<code>.*?)^ *(?P=mark)[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"(?<!\!)\[[^\]\n]*\]\(([^)\s]+)\)|!\[[^\]\n]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
_NOT_IN_ANCHOR = re.compile(r"[^\w\- ]")


@dataclass(frozen=True, slots=True)
class Example:
    page: str
    line: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def documents() -> list[Path]:
    """Every page of ours that people read, in order."""
    named = [ROOT / name for name in ("README.md", "SECURITY.md")]
    folders = (ROOT / name for name in ("docs", "deploy", "dashboards"))
    return named + [page for folder in folders for page in sorted(folder.rglob("*.md"))]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def fences(page: Path) -> Iterator[Example]:
    """Every fenced block, `language` being the whole word or words after the fence."""
    text = page.read_text("utf-8")
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Example(name_of(page), line, found["info"].strip(), dedent(found["code"]))


def examples(page: Path) -> list[Example]:
    """The blocks that are to be run, in the order in which a reader comes to them."""
    return [
        Example(one.page, one.line, one.language.removesuffix(" run"), one.code)
        for one in fences(page)
        if one.language.endswith(" run")
    ]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text("utf-8"))


def inline_code(page: Path) -> list[str]:
    return _INLINE.findall(prose(page))


def links(page: Path) -> list[str]:
    """Targets of links and pictures, but for those on other hosts."""
    found = (one[0] or one[1] for one in _LINK.findall(prose(page)))
    return [one for one in found if "://" not in one and not one.startswith("mailto:")]


def anchors(page: Path) -> set[str]:
    """What a link may name after `#`, as GitHub makes it of headings."""
    found: set[str] = set()
    for heading in _HEADING.findall(prose(page)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.replace("`", ""))
        anchor = _NOT_IN_ANCHOR.sub("", plain.lower()).replace(" ", "-")
        again = 0
        while (name := f"{anchor}-{again}" if again else anchor) in found:
            again += 1
        found.add(name)
    return found
