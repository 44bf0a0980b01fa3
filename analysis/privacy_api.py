"""`/v1/recipients/{address}/export` and `/v1/audit`: what is kept of a person, who changed what.

Both need the scope `admin`.  Erasure stands beside them in `analysis.api`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response, StreamingResponse

from analysis import audit, keyed_hash
from analysis.access import Access
from analysis.address import address_hash
from analysis.body import answer, read_address, read_cursor, write_cursor
from analysis.lookup import iso
from analysis.privacy import export
from analysis.problem import invalid
from analysis.store import Store, ping

LAST_SEQ = 2**53

Limit = Annotated[int, Query(ge=1, le=1_000)]


class Privacy:
    def __init__(self, store: Store, access: Access, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._access = access
        self._clock = clock

    def router(self) -> APIRouter:
        api = APIRouter(prefix="/v1", tags=["privacy"])
        admin = [Depends(self._access.require("admin"))]
        api.get("/recipients/{address:path}/export", dependencies=admin)(self.export)
        api.get("/audit", dependencies=admin)(self.audit)
        return api

    async def export(self, address: str) -> Response:
        """Everything that is kept of an address, as one JSON document."""
        mailbox = read_address(address, "address")
        await self._store.read(ping)  # trouble shows before the 200
        return StreamingResponse(
            export(self._store, mailbox, self._clock()),
            media_type="application/json",
            headers={"Content-Disposition": 'attachment; filename="recipient.json"'},
        )

    async def audit(
        self, cursor: str | None = None, address: str | None = None, limit: Limit = 100
    ) -> Response:
        """Who changed what and why, in order; with `address` what was done to its entries.

        `hash` links each row to the one before it: `carom audit verify`.
        """
        (after,) = read_cursor(cursor, int) or (0,)
        if not 0 <= after < LAST_SEQ:
            raise invalid("cursor", "expected a cursor as an earlier answer gave it")
        hashed = address and address_hash(read_address(address, "address").key)
        rows = await self._store.read(
            lambda tx: (
                audit.rows_after(
                    tx, after, limit, [one.hex() for one in keyed_hash.forms(tx, [hashed])]
                )
                if hashed
                else audit.rows_after(tx, after, limit)
            )
        )
        more = write_cursor(rows[-1].seq) if len(rows) == limit else None
        return answer({"audit": [_view(row) for row in rows], "cursor": more})


def _view(row: Any) -> dict[str, Any]:
    return {
        "id": str(row.seq),
        "at": iso(row.at),
        "actor": row.actor,
        "action": row.action,
        "subject": row.subject,
        "reason": row.reason,
        "data": row.data,
        "hash": row.hash and bytes(row.hash).hex(),
    }
