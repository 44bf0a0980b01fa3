"""The arguments of MAIL and RCPT: `FROM:<path> KEY=value`.  RFC 5321 section 4.1.2.

Strict where leniency hides something: no source routes, comments, spaces, control characters or
missing brackets.  Lenient where real mailboxes need it: doubled dots, underscores in domains and
local parts over 64 octets exist.  Linear time, and anything that is not understood is a
`CommandError` that carries the reply, which never repeats what was sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from analysis.smtpd.door import Reason

MAX_PATH = 320
"""Characters.  RFC 5321 section 4.5.3.1.3 asks for 256; 64 + `@` + 255 is what people do."""

_WIDE = r"[^\x00-\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ud800-\udfff\ufeff]"
_ATOM = rf"(?:[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]|{_WIDE})+"
_QUOTED = r'"(?:[!#-\[\]-~]|\\[!-~])+"'
_LABEL = rf"(?:[A-Za-z0-9_-]|{_WIDE})+"
_LITERAL = r"\[[A-Za-z0-9.:-]+\]"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|{_LITERAL})"
_QUOTED_FIRST = re.compile(_QUOTED)
_MAILBOX = re.compile(rf"({_ATOM}|{_QUOTED})@({_DOMAIN})")
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]{0,30})(?:=([^\x00-\x20\x7f-\xa0]{1,1000}))?")


class CommandError(Exception):
    """A command that is refused: `reply` is the answer, after which `last` hangs up."""

    def __init__(self, reply: str, reason: Reason = Reason.SYNTAX, *, last: bool = False) -> None:
        super().__init__(reply)
        self.reply = reply
        self.reason = reason
        self.last = last


@dataclass(frozen=True, slots=True)
class Path:
    address: str  # as given, `` for the null sender
    parameters: dict[str, str]  # names in capitals, `` where no value is given


@dataclass(frozen=True, slots=True)
class Grammar:
    """How the argument of one command is read.  `bare` are local parts that need no domain."""

    keyword: str
    null: bool  # `<>` is meant
    bare: frozenset[str]
    malformed: str  # RFC 3463 section 3.2

    def read(self, argument: str) -> Path:
        """Read `FROM:<a@b> SIZE=1`; a space after the colon is forgiven, as everybody does."""
        head, colon, rest = argument.partition(":")
        rest = rest.removeprefix(" ")
        if not colon or head.upper() != self.keyword or not rest.startswith("<"):
            raise CommandError(f"501 5.5.4 Syntax: {self.keyword}:<address>")
        end = _closing(rest)
        if end < 0:
            raise CommandError(f"501 5.5.4 Syntax: {self.keyword}:<address>")
        address, tail = rest[1:end], rest[end + 1 :]
        if tail and not tail.startswith(" "):
            raise CommandError(f"501 5.5.4 Syntax: {self.keyword}:<address>")
        if not self._takes(address):
            raise CommandError(f"553 {self.malformed} That address is not understood")
        return Path(address, _parameters(tail))

    def _takes(self, address: str) -> bool:
        if not address:
            return self.null
        if len(address) > MAX_PATH:
            return False
        return address.lower() in self.bare or _MAILBOX.fullmatch(address) is not None


MAIL = Grammar("FROM", null=True, bare=frozenset(), malformed="5.1.7")
RCPT = Grammar("TO", null=False, bare=frozenset({"postmaster"}), malformed="5.1.3")


def _closing(text: str) -> int:
    """Find the `>` that ends the path: a quoted local part may hold one."""
    if not text.startswith('<"'):
        return text.find(">")
    quoted = _QUOTED_FIRST.match(text, 1)
    return text.find(">", quoted.end()) if quoted else -1


def _parameters(tail: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in tail.split(" "):
        if not word:
            continue
        match = _PARAMETER.fullmatch(word)
        if match is None or match[1].upper() in found:
            raise CommandError("501 5.5.4 That parameter is not understood")
        found[match[1].upper()] = match[2] or ""
    return found
