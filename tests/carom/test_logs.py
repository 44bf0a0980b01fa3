"""Logs hold no secret, no personal data at info and above, and stay bounded and printable."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from carom.logs import MAX_VALUE, configure, cover


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    configure("debug", "json", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_addresses_keep_their_first_letter_and_domain_at_info(out: io.StringIO) -> None:
    structlog.get_logger("carom.x").info("sent to joe@example.com", recipient="sue@example.net")
    (line,) = lines(out)
    assert line["message"] == "sent to j***@example.com"
    assert line["recipient"] == "s***@example.net"
    assert (line["level"], line["logger"]) == ("info", "carom.x")


def test_addresses_are_whole_at_debug_but_secrets_are_not(out: io.StringIO) -> None:
    structlog.get_logger().debug("to joe@example.com", password="p")
    (line,) = lines(out)
    assert line["message"] == "to joe@example.com"
    assert line["password"] == "***"


@pytest.mark.parametrize("name", ["authorization", "api_key", "Key", "token", "smtp-password"])
def test_secrets_are_covered_by_name_at_any_depth(out: io.StringIO, name: str) -> None:
    structlog.get_logger().info("x", **{name: "hunter2"}, deep={"er": [{name: "hunter2"}]})
    assert "hunter2" not in out.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "key carom_0a1b2c3d_" + "hunter2" * 4,
        "Authorization: Bearer hunter2hunter2",
        "connect to postgresql://carom:hunter2@db/carom",
    ],
)
def test_secrets_are_covered_by_their_shape(out: io.StringIO, text: str) -> None:
    structlog.get_logger().warning(text)
    assert "hunter2" not in out.getvalue()


def test_libraries_are_logged_in_the_same_way(out: io.StringIO) -> None:
    logging.getLogger("library").warning("refused %s", "joe@example.com")
    (line,) = lines(out)
    assert line["message"] == "refused j***@example.com"
    assert (line["level"], line["logger"]) == ("warning", "library")


def test_a_traceback_is_kept_and_covered(out: io.StringIO) -> None:
    try:
        int("joe@example.com")
    except ValueError:
        structlog.get_logger().exception("failed")
        logging.getLogger("library").exception("failed")
    for line in lines(out):
        assert line["exception"].endswith("base 10: 'j***@example.com'")


def test_values_are_bounded_and_printable(out: io.StringIO) -> None:
    structlog.get_logger().info("x", reply="\x1b[31m\ud800\r\n" + "y" * 9_000, many=range(9_000))
    (line,) = lines(out)
    assert len(line["reply"]) <= MAX_VALUE
    assert "\x1b" not in line["reply"]
    assert len(line["many"]) <= MAX_VALUE


def test_what_is_below_the_level_is_not_written() -> None:
    stream = io.StringIO()
    configure("warning", "json", stream)
    structlog.get_logger().info("x")
    logging.getLogger("library").info("x")
    assert stream.getvalue() == ""


def test_the_console_form_is_covered_too() -> None:
    stream = io.StringIO()
    configure("info", "console", stream)
    structlog.get_logger().info("to joe@example.com", token="hunter2", reply="a\nb\x1b[0m")
    assert "joe@" not in stream.getvalue()
    assert "hunter2" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


json_like = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@example({"logger": b"", "_record": b""})
@given(st.dictionaries(st.text(), json_like))
def test_anything_can_be_logged(values: dict[str, Any]) -> None:
    structured = cover(None, "info", {**values, "level": "info", "event": "x"})
    json.dumps(structured).encode()
