"""An Exim of its own, as a second author of DSNs: a backup MX that accepts, then bounces.

Every recipient of the domains of `accept_then_bounce` is accepted, then passed to a next hop (the
same daemon on a second port) that refuses it with the given reply, so that Exim writes its own
DSN to the envelope sender; recipients that are not listed get 550 5.1.1 there.  Mail leaves only
through `routes`.

Exim conflicts with Postfix as a Debian package: `.ci/servers` unpacks it beside the system.  It
runs without any privilege, from a copy that its account can read.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from tests.servers import (
    LOOPBACK,
    Refusal,
    Server,
    ServerFailedError,
    addresses_by_domain,
    become,
    end_group,
    free_port,
    give,
    listens,
)

# Compiled into Debian's binary, which looks the account up before it reads any configuration.
_ACCOUNT = "Debian-exim"

_START_SECONDS = 60.0
_STOP_SECONDS = 60.0
_LOOK_AGAIN_SECONDS = 0.02

_CONFIGURATION = """\
primary_hostname = {hostname}
exim_path = {home}/exim
spool_directory = {home}/spool
log_file_path = {home}/spool/%slog
pid_file_path = {home}/spool/exim.pid
notifier_socket =
local_interfaces = {loopback}
daemon_smtp_ports = {port} : {next_hop_port}
host_lookup =
tls_advertise_hosts =
keep_environment = LD_LIBRARY_PATH
add_environment =
deliver_drop_privilege
acl_smtp_rcpt = recipients
smtp_accept_max = 200

begin acl
recipients:
  deny  condition = ${{if eq{{$received_port}}{{{next_hop_port}}}}}
        message = ${{lookup{{$local_part@$domain}}lsearch{{{home}/refusals}}\
{{$value}}{{550 5.1.1 No such user}}}}
  accept domains = {domains}
  deny  message = 550 5.7.1 relaying denied

begin routers
known_hosts:
  driver = manualroute
  route_list = {hops}
  self = send
  transport = smtp

begin transports
smtp:
  driver = smtp

begin retry
* * F,1h,1s
"""


def missing() -> str | None:
    """Why Exim cannot run here, or None."""
    if not (_unpacked() / "usr/sbin/exim4").exists():
        return "Exim is not unpacked: run .ci/servers as root on Debian"
    if os.geteuid() != 0:
        return "Exim needs root to take on its account"
    try:
        pwd.getpwnam(_ACCOUNT)
    except KeyError:
        return f"Exim's account {_ACCOUNT} does not exist: run .ci/servers as root on Debian"
    return None


class Exim(Server):
    """One daemon; arguments as in the module's docstring."""

    def __init__(
        self,
        *,
        hostname: str = "backup.example",
        accept_then_bounce: Mapping[str, tuple[int, str, str]],
        routes: Mapping[str, tuple[str, int]],
    ) -> None:
        super().__init__()
        self.hostname = hostname
        self.port = free_port()
        self._next_hop_port = free_port()
        self._refusals = {a: Refusal(*r) for a, r in accept_then_bounce.items()}
        if any(refusal.code < 500 for refusal in self._refusals.values()):
            raise ValueError("this Exim refuses for good only: codes from 500")
        self._routes = dict(routes)
        self._daemon: subprocess.Popen[bytes] | None = None

    def _begin(self) -> None:
        self._write(self.home)
        self._serve(self.home)

    def _end(self) -> None:
        daemon, self._daemon = self._daemon, None
        if daemon is None:
            return
        daemon.terminate()
        try:
            daemon.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
        end_group(daemon.pid)

    def _logs(self) -> list[Path]:
        return [self.home / "spool" / name for name in ("mainlog", "paniclog")]

    def _write(self, home: Path) -> None:
        _copy_program(_unpacked(), home)
        (home / "spool").mkdir()
        give([home / "spool"], _ACCOUNT)
        refusals = "".join(f"{address}: {reply}\n" for address, reply in self._refusals.items())
        (home / "refusals").write_text(refusals)
        text = _CONFIGURATION.format(
            home=home,
            hostname=self.hostname,
            loopback=LOOPBACK,
            port=self.port,
            next_hop_port=self._next_hop_port,
            domains=" : ".join(addresses_by_domain(self._refusals)),
            hops=" ; ".join(f"{d} {host}::{port}" for d, (host, port) in self._hops().items()),
        )
        (home / "exim.conf").write_text(text)

    def _hops(self) -> dict[str, tuple[str, int]]:
        behind = dict.fromkeys(addresses_by_domain(self._refusals), (LOOPBACK, self._next_hop_port))
        return behind | self._routes

    def _serve(self, home: Path) -> None:
        with (home / "stderr").open("wb") as stderr:
            self._daemon = subprocess.Popen(
                [home / "exim", "-C", home / "exim.conf", "-bdf", "-q1s"],
                cwd=home,
                env={"PATH": os.defpath, "LC_ALL": "C", "LD_LIBRARY_PATH": str(home / "lib")},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
                **become(_ACCOUNT),
            )
        deadline = time.monotonic() + _START_SECONDS
        while not listens(self.port):
            # wait() is the pause: it returns early only if the daemon is gone.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._daemon.wait(_LOOK_AGAIN_SECONDS)
            if self._daemon.returncode is not None or time.monotonic() > deadline:
                said = (home / "stderr").read_text(errors="replace")
                raise ServerFailedError(f"exim: {said}\n{self.log()}")


def _unpacked() -> Path:
    """Where `.ci/servers` unpacks Exim."""
    store = os.environ.get("CAROM_SERVERS") or Path.home() / ".cache/carom-servers"
    return Path(store) / "exim"


def _copy_program(unpacked: Path, home: Path) -> None:
    # copyfile leaves the set-uid bit behind: this copy must never have a privilege.
    shutil.copyfile(unpacked / "usr/sbin/exim4", home / "exim")
    (home / "exim").chmod(0o755)
    (home / "lib").mkdir()
    for library in unpacked.glob("**/lib*.so*"):
        shutil.copyfile(library, home / "lib" / library.name)
