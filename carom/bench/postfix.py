"""The peer of `carom bench send` and `submit`: Postfix, and OpenDKIM where it is there, doing the
same work.

One instance on free loopback ports with a queue of its own: takes mail over SMTP, makes it durable,
has it signed by RSA-2048 and hands it to the sink.  What holds Postfix back by default (connections
per destination, its pauses against floods) is lifted, so that it is the peer at its best.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from carom.bench import stage
from sender.dkim_keys import KeyKind, generate

ACCOUNT = "postfix"
PATH = "/usr/sbin:/sbin:/usr/local/sbin"
SENDERS = 20  # client connections and deliveries at once
GIVE_UP = 120.0  # seconds

_MASTER = """\
{port} inet n - n - 100 smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - 100 smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""

_MAIN = """\
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
maillog_file = {home}/log
maillog_file_prefixes = {home}
mail_owner = {account}
myhostname = peer.bench.example
mynetworks = 127.0.0.0/8
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_tls_security_level = none
smtpd_tls_security_level = none
relayhost = [127.0.0.1]:{sink}
default_destination_concurrency_limit = 50
initial_destination_concurrency = 20
smtp_connection_cache_on_demand = yes
in_flow_delay = 0
qmgr_message_active_limit = 20000
smtpd_client_connection_count_limit = 0
smtpd_milters = {milter}
"""

_HOLD = "smtpd_client_restrictions = check_client_access static:hold\n"
"""What is taken stays where it is: acceptance alone is measured."""

_OPENDKIM = """\
Mode s
Canonicalization relaxed/relaxed
SignatureAlgorithm rsa-sha256
Domain bench.example
Selector s
KeyFile {key}
RequireSafeKeys no
Socket inet:{port}@127.0.0.1
"""


def missing() -> str | None:
    """Why the peer cannot be measured here, or None."""
    for program in ("postfix", "smtp-source"):
        if shutil.which(program, path=PATH) is None:
            return f"{program} is not installed"
    return None if os.geteuid() == 0 else "Postfix needs root to start"


def signs() -> bool:
    """Whether OpenDKIM is there."""
    return shutil.which("opendkim", path=PATH) is not None


def deliveries_per_second(sink: int, *, messages: int, octets: int) -> float:
    """From the first message handed to Postfix until its queue is empty again."""
    with tempfile.TemporaryDirectory(prefix="carom-peer-") as folder:
        home = Path(folder)
        home.chmod(0o755)  # its programs run under another account
        with _opendkim(home) as milter, _postfix(home, sink, milter) as port:
            started = time.perf_counter()
            _hand_in(port, messages, octets)
            _await_empty(home / "queue")
            return messages / (time.perf_counter() - started)


@contextmanager
def accepting() -> Iterator[int]:
    """An instance that makes mail durable and does nothing else with it; its port."""
    with tempfile.TemporaryDirectory(prefix="carom-peer-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        with _postfix(home, stage.free_port(), "", _HOLD) as port:
            yield port


def _hand_in(port: int, messages: int, octets: int) -> None:
    """As many connections as Carom's own clients have, each message to one recipient."""
    subprocess.run(  # noqa: S603
        [
            _program("smtp-source"),
            *("-s", str(SENDERS), "-m", str(messages), "-l", str(octets), "-N", "-d"),
            *("-f", "shop@bench.example", "-t", "user@d.example", f"127.0.0.1:{port}"),
        ],
        check=True,
        timeout=GIVE_UP,
    )


def _await_empty(queue: Path) -> None:
    give_up = time.monotonic() + GIVE_UP
    while any(_files(queue / name) for name in ("maildrop", "incoming", "active", "deferred")):
        if time.monotonic() > give_up:
            raise RuntimeError("Postfix did not empty its queue")
        time.sleep(0.02)


def _files(folder: Path) -> bool:
    return any(names for _, _, names in os.walk(folder))


@contextmanager
def _postfix(home: Path, sink: int, milter: str, more: str = "") -> Iterator[int]:
    """A running instance; its port."""
    port = stage.free_port()
    for name in ("queue", "data"):
        (home / name).mkdir()
    shutil.chown(home / "data", ACCOUNT)
    main = _MAIN.format(home=home, account=ACCOUNT, sink=sink, milter=milter)
    _write_settled(home / "main.cf", main + more)
    _write_settled(home / "master.cf", _MASTER.format(port=f"127.0.0.1:{port}"))
    subprocess.run(  # noqa: S603
        [_program("postfix"), "-c", str(home), "start"],
        env={"PATH": f"{os.environ.get('PATH', '')}:{PATH}"},
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    try:
        stage.await_port(port)
        yield port
    finally:
        _end(home / "queue/pid/master.pid")


@contextmanager
def _opendkim(home: Path) -> Iterator[str]:
    """A running OpenDKIM with a fresh RSA-2048 key, as Postfix names it; empty if not here."""
    if not signs():
        yield ""
        return
    key = home / "dkim.pem"
    key.write_bytes(generate(KeyKind.RSA))
    key.chmod(0o600)
    port = stage.free_port()
    settings = home / "opendkim.conf"
    settings.write_text(_OPENDKIM.format(port=port, key=key))
    process = subprocess.Popen(  # noqa: S603
        [_program("opendkim"), "-f", "-x", str(settings)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        stage.await_port(port)
        yield f"inet:127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _program(name: str) -> str:
    found = shutil.which(name, path=PATH)
    if found is None:
        raise RuntimeError(f"{name} is not installed")
    return found


def _write_settled(path: Path, text: str) -> None:
    """A file that looks old: Postfix waits until what it reads has not changed for a second."""
    path.write_text(text)
    os.utime(path, (0, 0))


def _end(pid_file: Path) -> None:
    """End the master process; it is not our child, so only its descriptor tells when it is gone."""
    pid = int(pid_file.read_text())
    with suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(process, signal.SIGTERM)
            select.select([process], [], [], 10.0)
        finally:
            os.close(process)
