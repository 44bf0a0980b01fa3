"""DKIM: does the world find the key that we sign with?  RFC 6376 section 3.6, RFC 8463.

A key has a life: it waits for its record, signs, and is retired while mail that it signed may still
be verified.  What the DNS must say depends on where it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from sender.dkim_keys import dns_record, kind_of
from sender.doctor.asking import Desk, tags, texts
from sender.doctor.finding import Finding, State, found
from sender.doctor.ours import Ours, PublishedKey
from sender.resolver import Answer, Trouble

DAY = 86_400.0


async def examine(ours: Ours, desk: Desk, now: float) -> list[Finding]:
    findings: list[Finding] = []
    for key in ours.keys:
        answer = await desk.ask(key.name, "TXT")
        findings += judge(ours, key, published(key, answer), now)
    if not any(key.state == "active" for key in ours.keys):
        findings += [found("dkim.none", domain) for domain in ours.domains]
    return findings


def published(key: PublishedKey, answer: Answer) -> Finding:
    """What the DNS says of a key, as if we signed with it."""
    name, record = key.name, key.record
    if isinstance(answer, Trouble):
        return found("dkim.trouble", name, trouble=answer.why)
    there = [text for text in texts(answer) if "=" in text or len(texts(answer)) == 1]
    if not there:
        return found("dkim.absent", name, record=record)
    if len(there) > 1:
        return found("dkim.two", name, count=len(there), record=record)
    try:
        held = tags(there[0])
    except ValueError as error:
        return found("dkim.syntax", name, trouble=str(error), record=record)
    return _held(key, held)


def _held(key: PublishedKey, held: dict[str, str]) -> Finding:
    name, record, ours = key.name, key.record, tags(dns_record(key.key))
    told: dict[str, Callable[[], Finding]] = {
        "syntax": lambda: found("dkim.syntax", name, trouble=_trouble(held), record=record),
        "revoked": lambda: found("dkim.revoked", name, record=record),
        "kind": lambda: found(
            "dkim.kind", name, kind=held.get("k", "rsa"), ours=ours["k"], record=record
        ),
        "mismatch": lambda: found("dkim.mismatch", name, record=record),
        "hash": lambda: found("dkim.hash", name, hashes=held["h"], record=record),
        "service": lambda: found("dkim.service", name, service=held["s"], record=record),
        "testing": lambda: found("dkim.testing", name, record=record),
        "ok": lambda: found("dkim.ok", name, kind=kind_of(key.key).value),
    }
    return told[_verdict(held, ours)]()


def _verdict(held: dict[str, str], ours: dict[str, str]) -> str:
    """The first thing a verifier would stumble over."""
    public = "".join(held.get("p", "-").split())
    if _trouble(held):
        return "syntax"
    if not public:
        return "revoked"
    if held.get("k", "rsa").lower() != ours["k"]:
        return "kind"
    if public != ours["p"]:
        return "mismatch"
    if "h" in held and "sha256" not in _listed(held["h"]):
        return "hash"
    if "s" in held and not _listed(held["s"]) & {"*", "email"}:
        return "service"
    return "testing" if "y" in _listed(held.get("t", "")) else "ok"


def _trouble(held: dict[str, str]) -> str:
    if held.get("v", "DKIM1") != "DKIM1":
        return f"v={held['v']}"
    if "v" in held and next(iter(held)) != "v":
        return "v= does not stand first"
    return "" if "p" in held else "there is no p="


def _listed(text: str) -> set[str]:
    return {part.strip().lower() for part in text.split(":")}


def judge(ours: Ours, key: PublishedKey, there: Finding, now: float) -> Iterator[Finding]:
    """What is amiss, given where the key stands in its life."""
    match key.state:
        case "active":
            yield there
            yield from _age(ours, key, now)
        case "waiting":
            yield _waiting(key, there)
        case "retired":
            yield _retired(ours, key, there, now)


def _age(ours: Ours, key: PublishedKey, now: float) -> Iterator[Finding]:
    if key.since is not None and now - key.since > ours.longest:
        days = int((now - key.since) / DAY)
        yield found("dkim.old", key.name, days=days, domain=key.domain)


def _waiting(key: PublishedKey, there: Finding) -> Finding:
    if there.code == "dkim.ok":
        return found("dkim.ready", key.name, selector=key.selector)
    return found(
        "dkim.waiting",
        key.name,
        trouble=there.seen(),
        record=key.record,
        selector=key.selector,
    )


def _retired(ours: Ours, key: PublishedKey, there: Finding, now: float) -> Finding:
    since = now if key.since is None else key.since
    until = since + ours.overlap
    if there.code == "dkim.trouble":
        return there
    stands = there.state in (State.OK, State.WARNING)
    if now < until:
        if stands:
            return found("dkim.keep", key.name, until=_day(until))
        return found("dkim.early", key.name, until=_day(until), record=key.record)
    if stands:
        return found("dkim.remove", key.name, since=_day(since), selector=key.selector)
    return found("dkim.gone", key.name)


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()
