"""What an erased address is known by: a hash that only who holds our key can make.

A plain SHA-256 of an address is as good as the address to anybody with a list of guesses.  So an
entry that outlives its person is kept under the HMAC-SHA256 of that hash, and a look-up asks for
both forms of it in one query.  Made from the hash and not from the address, so that who asks by
hash is answered too.

The key comes with the connection (`analysis.store.open_store`).  Keys are a row of which the first
one is for new entries and all are looked under: that is rotation, and an old key is needed for as
long as entries stand under its mark.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256

from sqlalchemy import Connection, func, select

from analysis.schema import suppressions
from analysis.store_terms import OPTION


class NoKey(Exception):
    """There is no key to keep an erased entry under."""


def keys(tx: Connection) -> Sequence[bytes]:
    """The keys that came with the connection, the one for new entries first."""
    found: Sequence[bytes] = tx.get_execution_options().get(OPTION, ())
    return found


def keyed(key: bytes, address_hash: bytes) -> bytes:
    mac = _keyed(key).copy()  # `hmac.digest` lets go of the GIL, which is long in coming back
    mac.update(address_hash)
    return mac.digest()


@lru_cache(16)
def _keyed(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod="sha256")


def mark(key: bytes) -> str:
    """A name of the key that tells nothing of it."""
    return sha256(b"carom privacy key" + key).hexdigest()[:16]


def newest(tx: Connection) -> bytes:
    """The key for new entries, or `NoKey`."""
    for key in keys(tx):
        return key
    raise NoKey("no key to erase with: set [privacy] keys, or [tokens] keys")


def forms(tx: Connection, hashes: Iterable[bytes]) -> dict[bytes, bytes]:
    """Every hash that entries of these addresses may stand under, with the one that was asked."""
    asked = list(hashes)
    return {**dict(zip(asked, asked, strict=True)), **keyed_forms(tx, asked)}


def keyed_forms(tx: Connection, hashes: Sequence[bytes]) -> dict[bytes, bytes]:
    """The same without the plain ones."""
    return {keyed(key, one): one for key in keys(tx) for one in hashes}


def orphans(tx: Connection) -> int:
    """Entries that no key finds any more: whom they protect is written to again."""
    known = [mark(key) for key in keys(tx)]
    lost = suppressions.c.erased_by.is_not(None) & suppressions.c.erased_by.not_in(known)
    return int(tx.execute(select(func.count()).where(lost)).scalar_one())
