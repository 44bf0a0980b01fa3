"""Search: whatever a user read out, one field for it.

An id, a Message-ID, an address (also with a name beside it), or words of a subject.  What names one
thing leads straight to it.
"""

from __future__ import annotations

from urllib.parse import quote

from sqlalchemy import Connection
from starlette.responses import Response

from analysis import browsing
from analysis.address import AddressError, parse, parse_mailbox
from analysis.browsing import Found
from carom.console.visit import Visit

SHORTEST = 3
"""Characters of a subject that are worth searching."""


async def show(visit: Visit) -> Response:
    words = visit.ask("q")
    if not words:
        return visit.go("")
    bare = words.removeprefix("<").removesuffix(">")
    owner = await visit.desk.store.read(
        lambda tx: browsing.owner(tx, bare.lower() if bare.isalnum() else bare)
    )
    if owner is not None:
        return visit.go(f"/messages/{owner}")
    if address := _address(words):
        return visit.go(f"/address?address={quote(address, safe='')}")
    if len(words) < SHORTEST:
        return visit.page("search.html", found=[], to={}, short=True)
    found, to = await visit.desk.store.read(lambda tx: _by_subject(tx, words))
    if len(found) == 1:
        return visit.go(f"/messages/{found[0].message_id}")
    return visit.page("search.html", found=found, to=to, short=False)


def _by_subject(tx: Connection, words: str) -> tuple[list[Found], dict[str, tuple[str, str]]]:
    found = browsing.by_subject(tx, words)
    return found, browsing.first_recipients(tx, [one.message_id for one in found])


def _address(words: str) -> str | None:
    """The address in `a@b`, `<a@b>` or `Name <a@b>`, as RCPT TO would name it."""
    if "@" not in words:
        return None
    try:
        return parse_mailbox(words).address.wire if "<" in words else parse(words).wire
    except AddressError:
        return None
