"""The wordings that flufl.bounce knows, behind guards: the last to be asked about a notice.

Its detectors were written for friendly mail, so each is called alone, on a message of our own
making: the few header fields they look at and the notice cut to 16 kB of lines of 200 characters
(one is quadratic in a line's length).  Never its Netscape detector, which takes cubic time, nor
Yale's, which invents domains, nor its DSN reader, nor `scan_message`, where the exception of one
ends all.  What they find is evidence of who failed, as every address in a report; it identifies
nobody.
"""

from __future__ import annotations

from email.message import Message
from typing import Final, Protocol

from flufl.bounce._detectors.aol import AOL
from flufl.bounce._detectors.exchange import Exchange
from flufl.bounce._detectors.llnl import LLNL
from flufl.bounce._detectors.qmail import Qmail
from flufl.bounce._detectors.simplematch import SimpleMatch
from flufl.bounce._detectors.simplewarning import SimpleWarning
from flufl.bounce._detectors.smtp32 import SMTP32
from flufl.bounce._detectors.yahoo import Yahoo

MAX_TEXT: Final = 16_000
MAX_LINE: Final = 200
MAX_FOUND: Final = 100

_NO_COMMENTS = str.maketrans("()", "  ")
"""`email` recurses by parenthesis, and detectors want the address alone."""


class _Detector(Protocol):
    def process(self, msg: Message) -> tuple[frozenset[bytes], frozenset[bytes]]: ...


_DETECTORS: Final[tuple[type[_Detector], ...]] = (
    SimpleMatch,
    SimpleWarning,
    Qmail,
    Exchange,
    SMTP32,
    Yahoo,
    AOL,
    LLNL,
)
_KNOWN_TROUBLE = (AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What detectors raise on mail they did not expect, each seen in 40,000 mutated reports."""


def ask(sender: str, subject: str, text: str) -> tuple[list[str], list[str]]:
    """(delayed, failed) addresses by the first detector that finds any, sorted."""
    message = _letter(sender, subject, text)
    for detector in _DETECTORS:
        try:
            delayed, failed = detector().process(message)
        except _KNOWN_TROUBLE:
            continue  # one detector's trouble is no word about the mail
        if delayed or failed:
            return _plain(delayed), _plain(failed)
    return [], []


def _letter(sender: str, subject: str, text: str) -> Message:
    message = Message()
    message["From"] = _ascii(sender.translate(_NO_COMMENTS))
    message["Subject"] = _ascii(subject)
    lines = (line[:MAX_LINE] for line in text[:MAX_TEXT].split("\n"))
    message.set_payload("\n".join(lines).encode("ascii", "replace").decode())
    return message


def _ascii(value: str) -> str:
    """One printable line: the detectors lower-case header fields and expect text."""
    plain = "".join(c if " " <= c <= "~" else " " for c in value[:500])
    return plain.strip() or "unknown@invalid"


def _plain(found: frozenset[bytes]) -> list[str]:
    return sorted(address.decode("utf-8", "replace") for address in found)[:MAX_FOUND]
