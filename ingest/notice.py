"""The notice: the part of a report that people read, and what it tells of the returned message.

Owns the cut between the notice and the message it returns; nothing below the cut names a failure.
Addresses of the sender, of the reporting system and of role mailboxes are boilerplate, unless the
returned message was written to them or they stand in a list of the failed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from ingest import addresses
from ingest.finding import Finding
from ingest.header_block import Headers
from ingest.listing import DASHES, Trust, Walk
from ingest.mime import MAX_TEXT, Mail
from ingest.wording import FAILED, FOOTER, HELP, RETURNED

MAX_LINES = 1_500
MAX_LINE = 500

_HEADER = re.compile(
    r"Received: |Received:from |Return-Path: ?<|DKIM-Signature: ?|Received-SPF: |MIME-Version: 1"
    r"|X-Originating-IP: |Delivered-To: ",
    re.IGNORECASE,
)
_BLOCK = re.compile(r"(?:from|date|message-id|subject):", re.IGNORECASE)
_WHY = re.compile(r"\b(?:reasons?|error|transfer|transmission) ", re.IGNORECASE)
"""What went wrong with the message stands below such a line, not the message."""
_AUTHORS = ("from", "return-path", "reply-to", "sender")


@dataclass(frozen=True)
class Notice:
    """The text for people of one report, and what is known of the message it is about."""

    mail: Mail

    @cached_property
    def _cut(self) -> tuple[list[str], list[str]]:
        lines = self.mail.notice.split("\n")[:MAX_LINES]
        named = announced = False
        for number, line in enumerate(lines):
            begins = _begins_returned(line)
            if begins and (named or announced):
                return lines[:number], lines[number:]
            named = named or "@" in line
            announced = announced or (begins and number > 0)
        return lines, []

    @cached_property
    def lines(self) -> list[str]:
        """The notice's own lines, up to the returned message or a footer."""
        own = [_line(line) for line in self._cut[0]]
        footer = (n for n, line in enumerate(own) if n and FOOTER.search(line))
        return own[: next(footer, len(own))]

    @cached_property
    def text(self) -> str:
        return "\n".join(self.lines)[:MAX_TEXT]

    @cached_property
    def returned(self) -> Headers:
        """Header block of the message that came back, as a part or below the cut."""
        if self.mail.returned:
            return self.mail.returned
        below = [line.strip("\t >|") if line[:1] in " >|" else line for line in self._cut[1]]
        for number, line in enumerate(below):
            if _HEADER.match(line) or _BLOCK.match(line):
                return Headers("\n".join(below[number : number + 300]).partition("\n\n")[0])
        return Headers("")

    @cached_property
    def senders(self) -> frozenset[str]:
        """Whoever the failed message came from, and whoever reports it."""
        fields = [self.mail.headers.get("to"), self.mail.headers.get("from")]
        fields += [self.returned.get(name) for name in _AUTHORS]
        return frozenset(addresses.key(a) for value in fields for a in addresses.find_all(value))

    @cached_property
    def targets(self) -> dict[str, str]:
        """Whom the returned message was written to: folded -> as written."""
        values = [v for name in ("to", "cc", "bcc") for v in self.returned.all(name)]
        found = [a for value in values for a in addresses.find_all(value[:4_000])]
        return {addresses.key(address): address for address in found}

    def is_boilerplate(self, address: str) -> bool:
        folded = addresses.key(address)
        if folded in self.targets:
            return False
        return folded in self.senders or addresses.is_role(address)

    @property
    def findings(self) -> list[Finding]:
        """Every address that the notice says failed, with the words that belong to it."""
        return self._walked[0]

    @property
    def trust(self) -> Trust:
        """How the failed addresses stand in the text."""
        return self._walked[1]

    @cached_property
    def _walked(self) -> tuple[list[Finding], Trust]:
        header = self.mail.headers.all("x-failed-recipients")
        listed = (a for value in header for a in addresses.find_all(value[:8_000]))
        walk = Walk(self.lines, self.is_boilerplate)
        return walk.read(listed), walk.trust

    @property
    def only_named(self) -> list[Finding]:
        """The one address of a notice in a language that no pattern knows; else []."""
        if FAILED.search(self.whole()):
            return []
        said = [(n, line) for n, line in enumerate(self.lines[:200]) if "@" in line]
        found = {
            addresses.key(address): (address, number)
            for number, line in said
            if not HELP.search(line)
            for address in addresses.find_all(line)
            if not self.is_boilerplate(address)
        }
        if len(found) != 1:
            return []
        [(address, number)] = found.values()
        while number and self.lines[number - 1].strip():  # the paragraph from its beginning
            number -= 1
        words = " ".join(" ".join(self.lines[number : number + 20]).split())
        return [Finding(address, words[:2_000])]

    def near(self, address: str) -> tuple[str, ...]:
        """What the notice says beside the address, best account first."""
        return self._accounts.get(addresses.key(address), ())

    def whole(self) -> str:
        """The notice in one line."""
        return self._whole

    @cached_property
    def _accounts(self) -> dict[str, tuple[str, ...]]:
        return {addresses.key(f.address): (f.words, *f.spare) for f in self.findings}

    @cached_property
    def _whole(self) -> str:
        return " ".join(self.text[:16_000].split())


def _line(line: str) -> str:
    """A line without the end that an undeclared quoted-printable encoding left on it."""
    return line[:MAX_LINE].removesuffix("=20").removesuffix("=09").removesuffix("=")


def _begins_returned(line: str) -> bool:
    if _HEADER.match(line):
        return True
    if len(line) > 200 or not (match := RETURNED.search(line)) or _WHY.search(line):
        return False
    return bool(DASHES.match(line)) or any(match.groups()) or line.rstrip().endswith(":")
