"""A bounce that somebody passes on: the report inside a forwarded message, quoted or attached.

People forward "your mail came back" to whoever runs the mail, and to the address that the mail came
from.  The report inside says what it always said; only that a person handed it over makes it worth
less: without a mail system's codes it is a letter, and it suppresses nobody (`ingest.parse`).
Answers that quote a bounce are no such thing: their author talks about it.  Opened once: a bounce
passed on inside a bounce that was passed on is nobody's report.
"""

from __future__ import annotations

import re

from ingest.mime import Mail, read_mime
from ingest.origin import is_daemon, is_failure_notice, is_forwarded, is_status_report

MAX_QUOTED = 200_000
"""Characters of a forwarded text that are looked at."""

_QUOTED_FROM = re.compile(r"^([>| \t*]{0,8})\*?From:\*?[ \t]", re.MULTILINE)
_FIELD = re.compile(
    r"\*?(From|Sent|Date|To|Cc|Subject|Message-Id|Reply-To):\*?[ \t]*", re.IGNORECASE
)
_LEAST_FIELDS = 3
"""Fewer lines that look like fields are prose."""
_HEADER_LINES = 20
_MIME = ("Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit")


def read_passed_on(mail: Mail) -> Mail | None:
    """The report that was passed on, as if it had come by itself; None where there is none."""
    if not is_forwarded(mail):
        return None
    for raw in (_attached(mail), _quoted(mail)):
        if raw is not None and _is_report(inner := read_mime(raw)):
            return inner
    return None


def _is_report(mail: Mail) -> bool:
    return is_daemon(mail) and (is_status_report(mail) or is_failure_notice(mail))


def _attached(mail: Mail) -> bytes | None:
    part = mail.first("message/rfc822")
    return part.decoded if part is not None else None


def _quoted(mail: Mail) -> bytes | None:
    """The quoted message, its marks of quotation taken off."""
    text = mail.notice[:MAX_QUOTED]
    begin = _QUOTED_FROM.search(text)
    if begin is None:
        return None
    mark = begin[1].strip()
    lines = [_unmarked(line, mark) for line in text[begin.start() :].split("\n")]
    fields: list[str] = []
    for line in lines[:_HEADER_LINES]:
        if (field := _FIELD.match(line)) is None:
            break
        fields.append(f"{field[1]}: {line[field.end() :]}")
    if len(fields) < _LEAST_FIELDS:
        return None
    return "\n".join((*fields, *_MIME, "", *lines[len(fields) :])).encode("utf-8", "replace")


def _unmarked(line: str, mark: str) -> str:
    line = line.rstrip("\r")
    if mark and line.lstrip().startswith(mark):
        line = line.lstrip()[len(mark) :]
    return line.removeprefix(" ")
