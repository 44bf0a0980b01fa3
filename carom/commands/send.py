"""`carom send`: submit one message through the running service, and wait for its end if wanted."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from carom.client import Client
from carom.commands import ConfigOption, JsonOption
from carom.errors import UsageError
from carom.settings import Loaded, load_with_origins
from carom.settings.listeners import Api

KEY_VARIABLE = "CAROM_API_KEY"
PENDING = {"queued", "sending"}
POLL = 0.5
START = 10.0
"""Seconds that a service on this machine is given: `carom serve & carom send ...`."""


def send(
    from_: Annotated[str, typer.Option("--from", help="From, as `a@b` or `Name <a@b>`.")] = "",
    to: Annotated[list[str] | None, typer.Option("--to", help="To; may be repeated.")] = None,
    subject: Annotated[str, typer.Option(help="Subject.")] = "",
    text: Annotated[str | None, typer.Option(help="Plain text.")] = None,
    html: Annotated[str | None, typer.Option(help="HTML.")] = None,
    eml: Annotated[Path | None, typer.Option(help="A ready RFC 5322 message instead.")] = None,
    stream: Annotated[str, typer.Option(help="Stream of the message.")] = "default",
    class_: Annotated[
        str | None, typer.Option("--class", help="otp, transactional or bulk.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until every delivery has ended.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.")] = 60.0,
    url: Annotated[str, typer.Option(help="Service; by default that of the settings.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Submit a message through the running service's API."""
    client = client_of(load_with_origins(config), url)
    if not client.await_service(0) and sys.stderr.isatty():
        typer.echo(f"waiting for the service at {client.url}", err=True)
    client.await_service(START)
    if eml is not None:
        answer = _send_ready(client, eml, to or [], stream, class_)
    else:
        answer = _send_draft(client, from_, to or [], subject, text, html, stream, class_)
    if wait:
        answer = _await_end(client, answer["id"], timeout)
    _show(answer, as_json)
    failed = [d for d in answer["deliveries"] if d["state"] not in PENDING | {"delivered"}]
    return 1 if failed or (wait and _pending(answer)) else 0


def client_of(loaded: Loaded, url: str) -> Client:
    """The client for the service that these settings describe, with the key beside them.

    The key is that of CAROM_API_KEY, or of `api.key` in the folder of the settings.
    """
    file = (loaded.file or Path("carom.toml")).with_name("api.key")
    key = os.environ.get(KEY_VARIABLE, "") or (file.read_text().strip() if file.exists() else "")
    if not key:
        raise UsageError(f"no API key: set {KEY_VARIABLE}, or keep one in {file}")
    return Client(url.rstrip("/") or _where(loaded.settings.api), key)


def _where(api: Api) -> str:
    """The listener itself; with a certificate, the name that it is for, if we know it."""
    if api.tls is None:
        return f"http://{api.listen}"
    return api.public_url.rstrip("/") or f"https://{api.listen}"


def _send_ready(
    client: Client, eml: Path, to: list[str], stream: str, class_: str | None
) -> dict[str, Any]:
    query = [("to", address) for address in to] + [("stream", stream)]
    query += [("class", class_)] if class_ else []
    answer: dict[str, Any] = client.post(f"/v1/messages/raw?{urlencode(query)}", eml.read_bytes())
    return answer


def _send_draft(
    client: Client,
    from_: str,
    to: list[str],
    subject: str,
    text: str | None,
    html: str | None,
    stream: str,
    class_: str | None,
) -> dict[str, Any]:
    if not from_ or not to:
        raise UsageError("expected --from and --to, or --eml with a ready message")
    body: dict[str, Any] = {"from": from_, "to": to, "subject": subject, "stream": stream}
    body |= {k: v for k, v in (("text", text), ("html", html), ("class", class_)) if v is not None}
    if text is None and html is None:
        body["text"] = ""
    answer: dict[str, Any] = client.post("/v1/messages", body)
    return answer


def _await_end(client: Client, message_id: str, timeout: float) -> dict[str, Any]:
    give_up = time.monotonic() + timeout
    while True:
        message: dict[str, Any] = client.get(f"/v1/messages/{message_id}")
        if not _pending(message) or time.monotonic() >= give_up:
            return message
        time.sleep(POLL)


def _pending(message: dict[str, Any]) -> bool:
    return any(d["state"] in PENDING for d in message["deliveries"])


def _show(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        import json

        typer.echo(json.dumps(answer, ensure_ascii=False))
        return
    typer.echo(f"message {answer['id']}")
    for delivery in answer["deliveries"]:
        typer.echo(f"  {delivery['recipient']}: {delivery['state']}{_why(delivery)}")


def _why(delivery: dict[str, Any]) -> str:
    if withheld := delivery.get("suppression"):
        return f" ({withheld['reason']}: {withheld['evidence']})"
    if reply := delivery.get("last_reply"):
        words = " ".join(str(p) for p in (reply["code"], reply["enhanced"], reply["text"]) if p)
        return f" ({words})"
    return ""
