"""Seed mailboxes: one look over IMAP, which probes of ours lie in which folder.

A look is one connection: log in, list the folders, read in each the few header fields that matter
of the newest messages, take out the probes that an earlier look has recorded, log out.  It reads
nothing else, marks nothing as read, and touches no message without a tag of ours.

Blocking, for a thread.  Bounded: `LOOK_SECONDS` in all, `FOLDERS` folders, `MESSAGES` messages in
each.  What goes wrong is a `SeedError`; a look that ended so has established nothing.

Gmail's tabs (Promotions) are labels inside the inbox, not folders: they count as inbox.
"""

from __future__ import annotations

import calendar
import email
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_tz
from typing import Any

from imap_tools import BaseMailBox, FolderInfo

from analysis.placement import TAG, Place, Sighting
from analysis.reply import clean
from ingest import authres
from ingest.seed_account import Account, Reason, SeedError, abilities, logged_in, ordered

LOOK_SECONDS = 180.0
FOLDERS = 20
MESSAGES = 2_000
"""Newest of a folder that are read: a seed mailbox is for seeds, and is emptied of them."""

_AT_ONCE = 200
_HEADER = 65_536
_DAY = 86_400.0
_FIELDS = f"(UID INTERNALDATE BODY.PEEK[HEADER.FIELDS ({TAG} Authentication-Results)])"
_UID = re.compile(rb"\bUID (\d{1,20})\b")
_DATE = re.compile(rb'INTERNALDATE "([^"]{10,40})"')
_PASSED_OVER = frozenset(
    {"\\noselect", "\\nonexistent", "\\all", "\\sent", "\\drafts", "\\flagged"}
)
_JUNK = "\\junk"  # RFC 6154
JUNK_NAMES = frozenset(
    {
        *("junk", "spam", "junk e-mail", "junk email", "bulk", "bulk mail", "[gmail]/spam"),
        *("inbox.junk", "inbox.spam", "inbox/junk", "inbox/spam", "junk-e-mail", "unerwünscht"),
        *("垃圾邮件", "垃圾箱", "广告邮件", "indésirables", "correo no deseado", "спам"),
    }
)
"""What the folder is called where no folder says `\\Junk` of itself."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a look is for.  `probe_of` gives the probe that a tag proves, or None."""

    since: float
    probe_of: Callable[[str], str | None]
    remove: frozenset[str] = frozenset()  # recorded probes to be taken out


def look(account: Account, wish: Wish, monotonic: Callable[[], float]) -> list[Sighting]:
    """Every probe there is, inbox first, one sighting a message; raises `SeedError`."""
    ends = monotonic() + LOOK_SECONDS
    found: list[Sighting] = []
    with logged_in(account) as mailbox:
        for place, folder in folders(account, mailbox.folder.list()):
            found += _in_folder(mailbox, account, place, folder, wish)
            if monotonic() > ends:
                raise SeedError(Reason.TIMEOUT, f"a look took more than {LOOK_SECONDS:g} s")
    return found


def check(account: Account) -> list[tuple[Place, str]]:
    """Log in and open the folders that a look would go through; raises `SeedError`."""
    with logged_in(account) as mailbox:
        found = folders(account, mailbox.folder.list())
        for _, folder in found:
            mailbox.folder.set(folder, readonly=True)
    return found


def folders(account: Account, listed: Sequence[FolderInfo]) -> list[tuple[Place, str]]:
    """The folders to look through, the inbox first, as many as are looked at.

    What the account names counts; else the folders that say `\\Junk` of themselves (RFC 6154), else
    those that are called so.
    """
    names = {one.name: {flag.lower() for flag in one.flags} for one in listed}
    usable = [name for name, flags in names.items() if not flags & _PASSED_OVER]
    junk = (
        [name for name in usable if name in account.junk]
        if account.junk
        else [name for name in usable if _JUNK in names[name]]
        or [name for name in usable if name.casefold() in JUNK_NAMES]
    )
    rest = [name for name in usable if name not in junk and name.upper() != account.inbox.upper()]
    found = [(Place.INBOX, account.inbox), *((Place.JUNK, name) for name in junk)]
    return (found + [(Place.OTHER, name) for name in rest])[:FOLDERS]


def _in_folder(
    mailbox: BaseMailBox, account: Account, place: Place, folder: str, wish: Wish
) -> list[Sighting]:
    mailbox.folder.set(folder, readonly=not wish.remove)
    # the day before, since SINCE compares days and knows no zone (RFC 9051 section 6.4.4)
    day = datetime.fromtimestamp(wish.since - _DAY, UTC)
    since = f"SINCE {day.day}-{calendar.month_abbr[day.month]}-{day.year}"
    uids = mailbox.uids(since, charset=None)[-MESSAGES:]
    found: list[Sighting] = []
    finished: list[str] = []
    for start in range(0, len(uids), _AT_ONCE):
        chunk = uids[start : start + _AT_ONCE]
        answers = ordered(mailbox, "FETCH", ",".join(chunk), _FIELDS)
        for uid, arrived_at, header in _messages(answers):
            sighting = _sighting(account, place, folder, wish, arrived_at, header)
            if sighting is None:
                continue
            found.append(sighting)
            if sighting.probe_id in wish.remove:
                finished.append(uid)
    _take_out(mailbox, finished)
    return found


def _messages(answers: Sequence[Any]) -> Iterator[tuple[str, float | None, bytes]]:
    """UID, INTERNALDATE and header of each message.

    The attributes come in any order, before the header's octets or after them (RFC 9051 section
    7.5.2); imaplib gives a tuple for what ends in octets and plain bytes for what follows.
    """
    for place, answer in enumerate(answers):
        if not isinstance(answer, tuple):
            continue
        after = answers[place + 1] if place + 1 < len(answers) else b""
        told = answer[0] + b" " + (after if isinstance(after, bytes) else b"")
        if uid := _UID.search(told):
            yield uid[1].decode(), _internal_date(told), answer[1][:_HEADER]


def _internal_date(told: bytes) -> float | None:
    """RFC 9051 section 9, `date-time`: `17-Jul-2026 02:44:25 -0700`."""
    if (found := _DATE.search(told)) is None:
        return None
    parsed = parsedate_tz(found[1].decode("ascii", "replace").replace("-", " ", 2))
    if parsed is None or parsed[9] is None:
        return None
    try:
        return float(calendar.timegm((*parsed[:6], 0, 0, 0)) - parsed[9])
    except (ValueError, OverflowError):
        return None


def _sighting(
    account: Account,
    place: Place,
    folder: str,
    wish: Wish,
    arrived_at: float | None,
    header: bytes,
) -> Sighting | None:
    fields = email.message_from_bytes(header)
    probe = wish.probe_of(str(fields.get(TAG, "")).strip())
    if probe is None:
        return None
    said = [str(value) for value in fields.get_all("Authentication-Results", [])]
    seen = authres.read(said, account.receiver)
    return Sighting(probe, place, clean(folder, 200), arrived_at, seen.spf, seen.dkim, seen.dmarc)


def _take_out(mailbox: BaseMailBox, uids: Sequence[str]) -> None:
    """Delete these and, where the server can (RFC 4315), expunge no message of anybody else's."""
    apart = "UIDPLUS" in abilities(mailbox) if uids else False
    for start in range(0, len(uids), _AT_ONCE):
        chunk = ",".join(uids[start : start + _AT_ONCE])
        ordered(mailbox, "STORE", chunk, "+FLAGS.SILENT", r"(\Deleted)")
        if apart:
            ordered(mailbox, "EXPUNGE", chunk)
        else:
            mailbox.expunge()
