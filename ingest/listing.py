"""The shapes in which prose names failed addresses, and the walk that gathers their words.

An address stands alone under a sentence that opens a list, has its reason behind it, follows a
label, is spoken of by a reply, or is named by a sentence of failure.  How it stands says how far it
is believed (`Trust`); only the best kind that a notice has counts, so that a list silences the
addresses that boilerplate mentions.

Each line is looked at once, with patterns whose repetitions are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from ingest import addresses
from ingest.addresses import ADDRESS
from ingest.finding import Finding
from ingest.wording import FAILED, HELP, OPENS_LIST, QUEUED, SPARED, WAITING

MAX_FOUND = 200
MAX_WORDS = 60
"""Lines that are kept beside one address."""

DASHES = re.compile(r"[ \t>|]{0,10}[-=_*#~+.](?:[ \t]?[-=_*#~+.|]){1,}")

_KIND = r"(?:(?:smtp|mailto|rfc822|internet|email)[:;]\s?)?"
_ALONE = re.compile(
    r"[\s*|>\u2022\u00b7-]{0,30}(?:\d{1,3}[.)]\s|(?:pipe |save )?generated (?:by|from) )?"
    rf"[<\[(\"']{{0,2}}{_KIND}({ADDRESS})[>\])\"']{{0,2}}"
    r"(?:\s{0,5}<?\(?(?:mailto|smtp):[^\s>)]{1,200}[>)]{1,2})?\s{0,5}[:,;.]?[\s-]{0,40}",
    re.IGNORECASE,
)
_NAMED = re.compile(
    rf"[\s*|>\u2022-]{{0,30}}[^<>:]{{1,80}}[<(\[]{_KIND}({ADDRESS})[>)\]]"
    r"(?:\s{0,5}<?\(?(?:mailto|smtp):[^\s>)]{1,200}[>)]{1,2})?\s{0,5}[:,;.]?\s{0,20}"
    r"(?:(?:on|am|le|el|il|em|op|den) \S{0,12}\d.{0,40})?",
    re.IGNORECASE,
)
_LEADING = re.compile(
    rf"([\s*|>+\u2022-]{{0,30}}(?:\d{{1,3}}[.)]\s)?)[<\[\"']{{0,2}}{_KIND}({ADDRESS})[>\]\"']{{0,2}}"
    r"(?:\s{0,3}(?:\t|:|\.\.\.|;|,|=>|--?\s|\(|\[|\uff1a)"
    r"|\s{1,20}(?=(?:on|am|le|el|il|op|em|den)\s\S{0,20}\d|on\s|Invalid|\d{3}[\s-]|Failed|failed|error|User|user|is\s|was\s))"
    r"\s{0,20}(.*)"
)
_CODED = re.compile(
    r"\s{0,10}[45]\d\d[ -](?:#?[45]\.\d{1,2}\.\d{1,3}[ -])?"
    rf"[<\"]?({ADDRESS})[>\"]?(?:\.\.\.|:|,|;)"
)
_XMAIL = re.compile(rf"\bRcpt=\[({ADDRESS})\];Error=\[(.{{1,400}})\]")
_LABEL = re.compile(
    r"[\W_]{0,20}(?:final |original |failed |intended |invalid |rejected |unknown |e-?mail )?"
    r"(?:recipients?|error-for|addressee|addressed to|rcpt to|address(?:es)?|user|mailbox|to"
    r"|e-?mail"
    r"|destinatari\w{1,3}|destinataire|empf\u00e4nger|adresse?|收件人(?:地址|邮箱)?|收信人|收件者|接收人"
    r"|受信者|(?:宛先|送信先|あて先)(?:の?メール)?(?:アドレス)?"
    r"|получатель|кому|받는 ?사람|수신자|수신인|odbiorca|adresat"
    r"|ontvanger|geadresseerde|mottagare|mottaker|modtager|al\u0131c\u0131|c\u00edmzett)"
    r"(?: address| name| e-?mail)?(?:\(e?s\))?(?:\s?[(\uff08/][^()\uff08\uff09@:]{1,30}[)\uff09]?)?"
    r"\s{0,5}[:=\uff1a\t]\s{0,30}"
    rf"[\[<\"'({{]{{0,2}}{_KIND}({ADDRESS})",
    re.IGNORECASE,
)
_X400 = re.compile(rf"(?:smtp|rfc-?822)[=:]\s?({ADDRESS})", re.IGNORECASE)
_FROM = re.compile(rf"\bfrom:?\s{{1,5}}[<\"']?{ADDRESS}", re.IGNORECASE)
_FIELD = re.compile(r"[A-Za-z][A-Za-z-]{1,60}: ")
_HEADER_TO = re.compile(r"\W{0,20}to\b", re.IGNORECASE)
_DELIVERY = re.compile(r"[ \t]{1,10}(?:pipe to |save to |\||/)\S")
"""A delivery that Exim lists in place of an address; who it was for stands on the next line."""
_ORIGINS = (
    re.compile(rf"generated from:? <?({ADDRESS})", re.IGNORECASE),
    re.compile(rf"expanded from:? <?({ADDRESS})", re.IGNORECASE),
    re.compile(
        rf"^\W{{0,20}}original (?:recipient|address)[^:@]{{0,20}}:\s{{0,20}}<?({ADDRESS})",
        re.IGNORECASE,
    ),
)
_LISTED = re.compile(
    rf"\s{{0,30}}(?:<?{ADDRESS}>?\s{{0,3}}[,;]\s{{0,3}}){{1,50}}<?{ADDRESS}>?\s{{0,9}}"
)
_REFUSED = re.compile(r"<<< {0,4}[45]\d\d")
_CONSEQUENCE = re.compile(
    r"50[013] (?:\d\.\d\.\d )?.{0,40}(?:rcpt|recipient)|554 .{0,20}no valid recipients",
    re.IGNORECASE,
)
"""What a system says to DATA after it refused everybody: no news of anybody."""
_PARAGRAPH = re.compile(r"\n[ \t]{0,20}\n")
_SENTENCE = re.compile(r"(?<=[.!?\u3002\uff01])(?=\s)|(?<=\u3002)")


class Trust(IntEnum):
    """How an address stands in a notice; only the best kind found is believed."""

    HEADER = 1  # a `To:` line in a notice of failure
    SENTENCE = 2  # a sentence of failure that names it, or X-Failed-Recipients
    LABEL = 3  # `Recipient: user@example.com`
    REPLY = 4  # a reply that speaks of it
    LISTED = 5  # in the list of the failed, or with its reason behind it


@dataclass(slots=True)
class Entry:
    """An address that stands out, and the words that belong to it."""

    address: str
    trust: Trust
    indent: int = 0
    words: list[str] = field(default_factory=list)
    original: str = ""


def _is_field(entry: Entry, line: str) -> bool:
    """Whether the line is a further field of the header that names the address: no reason."""
    return entry.trust is Trust.HEADER and _FIELD.match(line) is not None


def _has_reason(entry: Entry) -> bool:
    """Whether Sendmail gave the reason of this one: `(reason: 550 ...)`."""
    return bool(entry.words) and entry.words[0].startswith("(reason: ")


class Walk:
    """One pass over the lines of a notice.  `boilerplate` tells addresses that never failed."""

    def __init__(self, lines: Sequence[str], boilerplate: Callable[[str], bool]) -> None:
        self.lines = lines
        self.boilerplate = boilerplate
        self.known: dict[tuple[str, Trust], Entry] = {}
        self._current: Entry | None = None
        self._listing = False
        self._spared = False  # whether the list is of those who got it
        self._blank = True
        self._said: list[tuple[str, str]] | None = None  # read only where somebody failed

    def read(self, header: Iterable[str] = ()) -> list[Finding]:
        """Whoever failed by the lines or, where those say less, by the header's own list."""
        for line in self.lines:
            if line.strip():
                self._line(line)
            self._blank = not line.strip()
        if not self.known:
            self._sentences()
        for address in header:
            self._accept(Entry(address, Trust.SENTENCE))
        return self._findings()

    @property
    def trust(self) -> Trust:
        """The best kind found."""
        return max((trust for _, trust in self.known), default=Trust.HEADER)

    def _line(self, line: str) -> None:
        if "@" in line and self._names(line):
            return
        if OPENS_LIST.search(line):
            self._spared = SPARED.search(line) is not None
            self._listing = not self._spared
        elif DASHES.match(line):
            self._listing = self._spared = False
            if self._current is not None and _has_reason(self._current):
                self._current = None  # below is the transcript, which is about the others too
        elif self._listing and self._blank and _DELIVERY.match(line):
            self._current = None
        if self._current is not None and not _is_field(self._current, line):
            self._gather(self._current, line)

    def _names(self, line: str) -> bool:
        """Whether the line is about addresses of its own."""
        if self._listing and _LISTED.fullmatch(line):
            accepted = [self._accept(Entry(a, Trust.LISTED)) for a in addresses.find_all(line)]
            return any(accepted)
        entry = None if self._spared else self._entry(line)
        if entry is None or not self._accept(entry):
            return False
        self._listing = self._listing or entry.trust is Trust.LISTED
        return True

    def _entry(self, line: str) -> Entry | None:
        indent = len(line) - len(line.lstrip())
        current = self._current
        inside = current is not None and not self._blank and indent > current.indent
        if inside or (current is not None and _ORIGINS[-1].match(line)):
            return self._spoken_of(line, indent)
        return (
            self._listed(line, indent)
            or self._spoken_of(line, indent)
            or self._labelled(line, indent)
        )

    def _listed(self, line: str, indent: int) -> Entry | None:
        if match := _ALONE.fullmatch(line):
            sure = self._listing or (line.lstrip()[:1] == "<" and line.rstrip()[-1:] == ":")
            return Entry(match[1], Trust.LISTED if sure else Trust.LABEL, indent)
        if self._listing and (match := _NAMED.fullmatch(line)):
            return Entry(match[1], Trust.LISTED, indent)
        if self._listing and (match := _X400.search(line)):
            return Entry(match[1], Trust.LISTED, indent)
        if (match := _LEADING.match(line)) and not _CODED.match(line):
            reason = match[3].strip()
            if self._listing or not reason or line.lstrip()[:1] == "<" or FAILED.search(reason):
                entry = Entry(match[2], Trust.LISTED, indent)
                self._gather(entry, reason)
                return entry
        return None

    def _spoken_of(self, line: str, indent: int) -> Entry | None:
        if match := _CODED.match(line):
            return Entry(match[1], Trust.REPLY, indent, [line.strip()])
        if match := _XMAIL.search(line):
            return Entry(match[1], Trust.REPLY, indent, [match[2]])
        return None

    def _labelled(self, line: str, indent: int) -> Entry | None:
        match = _LABEL.match(line)
        if match is None:
            return None
        return Entry(match[1], Trust.HEADER if _HEADER_TO.match(line) else Trust.LABEL, indent)

    def _accept(self, entry: Entry) -> bool:
        entry.address = addresses.bare(entry.address)
        if not entry.address or len(self.known) >= MAX_FOUND:
            return False
        if self.boilerplate(entry.address):
            if entry.trust is not Trust.LISTED or not self._listing:
                return False
            entry.trust = Trust.SENTENCE  # believed only where nobody else stands in the list
        kept = self.known.setdefault((addresses.key(entry.address), entry.trust), entry)
        if kept is not entry:
            kept.words += entry.words
        self._current = kept
        return True

    def _gather(self, entry: Entry, line: str) -> None:
        for pattern in _ORIGINS:
            if (match := pattern.search(line)) and match[1].lower() != entry.address.lower():
                entry.original = match[1]
        if len(entry.words) < MAX_WORDS:
            entry.words.append(line.strip())

    def _sentences(self) -> None:
        """Addresses in sentences of failure, which may run over several lines."""
        whole = "\n".join(self.lines[:200])[:16_000]
        paragraphs = _PARAGRAPH.split(whole)
        for number, paragraph in enumerate(paragraphs):
            if "@" not in paragraph:
                continue
            after = " ".join(" ".join(paragraphs[number + 1 : number + 6])[:1_000].split())
            lines = paragraph.split("\n")
            alone = sum("@" in line for line in lines) == 1  # what stands around is about it too
            around = f"{paragraph} {after}" if alone else after
            named = [self._named_in(line, around) for line in lines]
            if not any(named):
                for sentence in _SENTENCE.split(" ".join(paragraph.split())):
                    self._named_in(sentence, after)

    def _named_in(self, sentence: str, after: str) -> bool:
        """Whether the sentence names somebody who failed, or is still waited for."""
        if "@" not in sentence or HELP.search(sentence):
            return False
        if not any(words.search(sentence) for words in (FAILED, WAITING, QUEUED)):
            return False
        found = addresses.find_all(_FROM.sub(" ", sentence))[:3]
        failed = [address for address in found if not self.boilerplate(address)]
        for address in failed:
            self._accept(Entry(address, Trust.SENTENCE, 0, [sentence, after]))
        return bool(failed)

    def _findings(self) -> list[Finding]:
        if not self.known:
            return []
        best = self.trust
        chosen = [entry for (_, trust), entry in self.known.items() if trust is best]
        # the reason that follows a list of bare addresses stands with the last of them
        shared = " ".join(chosen[-1].words)
        return [self._finding(entry, shared) for entry in chosen]

    def _finding(self, entry: Entry, shared: str) -> Finding:
        """What is said of one address: by the remote system, beside it, elsewhere."""
        folded = addresses.key(entry.address)
        same = [entry, *(self.known[folded, t] for t in Trust if (folded, t) in self.known)]
        told = [self._said_to(folded), *(" ".join(e.words) for e in same)]
        told.sort(key=lambda words: not words.startswith("(reason: "))  # Sendmail's, of this one
        told += [] if entry.words else [shared]
        words, *spare = [*dict.fromkeys(filter(None, told))] or [""]
        return Finding(entry.address, words, original=entry.original, spare=tuple(spare))

    def _said_to(self, folded: str) -> str:
        """Remote replies in a transcript: to this recipient, or to the message as a whole."""
        if self._said is None:
            self._said = self._transcript()
        said = [line for asked, line in self._said if asked in ("", folded)]
        said = [line for line in said if not _CONSEQUENCE.match(line)] or said
        return "\n".join(said[:40])

    def _transcript(self) -> list[tuple[str, str]]:
        """Each refusal of a remote system, and whom it was asked about, '' for the message."""
        said: list[tuple[str, str]] = []
        asked = whole = ""
        for line in self.lines:
            meant = _CODED.match(line) if whole else None
            if meant is not None and self._is_known(addresses.key(meant[1])):
                said = [pair for pair in said if pair != ("", whole)]  # it was of this one
                said.append((addresses.key(meant[1]), whole))
                continue
            whole = ""
            if line.startswith(">>> "):
                asked = addresses.key(addresses.first(line)) if "RCPT" in line[:12].upper() else ""
            elif _REFUSED.match(line):
                spoken_of = addresses.key(addresses.first(line))
                whom = spoken_of if self._is_known(spoken_of) else asked
                whole = "" if whom else line[4:].strip()
                said.append((whom, line[4:].strip()))
        return said

    def _is_known(self, folded: str) -> bool:
        return any((folded, trust) in self.known for trust in Trust)
