"""The command line: a table of commands, of which only the one asked for is imported.

An entry leads to a function, `module:function`, under one word or two (`rules check`: the first one
stands in `GROUPS`), or to a whole group made by `carom.commands.group`, `module:app`.  The one-line
help stands here too, so that `carom --help` imports no command.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from carom import __version__
from carom.commands import Plain, group

_IN = "carom.commands."

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": (f"{_IN}demo:demo", "See it work: everything in one process, real SMTP on loopback."),
    "init": (f"{_IN}init:init", "Set up: settings, keys, and the DNS records to publish."),
    "dns": (f"{_IN}dns:dns", "The DNS records to publish."),
    "doctor": (f"{_IN}doctor:doctor", "Check DNS, ports, keys and this machine for real."),
    "serve": (f"{_IN}serve:serve", "Run the service, or some of its roles."),
    "send": (f"{_IN}send:send", "Submit a message through the running service."),
    "classify": (f"{_IN}classify:classify", "What Carom makes of mail or of SMTP replies."),
    "suppression check": (f"{_IN}suppression:check", "May this address be written to?"),
    "suppression add": (f"{_IN}suppression:add", "Put an address on the list."),
    "suppression remove": (f"{_IN}suppression:remove", "Take an address off the list."),
    "suppression list": (f"{_IN}suppression:list_", "List entries."),
    "suppression import": (f"{_IN}suppression:import_", "Put many addresses on the list."),
    "suppression export": (f"{_IN}suppression:export", "Write the whole list."),
    "incidents list": (f"{_IN}incidents:list_", "Trouble with receivers, and what to do."),
    "incidents show": (f"{_IN}incidents:show", "One incident with its evidence."),
    "incidents release": (f"{_IN}incidents:release", "Suppress what the breaker held back."),
    "incidents drop": (f"{_IN}incidents:drop", "Forget what the breaker held back."),
    "incidents close": (f"{_IN}incidents:close", "End an incident by hand."),
    "lint": (f"{_IN}lint:lint", "What receivers would hold against a message."),
    "templates list": (f"{_IN}templates:list_", "List the templates in use."),
    "templates put": (f"{_IN}templates:put", "Put a new version of a template."),
    "templates preview": (f"{_IN}templates:preview", "A template with sample data."),
    "replay": (f"{_IN}replay:replay", "Read stored reports again with today's rules."),
    "rules check": (f"{_IN}rules:check", "Lint a rules file and run its examples."),
    "rules unknown": (f"{_IN}rules:unknown", "Replies that no rule took, as rules to fill in."),
    "keys add": (f"{_IN}keys:add", "Make an API key and show it, for the only time."),
    "keys list": (f"{_IN}keys:list_", "List the API keys that stand."),
    "keys revoke": (f"{_IN}keys:revoke", "Revoke a key."),
    "keys dkim": (f"{_IN}keyring:app", "DKIM keys: made, published, activated, retired."),
    "keys token": (f"{_IN}keyring:token_app", "Token keys, and their rotation."),
    "console link": (f"{_IN}console:link", "A one-time link into the support console."),
    "privacy export": (f"{_IN}privacy:export", "Everything that is kept of an address."),
    "privacy erase": (f"{_IN}privacy:erase", "Erase a person; suppressions go on withholding."),
    "audit verify": (f"{_IN}audit:verify", "Check that nobody touched the audit."),
    "db upgrade": (f"{_IN}db:upgrade", "Bring the database to the newest schema."),
    "trace": (f"{_IN}trace:trace", "What became of a message, or of mail to an address."),
    "report": (f"{_IN}report:report", "How mail did, against the week before; with plots."),
    "placement": (f"{_IN}placement:placement", "Where seed mailboxes file our mail."),
    "bench": (f"{_IN}bench:bench", "How fast it is, as ratios against peers and limits."),
    "settings": (f"{_IN}settings:settings", "The settings in force, secrets masked."),
}
GROUPS = {
    "templates": "Stored templates.",
    "suppression": "The list of addresses that are not written to.",
    "incidents": "Trouble with receivers as one thing with a beginning and an end.",
    "rules": "The rules that replies are judged by.",
    "keys": "API keys, DKIM keys and token keys.",
    "console": "The support console.",
    "privacy": "What is kept of a person.",
    "audit": "Who changed what, and why.",
    "db": "The database.",
}


def build(argv: Sequence[str]) -> typer.Typer:
    """The application for these arguments: the command they name, and the names of the others."""
    app = group("Self-hosted transactional mail that knows what became of every message.")
    app.callback()(_root)
    groups = {name: group(about) for name, about in GROUPS.items()}
    words = [word for word in argv if not word.startswith("-")]
    for path, (target, about) in COMMANDS.items():
        names = path.split()
        parent = groups[names[0]] if len(names) > 1 else app
        if names == words[: len(names)]:
            _attach(parent, names[-1], target, about)
        else:
            parent.command(names[-1], help=about)(_not_asked_for)
    for name, named in groups.items():
        if named.registered_commands:
            app.add_typer(named, name=name)
    return app


def resolve(target: str) -> object:
    """Import the `module:attribute` of a command."""
    module, _, attribute = target.partition(":")
    found: object = getattr(import_module(module), attribute)
    return found


def _attach(parent: typer.Typer, name: str, target: str, about: str) -> None:
    command = resolve(target)
    if isinstance(command, typer.Typer):
        parent.add_typer(command, name=name, help=about)
    elif callable(command):
        parent.command(name, cls=Plain)(command)
    else:
        raise TypeError(f"{target} is no command")


def _not_asked_for() -> None:
    raise AssertionError("a command that was not named was called")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"carom {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    del version
