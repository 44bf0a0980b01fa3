"""What every board has: its variables, its links to the others, marks over its graphs."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

RUNBOOK = "https://github.com/carom-mail/carom/blob/main/dashboards/runbook.md"
SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}


def link_out(title: str, url: str) -> Json:
    return {
        "title": title,
        "url": url,
        "targetBlank": not url.startswith("/d/"),
        "type": "link",
        "icon": "doc",
        "tooltip": "",
        "tags": [],
        "asDropdown": False,
        "includeVars": False,
        "keepTime": False,
    }


def link_to_boards() -> Json:
    many = {"type": "dashboards", "tags": ["carom"], "asDropdown": True, "includeVars": True}
    kept = {"keepTime": True, "icon": "external link", "targetBlank": False}
    return link_out("Carom", "") | many | kept


def variables() -> list[Json]:
    return [
        _variable("datasource", "Prometheus", "datasource")
        | {
            "query": "prometheus",
            "refresh": 1,
            "current": {"text": "default", "value": "default"},
            "multi": False,
            "includeAll": False,
        },
        _labels("stream", "Stream", "carom_messages_submitted_total"),
        _labels("provider", "Provider", "carom_deliveries_total"),
        _variable("console", "Console", "textbox")
        | {
            "query": "http://127.0.0.1:8025",
            "current": {"text": "http://127.0.0.1:8025", "value": "http://127.0.0.1:8025"},
        },
    ]


def _variable(name: str, label: str, kind: str) -> Json:
    return {"name": name, "label": label, "type": kind, "options": [], "hide": 0, "regex": ""}


def _labels(name: str, label: str, metric: str) -> Json:
    return _variable(name, label, "query") | {
        "datasource": SOURCE,
        "query": {"qryType": 1, "query": f"label_values({metric}, {name})", "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def marks() -> list[Json]:
    """Marks over every graph."""
    return [_alerts_of_grafana(), _incidents()]


def _alerts_of_grafana() -> Json:
    return {
        "builtIn": 1,
        "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        "enable": True,
        "hide": True,
        "iconColor": "rgba(0, 211, 255, 1)",
        "name": "Annotations & Alerts",
        "type": "dashboard",
    }


def _incidents() -> Json:
    """A band over every graph for as long as an incident is open."""
    return {
        "datasource": SOURCE,
        "enable": True,
        "expr": "max by (provider, fault) (carom_incidents_open) > 0",
        "iconColor": "orange",
        "name": "Incidents",
        "step": "60s",
        "textFormat": "{{fault}}",
        "titleFormat": "Incident: {{provider}}",
    }
