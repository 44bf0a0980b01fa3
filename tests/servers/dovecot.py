"""A Dovecot of its own: mailboxes that are filled by LMTP, sorted by sieve and read over IMAP.

Each user has a sieve script, which decides where mail is filed; none keeps it in the inbox.  IMAP
listens without TLS, and with TLS from the first octet where a certificate is given; every user's
password is `PASSWORD`.  Each mailbox has a folder `Junk` that says so (RFC 6154), and `Sent`.

Needs Debian's packages and root, because Dovecot's master starts its parts under three accounts.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from tests.servers import (
    LOOPBACK,
    Server,
    ServerFailedError,
    addresses_by_domain,
    end_master,
    free_port,
    give,
    listens,
    program_path,
)

PASSWORD = "seed-password"
INBOX = "INBOX"

_ACCOUNT = "mail"
_START_SECONDS = 60.0
_LOOK_AGAIN_SECONDS = 0.02
_SIEVE_PLUGIN = Path("/usr/lib/dovecot/modules/lib90_sieve_plugin.so")

_CONFIGURATION = """\
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
listen = {loopback}
protocols = imap lmtp
instance_name = {home}
ssl = {ssl}
{certificate}
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
auth_cache_size = 0
mail_location = maildir:{home}/mail/%u
mail_uid = {account}
mail_gid = {account}
first_valid_uid = 1
first_valid_gid = 1
mail_fsync = never
mail_max_userip_connections = 100
passdb {{
  driver = passwd-file
  args = username_format=%u {home}/users
}}
userdb {{
  driver = static
  args = uid={account} gid={account} home={home}/homes/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Junk {{
    auto = create
    special_use = \\Junk
  }}
  mailbox Sent {{
    auto = create
    special_use = \\Sent
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = {loopback}
    port = {lmtp}
  }}
}}
protocol lmtp {{
  mail_plugins = sieve
}}
plugin {{
  sieve = file:~/scripts;active=~/.sieve
  sieve_extensions = +editheader
}}
"""


def missing() -> str | None:
    """Why Dovecot cannot run here, or None."""
    if shutil.which("dovecot", path=program_path()) is None or not _SIEVE_PLUGIN.exists():
        return "Dovecot with sieve is not installed: run .ci/servers as root on Debian"
    if os.geteuid() != 0:
        return "Dovecot needs root to start"
    return None


class Dovecot(Server):
    """One instance.  `users`: address -> sieve script, empty for none.

    `certificate`: a PEM chain and its key in files, for `imaps_port` and STARTTLS.
    """

    def __init__(
        self, *, users: Mapping[str, str], certificate: tuple[Path, Path] | None = None
    ) -> None:
        super().__init__()
        addresses_by_domain(users)
        self._users = dict(users)
        self._certificate = certificate
        self.imap_port = free_port()
        self.imaps_port = free_port() if certificate else 0
        self.lmtp_port = free_port()

    def counts(self, user: str) -> dict[str, int]:
        """Folder -> how many messages its maildir holds, for folders that have any."""
        root = self.home / "mail" / user
        found = {INBOX: _messages(root)}
        for folder in sorted(root.glob(".*")) if root.is_dir() else []:
            found[folder.name.removeprefix(".")] = _messages(folder)
        return {name: count for name, count in found.items() if count}

    def told(self, user: str) -> dict[str, int]:
        """The same as Dovecot itself tells it, by `doveadm`."""
        lines = self._doveadm("mailbox", "status", "-u", user, "messages", "*").splitlines()
        rows = (line.rpartition(" messages=") for line in lines)
        return {name: int(count) for name, _, count in rows if int(count)}

    def _doveadm(self, *arguments: str) -> str:
        done = subprocess.run(
            ["doveadm", "-c", str(self.home / "dovecot.conf"), *arguments],
            env={"PATH": program_path(), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ServerFailedError(f"doveadm {arguments}: {done.stderr}\n{self.log()}")
        return done.stdout

    def _begin(self) -> None:
        self._write(self.home)
        subprocess.run(
            ["dovecot", "-c", str(self.home / "dovecot.conf")],
            env={"PATH": program_path(), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            check=True,
        )
        deadline = time.monotonic() + _START_SECONDS
        while not (listens(self.imap_port) and listens(self.lmtp_port)):
            if time.monotonic() > deadline:
                raise ServerFailedError(f"dovecot does not answer\n{self.log()}")
            time.sleep(_LOOK_AGAIN_SECONDS)

    def _end(self) -> None:
        end_master(self.home / "run" / "master.pid")

    def _logs(self) -> list[Path]:
        return [self.home / "log"]

    def _write(self, home: Path) -> None:
        for directory in (home / "run", home / "state", home / "mail", home / "homes"):
            directory.mkdir()
        give([home / "mail", home / "homes"], _ACCOUNT)
        for user, script in self._users.items():
            own = home / "homes" / user
            own.mkdir()
            (own / ".sieve").write_text(script)
            give([own, own / ".sieve"], _ACCOUNT)
        users = "".join(f"{user}:{{PLAIN}}{PASSWORD}::::::\n" for user in self._users)
        (home / "users").write_text(users)
        (home / "dovecot.conf").write_text(self._configuration(home))

    def _configuration(self, home: Path) -> str:
        chain, key = self._certificate or ("", "")
        return _CONFIGURATION.format(
            home=home,
            loopback=LOOPBACK,
            ssl="yes" if self._certificate else "no",
            certificate=f"ssl_cert = <{chain}\nssl_key = <{key}" if self._certificate else "",
            account=pwd.getpwnam(_ACCOUNT).pw_uid,
            imap=self.imap_port,
            imaps=self.imaps_port,
            lmtp=self.lmtp_port,
        )


def _messages(maildir: Path) -> int:
    return sum(len(list((maildir / part).glob("*"))) for part in ("new", "cur"))
