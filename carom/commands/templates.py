"""`carom templates`: list, put and preview stored templates through the running service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from carom.commands import ConfigOption, JsonOption
from carom.commands.send import client_of
from carom.errors import UsageError
from carom.settings import load_with_origins

UrlOption = Annotated[str, typer.Option(help="Service; by default that of the settings.")]
NameArgument = Annotated[str, typer.Argument(help="The template's name.")]
LangOption = Annotated[str, typer.Option(help="Language, such as zh-hant; empty: everybody's.")]


def list_(url: UrlOption = "", config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the templates in use."""
    client = client_of(load_with_origins(config), url)
    found = client.get("/v1/templates?limit=500")["templates"]
    if not found:
        typer.echo("no template is stored; put one: carom templates put", err=True)
    for one in found:
        languages = ", ".join(lang or "default" for lang in one["languages"])
        shown = json.dumps(one, ensure_ascii=False)
        typer.echo(shown if as_json else f"{one['name']}@{one['version']}: {languages}")


def put(
    name: NameArgument,
    subject: Annotated[str, typer.Option(help="The subject, a template too.")],
    html: Annotated[Path | None, typer.Option(help="File with the HTML.")] = None,
    text: Annotated[Path | None, typer.Option(help="File with the text; else of the HTML.")] = None,
    lang: LangOption = "",
    note: Annotated[str, typer.Option(help="What was changed, for the audit.")] = "",
    url: UrlOption = "",
    config: ConfigOption = None,
) -> None:
    """Put a new version of a template."""
    body: dict[str, Any] = {"subject": subject, "lang": lang, "note": note}
    body |= {key: _read(file) for key, file in (("html", html), ("text", text)) if file}
    client = client_of(load_with_origins(config), url)
    made = client.put(f"/v1/templates/{quote(name, safe='')}", body)
    typer.echo(f"{made['name']}@{made['version']}")


def preview(
    name: NameArgument,
    data: Annotated[Path | None, typer.Option(help="JSON file with sample data.")] = None,
    lang: LangOption = "",
    url: UrlOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a message would look like with sample data."""
    body = {"lang": lang, "data": {} if data is None else _data(data)}
    client = client_of(load_with_origins(config), url)
    shown = client.post(f"/v1/templates/{quote(name, safe='')}/preview", body)
    if as_json:
        typer.echo(json.dumps(shown, ensure_ascii=False))
        return
    typer.echo(f"Subject: {shown['subject']}\n\n{shown['text'] or ''}")
    for one in shown["findings"]:
        typer.echo(f"{one['severity']}: {one['text']['en']}; {one['mend']['en']}", err=True)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "is not UTF-8"
        raise UsageError(f"{file}: {why}; name a file of text in UTF-8") from None


def _data(file: Path) -> Any:
    try:
        return json.loads(_read(file))
    except ValueError as error:
        raise UsageError(f"{file}: is not JSON: {error}") from None
