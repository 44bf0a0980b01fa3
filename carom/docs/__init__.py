"""The HTTP API described: `GET /openapi.json` for tools, `GET /docs` for people.

The page has no script and nothing from another host, so that it reads on a machine without the
internet and under a strict policy.  Both need no key, so each is made once: by the hundredth asker
of a second, who costs 15 ms each, no one else would be served.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.responses import HTMLResponse, Response

from carom.docs.openapi import completed
from carom.docs.page import HEADERS, page

__all__ = ["add_docs"]


def add_docs(app: FastAPI) -> None:
    """Complete the OpenAPI document with bodies, answers and keys, and serve it as a page."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = completed(plain())
        return app.openapi_schema

    @cache
    def for_tools() -> bytes:
        return orjson.dumps(app.openapi())

    @cache
    def for_people() -> bytes:
        return page(app.openapi()).encode()

    async def schema() -> Response:
        return Response(for_tools(), media_type="application/json")

    async def docs() -> Response:
        return HTMLResponse(for_people(), headers=HEADERS)

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI's manual shows
    app.add_api_route("/openapi.json", schema, include_in_schema=False)
    app.add_api_route("/docs", docs, include_in_schema=False)
