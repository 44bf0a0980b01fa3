"""The rulebook: what a reply means.

Three steps, each asked only where the one before has no answer:

1. The ordered rules, first match first.  One pass over the text finds the words that any pattern
   needs (an RE2 filter); of the rules whose words are there, each is asked in turn until one fits,
   its codes before its pattern, in time linear in the text's length.  A single automaton of all
   patterns was faster on known replies and a hundred times slower on new ones.
2. The enhanced status code (RFC 3463), with less confidence, since codes lie.
3. The rules of last resort: the SMTP code and how far the session had come.

What nothing takes is `UNKNOWN`, which is temporary and never suppresses.  A temporary reply makes
no verdict lasting, whatever its words: only what a remote system says for good is held against an
address.  A `Rulebook` is immutable and may be shared between threads; loading raises `RuleError`,
classifying raises nothing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import re2

from analysis.enhanced import meaning
from analysis.reply import Reply
from analysis.rule import USUAL, Rule
from analysis.rulefile import RuleError, read_rules
from analysis.verdict import UNKNOWN, Category, Severity, Verdict

PATTERN_MEMORY = 4 << 20
"""Bytes one rule's automaton may grow to; past it RE2 forgets states and goes on, slower."""

_AGREEMENT = 0.07
"""What the enhanced code adds to a text rule's confidence where both say the same."""

# ASCII alone: in Chinese and Japanese the words begin where the address ends, without a blank
_ADDRESS = re.compile(r"(?<![\w.+=~-])[\w.+=~-]++@[\w.-]*+", re.ASCII)
_WRAPPER = re.compile(
    r"[\S ]{0,12}recipient address rejected: (?!access denied)(?=[\w\"'<])", re.IGNORECASE
)
"""What Postfix writes before the reason that a table or a policy server of its operator gave."""
_QUOTES_AFTER = "error that the other server returned was:"
_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u02bc": "'", "`": "'", "\u00a0": " "})


def searchable(text: str) -> str:
    """The text as patterns see it: addresses read `@`, apostrophes are straight, blanks single.

    A mailbox called `spam` or a domain called `quota.example` must not decide anything, nor may
    what Gmail writes before the other server's words.
    """
    _, quoted, words = text.partition(_QUOTES_AFTER)
    text = words if quoted else text
    if "@" in text:
        text = _ADDRESS.sub("@", text)
    if not text.isascii() or "`" in text:
        text = text.translate(_QUOTES)
    return " ".join(text.split()) if "  " in text or "\n" in text or "\t" in text else text


def pattern_options() -> re2.Options:
    """How every pattern of a rule is compiled."""
    options = re2.Options()
    options.case_sensitive = False
    options.dot_nl = True
    options.log_errors = False
    options.max_mem = PATTERN_MEMORY
    return options


def joined(patterns: Sequence[str]) -> str:
    """One pattern that finds any of these."""
    return "|".join(f"(?:{pattern})" for pattern in patterns)


@dataclass(frozen=True, slots=True)
class _Question:
    """One rule as it is asked: what is always so is not asked again."""

    rule: Rule
    conditional: bool
    pattern: re2._Regexp[str] | None  # None: any text fits

    def takes(self, reply: Reply, encoded: bytes) -> bool:
        if self.conditional and not self.rule.applies(reply):
            return False
        return self.pattern is None or self.pattern.search(encoded) is not None


class _Chapter:
    """Rules that are asked together, and the filter that finds which of them may fit a text."""

    __slots__ = ("_filter", "_numbers", "_questions", "_silent")

    def __init__(self, rules: Iterable[Rule]) -> None:
        rules = tuple(rules)
        self._numbers = tuple(n for n, rule in enumerate(rules) if rule.patterns)
        self._silent = tuple(n for n, rule in enumerate(rules) if not rule.patterns)
        self._filter = re2.Filter() if self._numbers else None
        patterns: dict[int, re2._Regexp[str]] = {}
        if self._filter is not None:
            options = pattern_options()
            for number in self._numbers:
                _add(self._filter, rules[number], options)
            self._filter.Compile()
            patterns = {number: self._filter.re(n) for n, number in enumerate(self._numbers)}
        self._questions = tuple(
            _Question(rule, rule.conditional, patterns.get(n)) for n, rule in enumerate(rules)
        )

    def takers(self, reply: Reply, text: str) -> Iterator[Rule]:
        """The rules that take the reply, in order; no pattern is run before it is asked for."""
        encoded = text.encode()
        hits = self._filter.Match(encoded, True) if self._filter is not None else None
        for number in sorted([*(self._numbers[n] for n in hits or ()), *self._silent]):
            question = self._questions[number]
            if question.takes(reply, encoded):
                yield question.rule


def _add(patterns: re2.Filter, rule: Rule, options: re2.Options) -> None:
    try:
        patterns.Add(joined(rule.patterns), options)
    except re2.error as error:
        raise RuleError(f"rule {rule.id}: not an RE2 pattern: {joined(rule.patterns)}") from error


class Rulebook:
    """Compiled rules, the first that fits decides.

    `Rulebook.load([operator_file, *shipped_files()])`: an operator's own go before the shipped.
    """

    __slots__ = ("_first", "_last", "rules")

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._first = _Chapter(rule for rule in self.rules if not rule.last_resort)
        self._last = _Chapter(rule for rule in self.rules if rule.last_resort)

    def __reduce__(self) -> tuple[type[Rulebook], tuple[tuple[Rule, ...]]]:
        """Goes to another process as its rules, and is compiled anew there."""
        return (Rulebook, (self.rules,))

    @classmethod
    def load(cls, paths: Iterable[Path]) -> Rulebook:
        """Read and compile files, the first file's rules first; `RuleError` names what is wrong."""
        return cls(rule for path in paths for rule in read_rules(path))

    def classify(self, reply: Reply) -> Verdict:
        """What the reply means."""
        text = searchable(reply.text)
        for words in _wordings(text):
            for rule in self._first.takers(reply, words):
                return rule.verdict(reply, lasting=_lasting(reply), confidence=_sure(rule, reply))
        if (verdict := by_enhanced(reply)) is not None:
            return verdict
        for rule in self._last.takers(reply, text):
            return rule.verdict(reply, lasting=_lasting(reply), confidence=rule.confidence)
        return _unknown(reply)

    def takers(self, reply: Reply) -> list[str]:
        """The ids of every rule that would take the reply, in order: for looking into a verdict."""
        text = searchable(reply.text)
        asked = [(self._first, words) for words in _wordings(text)] + [(self._last, text)]
        takers = (rule.id for part, words in asked for rule in part.takers(reply, words))
        return list(dict.fromkeys(takers))


def _wordings(text: str) -> tuple[str, ...]:
    """The reason alone where a wrapper stands before it, then the whole."""
    wrapped = _WRAPPER.match(text)
    return (text,) if wrapped is None else (text[wrapped.end() :], text)


def _lasting(reply: Reply) -> bool:
    """Whether the reply may be held to be for good: the code says so, or nothing says otherwise."""
    if reply.code is not None:
        return reply.code >= 500
    return reply.enhanced is None or not reply.enhanced.startswith("4")


def _sure(rule: Rule, reply: Reply) -> float:
    known = meaning(reply.enhanced) if reply.enhanced else None
    if known is not None and known.category is rule.category:
        return min(0.99, round(rule.confidence + _AGREEMENT, 2))
    return rule.confidence


def by_enhanced(reply: Reply) -> Verdict | None:
    """What the enhanced status code alone says; None where it says nothing of use."""
    if reply.enhanced is None or (known := meaning(reply.enhanced)) is None:
        return None
    if known.category is Category.UNKNOWN:
        return None
    usual = USUAL[known.category]
    lasting = _lasting(reply) and reply.enhanced.startswith("5")
    hard = usual.severity is Severity.HARD and lasting
    return Verdict(
        known.category,
        usual.fault,
        usual.severity if lasting else Severity.SOFT,
        usual.suppress and hard and known.suppress,
        f"enhanced/{reply.enhanced}",
        str(reply),
        known.confidence,
    )


def _unknown(reply: Reply) -> Verdict:
    return Verdict(
        UNKNOWN.category, UNKNOWN.fault, UNKNOWN.severity, False, UNKNOWN.rule, str(reply), 0.0
    )


def shipped_files() -> list[Path]:
    """The rule files that come with Carom, in the order of their numbers."""
    return sorted(Path(__file__).with_name("rules").glob("*.toml"))


@functools.cache
def shipped() -> Rulebook:
    """The rules that come with Carom, compiled once."""
    return Rulebook.load(shipped_files())
