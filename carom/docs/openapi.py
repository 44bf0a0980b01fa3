"""The OpenAPI document completed: what handlers read and answer by themselves, and the keys.

Handlers read bodies from the octets that they also hash and answer with ready JSON, so FastAPI
knows neither; both are told here, by the models that read (`BODIES`) and by `carom.answers`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from analysis.body import Body
from analysis.feedback_api import Missing
from analysis.suppression_api import Lookup, NewEntry
from analysis.webhook_api import NewWebhook, Replay, WebhookChanges
from carom.answers import ANSWERS, MEDIA, Problem, Shape, problems_of
from carom.answers.problems import MEDIA_TYPE
from sender.order import Again, Batch, NewMessage, RawMessage
from sender.template_api import NewTemplate, Sample, Trial

Json = dict[str, Any]

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

OTHER_BODIES: dict[tuple[str, str], tuple[str, ...]] = {
    ("/v1/messages/raw", "post"): ("message/rfc822",),
    ("/v1/lint", "post"): ("message/rfc822",),
    ("/v1/suppressions/import", "post"): ("text/csv", "application/x-ndjson", "application/json"),
}
"""Bodies that are text, beside or instead of a model."""
MAY_BE_EMPTY = frozenset({Again, Missing, Sample, NewEntry, WebhookChanges})
_TEXT = {"schema": {"type": "string"}}


def completed(schema: Json) -> Json:
    """`schema` as FastAPI makes it, with what it cannot know."""
    components = schema.setdefault("components", {})
    components["schemas"] = _definitions()
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"key": []}]
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if body := _body(path, method):
                operation["requestBody"] = body
            operation["responses"] = _responses(path, method, operation)
            if not path.startswith("/v1/"):
                operation["security"] = []
    return schema


def _definitions() -> Json:
    given: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (model, "validation") for model in _ordered(BODIES.values())
    ]
    answers = {model for those in ANSWERS.values() for model in those.values() if model}
    given += [(model, "serialization") for model in _ordered({*answers, Problem})]
    _, made = models_json_schema(given, ref_template="#/components/schemas/{model}")
    definitions: Json = made["$defs"]
    for one in definitions.values():
        if one.get("additionalProperties") is not False:  # no body of a request
            _undefault(one)
    return definitions


def _ordered(models: Any) -> list[type[BaseModel]]:
    return sorted(set(models), key=lambda model: model.__name__)


def _undefault(definition: Json) -> None:
    """An answer has no defaults: a key that may be missing says just that by not being required."""
    for one in definition.get("properties", {}).values():
        one.pop("default", None)


def _body(path: str, method: str) -> Json | None:
    content: Json = {}
    model = BODIES.get((path, method))
    if model is not None:
        content["application/json"] = {"schema": _reference(model)}
    for media in OTHER_BODIES.get((path, method), ()):
        content[media] = _TEXT
    if not content:
        return None
    return {"content": content, "required": model not in MAY_BE_EMPTY}


def _responses(path: str, method: str, operation: Json) -> Json:
    problem = {MEDIA_TYPE: {"schema": _reference(Problem)}}
    told: Json = {}
    for status, model in ANSWERS[path, method].items():
        told[str(status)] = {"description": HTTPStatus(status).phrase}
        content = dict.fromkeys(MEDIA.get((path, method), ()), _TEXT)
        if model is not None:
            content["application/json"] = {"schema": _reference(model)}
        if content:
            told[str(status)]["content"] = content
    for status, when in problems_of(path, method, operation).items():
        told[str(status)] = {"description": when, "content": problem}
    return told


def _reference(model: type[Body | Shape]) -> Json:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
