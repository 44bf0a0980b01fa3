"""`carom replay`: read stored reports and final replies again with today's rules.

Shows what would change, in plain words, and changes it with `--apply`.  Safe beside a running
service, safe to interrupt, and without effect the second time.  Exit 0 whatever it finds: a
difference is news, not a failure; 1 if something could not be entered.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

from analysis.amends import Change, Effect, Judged, named
from analysis.lookup import iso
from analysis.store import Store
from carom.commands import ConfigOption, JsonOption
from carom.errors import UsageError
from carom.ids import ids
from carom.opening import with_store
from carom.paper import paper
from carom.ruling import ruling
from carom.settings import Settings, load
from carom.settings.keyfiles import token_keys
from carom.settings.units import parse_duration
from ingest.parse import read_mail
from ingest.replay import Replay
from sender.tokens import Token, Tokens


def replay(
    since: Annotated[
        str | None,
        typer.Option(
            metavar="T", help="A date or time (ISO 8601, UTC) or how long ago (7d); else all."
        ),
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Change it.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read stored reports again with today's rules; show, or apply, what changes."""
    settings = load(config)
    start = 0.0 if since is None else moment(since, time.time())
    telling = _Telling(apply, as_json)
    with_store(settings, lambda store: _run(store, settings, start, telling))
    telling.sum_up()
    if telling.failures:
        raise typer.Exit(1)


def moment(text: str, now: float) -> float:
    """Unix seconds of `2026-11-01`, `2026-11-01T12:00:00Z` or `7d`, that long before `now`."""
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--since {text}: expected a date or time such as 2026-11-01T12:00, or a duration, 7d"
        ) from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


async def _run(store: Store, settings: Settings, since: float, telling: _Telling) -> None:
    work = _replay(store, settings, apply=telling.apply)
    with telling.bar as bar:
        task = bar.add_task("", total=await work.size(since)) if bar else None
        async for step in work.run(since):
            telling.done += step.done
            for change in step.changes:
                telling.tell(change)
            for failure in step.failures:
                telling.fail(failure)
            if bar and task is not None:
                bar.advance(task, step.done)


def _replay(store: Store, settings: Settings, *, apply: bool) -> Replay:
    rules = ruling(settings).current
    tokens = Tokens(token_keys(settings.tokens))

    def owner_of(local_part: str, at: float) -> str | None:
        found = tokens.read_return_path(local_part, at)
        return found.subject_id if isinstance(found, Token) else None

    return Replay(
        store,
        read=lambda raw: read_mail(raw, rules),
        judge=rules.classify,
        owner_of=owner_of,
        limits=settings.suppression_limits(),
        clock=time.time,
        new_id=ids(),
        apply=apply,
    )


class _Telling:
    """What is told on the way, and the sums at the end."""

    def __init__(self, apply: bool, as_json: bool) -> None:
        self.apply = apply
        self.done = 0
        self.failures = 0
        self._as_json = as_json
        self._verdicts: Counter[tuple[str, str]] = Counter()
        self._effects: Counter[str] = Counter()
        self.bar = _bar()

    def tell(self, change: Change) -> None:
        if change.old is None or change.new is None or named(change.old) != named(change.new):
            self._verdicts[named(change.old), named(change.new)] += 1
        self._effects.update(_kind_of(effect) for effect in change.effects)
        if self._as_json:
            typer.echo(orjson.dumps(_object(change, self.apply)).decode())
            return
        for effect in change.effects:
            typer.echo(in_words(change, effect, done=self.apply))

    def fail(self, failure: str) -> None:
        self.failures += 1
        typer.echo(f"cannot be entered: {failure}", err=True)

    def sum_up(self) -> None:
        if self._as_json:
            typer.echo(orjson.dumps(self._sums()).decode())
            return
        for (old, new), count in self._verdicts.most_common():
            typer.echo(f"{count:7}  {old} -> {new}")
        effects = ", ".join(f"{count} {what}" for what, count in self._effects.most_common())
        typer.echo(f"{self.done} reports and replies read; {self._did()}: {effects or 'nothing'}")
        if self._effects and not self.apply:
            typer.echo("carom replay --apply changes it")

    def _did(self) -> str:
        return "changed" if self.apply else "would change"

    def _sums(self) -> dict[str, Any]:
        verdicts = [
            {"old": old, "new": new, "count": count}
            for (old, new), count in self._verdicts.most_common()
        ]
        return {
            "type": "summary",
            "applied": self.apply,
            "read": self.done,
            "failures": self.failures,
            "verdicts": verdicts,
            "effects": dict(self._effects),
        }


def _bar() -> AbstractContextManager[Progress | None]:
    console = paper(stderr=True)
    if not console.is_terminal:
        return nullcontext()
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)


def _kind_of(effect: Effect) -> str:
    return f"to {effect.to}" if effect.what == "state" else effect.what


def in_words(change: Change, effect: Effect, *, done: bool) -> str:
    """One line for people: who, what was, what is, what follows."""
    who = change.recipient or (effect.entry and effect.entry.address) or "an erased address"
    today = f"today's rules say {named(change.new)}"
    is_, will = ("is", "") if done else ("would be", "would be ")
    entry = effect.entry
    if effect.what == "lifted" and entry is not None:
        by = f" by rule {entry.rule}" if entry.rule else ""
        was = f"suppressed since {iso(entry.since)}{by} ({entry.reason})"
        return f"{who}: {was}; {today}: the suppression {is_} lifted"
    if effect.what == "suppressed" and entry is not None:
        until = f" until {iso(entry.until)}" if entry.until else ""
        return f"{who}: was taken for {named(change.old)}; {today}: {will}suppressed{until}"
    return f"{who}: delivery {change.delivery_id}; {today}: {effect.before} -> {effect.to}"


def _object(change: Change, applied: bool) -> dict[str, Any]:
    return {
        "type": "change",
        "applied": applied,
        "at": iso(change.at),
        "source": change.source,
        "raw_id": change.raw_id,
        "delivery_id": change.delivery_id,
        "recipient": change.recipient,
        "old": _judged(change.old),
        "new": _judged(change.new),
        "effects": [_effect(effect) for effect in change.effects],
    }


def _judged(judged: Judged | None) -> dict[str, Any] | None:
    if judged is None:
        return None
    return {name: getattr(judged, name) for name in judged.__slots__}


def _effect(effect: Effect) -> dict[str, Any]:
    entry = effect.entry
    if entry is None:
        return {"what": "state", "before": effect.before, "to": effect.to}
    return {
        "what": effect.what,
        "reason": effect.to,
        "address": entry.address,
        "stream": entry.stream,
        "since": iso(entry.since),
        "rule": entry.rule,
    }
