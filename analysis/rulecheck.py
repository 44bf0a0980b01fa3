"""Lint of rules: what would make a rule file say something else than its author means.

Owns no judgement of its own: it asks the rulebook about every rule's examples and RE2 about every
pattern.  Found are rules that can never decide, examples that another rule takes or that come out
otherwise than stated, names given twice, and patterns that take everything, run on every reply or
grow too large.  What cannot even be read is `RuleError` of `analysis.rulefile`, not a problem here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import re2

from analysis.rule import Example, Rule
from analysis.rulebook import Rulebook, joined, pattern_options

MAX_PROGRAM = 5_000
"""RE2 instructions of one rule; beyond it a rule should be split.  Shipped rules stay below."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend."""

    rule: str  # the rule's id
    text: str  # what is wrong and the mend, one line

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}"


def check(rules: Sequence[Rule], after: Sequence[Rule] = ()) -> list[Problem]:
    """Problems of `rules`, which stand before `after` (an operator's own before the shipped ones).

    The rules of `after` are taken as right.  Raises `RuleError` for a pattern RE2 does not take.
    """
    book = Rulebook((*rules, *after))
    found: list[Problem] = []
    for number, rule in enumerate(rules):
        earlier = rules[:number]
        complaints = (*_named_twice(rule, earlier), *_patterns(rule), *_reach(rule, earlier))
        found += [Problem(rule.id, text) for text in (*complaints, *_examples(rule, book))]
    return found


def _named_twice(rule: Rule, earlier: Sequence[Rule]) -> Iterator[str]:
    if any(other.id == rule.id for other in earlier):
        yield "the name is given twice; rename one"


def _patterns(rule: Rule) -> Iterator[str]:
    if not rule.patterns:
        if not rule.conditional:
            yield "neither a pattern nor a condition: it would take every reply; add one"
        return
    options = pattern_options()
    for pattern in rule.patterns:
        if re2.compile(pattern, options).search("") is not None:
            yield f"pattern {pattern!r} fits an empty text, so it takes every reply; ask for a word"
    if re2.compile(joined(rule.patterns), options).programsize > MAX_PROGRAM:
        yield f"patterns are too large (over {MAX_PROGRAM} RE2 instructions); split the rule"
    if _always_run(rule):
        yield "slow: a pattern has no fixed word, so it runs on every reply; give it one"


def _always_run(rule: Rule) -> bool:
    """Whether RE2's filter finds no literal text that must be there."""
    alone = re2.Filter()
    alone.Add(joined(rule.patterns), pattern_options())
    alone.Compile()
    return bool(alone.Match("", potential=True))


def _reach(rule: Rule, earlier: Sequence[Rule]) -> Iterator[str]:
    for other in earlier:
        if other.last_resort == rule.last_resort and _covers(other, rule):
            yield f"unreachable: {other.id}, which stands before it, takes all that it would"
            return


def _covers(earlier: Rule, later: Rule) -> bool:
    """Whether every reply the later rule takes is surely taken by the earlier one."""
    return (
        _wider(earlier.codes, later.codes)
        and _wider(earlier.enhanced, later.enhanced)
        and (not earlier.stages or (bool(later.stages) and later.stages <= earlier.stages))
        and (
            not earlier.providers
            or (bool(later.providers) and later.providers <= earlier.providers)
        )
        and _takes_texts(earlier, later)
    )


def _wider(earlier: tuple[str, ...], later: tuple[str, ...]) -> bool:
    return not earlier or (bool(later) and all(item.startswith(earlier) for item in later))


def _takes_texts(earlier: Rule, later: Rule) -> bool:
    if not earlier.patterns:
        return True
    if not later.patterns:
        return False
    finder = re2.compile(joined(earlier.patterns), pattern_options())
    return all(
        pattern in earlier.patterns or (_literal(pattern) and finder.search(pattern) is not None)
        for pattern in later.patterns
    )


def _literal(pattern: str) -> bool:
    return not set(pattern) & set(r"\.^$|?*+()[]{}")


def _examples(rule: Rule, book: Rulebook) -> Iterator[str]:
    if not rule.examples:
        yield "has no example; add the wording it was made for"
    for example in rule.examples:
        verdict = book.classify(example.reply)
        if verdict.rule != rule.id:
            yield f"{_quoted(example)} is taken by {verdict.rule}; sharpen one of them"
        else:
            yield from _stated(example, verdict.severity.value, verdict.suppress)


def _stated(example: Example, severity: str, suppress: bool) -> Iterator[str]:
    if example.severity is not None and example.severity.value != severity:
        yield f"{_quoted(example)} is {severity}, not {example.severity.value} as stated"
    if example.suppress is not None and example.suppress is not suppress:
        yield f"{_quoted(example)} gives suppress = {str(suppress).lower()}, not as stated"


def _quoted(example: Example) -> str:
    return f"example {str(example.reply)!r}"
