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
_REPLY = re.compile(r"\s*([2-5][0-5][0-9])(?:[ \-#]+|(?=$))", re.ASCII)
_ENHANCED = re.compile(r"(?:#|\()?([245]\.[0-9]{1,3}\.[0-9]{1,3})\)?(?![.0-9])[ :,;]*", re.ASCII)


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

        Codes repeated on continuation lines (`550-5.1.1 ...`) are taken off.  Text without a
        leading code is kept whole, with `code` None.
        """
        code: int | None = None
        enhanced: str | None = None
        words: list[str] = []
        for part in clean(line).split("\n"):
            rest = part.strip()
            if (match := _REPLY.match(rest)) and (code is None or int(match[1]) == code):
                code = int(match[1])
                rest = rest[match.end() :]
            if match := _ENHANCED.match(rest):
                if enhanced is None:
                    enhanced = match[1]
                if match[1] == enhanced:
                    rest = rest[match.end() :]
            if rest := rest.strip():
                words.append(rest)
        return cls(code, enhanced, " ".join(words), stage, provider, host)

    @property
    def permanent(self) -> bool:
        """Whether the code itself claims a lasting refusal; codes lie, so this is only a hint."""
        if self.code is not None:
            return self.code >= 500
        return self.enhanced is not None and self.enhanced.startswith("5")

    def __str__(self) -> str:
        return " ".join(str(part) for part in (self.code, self.enhanced, self.text) if part)
