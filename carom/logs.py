"""Logs: one line an event on stderr, with no secret, and at info and above no personal data.

Everything that is logged, by structlog or by a library through `logging`, goes through the same
chain: values are bounded and made printable, secrets are covered by the name of their key and by
their shape, and addresses keep only their first letter and domain (`a***@example.com`) unless the
event is below info.  What a remote host says can hold all of these, so text is treated the same
wherever it stands.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import orjson
import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from analysis.reply import clean

MAX_VALUE = 2_000
MAX_TRACEBACK = 20_000
MAX_ITEMS = 50
MAX_DEPTH = 4
MASK = "***"

_SECRET_NAME = re.compile(
    r"(^|_|-)(authorization|cookie|credentials?|pass|passwd|password|secret|token|key)s?$",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    r"carom_[0-9a-z]{1,32}_[\w-]{8,100}"  # an API key of ours
    r"|\b(?:Bearer|Basic) +[\w.~+/=-]{4,}"
    r"|(?<=://)[^\s:/@]{1,100}:[^\s@]{1,100}(?=@)",  # user and password in a URL
    re.ASCII | re.IGNORECASE,
)
_ADDRESS = re.compile(r"([^\s<>()\[\]:;,'\"@\\])[^\s<>()\[\]:;,\"@\\]{0,100}@(?=[\w\[])")
_QUIET = {
    "aiosmtplib": logging.WARNING,
    "alembic": logging.WARNING,
    "asyncio": logging.WARNING,
    "mail.log": logging.ERROR,  # aiosmtpd's, a line for each connection
}


def configure(
    level: str,
    form: str,
    stream: TextIO | None = None,
) -> None:
    """Send all logging of this process to `stream` (stderr); may be called again with others.

    `level`: debug, info, warning or error.  `form`: json or console.
    """
    stream = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=_chain(),
            processors=[ProcessorFormatter.remove_processors_meta, cover, *_render(form, stream)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for name, at_least in _QUIET.items():
        logging.getLogger(name).setLevel(max(number, at_least))
    structlog.configure(
        processors=[*_chain(), ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(number),
    )


def cover(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A structlog processor: bound every value, cover secrets, and addresses at info and above."""
    del logger, method
    personal = event.get("level") == "debug"
    for name, value in event.items():
        if name == "exception":
            event[name] = _text(str(value), personal, MAX_TRACEBACK)
        else:
            event[name] = _covered(name, value, personal, MAX_DEPTH)
    return event


def _covered(name: str, value: Any, personal: bool, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if _SECRET_NAME.search(name):
        return MASK
    if isinstance(value, Mapping) and depth:
        items = list(value.items())[:MAX_ITEMS]
        return {_text(str(k), personal): _covered(str(k), v, personal, depth - 1) for k, v in items}
    if isinstance(value, list | tuple | set | frozenset) and depth:
        return [_covered("", item, personal, depth - 1) for item in list(value)[:MAX_ITEMS]]
    return _text(value.decode("latin-1") if isinstance(value, bytes) else str(value), personal)


def _text(text: str, personal: bool, limit: int = MAX_VALUE) -> str:
    text = _SECRET_TEXT.sub(MASK, clean(text, limit))
    return text if personal else _ADDRESS.sub(r"\1***@", text)


def _chain() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.format_exc_info,
    ]


def _render(form: str, stream: TextIO) -> list[Processor]:
    if form == "console":
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)]
    return [structlog.processors.EventRenamer("message"), _json]


def _json(logger: WrappedLogger, method: str, event: EventDict) -> str:
    del logger, method
    first = {name: event.pop(name, None) for name in ("timestamp", "level", "logger", "message")}
    return orjson.dumps({**first, **event}, default=str).decode()
