"""`carom doctor`: every check for real, what was seen, why it matters, and the mend."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from analysis.store import open_store
from carom import setup
from carom.commands import ConfigOption, JsonOption
from carom.errors import SettingsError, UsageError
from carom.examining import Findings, examination
from carom.paper import paper
from carom.settings import Loaded, load_with_origins
from sender.doctor.finding import Finding, Language, State, as_json, checks, title, worst

_STYLES = {
    State.OK: ("✓", "green"),
    State.WARNING: ("!", "yellow"),
    State.UNKNOWN: ("?", "cyan"),
    State.FAILURE: ("✗", "bold red"),
}


def doctor(
    domain: Annotated[
        str, typer.Argument(metavar="[DOMAIN]", help="Of From; else all of the settings.")
    ] = "",
    language: Annotated[str, typer.Option("--language", help="en or zh.")] = "en",
    config: ConfigOption = None,
    as_json_: JsonOption = False,
) -> int:
    """Check DNS, ports, keys and this machine for real; exit code 1 on a failure."""
    if language not in ("en", "zh"):
        raise UsageError(f"--language {language}: expected en or zh")
    loaded = load_with_origins(config)
    if not loaded.settings.ingest.domain:
        raise SettingsError("[ingest] domain: is not set; `carom init` writes a set-up with it")
    domain = setup.ascii_domain("DOMAIN", domain) if domain else ""
    if as_json_:
        findings = asyncio.run(_examined(loaded, domain, None))
        for finding in _all(findings):
            typer.echo(json.dumps(as_json(finding), ensure_ascii=False))
    else:
        findings = _watched(loaded, domain)
        show(paper(highlight=False), findings, "zh" if language == "zh" else "en")
    return 1 if worst(_all(findings)) is State.FAILURE else 0


async def _examined(loaded: Loaded, domain: str, progress: Progress | None) -> Findings:
    store = open_store(loaded.settings.database.url)
    task = progress.add_task("examining", total=len(checks())) if progress else None

    def told(check: str, _findings: Sequence[Finding]) -> None:
        if progress is not None and task is not None:
            progress.update(task, advance=1, description=title(check))

    try:
        return await examination(loaded.settings, store, file=loaded.file, domain=domain, told=told)
    finally:
        await store.close()


def _watched(loaded: Loaded, domain: str) -> Findings:
    bar = (TextColumn("{task.description:30}"), BarColumn(), MofNCompleteColumn())
    screen = paper(stderr=True)
    with Progress(*bar, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        return asyncio.run(_examined(loaded, domain, progress))


def show(console: Console, findings: Findings, language: Language) -> None:
    """The checks as a table, what is amiss with its mend below, and a line that sums up."""
    table = Table(box=None, show_header=False, padding=(0, 1))
    for check, those in findings.items():
        mark, style = _STYLES[worst(those)]
        first = Text("\n").join(_seen(one, language) for one in those)
        table.add_row(Text(mark, style), Text(title(check, language), "bold"), first)
    console.print(table)
    for check, those in findings.items():
        if amiss := [one for one in those if one.mend(language)]:
            _tell(console, check, amiss, language)
    console.print(_summary(findings))


def _seen(finding: Finding, language: Language) -> Text:
    mark, style = _STYLES[finding.state]
    return Text(f"{mark} ", style).append(finding.seen(language), "default not bold")


def _tell(console: Console, check: str, amiss: Sequence[Finding], language: Language) -> None:
    """Why it matters, once; then each finding with its mend."""
    console.print()
    console.print(Text(title(check, language), "bold"))
    console.print(Text(amiss[0].why(language), "dim"))
    for finding in amiss:
        console.print(_seen(finding, language))
        # not wrapped: it is there to be copied
        console.print(Text(f"  → {finding.mend(language)}"), soft_wrap=True)


def _summary(findings: Findings) -> Text:
    states = [worst(those) for those in findings.values()]
    told = [f"{states.count(state)} {state.value}" for state in _STYLES]
    return Text(f"\n{len(states)} checks: {', '.join(told)}", "bold")


def _all(findings: Findings) -> list[Finding]:
    return [finding for those in findings.values() for finding in those]
