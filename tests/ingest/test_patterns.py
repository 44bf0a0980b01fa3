"""No pattern that sees hostile text can be made to backtrack for long.

Patterns of RE2 are linear by construction.  Those of `re` are tried here, each by the methods that
the source calls on it, on the texts that make patterns slow: a beginning, then one piece without
end, the pieces taken from the pattern itself and from what mail is made of.  A pattern whose text
its callers cut shorter than that is named in `CUT`, with the cut.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from re import _parser  # type: ignore[attr-defined]
from types import ModuleType
from typing import Any

import pytest

import analysis
import ingest
from sender import tokens
from tests.growth import ratio, seconds

LENGTH = 20_000
SECONDS, SECONDS_A_CHARACTER = 0.010, 1e-6
"""Of CPU; what takes longer on one text is suspect, and judged by how its time grows."""

CUT = {
    "ingest.listing": 500,  # ingest.notice.MAX_LINE
    "ingest.addresses._ADDRESS": 16_000,  # ingest.addresses.MAX_SEARCHED
    "analysis.reply": 2_000,  # analysis.reply.MAX_TEXT
}
PIECES = (
    *(
        "a",
        "1",
        " ",
        "\t",
        "\n",
        "-",
        "=",
        "@",
        ".",
        '"',
        "(",
        ")",
        "<",
        ">",
        "\\",
        ":",
        ";",
        ",",
        "#",
    ),
    *(
        "a ",
        "a.",
        "a@",
        "a\n",
        "\n ",
        "\n\n",
        "* ",
        "- ",
        "<a",
        "a, ",
        "a@b.cc",
        "<a@b>, ",
        "a@b, ",
    ),
    *(
        "5.1.1 ",
        "550 ",
        "550-",
        "+3D",
        "=?a?q?a",
        "用",
        "host a ",
        "said: ",
        "x-a; ",
        "a: b\n",
        "'",
    ),
)


def modules() -> Iterator[ModuleType]:
    yield tokens
    for package in (ingest, analysis):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".migrations" not in found.name:
                yield importlib.import_module(found.name)


def patterns() -> dict[str, tuple[re.Pattern[Any], frozenset[str]]]:
    """Every compiled pattern by the name it was given, and the methods called on it."""
    found: dict[str, tuple[re.Pattern[Any], frozenset[str]]] = {}
    seen: set[re.Pattern[Any]] = set()
    for module in modules():
        called = _calls(module)
        for name, value in vars(module).items():
            for number, pattern in enumerate(_inside(value)):
                if pattern not in seen:
                    seen.add(pattern)
                    label = f"{module.__name__}.{name}" + (f"[{number}]" if number else "")
                    found[label] = (pattern, frozenset(called[name] or {"search"}))
    return found


def _inside(value: object) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _inside(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _inside(each)


@cache
def _calls(module: ModuleType) -> dict[str, set[str]]:
    """Names of the module -> methods of patterns that its source calls on them."""
    called: dict[str, set[str]] = defaultdict(set)
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            called[node.value.id] |= {node.attr} & _METHODS.keys()
    return called


_METHODS: dict[str, Callable[[re.Pattern[Any], Any], object]] = {
    "match": lambda pattern, text: pattern.match(text),
    "fullmatch": lambda pattern, text: pattern.fullmatch(text),
    "search": lambda pattern, text: pattern.search(text),
    "sub": lambda pattern, text: pattern.sub(text[:0], text),
    "split": lambda pattern, text: pattern.split(text),
    "findall": lambda pattern, text: pattern.findall(text),
    "finditer": lambda pattern, text: list(pattern.finditer(text)),
}


def literals(pattern: re.Pattern[Any]) -> list[str]:
    """Runs of plain characters inside a pattern, the longest first."""
    runs: list[str] = [""]

    def walk(node: Any) -> None:
        if isinstance(node, tuple) and str(node[0]) == "LITERAL":
            runs[-1] += chr(node[1])
            return
        runs.append("")
        if isinstance(node, Iterable) and not isinstance(node, str):
            for each in node:
                walk(each)

    for step in _parser.parse(pattern.pattern, pattern.flags):
        walk(step)
    return sorted({run for run in runs if run}, key=len, reverse=True)


def texts(pattern: re.Pattern[Any]) -> Iterator[Callable[[int], Any]]:
    """Each makes a text of as many characters as asked for."""
    own = literals(pattern)[:12]
    begins = ["", *own[:4], "a@", "<"]

    def text(begin: str, piece: str, length: int) -> Any:
        made = (begin + piece * (length // len(piece)))[:length]
        return made.encode() if isinstance(pattern.pattern, bytes) else made

    for piece in (*PIECES, *own, *(f"{run} " for run in own), *(f"{run}a" for run in own)):
        for begin in begins:
            yield partial(text, begin, piece)


def trouble(name: str, pattern: re.Pattern[Any], methods: Iterable[str]) -> str | None:
    """The first method and text found whose time grows too fast; None for a sound pattern."""
    cut = CUT.get(name.partition("[")[0], CUT.get(name.rpartition(".")[0], LENGTH))
    for length in sorted({min(cut, 300), min(cut, 2_000), cut}):  # a bad one shows on little text
        for text in texts(pattern):
            subject = text(length)
            for method in methods:
                work = partial(_METHODS[method], pattern)
                taken = seconds(work, subject)
                if taken > SECONDS + SECONDS_A_CHARACTER * length and _grows(work, text, length):
                    return f"{method} takes too long on {length} of {subject[:40]!r}"
    return None


def _grows(work: Callable[[Any], object], text: Callable[[int], Any], length: int) -> bool:
    """Whether 16 times as much takes rather 256 times as long, as a quadratic pattern does.

    One that looks about in a window grows so up to the size of its window and is linear beyond, so
    on little text four times as much must take rather 16 than four times as long, too; what is
    worse than quadratic would not be through with that.
    """
    times = ratio(work, text(length // 16), text(length), 64.0)
    if 64.0 < times < 1_000.0 and length < LENGTH // 4:
        return ratio(work, text(length), text(4 * length), 10.0) > 10.0
    return times > 64.0


ALL = patterns()


def test_the_patterns_are_found() -> None:
    assert len(ALL) > 80
    assert ALL["ingest.html_text._TAG"][1] == {"sub"}
    assert ALL["ingest.listing._ALONE"][1] == {"fullmatch"}


@pytest.mark.parametrize("pattern", [r"a+b", r"\s*\s*\s*x", r"<.*<([^>]*)>", r"[\t ]+\r\n"])
def test_a_slow_pattern_would_be_found(pattern: str) -> None:
    assert trouble("a.pattern", re.compile(pattern), ["search"]) is not None


@pytest.mark.parametrize("name", ALL)
def test_a_pattern_is_quick_on_whatever_it_is_tried_on(name: str) -> None:
    assert trouble(name, *ALL[name]) is None
