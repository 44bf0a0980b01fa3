"""Call by call, the answer: (path, method) -> status -> model."""

from __future__ import annotations

from collections.abc import Mapping

from carom.answers import building, mail, people, receivers
from carom.answers.shapes import Shape

Answers = Mapping[tuple[str, str], Mapping[int, type[Shape] | None]]

_WEBHOOK, _TEMPLATE, _MESSAGE = "/v1/webhooks/{webhook_id}", "/v1/templates/{name}", "/v1/messages"
_INCIDENT = "/v1/incidents/{incident_id}"

ANSWERS: Answers = {
    ("/v1/messages", "post"): {202: mail.Submitted},
    ("/v1/messages", "get"): {200: mail.Search},
    ("/v1/messages/batch", "post"): {202: mail.Batched},
    ("/v1/messages/raw", "post"): {202: mail.Submitted},
    (f"{_MESSAGE}/{{message_id}}", "get"): {200: mail.Message},
    (f"{_MESSAGE}/{{message_id}}/timeline", "get"): {200: mail.Timeline},
    (f"{_MESSAGE}/{{message_id}}/cancel", "post"): {200: mail.Cancelled},
    (f"{_MESSAGE}/{{message_id}}/resend", "post"): {202: mail.Submitted},
    (f"{_MESSAGE}/{{message_id}}/feedback", "post"): {200: mail.Heard},
    ("/v1/lint", "post"): {200: mail.Linted},
    ("/v1/events", "get"): {200: mail.Events},
    ("/v1/suppressions", "get"): {200: people.Entries},
    ("/v1/suppressions/export", "get"): {200: None},
    ("/v1/suppressions/lookup", "post"): {200: people.LookedUpAll},
    ("/v1/suppressions/import", "post"): {200: people.Imported},
    ("/v1/suppressions/{address}", "get"): {200: people.Checked},
    ("/v1/suppressions/{address}", "put"): {200: people.PutOnList},
    ("/v1/suppressions/{address}", "delete"): {200: people.Lifted},
    ("/v1/explain", "get"): {200: people.Explained},
    ("/v1/recipients/{address}", "delete"): {200: people.Erased},
    ("/v1/recipients/{address}/export", "get"): {200: people.KeptOfPerson},
    ("/v1/audit", "get"): {200: people.Audit},
    ("/v1/stats", "get"): {200: receivers.Stats},
    ("/v1/incidents", "get"): {200: receivers.Incidents},
    (_INCIDENT, "get"): {200: receivers.Incident},
    (f"{_INCIDENT}/release", "post"): {200: receivers.Decided},
    (f"{_INCIDENT}/drop", "post"): {200: receivers.Decided},
    (f"{_INCIDENT}/close", "post"): {200: receivers.Incident},
    ("/v1/reputation", "get"): {200: receivers.Reputation},
    ("/v1/doctor", "get"): {200: receivers.Examination},
    ("/v1/dmarc", "get"): {200: receivers.Dmarc},
    ("/v1/tls-reports", "get"): {200: receivers.TlsReports},
    ("/v1/placement", "get"): {200: receivers.Placement},
    ("/v1/webhooks", "post"): {201: building.WebhookSecret},
    ("/v1/webhooks", "get"): {200: building.WebhookList},
    (_WEBHOOK, "get"): {200: building.Webhook},
    (_WEBHOOK, "patch"): {200: building.Webhook},
    (_WEBHOOK, "delete"): {204: None},
    (f"{_WEBHOOK}/test", "post"): {200: building.WebhookTested},
    (f"{_WEBHOOK}/replay", "post"): {202: building.Replayed},
    (f"{_WEBHOOK}/rotate", "post"): {200: building.WebhookSecret},
    (f"{_WEBHOOK}/deliveries", "get"): {200: building.WebhookTries},
    ("/v1/templates", "get"): {200: building.TemplateList},
    (_TEMPLATE, "get"): {200: building.TemplateShown},
    (_TEMPLATE, "put"): {200: building.Template, 201: building.Template},
    (_TEMPLATE, "delete"): {200: building.Archived},
    (f"{_TEMPLATE}/versions/{{version}}", "get"): {200: building.Template},
    (f"{_TEMPLATE}/preview", "post"): {200: building.Preview},
    (f"{_TEMPLATE}/test", "post"): {202: mail.Submitted},
    ("/healthz", "get"): {200: building.Health},
    ("/readyz", "get"): {200: building.Health},
}
"""None: there is no JSON; what there is instead says `MEDIA`."""

MEDIA: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("/v1/suppressions/export", "get"): ("text/csv", "application/x-ndjson"),
}
"""Answers of text."""
