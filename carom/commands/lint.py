"""`carom lint FILE.eml`: what the lint finds in a ready message, without sending it.

Works without a running service.  Exit 1 where there is an error among the findings.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from carom.commands import ConfigOption, JsonOption
from carom.content import facts
from carom.errors import UsageError
from carom.settings import load
from sender.compliance import Standing, check
from sender.compliance_findings import ERROR, TEXTS, Finding
from sender.lint_api import letter_of


def lint(
    file: Annotated[Path, typer.Argument(help="A ready RFC 5322 message.")],
    stream: Annotated[str, typer.Option(help="The stream it would go by.")] = "default",
    class_: Annotated[
        str | None, typer.Option("--class", help="otp, transactional or bulk.")
    ] = None,
    lang: Annotated[str, typer.Option(help="en or zh.")] = "en",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Say what receivers would hold against a message."""
    settings = load(config)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}; name a message in a file") from None
    given = settings.streams.get(stream)
    usual = given.class_.value if given else "transactional"
    now = time.time()
    standing = Standing(stream, class_ or usual, now)
    found = check(letter_of(content, now), facts(settings), standing)
    for one in found:
        typer.echo(json.dumps(one.view(), ensure_ascii=False) if as_json else _line(one, lang))
    if not found and not as_json:
        typer.echo("没有发现问题" if lang == "zh" else "nothing was found")
    return 1 if any(one.severity == ERROR for one in found) else 0


def _line(one: Finding, lang: str) -> str:
    told = TEXTS[one.code]
    said, mend = (told.zh, told.mend_zh) if lang == "zh" else (told.en, told.mend_en)
    example = f" ({one.example})" if one.example else ""
    return f"{one.severity} {one.code}: {said}{example}; {mend}"
