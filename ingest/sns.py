"""Amazon SES events that SNS mails as JSON: bounces, complaints, deliveries.

The same facts as a DSN or an ARF report in another dress; Amazon's "Amazon SNS notification
contents" describes the fields.  Anything that is not such an event gives None.
"""

from __future__ import annotations

import json
from typing import Any

from analysis.reply import clean
from ingest import addresses
from ingest.finding import Finding
from ingest.mime import Mail

MAX_RECIPIENTS = 200

_ACTIONS = {"bounce": "failed", "complaint": "complained", "delivery": "delivered"}
_LISTS = {
    "bounce": "bouncedRecipients",
    "complaint": "complainedRecipients",
    "delivery": "recipients",
}


def read_event(mail: Mail) -> tuple[str, list[Finding], str] | None:
    """(`bounce`, `complaint` or `delivery`; its recipients; the feedback type) of an event."""
    text = mail.parts[0].text.lstrip() if mail.parts else ""
    if not text.startswith("{") or "x-amz-sns-message-id" not in mail.headers:
        return None
    envelope = _object(text[: text.rfind("}") + 1])
    event = _object(envelope.get("Message")) or envelope  # SNS may be told to send no envelope
    kind = str(event.get("notificationType") or event.get("eventType")).lower()
    if kind not in _ACTIONS:
        return None
    detail = _object(event.get(kind))
    rows = detail.get(_LISTS[kind])
    rows = rows[:MAX_RECIPIENTS] if isinstance(rows, list) else []
    findings = [_finding(row, _ACTIONS[kind], detail) for row in rows]
    feedback = str(detail.get("complaintFeedbackType") or "abuse")
    return kind, [finding for finding in findings if finding.address], feedback


def _finding(row: Any, action: str, detail: dict[str, Any]) -> Finding:
    if not isinstance(row, dict):
        return Finding(addresses.first(str(row)[:400]), action=action)
    words = str(row.get("diagnosticCode") or "")
    if not words:
        words = f"{detail.get('bounceType', '')} {detail.get('bounceSubType', '')}".strip()
    return Finding(
        address=addresses.first(str(row.get("emailAddress"))[:400]),
        words=clean(words, 4_000).removeprefix("smtp;").strip(),
        action=action,
        status=clean(str(row.get("status") or ""), 200),
    )


def _object(value: object) -> dict[str, Any]:
    """A JSON object, or one written in a string; {} for everything else."""
    if isinstance(value, str):
        try:
            value = json.loads(value, strict=False)  # wrapped by mail software inside strings
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}
