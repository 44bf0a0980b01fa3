"""A DNS with DNSSEC of its own: nsd serves our zones, unbound validates them, both on loopback.

    with SignedDns(signed={"signed.example": "mx A 127.0.0.1"}, plain={...}, broken={...}) as dns:
        ...ask dns.nameserver, which sets AD where the signatures hold...

Zones are given as master file text without SOA and NS, relative to their name.  `signed` ones have
their keys as trust anchors in unbound; `broken` ones are signed as well, by keys that their anchors
do not know, so that unbound answers SERVFAIL; `plain` ones are not signed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import dns.dnssec
import dns.exception
import dns.message
import dns.query
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec
from dns.dnssectypes import Algorithm
from dns.rdtypes.dnskeybase import Flag

from tests.servers import LOOPBACK, Server, ServerFailedError, end_group, free_port

_START_SECONDS = 60.0
_STOP_SECONDS = 60.0
_LOOK_AGAIN_SECONDS = 0.02

_HEAD = """\
$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
"""

_NSD = """\
server:
  ip-address: {loopback}
  port: {port}
  username: ""
  chroot: ""
  database: ""
  server-count: 1
  zonesdir: "{home}"
  pidfile: "{home}/nsd.pid"
  zonelistfile: "{home}/zone.list"
  xfrdfile: "{home}/xfrd.state"
  xfrdir: "{home}"
  logfile: "{home}/nsd.log"
remote-control:
  control-enable: no
"""

_UNBOUND = """\
server:
  interface: {loopback}
  port: {port}
  username: ""
  chroot: ""
  directory: "{home}"
  pidfile: "{home}/unbound.pid"
  use-syslog: no
  logfile: "{home}/unbound.log"
  num-threads: 1
  do-ip6: no
  do-daemonize: no
  do-not-query-localhost: no
  module-config: "validator iterator"
  trust-anchor-signaling: no
  access-control: 127.0.0.0/8 allow
remote-control:
  control-enable: no
"""


def missing() -> str | None:
    """Why these servers cannot run here, or None."""
    for name in ("nsd", "unbound"):
        if _program(name) is None:
            return f"{name} is not installed: run .ci/servers as root on Debian"
    return None


class SignedDns(Server):
    def __init__(
        self,
        *,
        signed: Mapping[str, str],
        plain: Mapping[str, str] | None = None,
        broken: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.port = free_port()
        self._authority_port = free_port()
        self._signed, self._plain, self._broken = signed, plain or {}, broken or {}
        self._running: list[subprocess.Popen[bytes]] = []

    @property
    def nameserver(self) -> tuple[str, int]:
        return LOOPBACK, self.port

    def _begin(self) -> None:
        home = self.home
        zones = {**self._signed, **self._plain, **self._broken}
        nsd = _NSD.format(loopback=LOOPBACK, port=self._authority_port, home=home)
        unbound = _UNBOUND.format(loopback=LOOPBACK, port=self.port, home=home)
        for name, text in zones.items():
            anchor = self._write(name, text)
            nsd += f'zone:\n  name: "{name}"\n  zonefile: "{name}.zone"\n'
            stub = f'stub-zone:\n  name: "{name}"\n  stub-addr: {LOOPBACK}@{self._authority_port}\n'
            trust = f'server:\n  trust-anchor: "{anchor}"\n' if anchor else ""
            unbound += trust + stub
        (home / "nsd.conf").write_text(nsd)
        (home / "unbound.conf").write_text(unbound)
        self._run("nsd", "-d", "-c", str(home / "nsd.conf"))
        self._run("unbound", "-d", "-c", str(home / "unbound.conf"))
        for port in (self._authority_port, self.port):
            self._await(port, next(iter(zones)))

    def _write(self, name: str, text: str) -> str:
        """Write a zone, signed if it is to be; returns its trust anchor or nothing."""
        zone = dns.zone.from_text(_HEAD + text + "\n", origin=f"{name}.", relativize=False)
        anchor = ""
        if name not in self._plain:
            key, known = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
            if name not in self._broken:
                known = key
            made, trusted = (
                dns.dnssec.make_dnskey(
                    one.public_key(), Algorithm.ECDSAP256SHA256, flags=Flag.ZONE | Flag.SEP
                )
                for one in (key, known)
            )
            dns.dnssec.sign_zone(zone, keys=[(key, made)], lifetime=86_400)
            anchor = f"{name}. DNSKEY {trusted.to_text()}"
        zone.to_file(str(self.home / f"{name}.zone"), relativize=False)
        return anchor

    def _run(self, name: str, *arguments: str) -> None:
        program = _program(name)
        assert program is not None
        with (self.home / f"{name}.err").open("wb") as errors:
            started = subprocess.Popen(
                [program, *arguments],
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
        self._running.append(started)

    def _await(self, port: int, zone: str) -> None:
        """Until the server at `port` answers over UDP and TCP."""
        question = dns.message.make_query(f"{zone}.", "SOA")
        deadline = time.monotonic() + _START_SECONDS
        while True:
            with contextlib.suppress(dns.exception.DNSException, OSError, EOFError):
                dns.query.udp(question, LOOPBACK, timeout=0.5, port=port)
                socket.create_connection((LOOPBACK, port), timeout=1).close()
                return
            for process in self._running:
                # wait() is the pause: it returns early only if the server is gone.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_AGAIN_SECONDS)
                if process.returncode is not None or time.monotonic() > deadline:
                    raise ServerFailedError(f"{process.args}: {self.log()}")

    def _end(self) -> None:
        running, self._running = self._running, []
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            end_group(process.pid)

    def _logs(self) -> list[Path]:
        return [
            self.home / f"{name}.{end}" for name in ("nsd", "unbound") for end in ("log", "err")
        ]


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
