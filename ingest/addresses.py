"""Mail addresses in reports: read from typed fields, found in running text, told from boilerplate.

Reports name addresses in every shape: `rfc822; <user@example.com>`, `utf-8; ...`, xtext, quoted,
with a source route.  What comes out of here is the bare `local@domain`, otherwise as written, since
it is shown and compared but never sent to.  All patterns are linear: each repetition is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

MAX_ADDRESS: Final = 320  # RFC 5321 section 4.5.3.1: 64 + 1 + 255
MAX_SEARCHED: Final = 16_000
"""Characters of a text in which addresses are looked for."""

_CONTROL = r"\x00-\x1f\x7f-\x9f\ud800-\udfff"  # which no database takes all of
_OUTSIDE = rf"""{_CONTROL}\s<>()\[\]:;,"@\\|：，；、。（）【】《》「」＜＞"""
_LOCAL = rf"""(?:"[^"{_CONTROL}]{{1,64}}"|[^{_OUTSIDE}]{{1,100}}+)"""
_DOMAIN = r"(?:(?:[\w-]{1,63}\.){0,20}[\w-]{1,63}|\[[0-9A-Fa-fIPv.:]{3,50}\])"
ADDRESS: Final = rf"{_LOCAL}@{_DOMAIN}"
"""Pattern text of one address, for use in other patterns; no groups."""

_ADDRESS = re.compile(ADDRESS)
_TYPED = re.compile(r"\s{0,20}[\w./-]{1,40}\s{0,10};\s{0,20}", re.ASCII)
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_UNICODE = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_EDGE = "'`*.,;:\u2018\u2019\u201c\u201d"

_ROLES = frozenset(
    {
        *("postmaster", "abuse", "mailer-daemon", "mailerdaemon", "mail-daemon", "mailadmin"),
        *("mail-admin", "admin", "administrator", "hostmaster", "webmaster", "helpdesk"),
        *("support", "noc", "security", "spam", "antispam", "no-reply", "noreply"),
    }
)


def find_all(text: str) -> list[str]:
    """Every address in a line, in order, without edges that belong to the sentence."""
    if "@" not in text:
        return []
    return list(_found(text))


def first(text: str) -> str:
    """The first address in the text, or ''."""
    return next(_found(text), "") if "@" in text else ""


def _found(text: str) -> Iterator[str]:
    for match in _ADDRESS.finditer(text, 0, MAX_SEARCHED):
        if address := bare(match[0]):
            yield address


def bare(address: str) -> str:
    """An address without quotation marks and full stops around it; '' where none is left."""
    address = address.lstrip(_EDGE).rstrip(_EDGE + "->")
    local, at, domain = address.rpartition("@")
    return address if at and local and domain and len(address) <= MAX_ADDRESS else ""


def from_field(value: str) -> str:
    """The address of a typed field such as Final-Recipient, or ''.  RFC 3464 section 2.3.1."""
    value = value[: MAX_ADDRESS * 4]
    kind = _TYPED.match(value)
    rest = value[kind.end() :] if kind else value
    if "+" in rest and "@" in rest and "+3D" in rest + "+2B":
        rest = rest if kind is None or "rfc822" not in kind[0].lower() else _xtext(rest)
    if "\\x{" in rest:
        rest = _UNICODE.sub(_character, rest)
    if rest.count("@") > 1 and "<" not in rest and ":" in rest:  # a source route
        rest = rest.rpartition(":")[2]
    return first(rest)


def _xtext(text: str) -> str:
    """Undo `+3D` and `+2B` (RFC 3461 section 4); any other `+XX` is somebody's mailbox name."""
    return _XTEXT.sub(lambda m: {"3D": "=", "2B": "+"}.get(m[1], m[0]), text)


def _character(match: re.Match[str]) -> str:
    number = int(match[1], 16)
    return chr(number) if 0x20 < number < 0x110000 and not 0xD800 <= number < 0xE000 else "?"


def is_role(address: str) -> bool:
    """Whether it is the kind of address that boilerplate names for questions."""
    return address.partition("@")[0].lower() in _ROLES


def key(address: str) -> str:
    """What two spellings of one address share."""
    return address.lower().strip('"')
