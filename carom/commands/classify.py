"""`carom classify`: what Carom makes of mail or of SMTP replies, without any database.

Prints one object a line with `--json` (the contract's shapes), a table otherwise; files in sorted
path order, directories read recursively.  Every file and every reply gets its line: what cannot be
read says why in `error`, as does what a directory holds beside files, such as a pipe, which would
be waited for.  Exit 0 when all was read, whatever it means; 2 for wrong usage.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table

from analysis.advice import advise
from analysis.facts import Kind, Reading, ReportedRecipient
from analysis.reply import Reply
from analysis.rulebook import Rulebook
from analysis.rulefile import RuleError
from analysis.rulesource import with_own
from analysis.verdict import Verdict
from carom.commands import ConfigOption, JsonOption
from carom.errors import UsageError
from carom.paper import paper
from carom.ruling import ruling
from carom.settings import load
from ingest.mime import MAX_BYTES
from ingest.parse import read_mail

AUDIENCE = "support"
LANGUAGES = ("en", "zh")
PIPE_WIDTH = 200
"""Columns of the table where no terminal says how wide it is."""
ROOMY = 110
"""Columns of a terminal that has room for the rule, too."""


def classify(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files of one message each, or directories.")
    ] = None,
    reply: Annotated[str | None, typer.Option(help="One SMTP reply.")] = None,
    replies: Annotated[
        Path | None, typer.Option(help="A file of SMTP replies, one a line.")
    ] = None,
    rules: Annotated[
        Path | None, typer.Option(help="Your own rule file; else that of the settings.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what mail or SMTP replies mean: kind, cause, whose fault, whether it lasts."""
    given = [bool(paths), reply is not None, replies is not None]
    if sum(given) != 1:
        raise UsageError("name files or directories, or give --reply or --replies")
    rulebook = _rulebook(rules, config)
    if paths:
        _write(_of_files(paths, rulebook), as_json, _MAIL_COLUMNS)
    elif reply is not None and not as_json:
        _tell(next(_of_replies([reply], rulebook)))
    else:
        lines = [reply] if reply is not None else _lines_of(replies)
        _write(_of_replies(lines, rulebook), as_json, _REPLY_COLUMNS)


def _rulebook(rules: Path | None, config: Path | None) -> Rulebook:
    if rules is None:
        return ruling(load(config)).current
    try:
        return with_own(rules)
    except RuleError as error:
        raise UsageError(str(error)) from None


_MAIL_COLUMNS = ("file", "kind", "address", "category", "fault", "severity", "evidence")
_REPLY_COLUMNS = ("category", "fault", "severity", "suppress", "rule", "reply")


def _of_files(paths: list[Path], rulebook: Rulebook) -> Iterator[dict[str, Any]]:
    named = set(paths)
    for path in _files(paths):
        try:
            if path not in named and path.exists() and not path.is_file():
                reading = Reading(Kind.NORMAL, error="is no file")
            else:
                with path.open("rb") as file:
                    reading = read_mail(file.read(MAX_BYTES + 1), rulebook)
        except OSError as trouble:
            reading = Reading(Kind.NORMAL, error=f"cannot be opened: {trouble.strerror}")
        yield describe(_text(str(path)), reading)


def _text(given: str) -> str:
    """What the system gave us as octets, which may be no UTF-8."""
    return given.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in sorted(paths):
        if not path.exists():
            raise UsageError(f"{path} does not exist; name a file or a directory")
        yield from _below(path) if path.is_dir() else [path]


def _below(folder: Path) -> list[Path]:
    return sorted(
        Path(root, name) for root, _, names in os.walk(folder) for name in names if name[0] != "."
    )


def _lines_of(file: Path | None) -> list[str]:
    assert file is not None
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as trouble:
        raise UsageError(f"{file} cannot be opened: {trouble.strerror}") from trouble
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines[:-1] if lines[-1] == "" else lines


def _of_replies(lines: list[str], rulebook: Rulebook) -> Iterator[dict[str, Any]]:
    for line in lines:
        verdict = rulebook.classify(Reply.read(line))
        yield {"reply": _text(line), **_judgement(verdict)}


def describe(name: str, reading: Reading) -> dict[str, Any]:
    """The contract's object for one message."""
    return {
        "file": name,
        "kind": reading.kind,
        "feedback_type": reading.feedback_type,
        "token": reading.token,
        "error": reading.error,
        "recipients": [_recipient(recipient) for recipient in reading.recipients],
    }


def _recipient(recipient: ReportedRecipient) -> dict[str, Any]:
    return {
        "address": recipient.address,
        "original": recipient.original,
        "action": recipient.action,
        "status": recipient.status,
        "reply_code": recipient.reply_code,
        **_judgement(recipient.verdict),
    }


def _judgement(verdict: Verdict) -> dict[str, Any]:
    return {
        "category": verdict.category,
        "fault": verdict.fault,
        "severity": verdict.severity,
        "suppress": verdict.suppress,
        "rule": verdict.rule,
        "evidence": verdict.evidence,
        "confidence": verdict.confidence,
        "advice": {lang: advise(verdict.category, AUDIENCE, lang) for lang in LANGUAGES},
    }


def _write(rows: Iterator[dict[str, Any]], as_json: bool, columns: tuple[str, ...]) -> None:
    if not as_json:
        _table(rows, columns)
        return
    out = sys.stdout.buffer
    for row in rows:
        out.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    out.flush()


def _tell(judged: dict[str, Any]) -> None:
    """One reply, for people."""
    held = "it suppresses" if judged["suppress"] else "it suppresses nobody"
    typer.echo(f"{judged['category']}: fault {judged['fault']}, {judged['severity']}; {held}")
    typer.echo(f"  rule: {judged['rule']}, confidence {judged['confidence']:g}")
    typer.echo(f"  for support: {judged['advice']['en']}")


def _table(rows: Iterator[dict[str, Any]], columns: tuple[str, ...]) -> None:
    console = paper()
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    elif console.width < ROOMY:
        columns = tuple(column for column in columns if column != "rule")
    table = Table(box=None)
    for column in columns:  # only the words of the last one give way
        table.add_column(column, no_wrap=column != columns[-1], overflow="fold")
    for row in rows:
        for recipient in row.get("recipients") or [{}]:
            cells = {**row, **recipient, "evidence": str(recipient.get("evidence", ""))[:120]}
            cells["evidence"] = row.get("error") or cells["evidence"]
            table.add_row(*(_cell(cells.get(column)) for column in columns))
    console.print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    shown = "".join(c if c.isprintable() else "?" for c in str(value))  # names of files are free
    return shown.replace("[", r"\[")
