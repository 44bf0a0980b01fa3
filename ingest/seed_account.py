"""The way into a seed mailbox: an IMAP connection, logged in, and what can go wrong with it.

Blocking, for a thread; no answer is waited for longer than `SECONDS`.  Whatever a server does
there is a `SeedError`: with a reason of a closed set, and the server's own words on one line, which
never hold the password.
"""

from __future__ import annotations

import imaplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from imap_tools import BaseMailBox, ImapToolsError, MailBox, MailBoxStartTls, MailBoxUnencrypted
from imap_tools.errors import MailboxFolderSelectError, UnexpectedCommandStatusError

from analysis.reply import clean

SECONDS = 30.0

_ODD = (ValueError, LookupError, TypeError, AttributeError)
_TROUBLES = (ImapToolsError, imaplib.IMAP4.error, OSError, *_ODD)
"""What a server's doings can raise: both libraries take its answers apart unasked."""


class Reason(StrEnum):
    """Why a look came to nothing; a label of `carom_seed_errors_total`."""

    CONNECT = "connect"
    TLS = "tls"
    LOGIN = "login"
    TIMEOUT = "timeout"
    FOLDER = "folder"
    PROTOCOL = "protocol"


class SeedError(Exception):
    """`str()` is one line for the operator, without any secret."""

    def __init__(self, reason: Reason, words: str) -> None:
        super().__init__(words)
        self.reason = reason


class Security(StrEnum):
    IMPLICIT = "implicit"
    STARTTLS = "starttls"
    NONE = "none"  # the settings allow it on loopback only


@dataclass(frozen=True, slots=True)
class Account:
    """Where a seed is read.  `receiver`: authserv-ids of its provider, where they are known."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    security: Security = Security.IMPLICIT
    inbox: str = "INBOX"
    junk: tuple[str, ...] = ()  # by default as folders say or are called
    receiver: tuple[str, ...] = ()
    context: ssl.SSLContext | None = None  # default: the system's authorities


@contextmanager
def logged_in(account: Account) -> Iterator[BaseMailBox]:
    """A mailbox to work in; whatever goes wrong there is a `SeedError`."""
    mailbox = _connected(account)
    try:
        _log_in(mailbox, account)
        yield mailbox
        with suppress(*_TROUBLES):
            mailbox.logout()
    except _TROUBLES as error:
        raise _trouble(error) from error
    finally:
        with suppress(OSError):  # a server that is gone may have closed it already
            mailbox.client.shutdown()


def _log_in(mailbox: BaseMailBox, account: Account) -> None:
    # a UTF-8 user or password cannot be quoted in LOGIN (RFC 9051 section 4.3)
    plain = account.user.isascii() and account.password.isascii()
    try:
        if plain:
            mailbox.login(account.user, account.password, initial_folder=None)
        else:
            mailbox.login_utf8(account.user, account.password, initial_folder=None)
    except imaplib.IMAP4.abort:
        raise
    except (ImapToolsError, imaplib.IMAP4.error) as error:
        raise SeedError(Reason.LOGIN, _words(error)) from error
    if "ID" in abilities(mailbox):
        # RFC 2971: NetEase opens no folder for a client that has not said what it is
        mailbox.client.xatom("ID", '("name" "carom")')


def abilities(mailbox: BaseMailBox) -> set[str]:
    """What the server can, which often is more once one is logged in."""
    _, told = mailbox.client.capability()
    return {word for line in told if line for word in line.decode("ascii", "replace").split()}


def _connected(account: Account) -> BaseMailBox:
    context = account.context or ssl.create_default_context()
    where = (account.host, account.port)
    try:
        match account.security:
            case Security.IMPLICIT:
                return MailBox(*where, timeout=SECONDS, ssl_context=context)
            case Security.STARTTLS:
                return MailBoxStartTls(*where, timeout=SECONDS, ssl_context=context)
            case Security.NONE:
                return MailBoxUnencrypted(*where, timeout=SECONDS)
    except imaplib.IMAP4.abort as error:
        reason = Reason.TLS if account.security is Security.STARTTLS else Reason.CONNECT
        raise SeedError(reason, _words(error)) from error
    except _TROUBLES as error:
        raise _trouble(error) from error


def ordered(mailbox: BaseMailBox, command: str, *arguments: str) -> list[Any]:
    """A UID command that must be answered OK."""
    status, answers = mailbox.client.uid(command, *arguments)
    if status != "OK":
        raise SeedError(Reason.PROTOCOL, f"UID {command}: {clean(repr(answers), 200)}")
    return answers


def _trouble(error: Exception) -> SeedError:
    match error:
        case TimeoutError():
            return SeedError(Reason.TIMEOUT, f"no answer within {SECONDS:g} s")
        case ssl.SSLError():
            return SeedError(Reason.TLS, _words(error))
        case imaplib.IMAP4.abort() | OSError():
            return SeedError(Reason.CONNECT, _words(error))
        case MailboxFolderSelectError():
            return SeedError(Reason.FOLDER, _words(error))
        case _:
            return SeedError(Reason.PROTOCOL, _words(error))


def _words(error: Exception) -> str:
    """The server's own words where it gave any, on one line."""
    text = str(error)
    if isinstance(error, UnexpectedCommandStatusError):
        said = error.command_result[1]
        text = " ".join(
            one.decode("utf-8", "replace") for one in said or () if isinstance(one, bytes)
        )
    return clean(" ".join(text.split()), 300) or type(error).__name__
