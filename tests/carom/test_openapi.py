"""The OpenAPI document against the running service: no answer that it does not promise, no 5xx.

Schemathesis draws requests, good ones and bad ones, from the document itself; they go over a socket
to a service with something in its store.  `--full` draws more.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from carom.answers import ANSWERS
from carom.docs.openapi import BODIES, MAY_BE_EMPTY, OTHER_BODIES
from tests.carom.conforming import Promises
from tests.carom.console_cast import ODD, put_on
from tests.carom.console_peer import console, served

QUICK, FULL = 6, 150
"""Requests of each kind that are drawn for each call."""


@dataclass(frozen=True, slots=True)
class Service:
    url: str
    key: str
    promises: Promises
    names: dict[str, str]  # what stands in a path, by its parameter


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The small world of the console's tests behind a port, in a thread of its own."""
    started, over = threading.Event(), threading.Event()
    made: list[Service] = []

    async def run() -> None:
        async with console(tmp_path_factory.mktemp("api")) as peer, served(peer) as url:
            found = await put_on(peer.engine.store)
            made.append(await _service(peer, url, found))
            started.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert started.wait(120)
    yield made[0]
    over.set()
    thread.join(60)


async def _service(peer: Any, url: str, found: dict[str, str]) -> Service:
    async def call(method: str, path: str, body: Any) -> Any:
        auth = {"Authorization": f"Bearer {peer.key}"}
        return (await peer.client.request(method, path, json=body, headers=auth)).json()

    letter = {"from": "a@example.com", "to": ["b@example.net"], "subject": "x", "text": "x"}
    message = await call("POST", "/v1/messages", letter)
    webhook = await call("POST", "/v1/webhooks", {"url": "https://hooks.example.com/carom"})
    await call("PUT", "/v1/templates/welcome", {"subject": "Hi {{ name }}", "text": "Hello."})
    [incident] = (await call("GET", "/v1/incidents", None))["incidents"]
    names = {
        "message_id": message["id"],
        "webhook_id": webhook["id"],
        "incident_id": incident["id"],
        "name": "welcome",
        "version": "1",
        "address": ODD,
    }
    return Service(url, peer.key, Promises(peer.app.openapi()), names)


def _operations(document: dict[str, Any]) -> list[Any]:
    return [one.ok() for one in schemathesis.openapi.from_dict(document).get_all_operations()]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_answer_is_undocumented_and_none_is_our_fault(
    service: Service, mode: GenerationMode, request: pytest.FixtureRequest
) -> None:
    most = FULL if request.config.getoption("--full") else QUICK
    with requests.Session() as session:
        for operation in _operations(service.promises.schema):
            if mode is GenerationMode.POSITIVE or _may_be_wrong(operation.definition.raw):
                _provoke(service, session, operation, mode, most)


def _may_be_wrong(definition: dict[str, Any]) -> bool:
    return bool(definition.get("parameters") or "requestBody" in definition)


def _provoke(
    service: Service, session: requests.Session, operation: Any, mode: GenerationMode, most: int
) -> None:
    @settings(
        max_examples=most,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
    def draw(case: Any, known: bool) -> None:
        if known:
            there = {name: service.names.get(name, "x") for name in case.path_parameters or {}}
            case.path_parameters = there
        auth = {"Authorization": f"Bearer {service.key}"}
        answer = case.call(base_url=service.url, headers=auth, session=session)
        assert answer.status_code < 500, f"{operation.label}: {case.as_curl_command()}"
        headers = {name: values[0] for name, values in answer.headers.items()}
        service.promises.check(
            operation.definition.raw, answer.status_code, headers, answer.content
        )

    draw()


def test_without_a_key_every_call_says_so(service: Service) -> None:
    for operation in _operations(service.promises.schema):
        path = operation.path.format(**service.names)
        for key, status in (("", 401), ("Bearer nonsense", 401)):
            if not path.startswith("/v1/"):
                continue
            sent = {"Authorization": key} if key else {}
            answer = requests.request(
                operation.method, service.url + path, headers=sent, timeout=60
            )
            assert answer.status_code == status, operation.label
            service.promises.check(operation.definition.raw, status, answer.headers, answer.content)


def test_every_call_and_every_body_is_documented(service: Service) -> None:
    there = {
        (path, method)
        for path, operations in service.promises.schema["paths"].items()
        for method in operations
    }
    assert there == ANSWERS.keys()
    assert BODIES.keys() | OTHER_BODIES.keys() <= there
    assert set(BODIES.values()) >= MAY_BE_EMPTY


def test_names_of_models_are_one_word(service: Service) -> None:
    """Two models of one name would appear under the names of their modules."""
    assert not [name for name in service.promises.schema["components"]["schemas"] if "__" in name]


def test_the_documents_own_form_is_valid(service: Service) -> None:
    assert service.promises.schema["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(service.promises.schema).validate()
