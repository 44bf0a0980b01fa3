"""Every error is a problem document that names the field and tells nothing of our inside."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from analysis import keys
from carom.gate import Bounds, Gate
from sender.order import NewMessage
from tests.carom.web_peer import URL, Web, web

pytestmark = pytest.mark.anyio

LETTER: dict[str, Any] = {
    "from": "ada@example.com",
    "to": ["bob@example.net"],
    "subject": "Hi",
    "text": "Hello.",
}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Web]:
    async with web(tmp_path / "mail") as made:
        yield made


def is_problem(answer: httpx2.Response) -> bool:
    document = answer.json()
    return (
        answer.headers["content-type"] == "application/problem+json"
        and document["type"].startswith("urn:carom:problem:")
        and document["status"] == answer.status_code
        and {"title", "detail"} <= document.keys()
    )


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"to": ["ok@example.net", {"email": "bad"}]}, "to[1].email", "no @"),
        ({"to": [{"mail": "a@example.net"}]}, "to[0].email", "missing"),
        ({"to": []}, "to", "at least one"),
        ({"to": ["a@example.net"] * 2 + [f"u{n}@example.net" for n in range(50)]}, "to", "50"),
        ({"from": None}, "from", "missing"),
        ({"from": "a@b"}, "from", "one label"),
        ({"subjekt": "Hi"}, "subjekt", "did you mean `subject`?"),
        ({"From": "x@example.com"}, "From", "did you mean `from`?"),
        ({"subject": "a\nBcc: x@example.com"}, "subject", "control character"),
        ({"text": None}, "text", "`text`, `html` or both"),
        ({"headers": {"X-A": "1", "Bcc": "x@example.com"}}, "headers.Bcc", "Carom"),
        ({"headers": {"X-A\r\nBcc": "1"}}, "headers.X-A??Bcc", "header name"),
        ({"headers": {"X-A": 5}}, "headers.X-A", "string"),
        ({"class": "urgent"}, "class", "otp, transactional, bulk"),
        ({"stream": "A stream"}, "stream", "lower-case"),
        ({"send_at": "2026-01-01 10:00"}, "send_at", "zone"),
        ({"send_at": "2999-01-01T00:00:00Z"}, "send_at", "30 days"),
        ({"deadline": 5}, "deadline", "after now"),
        ({"attachments": [{"filename": "a"}]}, "attachments[0].content", "missing"),
        ({"attachments": [{"filename": "a", "content": "é"}]}, "attachments[0].content", "base64"),
        (
            {"attachments": [{"filename": "../a", "content": ""}]},
            "attachments[0].filename",
            "no path",
        ),
        ({"template": "welcome"}, "template", "comes with its own"),
        ({"metadata": {"a": "x" * 20_000}}, "metadata", "longer"),
        ({"metadata": {"a": "\0"}}, "metadata", "NUL"),
        ({"metadata": [1]}, "metadata", "dictionary"),
        ({"metadata": {"a": json.loads("[" * 251 + "]" * 251)}}, "metadata", "deeply"),
        ({"reply_to": "nobody"}, "reply_to[0]", "no @"),
    ],
)
async def test_the_field_at_fault_is_named(
    api: Web, change: dict[str, Any], field: str, words: str
) -> None:
    answer = await api.post("/v1/messages", {**LETTER, **change})
    assert answer.status_code == 422
    assert is_problem(answer)
    assert answer.json()["field"] == field
    assert words in answer.json()["detail"]


async def test_what_is_taken_can_be_shown_however_deep(api: Web) -> None:
    deep = {"a": json.loads("[" * 245 + "]" * 245)}
    taken = await api.post("/v1/messages", {**LETTER, "metadata": deep})
    assert taken.status_code == 202
    assert (await api.get(f"/v1/messages/{taken.json()['id']}")).json()["metadata"] == deep


async def test_a_batch_of_nonsense_with_a_key(api: Web) -> None:
    deep = json.loads("[" * 900 + "]" * 900)
    batch = {"messages": [deep, {"metadata": deep}]}
    answer = await api.post("/v1/messages/batch", batch, {"Idempotency-Key": "k"})
    assert [one["status"] for one in answer.json()["results"]] == [422, 422]


async def test_every_field_at_fault_is_listed(api: Web) -> None:
    answer = (await api.post("/v1/messages", {"to": ["x"], "subject": 5, "size": 1})).json()
    assert [one["field"] for one in answer["errors"]] == ["to[0]", "subject", "size"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[", b"NaN", b'"\\ud800"', b"\xff", b"[" * 5000, b"5", b"{}" + b" " * 9]
)
async def test_what_is_no_message_is_refused(api: Web, content: bytes) -> None:
    answer = await api.client.post("/v1/messages", content=content)
    assert answer.status_code in (400, 422)
    assert is_problem(answer)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1/messages/", 404),
        ("DELETE", "/v1/messages", 405),
        ("GET", "/v1/messages?limit=0", 422),
        ("GET", "/v1/messages?limit=x", 422),
        ("GET", "/v1/messages?state=lost", 422),
        ("GET", "/v1/messages?stream=%00", 422),
        ("GET", "/v1/messages?recipient=%00@example.com", 422),
        ("GET", "/v1/explain", 422),
        ("GET", "/v1/explain?recipient=a@example.com&lang=fr", 422),
        ("GET", "/v1/stats?since=x", 422),
        ("GET", "/v1/suppressions/export?format=xml", 422),
        ("POST", "/v1/suppressions/import", 415),
    ],
)
async def test_paths_methods_and_queries(api: Web, method: str, path: str, status: int) -> None:
    answer = await api.client.request(method, path)
    assert answer.status_code == status
    assert is_problem(answer)


async def test_the_right_methods_are_named(api: Web) -> None:
    answer = await api.client.delete("/v1/messages")
    assert answer.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    "authorization", [None, "", "Basic YTpi", "Bearer", "Bearer x", "Bearer carom_ab_" + "x" * 64]
)
async def test_without_a_key_nothing_is_told(api: Web, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(api.app), base_url=URL, headers=headers
    ) as stranger:
        for path in ("/v1/messages", "/v1/suppressions/a@example.com", "/v1/stats"):
            answer = await stranger.get(path)
            assert answer.status_code == 401
            assert is_problem(answer)
            assert answer.headers["www-authenticate"].startswith("Bearer")
        for path in ("/healthz", "/readyz", "/docs", "/openapi.json"):
            assert (await stranger.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("send", {"POST /v1/messages"}),
        ("read", {"GET /v1/messages", "GET /v1/suppressions/a@example.com"}),
        ("suppress", {"PUT /v1/suppressions/a@example.com"}),
        (
            "admin",
            {
                "POST /v1/messages",
                "GET /v1/messages",
                "GET /v1/suppressions/a@example.com",
                "PUT /v1/suppressions/a@example.com",
                "DELETE /v1/recipients/a@example.com",
            },
        ),
    ],
)
async def test_a_key_may_do_what_its_scopes_say(api: Web, scope: str, allowed: set[str]) -> None:
    made = keys.make(scope, [scope], lambda n: bytes(range(n)))
    await api.engine.store.write(lambda tx: keys.add(tx, made.key, now=0.0))
    for call in (
        "POST /v1/messages",
        "GET /v1/messages",
        "GET /v1/suppressions/a@example.com",
        "PUT /v1/suppressions/a@example.com",
        "DELETE /v1/recipients/a@example.com",
    ):
        method, path = call.split()
        body = LETTER if method == "POST" else {}
        answer = await api.client.request(
            method, path, json=body, headers={"Authorization": f"Bearer {made.text}"}
        )
        assert (answer.status_code != 403) == (call in allowed)
        if answer.status_code == 403:
            assert is_problem(answer)
            assert "scope" in answer.json()["detail"]


async def test_an_unforeseen_error_says_nothing(api: Web) -> None:
    async def broken(request: Request) -> None:
        raise RuntimeError("postgresql://user:secret@db")

    api.app.add_api_route("/broken", broken)
    answer = await api.get("/broken")
    assert answer.status_code == 500
    assert is_problem(answer)
    assert "secret" not in answer.text


async def test_a_store_that_is_away_is_503_and_not_ready(api: Web) -> None:
    await api.engine.store.write(lambda tx: tx.exec_driver_sql("DROP TABLE suppressions") and None)
    answer = await api.get("/v1/suppressions/a@example.com")
    assert answer.status_code == 503
    assert is_problem(answer)
    assert "suppressions" not in answer.text


@pytest.mark.parametrize("number", ["9223372036854775808", "18446744073709551615", "1e400", "-1"])
async def test_a_number_that_no_database_holds_is_refused(api: Web, number: str) -> None:
    """In a cursor that somebody made up, in a body, in a path."""
    cursor = base64.urlsafe_b64encode(f"[{number}]".encode()).decode().rstrip("=")
    answers = [await api.get(path, {"cursor": cursor}) for path in ("/v1/events", "/v1/audit")]
    pair = base64.urlsafe_b64encode(f'[{number},"x"]'.encode()).decode().rstrip("=")
    answers.append(await api.get("/v1/dmarc", {"cursor": pair}))
    answers.append(await api.get(f"/v1/templates/x/versions/{number}"))
    for path in ("/v1/templates/x/preview", "/v1/templates/x/test"):
        body = f'{{"version": {number}, "to": "a@example.net", "from": "b@example.com"}}'
        answers.append(await api.client.post(path, content=body))
    assert {one.status_code for one in answers} <= {200, 400, 404, 422}


async def test_the_docs_name_every_call_and_every_field(api: Web) -> None:
    schema = (await api.get("/openapi.json")).json()
    page = (await api.get("/docs")).text
    for path in schema["paths"]:
        assert f"{path}</code>" in page
    for name in ("POST /v1/messages/batch", "PUT /v1/suppressions/{address}", "send_at", "hashes"):
        assert name in page
    assert "<script" not in page


async def test_what_strangers_may_ask_for_is_made_once(api: Web) -> None:
    """The page costs 15 ms: a few strangers who ask for it again and again would stop the rest."""
    first = [(await api.get(path)).content for path in ("/docs", "/openapi.json")]
    api.app.openapi()["info"]["title"] = "Another"
    assert [(await api.get(path)).content for path in ("/docs", "/openapi.json")] == first


async def slow(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.Event().wait()


async def drain(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


def through(app: Any, **bounds: float) -> httpx2.AsyncClient:
    gate = Gate(app, Bounds(**bounds))  # type: ignore[arg-type]
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(gate), base_url=URL)


async def test_what_takes_too_long_is_503() -> None:
    async with through(slow, deadline=0.05) as client:
        answer = await client.get("/")
    assert answer.status_code == 503
    assert is_problem(answer)


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(20):
        yield b"x" * 10


async def test_a_body_is_counted_as_it_says_and_as_it_comes() -> None:
    async with through(drain, body=100, large_body=300) as client:
        assert (await client.post("/", content=b"x" * 100)).status_code == 204
        said = await client.post("/", content=b"x" * 101)
        came = await client.post("/", content=chunks())
        large = await client.post("/v1/messages", content=chunks())
    assert said.status_code == came.status_code == 413
    assert is_problem(said)
    assert large.status_code == 204


async def test_headers_are_counted() -> None:
    async with through(drain, header=500) as client:
        answer = await client.get("/", headers={"X-A": "x" * 500})
    assert answer.status_code == 431
    assert is_problem(answer)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from([*NewMessage.model_json_schema()["properties"]])
texts = st.text() | st.sampled_from(["a@example.com", "A <a@example.com>", "otp", "news", "Zm9v"])
letters = st.dictionaries(names, json_values | texts, max_size=6).map(lambda one: LETTER | one)


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(body=letters | json_values, path=st.sampled_from(["", "/batch", "/raw"]))
async def test_no_json_makes_it_fall_over(api: Web, body: Any, path: str) -> None:
    """Whatever is said, the answer is 202 or a problem, and never our own fault."""
    if path == "/batch":
        body = {"messages": [body, LETTER]}
    answer = await api.client.post(
        f"/v1/messages{path}",
        content=json.dumps(body).encode("utf-8", "surrogatepass"),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code < 500
    assert answer.status_code == 202 or is_problem(answer)
