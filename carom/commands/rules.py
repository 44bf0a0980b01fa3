"""`carom rules check`: lints a rule file and runs its examples, without any database.

An operator's file is checked as it will run: before the shipped rules.  Exit 0 when nothing is
wrong; 1 with one line a problem on stderr; 2 for a file that is not there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analysis.rulebook import shipped
from analysis.rulecheck import check as problems_of
from analysis.rulefile import Rule, RuleError, read_rules
from carom.errors import CaromError, UsageError


def check(
    file: Annotated[
        Path | None, typer.Argument(help="Your own rule file; without it, the shipped rules.")
    ] = None,
) -> None:
    """Lint a rule file and run its examples."""
    if file is not None and not file.is_file():
        raise UsageError(f"{file}: no such file; name a rule file in TOML")
    try:
        rules, after = _rules_of(file)
        problems = problems_of(rules, after)
    except RuleError as error:
        raise CaromError(str(error)) from None
    for problem in problems:
        typer.echo(str(problem), err=True)
    if problems:
        raise typer.Exit(1)
    examples = sum(len(rule.examples) for rule in rules)
    typer.echo(f"{len(rules)} rules and {examples} examples are well")


def _rules_of(file: Path | None) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    if file is None:
        return shipped().rules, ()
    return tuple(read_rules(file)), shipped().rules
