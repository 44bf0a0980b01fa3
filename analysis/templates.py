"""Templates as they are kept: versions that never change, under a name, in languages.

A version is one language's subject, HTML and text.  Versions of a name are counted over all its
languages, so that `name@version` says exactly what a message was made of.  The newest version of a
language is the one in use; archiving a name takes all its versions out of use and forgets none.
Every change is audited.  Nothing here renders.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, func, insert, select, text, update

from analysis import audit
from analysis.lookup import iso
from analysis.schema import templates

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}", re.ASCII)
LANGUAGE = re.compile(r"[a-z]{2,8}(?:-[a-z0-9]{1,8}){0,3}", re.ASCII)
LOCK = 0x6361_7274_6D70  # "cartmp"

_WAIT = text("SELECT pg_advisory_xact_lock(:lock)")


@dataclass(frozen=True, slots=True)
class Content:
    """What a version says.  `lang`: lower case, empty for everybody without one of their own."""

    subject: str
    html: str | None
    text: str | None  # None: made of the HTML
    lang: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    name: str
    version: int
    content: Content
    note: str
    created_at: float
    created_by: str
    archived_at: float | None = None

    @property
    def reference(self) -> str:
        """How a message names it."""
        return f"{self.name}@{self.version}"

    def view(self, *, whole: bool = True) -> dict[str, Any]:
        """As the API shows it, with or without what it says."""
        shown: dict[str, Any] = {
            "name": self.name,
            "version": self.version,
            "lang": self.content.lang,
            "note": self.note,
            "created_at": iso(self.created_at),
            "created_by": self.created_by,
            "archived_at": iso(self.archived_at),
            "subject": self.content.subject,
        }
        if whole:
            shown |= {"html": self.content.html, "text": self.content.text}
        return shown


def put(
    tx: Connection, name: str, content: Content, *, now: float, actor: str, note: str
) -> tuple[Version, bool]:
    """A version in use from COMMIT on, and True; or the newest and False if it says the same."""
    if tx.dialect.name == "postgresql":
        tx.execute(_WAIT, {"lock": LOCK})  # two writers would take the same number
    there = newest(tx, name, content.lang)
    if there is not None and there.content == content:
        return there, False
    last = tx.execute(select(func.max(templates.c.version)).where(templates.c.name == name))
    made = Version(name, (last.scalar() or 0) + 1, content, note, now, actor)
    tx.execute(insert(templates), _row(made))
    _note(tx, "put", made.reference, now, actor, note, {"lang": content.lang})
    return made, True


def newest(tx: Connection, name: str, lang: str) -> Version | None:
    """The version in use of exactly this language."""
    of_it = and_(templates.c.name == name, templates.c.lang == lang, _IN_USE)
    return _one(tx, select(templates).where(of_it).order_by(templates.c.version.desc()))


def find(
    tx: Connection, name: str, *, lang: str = "", version: int | None = None
) -> Version | None:
    """The version asked for, or the newest of the nearest language: `pt-br`, `pt`, everybody's."""
    if version is not None:
        chosen = and_(templates.c.name == name, templates.c.version == version, _IN_USE)
        return _one(tx, select(templates).where(chosen))
    return next((one for wish in _nearest(lang) if (one := newest(tx, name, wish))), None)


def versions(tx: Connection, name: str, *, limit: int = 100) -> list[Version]:
    """Every version of a name, newest first, archived ones too."""
    of_it = select(templates).where(templates.c.name == name)
    return [
        _read(row) for row in tx.execute(of_it.order_by(templates.c.version.desc()).limit(limit))
    ]


def browse(tx: Connection, *, after: str = "", limit: int = 100) -> list[dict[str, Any]]:
    """Names in use in their order, each with its languages and its newest version."""
    rows = tx.execute(
        select(templates.c.name, func.max(templates.c.version).label("version"))
        .where(_IN_USE, templates.c.name > after)
        .group_by(templates.c.name)
        .order_by(templates.c.name)
        .limit(limit)
    ).all()
    of_them = templates.c.name.in_([row.name for row in rows])
    spoken = set(
        tx.execute(select(templates.c.name, templates.c.lang).where(of_them, _IN_USE)).all()
    )
    return [
        {
            "name": row.name,
            "version": row.version,
            "languages": sorted(lang for name, lang in spoken if name == row.name),
        }
        for row in rows
    ]


def archive(tx: Connection, name: str, *, now: float, actor: str, why: str) -> int:
    """Take every version of a name out of use; how many were."""
    in_use = and_(templates.c.name == name, _IN_USE)
    gone = int(tx.execute(update(templates).where(in_use).values(archived_at=now)).rowcount)
    if gone:
        _note(tx, "archive", name, now, actor, why, {"versions": gone})
    return gone


_IN_USE = templates.c.archived_at.is_(None)


def _nearest(lang: str) -> Iterator[str]:
    while lang:
        yield lang
        lang = lang.rpartition("-")[0]
    yield ""


def _one(tx: Connection, query: Select[Any]) -> Version | None:
    row = tx.execute(query.limit(1)).one_or_none()
    return None if row is None else _read(row)


def _read(row: Any) -> Version:
    content = Content(row.subject, row.html, row.text, row.lang)
    return Version(
        row.name, row.version, content, row.note, row.created_at, row.created_by, row.archived_at
    )


def _row(made: Version) -> dict[str, Any]:
    said = made.content
    return {
        "name": made.name,
        "version": made.version,
        "lang": said.lang,
        "subject": said.subject,
        "html": said.html,
        "text": said.text,
        "note": made.note,
        "created_at": made.created_at,
        "created_by": made.created_by,
    }


def _note(
    tx: Connection,
    action: str,
    subject: str,
    now: float,
    actor: str,
    why: str,
    data: dict[str, Any],
) -> None:
    row = {"at": now, "actor": actor, "action": f"template.{action}", "subject": subject}
    audit.note(tx, [{**row, "reason": why, "data": data}])
