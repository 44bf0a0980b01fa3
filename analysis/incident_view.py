"""An incident in words: as the API and the command line show it, with the mend in two languages.

The texts lie in incident_advice.toml, one for each kind and language (a test holds it).
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.explain import Language
from analysis.incident_policy import ALL
from analysis.lookup import Json, iso
from analysis.providers import OTHER
from analysis.telling import provider_name


@functools.cache
def _texts() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    text = Path(__file__).with_name("incident_advice.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def words(row: Any, part: str, lang: Language) -> str:
    """The `title` or the `mend` of an incident."""
    text = _texts()[row.kind][lang][part]
    for field, value in (
        ("provider", _name(row.provider, lang)),
        ("key", row.provider),
        ("subject", row.subject),
    ):
        text = text.replace(f"{{{field}}}", value)
    nobody = _NOBODY[lang].get(row.provider, "")
    if nobody and text.startswith(nobody):
        text = text[0].upper() + text[1:]
    return _SPARE.sub("", text)


def _name(provider: str, lang: Language) -> str:
    nobody = _NOBODY[lang].get(provider)
    return nobody or provider_name(provider, provider, lang).strip()


_SPARE = re.compile(r"(?<=[\u4e00-\u9fff]) (?=[\u4e00-\u9fff])")
"""A space between two Chinese letters: the texts have it for names in Latin ones."""
_NOBODY: Mapping[str, Mapping[str, str]] = {
    "en": {ALL: "the receivers", OTHER: "one of the smaller providers"},
    "zh": {ALL: "各服务商", OTHER: "其他服务商"},
}


def view(row: Any, *, held: int = 0) -> Json:
    """An incident as a JSON object; `held`: suppressions that are held back for it."""
    return {
        "id": row.id,
        "kind": row.kind,
        "provider": row.provider,
        "subject": row.subject or None,
        "fault": row.fault,
        "state": row.state,
        "opened_at": iso(row.opened_at),
        "since": iso(row.since),
        "closed_at": iso(row.closed_at),
        "closed_why": row.closed_why,
        "reopened": row.reopened,
        "title": {lang: words(row, "title", lang) for lang in _LANGUAGES},
        "advice": {lang: words(row, "mend", lang) for lang in _LANGUAGES},
        "evidence": row.evidence,
        "held_suppressions": held,
    }


_LANGUAGES: tuple[Language, ...] = ("en", "zh")


def told(row: Any, lang: Language = "en") -> Json | None:
    """An open incident in one sentence, for whoever asks why mail waits; None stays None."""
    if row is None:
        return None
    since = str(iso(row.since))[:16].replace("T", " ")
    title = words(row, "title", lang)
    text = f"{title}, since {since} UTC." if lang == "en" else f"{title}(自 {since} UTC 起)。"
    return {"id": row.id, "kind": row.kind, "since": iso(row.since), "text": text}
