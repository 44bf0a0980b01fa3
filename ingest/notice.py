"""The notice: the part of a report that people read, and the failed addresses named in it.

Software without RFC 3464 says in prose what it could not deliver, in a handful of shapes that all
share: a list of addresses under an opening sentence, an address with its reason behind it, a
sentence that names the address.  This module knows the shapes; `ingest.dialects` knows the wordings
that have none of them.

Owns the cut between the notice and the message it returns; nothing below the cut names a failure.
Promises to name an address only on evidence that it failed: its place in a list that was announced,
a reply beside it, a sentence that says so.  Addresses of the sender, of the reporting system and of
role mailboxes are boilerplate unless they stand in such a list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property

from ingest import addresses
from ingest.addresses import ADDRESS
from ingest.finding import Finding
from ingest.mime import MAX_TEXT, Headers, Mail
from ingest.wording import FAILED, FOOTER, HELP, OPENS_LIST, RETURNED

MAX_LINES = 1_500
MAX_LINE = 500
MAX_FOUND = 200

_DASHES = re.compile(r"[ \t>|]{0,10}[-=_*#~+.](?:[ \t]?[-=_*#~+.|]){1,}")
_HEADER = re.compile(
    r"Received: |Received:from |Return-Path: ?<|DKIM-Signature: ?|Received-SPF: |MIME-Version: 1"
    r"|X-Originating-IP: |Delivered-To: ",
    re.IGNORECASE,
)
_ALONE = re.compile(
    rf"[\s*|>\u2022\u00b7-]{{0,30}}(?:\d{{1,3}}[.)]\s)?[<\[(\"']{{0,2}}({ADDRESS})[>\])\"']{{0,2}}"
    r"(?:\s{0,5}<?\(?(?:mailto|smtp):[^\s>)]{1,200}[>)]{1,2})?\s{0,5}[:,;.]?\s{0,20}"
)
_NAMED = re.compile(
    rf"[\s*|>\u2022-]{{0,30}}[^<>:]{{1,80}}[<(\[]({ADDRESS})[>)\]]\s{{0,5}}[:,;.]?\s{{0,20}}"
)
_LEADING = re.compile(
    rf"([\s*|>\u2022-]{{0,30}})[<\[\"']{{0,2}}({ADDRESS})[>\]\"']{{0,2}}"
    r"(?:\s{0,3}(?::|\.\.\.|;|,|=>|--?\s|\(|\[|\uff1a)|\s{1,20}(?=on\s|Invalid|\d{3}[\s-]|Failed|failed|error))"
    r"\s{0,20}(.*)"
)
_CODED = re.compile(
    r"\s{0,10}[45]\d\d[ -](?:#?[45]\.\d{1,2}\.\d{1,3}[ -])?"
    rf"[<\"]?({ADDRESS})[>\"]?(?:\.\.\.|:|,|;)"
)
_LABEL = re.compile(
    r"[\W_]{0,20}(?:final |original |failed |intended |invalid |rejected |unknown |e-?mail )?"
    r"(?:recipients?|addressee|addressed to|rcpt to|address(?:es)?|user|mailbox|to|e-?mail"
    r"|destinatari\w{1,3}|destinataire|empf\u00e4nger|adresse?|\u6536\u4ef6\u4eba(?:\u5730\u5740|\u90ae\u7bb1)?"
    r"|\u6536\u4fe1\u4eba|\u6536\u4ef6\u8005|\u63a5\u6536\u4eba|\u53d7\u4fe1\u8005|\u5b9b\u5148|\u9001\u4fe1\u5148"
    r"|\u043f\u043e\u043b\u0443\u0447\u0430\u0442\u0435\u043b\u044c|\u043a\u043e\u043c\u0443)"
    r"(?: address| name| e-?mail)?(?:\(e?s\))?\s{0,5}[:\uff1a]\s{0,30}"
    rf"[\[<\"'({{]{{0,2}}({ADDRESS})",
    re.IGNORECASE,
)
_GENERATED = re.compile(rf"\((?:ultimately )?generated from <?({ADDRESS})", re.IGNORECASE)
_EXPANDED = re.compile(rf"\(expanded from:? <?({ADDRESS})", re.IGNORECASE)


_REFUSED = re.compile(r"<<< {0,4}[45]\d\d")


_PARAGRAPH = re.compile(r"\n[ \t]{0,20}\n")
_SENTENCE = re.compile(r"(?<=[.!?\u3002\uff01])(?=\s)|(?<=\u3002)")
_ORIGINAL = re.compile(
    rf"\W{{0,20}}original (?:recipient|address)[^:@]{{0,20}}:\s{{0,20}}<?({ADDRESS})", re.IGNORECASE
)


class Trust(IntEnum):
    """How an address stands in the notice; only the best kind found is believed."""

    HEADER = 1  # X-Failed-Recipients, or a `To:` line in a notice of failure
    SENTENCE = 2  # a sentence of failure that names it
    LABEL = 3  # `Recipient: user@example.com`
    REPLY = 4  # a reply that speaks of it
    LISTED = 5  # in the list of the failed, or with its reason behind it


@dataclass(slots=True)
class _Entry:
    address: str
    trust: Trust
    indent: int
    at: int
    words: list[str] = field(default_factory=list)
    original: str = ""


@dataclass(frozen=True)
class Notice:
    """The text for people of one report, and what is known of the message it is about."""

    mail: Mail

    @cached_property
    def _cut(self) -> tuple[list[str], str]:
        lines = self.mail.notice.split("\n")
        for number, line in enumerate(lines[:MAX_LINES]):
            if number and _begins_returned(line) and any("@" in seen for seen in lines[:number]):
                return lines[:number], "\n".join(lines[number:])
        return lines[:MAX_LINES], ""

    @cached_property
    def lines(self) -> list[str]:
        """The notice's own lines, up to the returned message."""
        own = [line[:MAX_LINE] for line in self._cut[0]]
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
        below = self._cut[1].split("\n")
        for number, line in enumerate(below):
            if _HEADER.match(line) or line.lower().startswith(("from:", "date:", "message-id:")):
                block = "\n".join(below[number : number + 300]).partition("\n\n")[0]
                return Headers(block)
        return Headers("")

    @cached_property
    def senders(self) -> frozenset[str]:
        """Whoever the failed message came from: never a failed recipient unless it was one."""
        fields = [self.mail.headers.get("to"), self.mail.headers.get("from")]
        fields += [
            self.returned.get(name) for name in ("from", "return-path", "reply-to", "sender")
        ]
        return frozenset(addresses.key(a) for value in fields for a in addresses.find_all(value))

    @cached_property
    def targets(self) -> frozenset[str]:
        """Whom the returned message was written to."""
        values = [v for name in ("to", "cc", "bcc") for v in self.returned.all(name)]
        return frozenset(addresses.key(a) for v in values for a in addresses.find_all(v[:4_000]))

    def is_boilerplate(self, address: str) -> bool:
        folded = addresses.key(address)
        if folded in self.targets:
            return False
        return folded in self.senders or addresses.is_role(address)

    @cached_property
    def findings(self) -> list[Finding]:
        """Every address that the notice says failed, with the words that belong to it."""
        return _Reader(self).read()

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


def _begins_returned(line: str) -> bool:
    if _HEADER.match(line):
        return True
    if len(line) > 200 or not (match := RETURNED.search(line)):
        return False
    return (
        bool(_DASHES.match(line)) or any(match.groups()) or line.rstrip().endswith((":", "\uff1a"))
    )


class _Reader:
    """Walks the lines once; each address that stands out becomes an entry that gathers words."""

    def __init__(self, notice: Notice) -> None:
        self.notice = notice
        self.entries: list[_Entry] = []
        self.known: dict[tuple[str, Trust], _Entry] = {}
        self.listing = False
        self.blank = True

    def read(self) -> list[Finding]:
        lines = self.notice.lines
        for number, line in enumerate(lines):
            if not line.strip():
                self.blank = True
                continue
            self._line(number, line)
            self.blank = False
        if not self.entries:
            self._sentences(lines)
        self._header()
        return self._findings()

    def _line(self, number: int, line: str) -> None:
        entry = self._entry(number, line) if "@" in line and len(self.entries) < MAX_FOUND else None
        if entry is not None and self._accept(entry):
            self.listing = self.listing or entry.trust is Trust.LISTED
            return
        if OPENS_LIST.search(line):
            self.listing = True
        elif _DASHES.match(line):
            self.listing = False
        if self.entries:
            self._continue(self.entries[-1], line)

    def _entry(self, number: int, line: str) -> _Entry | None:
        indent = len(line) - len(line.lstrip())
        current = self.entries[-1] if self.entries else None
        inside = current is not None and not self.blank and indent > current.indent
        if match := _ALONE.fullmatch(line):
            bracketed = line.lstrip().startswith("<") and line.rstrip().endswith(":")
            strong = self.listing or bracketed
            trust = Trust.LISTED if strong else Trust.LABEL
            return None if inside else _Entry(match[1], trust, indent, number)
        if self.listing and (match := _NAMED.fullmatch(line)):
            return None if inside else _Entry(match[1], Trust.LISTED, indent, number)
        if match := _CODED.match(line):
            return _Entry(match[1], Trust.REPLY, indent, number, [line.strip()])
        if (match := _LEADING.match(line)) and not inside:
            failed = self.listing or FAILED.search(match[3]) is not None or match[3].strip() == ""
            if failed or line.lstrip().startswith("<"):
                return _Entry(match[2], Trust.LISTED, indent, number, [match[3].strip()])
        if current is not None and _ORIGINAL.match(line):
            return None
        if match := _LABEL.match(line):
            own = re.match(r"\W{0,20}to\b", line, re.IGNORECASE) is not None
            return _Entry(match[1], Trust.HEADER if own else Trust.LABEL, indent, number)
        return None

    def _accept(self, entry: _Entry) -> bool:
        entry.address = addresses.bare(entry.address)
        if not entry.address or len(self.known) >= MAX_FOUND:
            return False
        if self.notice.is_boilerplate(entry.address):
            if entry.trust is not Trust.LISTED or not self.listing:
                return False
            entry.trust = Trust.SENTENCE  # believed only where nobody else stands in the list
        key = (addresses.key(entry.address), entry.trust)
        if key in self.known:
            self.known[key].words += entry.words
            self.entries.append(self.known[key])
            return True
        self.known[key] = entry
        self.entries.append(entry)
        return True

    def _continue(self, entry: _Entry, line: str) -> None:
        for pattern in (_GENERATED, _EXPANDED, _ORIGINAL):
            if (match := pattern.search(line)) and match[1].lower() != entry.address.lower():
                entry.original = match[1]
        if len(entry.words) < 60:
            entry.words.append(line.strip())

    def _sentences(self, lines: list[str]) -> None:
        """Addresses in sentences of failure, which may run over several lines."""
        whole = "\n".join(lines[:200])[:16_000]
        for paragraph in _PARAGRAPH.split(whole):
            if "@" not in paragraph:
                continue
            for sentence in _SENTENCE.split(" ".join(paragraph.split())):
                if "@" in sentence and FAILED.search(sentence) and not HELP.search(sentence):
                    self._named_in(sentence, whole.partition(paragraph)[2])

    def _named_in(self, sentence: str, after: str) -> None:
        for address in addresses.find_all(sentence)[:3]:
            if not self.notice.is_boilerplate(address):
                words = [sentence, " ".join(after[:1_000].split())]
                self._accept(_Entry(address, Trust.SENTENCE, 0, 0, words))

    def _header(self) -> None:
        for value in self.notice.mail.headers.all("x-failed-recipients"):
            for address in addresses.find_all(value[:8_000]):
                self._accept(_Entry(address, Trust.SENTENCE, 0, 0))

    def _findings(self) -> list[Finding]:
        if not self.known:
            return []
        best = max(trust for _, trust in self.known)
        chosen = [entry for (_, trust), entry in self.known.items() if trust is best]
        found = []
        for entry in chosen:
            same = [e for (key, _), e in self.known.items() if key == addresses.key(entry.address)]
            accounts = [self._said_to(entry.address), *(" ".join(e.words) for e in [entry, *same])]
            # the reason that follows a list of bare addresses stands with the last of them
            accounts += [] if entry.words else [" ".join(chosen[-1].words)]
            words, *spare = [*dict.fromkeys(a for a in accounts if a), ""]
            found.append(
                Finding(entry.address, words, original=entry.original, spare=tuple(spare[:-1]))
            )
        return found

    def _said_to(self, address: str) -> str:
        """Remote replies in a transcript: to this recipient, or to the message as a whole."""
        said: list[str] = []
        asked = ""
        for line in self.notice.lines:
            if line.startswith(">>> "):
                asked = addresses.key(addresses.first(line)) if "RCPT" in line[:12].upper() else ""
            elif _REFUSED.match(line) and asked in ("", addresses.key(address)):
                said.append(line[4:].strip())
        return "\n".join(said[:40])
