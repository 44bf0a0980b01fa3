"""A Postfix of its own: one instance on free loopback ports with its own queue and configuration.

It plays two parts of the outside world at once:

- **receiving MX** for the domains of `users`: known users get a maildir, unknown ones are refused
  in the session with 550 5.1.1;
- **backup MX** for the domains of `accept_then_bounce`: every recipient is accepted, then passed to
  a next hop (a second smtpd of the same instance) that refuses it with the given reply, so that
  Postfix writes a real DSN to the envelope sender.  Recipients that are not listed get
  550 5.1.1 there; a 4xx reply makes Postfix retry, warn and give up as `settings` say.

Mail leaves only through `routes`; every other domain is answered by Postfix's `error` transport.
Needs Debian's package and root, because Postfix's master starts its parts under two accounts.
"""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.servers import (
    LOOPBACK,
    Refusal,
    Server,
    ServerFailedError,
    addresses_by_domain,
    end_master,
    free_port,
    give,
    program_path,
)

_ACCOUNT = "postfix"

# Where a waiting test looks again; Postfix gives no signal when it has delivered.
_LOOK_AGAIN_SECONDS = 0.02

_NOWHERE = "error:5.4.4 this test server sends nothing beyond loopback"

_MASTER = """\
{smtp} inet n - n - - smtpd
{next_hop} inet n - n - - smtpd
  -o myhostname=mailboxes.{hostname}
  -o relay_domains=$next_hop_domains
  -o smtpd_recipient_restrictions=$next_hop_restrictions
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
local unix - n n - - local
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


def missing() -> str | None:
    """Why Postfix cannot run here, or None."""
    if shutil.which("postfix", path=program_path()) is None:
        return "Postfix is not installed: run .ci/servers as root on Debian"
    if os.geteuid() != 0:
        return "Postfix needs root to start"
    return None


class Postfix(Server):
    """One instance; arguments as in the module's docstring.

    `settings` are main.cf parameters over ours, for instance `{"delay_warning_time": "1s"}`.
    """

    def __init__(
        self,
        *,
        hostname: str = "mx.example",
        users: Sequence[str] = (),
        accept_then_bounce: Mapping[str, tuple[int, str, str]] | None = None,
        routes: Mapping[str, tuple[str, int]] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.hostname = hostname
        self.port = free_port()
        self._next_hop_port = free_port()
        self._users = list(users)
        self._refusals = {a: Refusal(*r) for a, r in (accept_then_bounce or {}).items()}
        self._routes = dict(routes or {})
        self._extra = dict(settings or {})
        both = addresses_by_domain(self._users).keys() & addresses_by_domain(self._refusals).keys()
        if both:
            raise ValueError(f"a domain cannot be ours and behind us: {sorted(both)}")

    def flush(self) -> None:
        """Tries every deferred message now."""
        self._command("postqueue", "-f")

    def release(self) -> None:
        """Delivers what its restrictions have put on hold."""
        self._command("postsuper", "-H", "ALL")
        self.flush()

    def queue(self) -> list[dict[str, Any]]:
        """The queued messages as `postqueue -j` describes them."""
        return [json.loads(line) for line in self._command("postqueue", "-j").splitlines()]

    def delivered(self, user: str) -> list[bytes]:
        """The messages in the maildir of `user`, oldest first."""
        mailbox = self.home / "mail" / user / "new"
        found = sorted(mailbox.iterdir(), key=_age) if mailbox.is_dir() else []
        return [path.read_bytes() for path in found]

    async def received(self, user: str, count: int = 1, within: float = 60.0) -> list[bytes]:
        """Waits until `user` has `count` messages; TimeoutError with the log after `within` s."""
        try:
            async with asyncio.timeout(within):
                while len(mail := self.delivered(user)) < count:  # noqa: ASYNC110 - no event to await
                    await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        except TimeoutError:
            raise TimeoutError(f"{user} has {len(mail)} of {count}\n{self.log()}") from None
        return mail

    def _begin(self) -> None:
        self._write(self.home)
        self._command("postfix", "start")

    def _end(self) -> None:
        end_master(self.home / "queue" / "pid" / "master.pid")

    def _logs(self) -> list[Path]:
        return [self.home / "log"]

    def _command(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [program, "-c", str(self.home), *arguments],
            env={"PATH": program_path(), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ServerFailedError(f"{program} {arguments}: {done.stderr}\n{self.log()}")
        return done.stdout

    def _write(self, home: Path) -> None:
        mailboxes = home / "mail"
        for directory in (home / "queue", home / "data", mailboxes):
            directory.mkdir()
        give([home / "data", mailboxes], _ACCOUNT)
        _write_table(home / "mailboxes", {user: f"{user}/" for user in self._users})
        _write_table(home / "refusals", {a: str(r) for a, r in self._refusals.items()})
        _write_table(home / "transport", {d: _smtp(*peer) for d, peer in self._routes.items()})
        parameters = {**self._parameters(home), **self._extra}
        main = "".join(f"{name} = {value}\n" for name, value in parameters.items())
        _write_settled(home / "main.cf", main)
        master = _MASTER.format(
            smtp=f"{LOOPBACK}:{self.port}",
            next_hop=f"{LOOPBACK}:{self._next_hop_port}",
            hostname=self.hostname,
        )
        _write_settled(home / "master.cf", master)

    def _parameters(self, home: Path) -> dict[str, str]:
        return {
            **_identity(home, self.hostname),
            **_PROMPT,
            **self._domains(home),
            "next_hop_domains": " ".join(addresses_by_domain(self._refusals)),
            "next_hop_restrictions": (
                f"check_recipient_access texthash:{home}/refusals, "
                "check_recipient_access static:{550 5.1.1 User unknown}"
            ),
        }

    def _domains(self, home: Path) -> dict[str, str]:
        uid = pwd.getpwnam(_ACCOUNT).pw_uid
        gid = pwd.getpwnam(_ACCOUNT).pw_gid
        return {
            "mydestination": "",
            "local_transport": _NOWHERE,
            "default_transport": _NOWHERE,
            "transport_maps": f"texthash:{home}/transport",
            "virtual_mailbox_domains": " ".join(addresses_by_domain(self._users)),
            "virtual_mailbox_maps": f"texthash:{home}/mailboxes",
            "virtual_mailbox_base": f"{home}/mail",
            "virtual_minimum_uid": str(uid),
            "virtual_uid_maps": f"static:{uid}",
            "virtual_gid_maps": f"static:{gid}",
            "relay_domains": " ".join(addresses_by_domain(self._refusals)),
            "relay_recipient_maps": "",
            "relay_transport": f"relay:[{LOOPBACK}]:{self._next_hop_port}",
            "smtpd_relay_restrictions": "reject_unauth_destination",
        }


_PROMPT = {
    "queue_run_delay": "1s",
    "minimal_backoff_time": "1s",
    "maximal_backoff_time": "2s",
    "transport_retry_time": "1s",
    "soft_bounce": "no",
    "in_flow_delay": "0",
    "smtpd_error_sleep_time": "0",
    "smtpd_soft_error_limit": "1000",
    "smtpd_hard_error_limit": "1000",
    "smtpd_client_connection_count_limit": "0",
}


def _identity(home: Path, hostname: str) -> dict[str, str]:
    return {
        "compatibility_level": "3.6",
        "queue_directory": f"{home}/queue",
        "data_directory": f"{home}/data",
        "maillog_file": f"{home}/log",
        "maillog_file_prefixes": str(home),
        "mail_owner": _ACCOUNT,
        "myhostname": hostname,
        "mynetworks": "",
        "inet_interfaces": LOOPBACK,
        "inet_protocols": "ipv4",
        "alias_maps": "",
        "alias_database": "",
        "notify_classes": "",
        "smtpd_peername_lookup": "no",
        "smtp_dns_support_level": "disabled",
        "smtp_tls_security_level": "may",
    }


def _write_table(path: Path, rows: Mapping[str, str]) -> None:
    _write_settled(path, "".join(f"{key} {value}\n" for key, value in rows.items()))


def _write_settled(path: Path, text: str) -> None:
    """Writes a file that looks old: Postfix waits until what it reads has not changed for 1 s."""
    path.write_text(text)
    os.utime(path, (0, 0))


def _smtp(host: str, port: int) -> str:
    return f"smtp:[{host}]:{port}"


def _age(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name
