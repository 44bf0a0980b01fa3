"""`GET /v1/doctor`: what the doctor found last, with the mend of each finding."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.responses import Response

from analysis import examined
from analysis.access import Access
from analysis.body import answer
from analysis.store import Store


class Health:
    def __init__(self, store: Store, access: Access) -> None:
        self._store = store
        self._access = access

    def router(self) -> APIRouter:
        api = APIRouter(prefix="/v1", tags=["health"])
        read = [Depends(self._access.require("read"))]
        api.get("/doctor", dependencies=read)(self.doctor)
        return api

    async def doctor(self) -> Response:
        """Every check as the service saw it last: state, findings and mends; empty before that."""
        return answer({"checks": await self._store.read(examined.newest)})
