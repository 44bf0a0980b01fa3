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
import time
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

LENGTH = 20_000
SECONDS, SECONDS_A_CHARACTER = 0.010, 5e-6
"""Of CPU, which one text may take; most take a hundredth of it."""

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


def texts(pattern: re.Pattern[Any], length: int) -> Iterator[str]:
    own = literals(pattern)[:12]
    begins = ["", *own[:4], "a@", "<"]
    for piece in (*PIECES, *own, *(f"{run} " for run in own), *(f"{run}a" for run in own)):
        for begin in begins:
            yield (begin + piece * (length // len(piece)))[:length]


def trouble(name: str, pattern: re.Pattern[Any], methods: Iterable[str]) -> str | None:
    """The first method and text found that take too long; None for a sound pattern."""
    cut = CUT.get(name.partition("[")[0], CUT.get(name.rpartition(".")[0], LENGTH))
    for length in sorted({min(cut, 300), min(cut, 2_000), cut}):  # a bad one shows on little text
        for text in texts(pattern, length):
            subject: Any = text.encode() if isinstance(pattern.pattern, bytes) else text
            for method in methods:
                seconds = _seconds(partial(_METHODS[method], pattern, subject))
                if seconds > SECONDS + SECONDS_A_CHARACTER * len(text):
                    return f"{method} takes {seconds:.3f} s on {len(text)} of {text[:40]!r}"
    return None


def _seconds(work: Callable[[], object]) -> float:
    """The better of two tries, if the first was slow: the machine may have been busy."""
    best = 1e9
    for _ in range(2):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
        if best < SECONDS:
            break
    return best


ALL = patterns()


def test_the_patterns_are_found() -> None:
    assert len(ALL) > 80
    assert ALL["ingest.mime._TAG"][1] == {"sub"}
    assert ALL["ingest.listing._ALONE"][1] == {"fullmatch"}


@pytest.mark.parametrize(
    "pattern", [r"(?:a|aa){1,9}b", r"\s*\s*\s*x", r"<.*<([^>]*)>", r"[\t ]+\r\n"]
)
def test_a_slow_pattern_would_be_found(pattern: str) -> None:
    assert trouble("a.pattern", re.compile(pattern), ["search"]) is not None


@pytest.mark.parametrize("name", ALL)
def test_a_pattern_is_quick_on_whatever_it_is_tried_on(name: str) -> None:
    assert trouble(name, *ALL[name]) is None
