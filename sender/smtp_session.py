"""One SMTP session with one host: connect, greet, encrypt, sign in; cut it when it is over.

aiosmtplib speaks EHLO, STARTTLS and AUTH; this opens the connection to a vetted address instead of
a name, on our own `Wire`, and turns whatever goes wrong into a `Reply` with the stage it went wrong
at.  Network trouble is a reply without a code and with a status of ours: 4.4.1 no connection,
4.4.2 the connection failed, 4.5.0 an answer that is none, 4.7.4 TLS not offered, 4.7.5 TLS failed.
What TLS failed of is kept in `failing`, in the words of RFC 8460.

After trouble, a timeout or a cancellation the connection is cut at once and `usable` is false.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import time
from collections.abc import Callable

from aiosmtplib import (
    SMTP,
    SMTPConnectResponseError,
    SMTPException,
    SMTPHeloError,
    SMTPNotSupported,
    SMTPResponse,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from analysis.reply import Reply, Stage, clean
from sender import dane
from sender.smtp import Host, Route, Timeouts, TlsMode
from sender.smtp_protocol import Wire
from sender.tls_report import Failing

_TLS_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*", re.ASCII)


def unverified_tls() -> ssl.SSLContext:
    """Encrypts without looking at certificates: what mail hosts show rarely verifies."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def verified_tls(authorities: str | None = None) -> ssl.SSLContext:
    """Wants a certificate for the host's name from an authority of a PEM file, or the system's.

    RFC 8461 section 4.2: only the names of the subject's alternative names count.
    """
    context = ssl.create_default_context(cafile=authorities)
    context.hostname_checks_common_name = False
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class Untrusted(SMTPException):
    """The certificate presented is not the one that DANE promises."""

    def __init__(self, failure: dane.Failure) -> None:
        super().__init__(failure.why)
        self.kind = failure.kind


class Session(SMTP):
    """A session with `host` on the terms of `route`.  One use at a time; never reopened.

    `wall` is Unix seconds: certificates have dates.
    """

    def __init__(
        self,
        host: Host,
        route: Route,
        *,
        ehlo_name: str,
        timeouts: Timeouts,
        wall: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(local_hostname=ehlo_name, timeout=timeouts.ehlo)
        self.host = host
        self.route = route
        self.terms = route.terms(host)
        self.timeouts = timeouts
        self._now = wall
        self.stage = Stage.CONNECT
        self.messages = 0  # begun on this connection, whatever came of them
        self.tls_version: str | None = None
        self.tls_verified = False
        self.failing: Failing | None = None
        self._wire: Wire | None = None
        self.left_open = False  # a transaction was begun and not ended

    @property
    def usable(self) -> bool:
        """Whether another message may follow on this connection."""
        return self._wire is not None and self._wire.at_rest

    @property
    def wire(self) -> Wire:
        """Only once `open` has succeeded."""
        if self._wire is None:
            raise SMTPServerDisconnected("not connected")
        return self._wire

    async def open(self, tls: ssl.SSLContext | None) -> Reply | None:
        """Connect, greet, encrypt with `tls` unless None, sign in.  None: ready; else why not."""
        try:
            await self._connect(tls if self.route.implicit_tls else None)
            await self._greet()
            if tls is not None and not self.route.implicit_tls:
                await self._encrypt(tls)
            if self.route.username is not None:
                self.stage = Stage.AUTH
                await self.login(self.route.username, self.route.password or "")
        except (SMTPException, OSError) as trouble:
            self.close()
            if self.stage is Stage.STARTTLS:
                self.failing = _failing(trouble)
            return self.explain(trouble)
        except BaseException:
            self.close()
            raise
        return None

    async def renew(self) -> bool:
        """Make a kept connection ready for its next message; False if it is of no use any more."""
        if self.left_open and self.usable:
            try:
                await self.rset(timeout=self.timeouts.mail)
            except (SMTPException, OSError):
                self.close()
            self.left_open = False
        return self.usable

    def leave(self) -> None:
        """Say QUIT and hang up without waiting for the answer, which changes nothing."""
        if self.usable:
            self.wire.send(b"QUIT\r\n")
        self.close()

    def close(self) -> None:
        """Cut the connection at once.  Replaces aiosmtplib's close, which waits for the peer."""
        if self._wire is not None:
            self._wire.abort()
        super().close()

    async def _connect(self, tls: ssl.SSLContext | None) -> None:
        loop = self.loop = asyncio.get_running_loop()
        source = self.route.source_address
        async with asyncio.timeout(self.timeouts.connect):
            _, self._wire = await loop.create_connection(
                lambda: Wire(loop),
                self.host.address,
                self.host.port,
                local_addr=(source, 0) if source else None,
                ssl=tls,
                server_hostname=self._tls_name if tls else None,
            )
        self.protocol = self._wire
        self.transport = self._wire.transport
        self._note_tls(tls)
        self.stage = Stage.BANNER
        banner = await self._wire.read_response(self.timeouts.banner)
        if banner.code != 220:
            raise SMTPConnectResponseError(banner.code, banner.message)

    async def _greet(self) -> None:
        """EHLO, or HELO where a host knows no better.  RFC 5321 section 3.2."""
        self.stage = Stage.EHLO
        try:
            await self.ehlo()
        except SMTPHeloError as refusal:
            if refusal.code < 500 or not self.is_connected:
                raise
            await self.helo()

    async def _encrypt(self, tls: ssl.SSLContext) -> None:
        """STARTTLS where offered.  RFC 3207.

        The stage stays STARTTLS until the second EHLO is answered: in TLS 1.3 a server that
        dislikes the handshake says so, or hangs up, only then.
        """
        if not self.supports_extension("starttls"):
            if self.terms.mode is TlsMode.OPPORTUNISTIC:
                self.failing = Failing.NO_STARTTLS
                return
            self.stage = Stage.STARTTLS
            raise SMTPNotSupported("TLS is required and the host does not offer it")
        self.stage = Stage.STARTTLS
        await self.starttls(
            server_hostname=self._tls_name, tls_context=tls, timeout=self.timeouts.tls
        )
        self._note_tls(tls)
        await self.ehlo()

    @property
    def _tls_name(self) -> str:
        """For SNI and verification.  A name no certificate can hold is replaced by the address."""
        name = self.host.name.rstrip(".")
        return name if _TLS_NAME.fullmatch(name) else self.host.address

    @property
    def _tls_refused(self) -> bool:
        return self.stage is Stage.STARTTLS and self.tls_version is None

    def _note_tls(self, tls: ssl.SSLContext | None) -> None:
        if tls is None:
            return
        session: ssl.SSLObject = self.get_transport_info("ssl_object")
        self.tls_version = session.version()
        self.tls_verified = tls.verify_mode is ssl.CERT_REQUIRED
        if self.terms.mode is TlsMode.DANE:
            self._match_tlsa(session)
            self.tls_verified = True

    def _match_tlsa(self, session: ssl.SSLObject) -> None:
        """RFC 7672 section 3.1; raises Untrusted."""
        names = self.terms.names or (self.host.name,)
        chain = dane.presented(session)
        if failure := dane.failure(chain, self.terms.tlsa, names=names, now=self._now()):
            raise Untrusted(failure)

    def said(self, response: SMTPResponse) -> Reply:
        """What the host answered at `stage`."""
        return Reply.read(
            f"{response.code} {response.message}",
            stage=self.stage,
            provider=self.route.provider,
            host=self.host.name,
        )

    def own(self, enhanced: str, text: str) -> Reply:
        """What we found out ourselves at `stage`, in plain words."""
        provider, host = self.route.provider, self.host.name
        return Reply(None, enhanced, clean(text), self.stage, provider, host)

    def explain(self, trouble: SMTPException | OSError) -> Reply:
        """A reply for what stood in the way at `stage`."""
        match trouble:
            case SMTPResponseException(code=code) if code >= 200 and self._tls_refused:
                # in the clear anybody could have put words into the host's mouth
                return self.own("4.7.4", f"TLS is required; the host answered STARTTLS with {code}")
            case SMTPResponseException(code=code, message=message) if code >= 200:
                return self.said(SMTPResponse(code, message))
            case SMTPResponseException():
                return self.own("4.5.0", f"answer not understood: {trouble.message}")
            case ssl.SSLCertVerificationError():
                return self.own("4.7.5", f"certificate not trusted: {trouble.verify_message}")
            case ssl.SSLError():
                return self.own("4.7.5", f"TLS failed: {trouble.reason or trouble}")
            case Untrusted():
                return self.own("4.7.5", f"certificate not trusted by DANE: {trouble.message}")
            case SMTPNotSupported():
                return self.own("4.7.4", trouble.message)
            case SMTPException() if self.stage is Stage.AUTH and not isinstance(trouble, OSError):
                return self.own("4.7.0", trouble.message)
        status = "4.4.1" if self.stage is Stage.CONNECT else "4.4.2"
        return self.own(status, self._network_trouble(trouble))

    def _network_trouble(self, trouble: SMTPException | OSError) -> str:
        where = f"{self.host.address} port {self.host.port}"
        if self.stage is Stage.CONNECT:
            if isinstance(trouble, TimeoutError) and not trouble.errno:
                return f"no connection to {where} within {self.timeouts.connect:g} s"
            return f"no connection to {where}: {_words(trouble)}"
        if isinstance(trouble, TimeoutError) and not isinstance(trouble, SMTPTimeoutError):
            words = f"content not taken within {self.timeouts.content:g} s"
        else:
            words = _words(trouble)
        return f"{words} (at {self.stage})"


_OPENSSL = {10: Failing.EXPIRED, 62: Failing.HOST_MISMATCH, 64: Failing.HOST_MISMATCH}
"""X509_V_ERR_CERT_HAS_EXPIRED, _HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH."""


def _failing(trouble: SMTPException | OSError) -> Failing:
    """The result type of RFC 8460 section 4.3 for what went wrong with TLS."""
    match trouble:
        case Untrusted(kind=kind):
            return kind
        case ssl.SSLCertVerificationError(verify_code=code):
            return _OPENSSL.get(code, Failing.NOT_TRUSTED)
        case SMTPNotSupported() | SMTPResponseException():
            return Failing.NO_STARTTLS
    return Failing.VALIDATION


def _words(trouble: SMTPException | OSError) -> str:
    if isinstance(trouble, OSError) and trouble.errno:
        return os.strerror(trouble.errno).lower()
    return str(trouble)
