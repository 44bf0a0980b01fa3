"""Search: whatever a user read out, one field for it.

An id, a Message-ID, an address (also with a name beside it), or words of a subject or an address.
What names one thing leads straight to it.
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
"""Characters of a subject or an address that are worth searching."""
MOST = 25
"""Messages that are shown."""


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
    found, to = await visit.desk.store.read(lambda tx: _by_words(tx, words))
    people = {person for person, _ in to.values()}
    if len(people) == 1 and words.casefold() in (person := people.pop()).casefold():
        return visit.go(f"/address?address={quote(person, safe='')}")
    if len(found) == 1:
        return visit.go(f"/messages/{found[0].message_id}")
    return visit.page("search.html", found=found, to=to, short=False)


def _by_words(tx: Connection, words: str) -> tuple[list[Found], dict[str, tuple[str, str]]]:
    """Messages that the words are in the subject of, or in an address of; and whom each went to."""
    found = {one.message_id: one for one in browsing.by_subject(tx, words)}
    to = browsing.first_recipients(tx, list(found))
    for row in browsing.by_recipient(tx, words, limit=max(0, MOST - len(found))):
        one = Found(row.message_id, row.subject, row.created_at, row.stream)
        found.setdefault(row.message_id, one)
        to[row.message_id] = (row.recipient, row.state)
    return sorted(found.values(), key=lambda one: one.message_id, reverse=True), to


def _address(words: str) -> str | None:
    """The address in `a@b`, `<a@b>` or `Name <a@b>`, as RCPT TO would name it."""
    if "@" not in words:
        return None
    try:
        return parse_mailbox(words).address.wire if "<" in words else parse(words).wire
    except AddressError:
        return None
