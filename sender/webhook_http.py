"""One webhook over the wire: where a URL leads, whether we may go there, the signed POST.

A URL is a customer's word.  It must be `https`, without user or fragment; its host is looked up by
us, every address of it must be in bounds (`analysis.destination`), and the connection goes to the
very address that was judged, with the name kept for SNI, certificate and Host: asking again could
answer differently.  Redirects are answers like others and never followed.  `http` and addresses
that are not public are for hosts in the networks that the operator allows.

Signed as in Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`, one `v1,` for each secret that
is valid.  Nothing a remote host does raises; what it says is cleaned and cut.
"""

from __future__ import annotations

import hashlib
import hmac
import ssl
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from analysis.destination import IPNetwork, refusal
from analysis.reply import clean
from analysis.webhooks import Answer
from sender.https_get import Posting, Target, Unfetched, ask
from sender.resolver import Resolver, Trouble, addresses, check_name

MOST_URL = 2_000
"""Characters."""
MOST_ANSWER = 4_096
"""Octets of an answer that are read ..."""
SHOWN = 500
"""... and characters of it that are kept."""
_ADDRESSES = 2
_AGENT = "Carom-Webhooks/1"


class BadUrl(ValueError):
    """Nobody will ever be posted to at this URL; the text says what to write instead."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a URL names."""

    host: str  # a name in A-labels, or a literal address without brackets
    port: int
    path: str  # with its query
    tls: bool

    @property
    def literal(self) -> bool:
        try:
            ip_address(self.host)
        except ValueError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signed:
    """A message ready to go out under its id; `secrets` sign it, the newest first."""

    id: str
    body: bytes
    secrets: Sequence[str]


def read_url(text: str, allowed: Sequence[IPNetwork] = ()) -> Place:
    """The place a URL names, as far as it can be judged without asking the DNS; or `BadUrl`."""
    if len(text) > MOST_URL or not text.isascii() or not text.isprintable() or " " in text:
        raise BadUrl(f"expected a URL of at most {MOST_URL} printable ASCII characters, no blanks")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise BadUrl(f"is no URL: {error}") from error
    tls = parts.scheme == "https"
    if not tls and not (parts.scheme == "http" and allowed):
        raise BadUrl("expected https://; http is for hosts in [webhooks] allow_networks")
    if "@" in parts.netloc or "#" in text or "\\" in text:
        raise BadUrl("expected no user, fragment or backslash")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    place = Place(_host(parts.hostname or ""), port or (443 if tls else 80), path, tls)
    if place.literal and (why := _forbidden(place.host, tls, allowed)):
        raise BadUrl(why)
    return place


def _host(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        pass
    try:
        return check_name(text)
    except ValueError as error:
        raise BadUrl("expected a host name in ASCII (punycode), such as hooks.example.com") from (
            error
        )


def _forbidden(address: str, tls: bool, allowed: Sequence[IPNetwork]) -> str | None:
    """Why this address may not be connected to; `http` goes to allowed networks alone."""
    if why := refusal(address, allowed):
        return f"{address} is out of bounds: {why}; see [webhooks] allow_networks"
    if not tls and not any(ip_address(address) in network for network in allowed):
        return f"{address} is not in [webhooks] allow_networks: expected https://"
    return None


def signature(signed: Signed, timestamp: int) -> str:
    """The value of `webhook-signature`."""
    content = f"{signed.id}.{timestamp}.".encode() + signed.body
    return " ".join(
        f"v1,{b64encode(hmac.digest(_key(secret), content, hashlib.sha256)).decode()}"
        for secret in signed.secrets
    )


def _key(secret: str) -> bytes:
    return b64decode(secret.removeprefix("whsec_"))


@dataclass(frozen=True, slots=True)
class Poster:
    """`seconds`: for all of it, from the first question to the DNS to the end of the answer."""

    resolver: Resolver
    tls: ssl.SSLContext
    allowed: Sequence[IPNetwork] = ()
    seconds: float = 15.0
    monotonic: Callable[[], float] = time.monotonic

    async def post(self, url: str, signed: Signed, *, now: float) -> Answer:
        """Post once; what came of it."""
        began = self.monotonic()
        try:
            place = read_url(url, self.allowed)
            vetted = await self._vetted(place)
        except BadUrl as error:
            return Answer(None, str(error), self._since(began), refused=True)
        except Unfetched as error:
            return Answer(None, str(error), self._since(began))
        headers = (
            ("User-Agent", _AGENT),
            ("webhook-id", signed.id),
            ("webhook-timestamp", str(int(now))),
            ("webhook-signature", signature(signed, int(now))),
        )
        posting = Posting("application/json", signed.body, headers)
        return await self._post(place, vetted, posting, began)

    async def _post(
        self, place: Place, vetted: Sequence[str], posting: Posting, began: float
    ) -> Answer:
        """To the first address that answers at all."""
        trouble = ""
        for address in vetted:
            left = self.seconds - self._since(began)
            target = Target(place.host, address, place.path, place.port)
            tls = self.tls if place.tls else None
            try:
                heard = await ask(target, tls, posting, most=MOST_ANSWER, seconds=max(0.001, left))
            except Unfetched as error:
                trouble = str(error)
                continue
            text = clean(heard.content.decode("utf-8", "replace"), SHOWN)
            return Answer(heard.status, text, self._since(began))
        return Answer(None, trouble, self._since(began))

    async def _vetted(self, place: Place) -> list[str]:
        """The addresses to connect to.  One out of bounds spoils the name: it is no accident."""
        found = [place.host] if place.literal else await self._ask(place.host)
        for address in found:
            if why := _forbidden(address, place.tls, self.allowed):
                raise BadUrl(why)
        if not found:
            raise Unfetched(f"{place.host} has no address")
        return found[:_ADDRESSES]

    async def _ask(self, host: str) -> list[str]:
        answers = [await self.resolver.ask(host, kind) for kind in ("A", "AAAA")]
        found = addresses(answers)
        trouble = next((one.why for one in answers if isinstance(one, Trouble)), None)
        if not found and trouble:
            raise Unfetched(f"{host}: the DNS could not say: {trouble}")
        return found

    def _since(self, began: float) -> float:
        return round(self.monotonic() - began, 3)
