"""`carom rules`: the rules that replies are judged by.

`check` lints a rule file and runs its examples, without any database.  An operator's file is
checked as it will run: before the shipped rules.  Exit 0 when nothing is wrong; 1 with one line a
problem on stderr; 2 for a file that is not there.

`unknown` lists what the radar saw: replies that no rule took, most frequent first, each as a rule
to fill in, so that its output can be put into a rule file as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from analysis import radar
from analysis.lookup import iso
from analysis.radar import Unknown
from analysis.rule import Rule
from analysis.rulebook import shipped
from analysis.rulecheck import check as problems_of
from analysis.rulefile import RuleError, read_rules
from analysis.rulewriting import draft
from carom.commands import ConfigOption, JsonOption
from carom.errors import CaromError, UsageError
from carom.opening import with_store
from carom.ruling import ruling
from carom.settings import load


def check(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="Your own rule file; else that of the settings, else the shipped rules."
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Lint a rule file and run its examples."""
    own = file or load(config).rules.file
    if own is not None and not own.is_file():
        raise UsageError(f"{own}: no such file; name a rule file in TOML")
    try:
        rules, after = _rules_of(own)
        problems = problems_of(rules, after)
    except RuleError as error:
        raise CaromError(str(error)) from None
    for problem in problems:
        typer.echo(str(problem), err=True)
    if problems:
        raise typer.Exit(1)
    examples = sum(len(rule.examples) for rule in rules)
    typer.echo(f"all is well: {_counted(len(rules), 'rule')}, {_counted(examples, 'example')}")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _rules_of(own: Path | None) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    if own is None:
        return shipped().rules, ()
    return tuple(read_rules(own)), shipped().rules


def unknown(
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many at most.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List replies that no rule took, most frequent first, each with a rule to fill in."""
    settings = load(config)
    rules = ruling(settings).current
    seen = with_store(
        settings, lambda store: store.read(lambda tx: radar.most_seen(tx, radar.MOST))
    )
    # what a rule has been written for since is no longer unknown
    puzzling = [one for one in seen if radar.unknown(rules.classify(one.example))][:limit]
    for one in puzzling:
        typer.echo(orjson.dumps(_object(one)).decode() if as_json else f"{_told(one)}{draft(one)}")
    if not puzzling and not as_json:
        typer.echo("# every reply was taken by some rule")


def _object(one: Unknown) -> dict[str, Any]:
    return {
        "fingerprint": one.fingerprint,
        "seen": one.seen,
        "first_at": iso(one.first_at),
        "last_at": iso(one.last_at),
        "by": [{"provider": p, "stage": stage, "seen": seen} for p, stage, seen in one.by],
        "example": str(one.example),
        "delivery_id": one.delivery_id,
        "rule": draft(one),
    }


def _told(one: Unknown) -> str:
    by = ", ".join(f"{provider} at {stage} {seen}" for provider, stage, seen in one.by[:5])
    last = f"; see `carom trace {one.delivery_id}`" if one.delivery_id else ""
    return (
        f"# seen {one.seen} times, from {iso(one.first_at)} to {iso(one.last_at)}: {by}\n"
        f"# {one.fingerprint}{last}\n"
    )
