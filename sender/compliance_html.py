"""What a filter would hold against HTML: what runs, images alone, links that lie or go nowhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from sender.compliance_findings import Found
from sender.html_tokens import Kind, Token, tokens

Organisation = Callable[[str], str]

_ACTIVE = frozenset({"script", "form", "iframe", "object", "embed", "applet"})
_LOCAL = (".local", ".internal", ".lan", ".localhost", ".test", ".invalid")
_SHOWN = re.compile(
    r"(?:(https?)://)?((?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24})(?:[:/?#]\S*)?", re.IGNORECASE
)
FEW_WORDS = 20
MOST_HTML = 200_000
"""Characters of HTML that are looked at, so that a lint has a bounded price; twice what Gmail shows
before it clips."""


def check_html(html: str, organisation: Organisation, found: Found) -> None:
    """`organisation` gives the registrable domain of a name."""
    link: Token | None = None
    words: list[str] = []
    images = written = 0
    for token in tokens(html[:MOST_HTML]):
        match token.kind, token.tag:
            case Kind.TEXT, _:
                said = html[token.start : token.end].strip()
                written += len(said)
                if link is not None:
                    words.append(said)
            case Kind.OPEN, "a":
                link, words = token, []
            case Kind.CLOSE, "a" if link is not None:
                _link(link, "".join(words), organisation, found)
                link = None
            case Kind.OPEN, "img":
                images += 1
                if token.get("alt") is None:
                    found.add("image_without_alt", "html", token.get("src") or "")
            case Kind.OPEN, tag if tag in _ACTIVE:
                found.add("active", "html", tag)
    if images and written < FEW_WORDS:
        found.add("image_alone", "html")


def _link(link: Token, words: str, organisation: Organisation, found: Found) -> None:
    target = link.get("href")
    if target is None:  # an anchor to jump to
        return
    target = target.strip()
    for code in _target_faults(target):
        found.add(code, "html", target)
    shown = _SHOWN.fullmatch(words)
    if shown and target.lower().startswith("http") and _differ(shown, target, organisation):
        found.add("link_mismatch", "html", f"{words} -> {target}")


def _target_faults(target: str) -> Iterator[str]:
    lower = target.lower()
    if lower in ("", "#") or lower.startswith(("javascript:", "about:", "{{")):
        yield "link_empty"
        return
    if not lower.startswith(("http:", "https:")):
        if ":" not in lower and not lower.startswith("#"):
            yield "link_empty"  # a relative address has nothing to be relative to
        return
    host = _host(target)
    if not host:
        yield "link_empty"
        return
    if (
        host == "localhost"
        or host.endswith(_LOCAL)
        or "." not in host.strip("[]").replace(":", ".")
    ):
        yield "link_local"
    elif number := _number(host):
        yield "link_local" if number.is_private else "link_numeric"
    if lower.startswith("http:"):
        yield "link_insecure"


def _host(target: str) -> str:
    try:
        return (urlsplit(target).hostname or "").lower()
    except ValueError:
        return ""


def _number(host: str) -> Any:
    if ":" not in host and not host[-1:].isdigit():  # no top-level domain ends in a digit
        return None
    try:
        return ip_address(host)
    except ValueError:
        return None


def _differ(shown: re.Match[str], target: str, organisation: Organisation) -> bool:
    """Another site than the one that is shown, or http where https is shown."""
    if (shown[1] or "").lower() == "https" and target.lower().startswith("http:"):
        return True
    return organisation(shown[2].lower()) != organisation(_host(target))
