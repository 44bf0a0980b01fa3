"""DMARC: the record of each From domain, and what proves it.  RFC 7489.

Alignment is by organisational domain (the public suffix list) unless the record says `s`, strict.
"""

from __future__ import annotations

from collections.abc import Iterator

from analysis.organisation import organisational_domain
from sender.doctor.asking import Desk, tags, texts
from sender.doctor.finding import Finding, found
from sender.doctor.ours import Ours, joined, txt_record
from sender.resolver import Answer, Trouble

MOST_URIS = 10


async def examine(ours: Ours, desk: Desk) -> list[Finding]:
    if not ours.domains:
        return [found("dmarc.no_domain")]
    findings: list[Finding] = []
    for domain in ours.domains:
        name, answer = await _record(domain, desk)
        policy, amiss = read(ours, domain, name, answer)
        findings += [*amiss, *alignment(ours, domain, policy)]
        findings += await _reports(ours, domain, name, policy, desk)
    return findings


async def _record(domain: str, desk: Desk) -> tuple[str, Answer]:
    """Of the domain itself, else of the organisation's: RFC 7489 section 6.6.3."""
    name = f"_dmarc.{domain}"
    answer = await desk.ask(name, "TXT")
    top = organisational_domain(domain)
    if top != domain and not isinstance(answer, Trouble) and not _policies(answer):
        above = await desk.ask(f"_dmarc.{top}", "TXT")
        if _policies(above):
            return f"_dmarc.{top}", above
    return name, answer


def read(
    ours: Ours, domain: str, name: str, answer: Answer
) -> tuple[dict[str, str], list[Finding]]:
    """The tags of the record, and what is to be said of it."""
    record = _advised(ours, f"_dmarc.{domain}", "none")
    if isinstance(answer, Trouble):
        return {}, [found("dmarc.trouble", name, trouble=answer.why)]
    there = _policies(answer)
    if not there:
        return {}, [found("dmarc.absent", name, record=record)]
    if len(there) > 1:
        return {}, [found("dmarc.two", name, count=len(there), record=record)]
    try:
        policy = tags(there[0])
        _checked(policy)
    except ValueError as error:
        return {}, [found("dmarc.syntax", name, trouble=str(error), record=record)]
    return policy, list(_judged(ours, name, domain, policy))


def _checked(policy: dict[str, str]) -> None:
    """RFC 7489 section 6.3: v first, a known p; ValueError otherwise."""
    if policy.get("p", "").lower() not in ("none", "quarantine", "reject"):
        raise ValueError(f"p={policy.get('p', '')} is none of none, quarantine, reject")
    for tag in ("adkim", "aspf"):
        if policy.get(tag, "r").lower() not in ("r", "s"):
            raise ValueError(f"{tag}={policy[tag]} is neither r nor s")
    if not policy.get("pct", "100").isdecimal():
        raise ValueError(f"pct={policy['pct']} is no number")


def _judged(ours: Ours, name: str, domain: str, policy: dict[str, str]) -> Iterator[Finding]:
    below = name != f"_dmarc.{domain}"
    stance = (policy.get("sp", policy["p"]) if below else policy["p"]).lower()
    if stance == "none":
        yield found("dmarc.watching", name, record=_advised(ours, name, "quarantine"))
    else:
        yield found("dmarc.ok", name, policy=stance)
    if int(policy.get("pct", "100")[:4]) < 100:
        yield found("dmarc.partly", name, percent=policy["pct"])


def alignment(ours: Ours, domain: str, policy: dict[str, str]) -> Iterator[Finding]:
    """Whether a signature or the return path proves the domain: RFC 7489 section 3.1."""
    signer = _signer(ours, domain)
    by_dkim = aligned(domain, signer, strict=policy.get("adkim", "r").lower() == "s")
    by_spf = aligned(domain, ours.bounces, strict=policy.get("aspf", "r").lower() == "s")
    told = {"dkim": signer, "spf": ours.bounces or "-"}
    if by_dkim and by_spf:
        yield found("dmarc.aligned", domain, by=f"DKIM ({signer}) + SPF ({ours.bounces})")
    elif by_dkim:
        yield found("dmarc.dkim_only", domain, **told)
    else:
        yield found("dmarc.spf_only" if by_spf else "dmarc.unaligned", domain, **told)


def _signer(ours: Ours, domain: str) -> str:
    """The d= of its mail: the nearest of the domain and those above that has a key, or the default.

    As `sender.outgoing` chooses it.
    """
    signing = {key.domain for key in ours.keys if key.state == "active"}
    above = domain
    while above:
        if above in signing:
            return above
        above = above.partition(".")[2]
    return ours.default if ours.default in signing else "-"


async def _reports(
    ours: Ours, domain: str, name: str, policy: dict[str, str], desk: Desk
) -> list[Finding]:
    """Where reports go, and whether the other domain may have them: section 7.1."""
    if not policy or not ours.dmarc_reports:
        return []
    uris = [uri.strip() for uri in policy.get("rua", "").split(",") if uri.strip()][:MOST_URIS]
    if not uris:
        record = _advised(ours, name, policy["p"])
        return [found("dmarc.no_reports", name, ours=ours.dmarc_reports, record=record)]
    mail = [uri.partition(":")[2].partition("!")[0].lower() for uri in uris]
    if ours.dmarc_reports.lower() not in mail:
        told = joined([uri.removeprefix("mailto:") for uri in uris])
        return [found("dmarc.reports_elsewhere", name, rua=told, ours=ours.dmarc_reports)]
    published_for = name.removeprefix("_dmarc.")
    if organisational_domain(published_for) == organisational_domain(ours.bounces):
        return []
    permit = f"{published_for}._report._dmarc.{ours.bounces}"
    answer = await desk.ask(permit, "TXT")
    if any(text.startswith("v=DMARC1") for text in texts(answer)) or isinstance(answer, Trouble):
        return []
    record = txt_record(permit, "v=DMARC1")
    return [found("dmarc.unauthorised", permit, domain=domain, record=record)]


def aligned(domain: str, proven: str, *, strict: bool) -> bool:
    if not proven or proven == "-":
        return False
    return (
        domain == proven
        if strict
        else organisational_domain(domain) == organisational_domain(proven)
    )


def _policies(answer: Answer) -> list[str]:
    return [t for t in texts(answer) if t.replace(" ", "").startswith("v=DMARC1")]


def _advised(ours: Ours, name: str, policy: str) -> str:
    rua = f"; rua=mailto:{ours.dmarc_reports}" if ours.dmarc_reports else ""
    return txt_record(name, f"v=DMARC1; p={policy}{rua}")
