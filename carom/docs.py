"""`GET /docs`: the API on one page, made from the application's own OpenAPI document.

No script and nothing from another host, so that it reads on a machine without the internet and
under a strict policy.  Tools read `/openapi.json`.
"""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema
from starlette.responses import HTMLResponse, Response

from analysis.body import Body
from analysis.feedback_api import Missing
from analysis.suppression_api import Lookup, NewEntry
from analysis.webhook_api import NewWebhook, Replay, WebhookChanges
from sender.order import Again, Batch, NewMessage, RawMessage
from sender.template_api import NewTemplate, Sample, Trial

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_STYLE = (
    "body{font:1em/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "code,pre{background:#f3f3f3;padding:.1em .3em}h2{margin-top:2em;font-size:1.1em}"
    "table{border-collapse:collapse}td{padding:.1em 1em .1em 0;vertical-align:top}"
)

BODIES: dict[tuple[str, str], type[Body]] = {
    ("/v1/messages", "post"): NewMessage,
    ("/v1/messages/batch", "post"): Batch,
    ("/v1/messages/raw", "post"): RawMessage,
    ("/v1/lint", "post"): NewMessage,
    ("/v1/templates/{name}", "put"): NewTemplate,
    ("/v1/templates/{name}/preview", "post"): Sample,
    ("/v1/templates/{name}/test", "post"): Trial,
    ("/v1/messages/{message_id}/resend", "post"): Again,
    ("/v1/messages/{message_id}/feedback", "post"): Missing,
    ("/v1/webhooks", "post"): NewWebhook,
    ("/v1/webhooks/{webhook_id}", "patch"): WebhookChanges,
    ("/v1/webhooks/{webhook_id}/replay", "post"): Replay,
    ("/v1/suppressions/lookup", "post"): Lookup,
    ("/v1/suppressions/{address}", "put"): NewEntry,
}
"""What handlers read themselves, from the octets that they also hash."""


def add_docs(app: FastAPI) -> None:
    """Complete the OpenAPI document with bodies and keys, and serve it as a page."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(plain())
        return app.openapi_schema

    async def docs() -> Response:
        return HTMLResponse(page(app.openapi()), headers={"Content-Security-Policy": _POLICY})

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI's manual shows
    app.add_api_route("/docs", docs, include_in_schema=False)


def _completed(schema: dict[str, Any]) -> dict[str, Any]:
    models = sorted(set(BODIES.values()), key=lambda model: model.__name__)
    _, definitions = models_json_schema(
        [(model, "validation") for model in models],
        ref_template="#/components/schemas/{model}",
    )
    components = schema.setdefault("components", {})
    components.setdefault("schemas", {}).update(definitions["$defs"])
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"key": []}]
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if model := BODIES.get((path.replace(":path", ""), method)):
                reference = {"$ref": f"#/components/schemas/{model.__name__}"}
                operation["requestBody"] = {"content": {"application/json": {"schema": reference}}}
    return schema


def page(schema: dict[str, Any]) -> str:
    """The whole document as HTML."""
    head = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Carom API</title>'
        f"<style>{_STYLE}</style><h1>Carom {escape(schema['info']['version'])}: HTTP API</h1>"
        f"<p>{escape(schema['info'].get('description', ''))}</p>"
        '<p>For tools: <a href="/openapi.json">openapi.json</a></p>'
    )
    parts = [head]
    for path, operations in schema["paths"].items():
        parts += [_operation(path, method, one, schema) for method, one in operations.items()]
    return "".join(parts)


def _operation(path: str, method: str, one: dict[str, Any], schema: dict[str, Any]) -> str:
    heading = f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
    return heading + f"<p>{escape(one.get('description', ''))}</p>" + _inputs(one, schema)


def _inputs(one: dict[str, Any], schema: dict[str, Any]) -> str:
    rows = [
        (p["name"], p["in"], _type(p.get("schema", {})), p.get("description", ""))
        for p in one.get("parameters", ())
    ]
    body = one.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        model = schema["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]
        rows += [
            (name, "body", _type(field), field.get("description", ""))
            for name, field in model["properties"].items()
        ]
    cells = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table>{cells}</table>" if rows else ""


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"]))
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return ", ".join(kind) if isinstance(kind, list) else str(kind)
