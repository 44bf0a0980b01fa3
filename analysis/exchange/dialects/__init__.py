"""What the lists of other services look like, and what their words mean in ours.

A dialect is known by the names of its columns, which CSV and JSON share once case, blanks and
underscores are taken away.  It turns a row into one of ours, or refuses it (ValueError): a line is
taken only where the other service knew something of the mailbox or its owner, never for a block
that was about the sender.  The first dialect that knows the columns reads the file; ours is last.
"""

from __future__ import annotations

from analysis.exchange.dialects import mailgun, own, postal, postmark, sendgrid, ses, sparkpost
from analysis.exchange.dialects.shape import Dialect

DIALECTS: tuple[Dialect, ...] = (
    ses.DIALECT,
    postmark.DIALECT,
    sparkpost.DIALECT,
    postal.DIALECT,
    mailgun.DIALECT,
    sendgrid.DIALECT,
    own.DIALECT,
)


def recognised(columns: frozenset[str]) -> Dialect | None:
    """The dialect of a file with these columns, in plain names."""
    return next((dialect for dialect in DIALECTS if dialect.knows(columns)), None)


def named(name: str) -> Dialect:
    """The dialect of this name; `csv` and `ndjson` are our own."""
    return next((dialect for dialect in DIALECTS if dialect.name == name), own.DIALECT)
