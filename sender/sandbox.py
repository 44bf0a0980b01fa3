"""The language of templates: Jinja2, cut down to what a message needs and cannot be hurt by.

A template is trusted with words, never with this process.  Promises: no attribute of any Python
object can be reached (a dot reads a key of the data, or one of a few harmless methods); no macro,
include, import or inheritance; only the filters and tests named here; a variable that is missing
is an error and never an empty place.  Every loop turn, filter, operator and piece of output looks
at the clock and at the sizes, so that rendering ends within `seconds` and `most` characters by
itself, without anybody to kill it: no single step can build anything large (a power, `"x" * 10**9`,
a list that holds itself twice) that would hold the interpreter's lock.

In HTML every value is escaped; there is no `safe`.  Fails with `TemplateFault` (the template or
its data, with the line) or `Missing` (what the data lack).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.runtime import Context, LoopContext, Undefined
from jinja2.sandbox import SandboxedEnvironment
from jinja2.tests import TESTS
from jinja2.utils import missing
from jinja2.visitor import NodeTransformer

from sender.template_filters import FILTERS, Refusal, text

MOST_SOURCE = 200_000
"""Characters of one part: a large newsletter is half of that."""
MOST_NODES = 20_000
MOST_DEEP = 40
"""Nested constructs: Python's compiler ends at about 100 with an error of its own."""
MOST_RANGE = 10_000
MOST_BITS = 256
"""Of a whole number that is calculated."""


class TemplateFault(ValueError):
    """The template, or what it does with this data, is wrong; `line` counts from 1."""

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.line = line


class Missing(jinja2.UndefinedError):
    """`name` was asked of `holder` (None: of the data itself) and is not there."""

    def __init__(self, holder: Any, name: Any, message: str = "") -> None:
        super().__init__(message)
        self.holder = None if holder is missing else holder
        self.name = name


class _Clock(threading.local):
    until: float | None = None  # of the rendering in this thread, by the clock it was given
    monotonic: Callable[[], float] = time.monotonic


_clock = _Clock()


def _tick() -> None:
    if _clock.until is not None and _clock.monotonic() > _clock.until:
        raise Refusal("it takes too long to render")


class _Absent(jinja2.StrictUndefined):
    """Says what was asked of whom when it is used."""

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = missing,
        name: str | None = None,
        exc: Any = None,
    ) -> None:
        del exc
        super().__init__(hint, obj, name, partial(Missing, obj, name))  # type: ignore[arg-type]


_METHODS: dict[type, frozenset[str]] = {
    dict: frozenset({"items", "keys", "values", "get"}),
    str: frozenset({"upper", "lower", "title", "strip", "startswith", "endswith"}),
    LoopContext: frozenset({
        "index", "index0", "revindex", "revindex0", "first", "last", "length", "depth",
        "previtem", "nextitem", "cycle",
    }),
}  # fmt: skip
_OPERATORS = ("+", "-", "*", "/", "//", "%", "**")


class _Sandbox(SandboxedEnvironment):
    intercepted_binops = frozenset(_OPERATORS)
    intercepted_unops = frozenset(("-", "+"))

    def __init__(self, *, html: bool) -> None:
        super().__init__(
            autoescape=html,
            undefined=_Absent,
            finalize=partial(_shown, html),
            optimized=False,
            keep_trailing_newline=True,
        )
        self.globals.clear()
        self.globals["range"] = _range
        self.filters = {name: _watched(made) for name, made in FILTERS[html].items()}
        self.filters |= {_TURNS: _turns, _FLAT: _flat}
        self.tests = {name: TESTS[name] for name in _TESTS}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        if len(source) > MOST_SOURCE:
            raise jinja2.TemplateSyntaxError(f"is longer than {MOST_SOURCE} characters", 1)
        parsed = super()._parse(source, name, filename)
        return _Guard(self).guarded(parsed)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Undefined):
            str(obj)  # raises what it lacks
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        for kind, names in _METHODS.items():
            if isinstance(obj, kind) and attribute in names:
                return getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, dict | list | tuple | str):
            try:
                return obj[argument]
            except (TypeError, LookupError):
                return self.undefined(obj=obj, name=argument)
        return self.getattr(obj, argument if isinstance(argument, str) else "")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        _tick()
        for one in (left, right):
            if isinstance(one, Undefined):
                str(one)
        if isinstance(left, str) and isinstance(right, str) and operator == "+":
            return text(left) + text(right)
        if not (isinstance(left, int | float) and isinstance(right, int | float)):
            raise Refusal(f"`{operator}` is for numbers; join text with `~`")
        if operator == "**" or max(map(_bits, (left, right))) > MOST_BITS:
            raise Refusal("the numbers are too large")
        return super().call_binop(context, operator, left, right)

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:
        if not isinstance(arg, int | float | Undefined):
            raise Refusal(f"`{operator}` is for numbers")
        return super().call_unop(context, operator, arg)


def _bits(number: float) -> int:
    return number.bit_length() if isinstance(number, int) else 0


def _shown(html: bool, value: Any) -> Any:
    """What `{{ }}` writes: words and numbers; a list or an object is a mistake."""
    _tick()
    return text(value, html=html)


def _range(*bounds: int) -> range:
    found = range(*bounds)
    if len(found) > MOST_RANGE:
        raise Refusal(f"a range of more than {MOST_RANGE} numbers")
    return found


_TURNS, _FLAT = "turns of a loop", "flat"  # names that no template can write


def _turns(values: Any) -> Iterator[Any]:
    for value in values:
        _tick()
        yield value


def _flat(values: Any) -> Any:
    """A list made in the template holds words and numbers, so that no list can hold itself twice:
    writing or comparing one that does so 60 times over would never end."""
    for one in values.values() if isinstance(values, dict) else values:
        if not isinstance(one, str | int | float | Undefined | None):
            raise Refusal("a list or object made in the template holds words and numbers only")
    return values


def _watched(function: Callable[..., Any]) -> Callable[..., Any]:
    @jinja2.pass_context  # which keeps it from being called when the template is compiled
    def run(_context: Context, value: Any, *args: Any, **named: Any) -> Any:
        _tick()
        return function(value, *args, **named)

    return run


class _Guard(NodeTransformer):
    """Refuses what is not of the language, and puts a clock into what is."""

    def __init__(self, environment: _Sandbox) -> None:
        self._environment = environment
        self._nodes = 0
        self._deep = 0

    def guarded(self, template: nodes.Template) -> nodes.Template:
        self.generic_visit(template)
        template.set_environment(self._environment)
        return template

    def visit(self, node: nodes.Node, *args: Any, **named: Any) -> Any:
        self._nodes += 1
        self._deep += 1
        if type(node) not in _ALLOWED:
            said = _CALLED.get(type(node), type(node).__name__.lower())
            raise jinja2.TemplateSyntaxError(
                f"{said} is not part of our templates", node.lineno or 1
            )
        if self._nodes > MOST_NODES or self._deep > MOST_DEEP:
            raise jinja2.TemplateSyntaxError("is too long or nested too deeply", node.lineno or 1)
        found = self.generic_visit(node, *args, **named)
        self._deep -= 1
        return _REPLACED.get(type(node), _itself)(found)


def _watched_loop(node: nodes.For) -> nodes.Node:
    if node.recursive:
        raise jinja2.TemplateSyntaxError("a recursive loop is not part of ours", node.lineno or 1)
    node.iter = _filter(node.iter, _TURNS)
    return node


def _joined(node: nodes.Concat) -> nodes.Node:
    return _filter(nodes.List(node.nodes, lineno=node.lineno), "join")


def _made(node: Any) -> nodes.Node:
    """A list or an object; a tuple may also be the names that a loop gives values to."""
    return node if getattr(node, "ctx", "load") != "load" else _filter(node, _FLAT)


def _itself(node: nodes.Node) -> nodes.Node:
    return node


def _filter(node: Any, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno or 1)


_ALLOWED = frozenset({
    nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem,
    nodes.Slice, nodes.Filter, nodes.Test, nodes.If, nodes.For, nodes.CondExpr, nodes.Compare,
    nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div,
    nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos, nodes.Concat, nodes.List, nodes.Tuple,
    nodes.Dict, nodes.Pair, nodes.Assign, nodes.With, nodes.Call, nodes.Keyword,
})  # fmt: skip
_CALLED: dict[type[nodes.Node], str] = {
    nodes.Pow: "`**`",
    nodes.FromImport: "import",
    nodes.AssignBlock: "a `set` block",
    nodes.ScopedEvalContextModifier: "`autoescape`",
}
_REPLACED: dict[type[nodes.Node], Callable[[Any], nodes.Node]] = {
    nodes.For: _watched_loop,
    nodes.Concat: _joined,
    nodes.List: _made,
    nodes.Dict: _made,
    nodes.Tuple: _made,
}
_TESTS = (
    "boolean", "defined", "divisibleby", "eq", "equalto", "even", "false", "float",
    "ge", "gt", "in", "integer", "iterable", "le", "lower", "lt", "mapping", "ne",
    "none", "number", "odd", "string", "true", "undefined", "upper",
)  # fmt: skip
_ENVIRONMENTS = {html: _Sandbox(html=html) for html in (False, True)}


@lru_cache(maxsize=128)
def compiled(source: str, *, html: bool) -> jinja2.Template:
    """A template ready to render; raises `TemplateFault`."""
    try:
        return _ENVIRONMENTS[html].from_string(source)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateFault(error.message or "cannot be read", error.lineno) from error
    except (RecursionError, MemoryError, SyntaxError, ValueError, Refusal) as error:
        # the parser and Python's compiler end so where nesting or a number is beyond them
        raise TemplateFault("is nested too deeply or cannot be compiled") from error


def render(
    source: str,
    data: Mapping[str, Any],
    *,
    html: bool,
    until: float,
    most: int,
    monotonic: Callable[[], float] = time.monotonic,
) -> str:
    """The text of a template, by the time `until` of the clock at the latest."""
    template = compiled(source, html=html)
    _clock.until, _clock.monotonic = until, monotonic
    try:
        return _gathered(template.generate(dict(data)), most)
    except Missing:
        raise
    except (
        Refusal, jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError,
        AttributeError, RecursionError, MemoryError,
    ) as error:  # fmt: skip
        # whatever a template can make of its data is the template's fault, in these words
        raise TemplateFault(_words(error), _line(error)) from error
    finally:
        _clock.until = None


def _gathered(pieces: Iterator[str], most: int) -> str:
    found: list[str] = []
    size = 0
    for piece in pieces:
        _tick()
        size += len(piece)
        if size > most:
            raise Refusal(f"becomes longer than {most} characters")
        found.append(piece)
    return "".join(found)


def _words(error: Exception) -> str:
    said = " ".join(str(error).split())[:200]
    return said or "cannot be rendered with these data"


def _line(error: Exception) -> int | None:
    """Where in the template it happened: Jinja rewrites the traceback to say so."""
    trace, line = error.__traceback__, None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
