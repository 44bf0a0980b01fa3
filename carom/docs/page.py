"""The API as a page: every call with what it takes, what it answers and what may come instead."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from carom.console.rendering import ticks

Json = dict[str, Any]

_HERE = Path(__file__).parent
_STYLE = (_HERE / "page.css").read_text(encoding="utf-8")
_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; frame-ancestors 'none'; "
        "base-uri 'none'; form-action 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}
_PAGES = Environment(
    loader=FileSystemLoader(_HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True
)
_PAGES.filters["ticks"] = ticks
_PAGE = _PAGES.get_template("page.html")


def page(schema: Json) -> str:
    """The whole OpenAPI document as HTML."""
    groups: dict[str, list[Json]] = {}
    for path, operations in schema["paths"].items():
        for method, one in operations.items():
            shown = _operation(path, method, one, schema)
            groups.setdefault(one["tags"][0], []).append(shown)
    return _PAGE.render(info=schema["info"], groups=groups, style=_STYLE)


def _operation(path: str, method: str, one: Json, schema: Json) -> Json:
    body = one.get("requestBody", {}).get("content", {})
    answers = one["responses"]
    return {
        "id": one["operationId"],
        "method": method.upper(),
        "path": path,
        "says": one.get("description", ""),
        "parameters": [_parameter(given) for given in one.get("parameters", ())],
        "bodies": _contents(body, schema),
        "answers": [
            {"status": status, "says": answer["description"], "content": content}
            for status, answer in answers.items()
            if status < "400"
            for content in [_contents(answer.get("content", {}), schema)]
        ],
        "problems": [
            (status, a["description"]) for status, a in answers.items() if status >= "400"
        ],
    }


def _parameter(given: Json) -> Json:
    schema = given.get("schema", {})
    return {
        "name": given["name"],
        "where": given["in"],
        "type": _type(schema),
        "required": given.get("required", False),
        "says": given.get("description", ""),
        "default": schema.get("default"),
    }


def _contents(content: Json, schema: Json) -> list[Json]:
    """By media type, the fields of its model; text has none."""
    found = []
    for media, one in content.items():
        model = _model(one["schema"], schema)
        found.append(
            {"media": media, "says": model.get("description", ""), "fields": _fields(model)}
        )
    return found


def _model(schema: Json, whole: Json) -> Json:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    model: Json = whole["components"]["schemas"][_name(reference)]
    return model


def _fields(model: Json) -> list[Json]:
    required = model.get("required", ())
    return [
        {
            "name": name,
            "type": _type(field),
            "required": name in required,
            "says": field.get("description", ""),
        }
        for name, field in model.get("properties", {}).items()
    ]


def _type(schema: Json) -> str:
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"]))
    if "$ref" in schema:
        return _name(schema["$ref"])
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return ", ".join(kind) if isinstance(kind, list) else str(kind)


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]
