"""A port that cannot be had: the setting that names it, and what to do."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest

from carom import assembly
from carom.binding import binding
from carom.errors import CaromError
from carom.role import ALL
from carom.roles import running
from carom.settings.units import parse_endpoint
from tests.carom.web_peer import made

PORTS = {"listen": parse_endpoint("0.0.0.0:587"), "tls_listen": parse_endpoint("0.0.0.0:465")}


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EADDRINUSE, "another process listens there already"),
        (errno.EACCES, "needs the right to bind it"),
        (errno.EADDRNOTAVAIL, "no such address"),
        (errno.ENOMEM, "cannot be listened at"),
    ],
)
def test_the_setting_that_is_meant_is_named_with_the_mend(number: int, words: str) -> None:
    said = f"error while attempting to bind on address ('0.0.0.0', 465): {words}"
    with pytest.raises(CaromError, match=words) as caught, binding("submission", **PORTS):
        raise OSError(number, said)
    assert str(caught.value).startswith("[submission] tls_listen = 0.0.0.0:465: ")
    assert "CAROM_SUBMISSION__TLS_LISTEN" in str(caught.value)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "setting", ["ingest.listen", "submission.listen", "api.listen", "api.metrics_listen"]
)
async def test_each_port_of_the_service_is_told_by_its_setting(
    tmp_path: Path, setting: str
) -> None:
    section, _, name = setting.partition(".")
    free = {
        f"CAROM_{one.upper().replace('.', '__')}": "127.0.0.1:0"
        for one in ("ingest.listen", "submission.listen", "api.listen", "api.metrics_listen")
    }
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        settings, _ = made(tmp_path, **free | {f"CAROM_{section}__{name}".upper(): where})
        async with await assembly.build(settings) as parts:
            with pytest.raises(CaromError) as caught:
                async with running(parts, ALL):
                    pytest.fail("a port was bound twice")
    assert str(caught.value).startswith(f"[{section}] {name} = {where}: another process")
