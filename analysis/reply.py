"""A `Reply`: what a remote system said to us, or what stood between it and us.

One shape for every answer that is judged: an SMTP reply in a session, the diagnostic inside a
bounce, and our own trouble on the way (DNS, connect, TLS, timeout).  What a remote host says is
data; exceptions are for our own faults.

Replies are hostile text.  `clean` is applied on the way in, so that everything behind a `Reply`
may store, log and show it: no control characters, no lone surrogates, bounded length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

MAX_TEXT = 2_000
"""Characters of a reply that are kept.  RFC 5321 section 4.5.3.1.5 allows 512 octets a line."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_REPLY = re.compile(r"[\s\"'(<\[]*([45][0-9]{2}|[23][0-5][0-9])(?:[ \-#:,]+|(?=$))[\"']?", re.ASCII)
_ENHANCED = re.compile(
    r"[\"'(\[]?#?([245]\.[0-9]{1,3}\.[0-9]{1,3})[)\]]?(?![.0-9])[ :,;]*", re.ASCII
)
_ENHANCED_INSIDE = re.compile(
    r"(?:[(\[]\s?#?|#)([245]\.[0-9]{1,3}\.[0-9]{1,3})(?=[)\] ]|$)", re.ASCII
)
_DIAGNOSTIC_TYPE = re.compile(r"[\"'\s]*(?:smtp|lmtp|x-[a-z0-9-]{1,30})\s?;\s?", re.IGNORECASE)
_QUOTED = re.compile(
    r"(?:\b(?:said|says|host|server|remote|smtp|response|reason|error|answer|replied|returned|was)\b|@|<<<(?!<))"
    r"[^\n]{0,300}?(?:[:;]|<<<|\bwas|\bwith)[\s\"'(\[]*(?=[45][0-9]{2}[ \-][^\n]{2})",
    re.IGNORECASE | re.ASCII,
)
_COMMAND = re.compile(r"\(?in reply to (?:end of )?(MAIL|RCPT|DATA|EHLO|HELO|STARTTLS|AUTH)\b")


class Stage(StrEnum):
    """How far an SMTP conversation had come when the reply was given (RFC 5321 section 3)."""

    DNS = "dns"
    CONNECT = "connect"
    BANNER = "banner"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"  # DATA sent, 354 awaited, or the content on its way
    DOT = "dot"  # the final dot was written: without an answer the delivery is in doubt
    REPORT = "report"  # said in a bounce, after the message had been accepted
    UNKNOWN = "unknown"


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """Make remote text safe to store and show: controls become spaces, line ends `\\n`, cut."""
    text = text[: limit * 2].replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub(" ", text).strip()[:limit]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.  `code` is None where no SMTP code was given; `text` has no codes in front."""

    code: int | None
    enhanced: str | None  # RFC 3463 `class.subject.detail`
    text: str
    stage: Stage = Stage.UNKNOWN
    provider: str = "other"  # a name of the closed provider set
    host: str = ""  # who said it, where known

    @classmethod
    def read(
        cls, line: str, *, stage: Stage = Stage.UNKNOWN, provider: str = "other", host: str = ""
    ) -> Reply:
        """Read a reply as written, `550 5.1.1 <x@y>: user unknown`, also over several lines.

        Codes repeated on continuation lines (`550-5.1.1 ...`) are taken off, also where the lines
        were joined.  What stands before a quoted reply, `smtp;` or `host x said:`, is taken off
        too.  Text without a code is kept whole, with `code` None.  Postfix names the command in
        `(in reply to RCPT TO command)`: the stage, where the caller knows none.
        """
        text = clean(line)
        code, enhanced, text = _codes(_unquoted(text))
        if enhanced is None and "." in text and (match := _ENHANCED_INSIDE.search(text)):
            enhanced = match[1]
        if stage is Stage.UNKNOWN and "in reply" in text and (match := _COMMAND.search(text)):
            stage = _stage_of(match)
        return cls(code, enhanced, text, stage, provider, host)

    @property
    def permanent(self) -> bool:
        """Whether the code itself claims a lasting refusal; codes lie, so this is only a hint."""
        if self.code is not None:
            return self.code >= 500
        return self.enhanced is not None and self.enhanced.startswith("5")

    def __str__(self) -> str:
        codes = f"{self.code or ''} {self.enhanced or ''}".strip()
        return f"{codes} {self.text}".strip()


def _unquoted(text: str) -> str:
    """The reply itself, without the words of the system that passed it on."""
    if match := _DIAGNOSTIC_TYPE.match(text):
        text = text[match.end() :]
    if not _REPLY.match(text) and (match := _QUOTED.search(text)):
        return text[match.end() :]
    return text


def _codes(text: str) -> tuple[int | None, str | None, str]:
    """The SMTP code, the enhanced code and the words, of one or more lines."""
    code: int | None = None
    enhanced: str | None = None
    words: list[str] = []
    for part in text.split("\n"):
        rest = part.strip()
        while (match := _REPLY.match(rest)) and (code is None or int(match[1]) == code):
            code = int(match[1])
            rest = rest[match.end() :]
        if match := _ENHANCED.match(rest):
            if enhanced is None:
                enhanced = match[1]
            if match[1] == enhanced:
                rest = rest[match.end() :]
        if rest := rest.strip():
            words.append(rest)
    return code, enhanced, _joined(" ".join(words), code, enhanced)


def _joined(text: str, code: int | None, enhanced: str | None) -> str:
    """Text without the codes of continuation lines that somebody joined into one."""
    if code is None or str(code) not in text:
        return text
    again = rf"(?<=\s){code}[- ]{re.escape(enhanced)}\s" if enhanced else rf"(?<=\s){code}-(?=\D)"
    return re.sub(again, "", text)


def _stage_of(match: re.Match[str]) -> Stage:
    if match[1] == "DATA":
        return Stage.DOT if "end of" in match[0] else Stage.DATA
    return Stage.EHLO if match[1] == "HELO" else Stage(match[1].lower())
