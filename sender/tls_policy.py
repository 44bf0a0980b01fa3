"""The judgement: on what terms of TLS each mail exchanger may be used, and whether at all.

Pure.  RFC 7672 section 2.2 and RFC 8461 section 2 and 5: where DNSSEC vouches for the domain's
mail exchangers and for TLSA records of a host, those alone decide about that host.  For the others
an enforced MTA-STS policy decides.  Where neither is published, mail goes opportunistically, unless
the message asks for TLS by itself (`require`, in the spirit of RFC 8689): then the host's
certificate must hold for its name, by DANE or by a public authority.

A host of whose TLSA records the DNS cannot say anything for certain is not used: whether there are
any is just what an attacker would hide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sender.mta_sts import Mode, Policy
from sender.mx import Exchangers
from sender.smtp import Host, Tls, TlsMode, TlsPolicy
from sender.tls_report import Failing, Kind
from sender.tlsa import Tlsa


@dataclass(frozen=True, slots=True)
class Promise:
    """What DNSSEC vouches for about one host: its usable records, or the lack of any."""

    tlsa: tuple[Tlsa, ...] = ()
    unusable: bool = False  # there are records, but none that mail can use
    trouble: str = ""  # nobody could say


@dataclass(frozen=True, slots=True)
class Objection:
    """A host that fails a policy before anybody connects, for reports."""

    host: str
    kind: Kind
    failing: Failing
    why: str


@dataclass(frozen=True, slots=True)
class Judged:
    hosts: tuple[Host, ...]  # with their terms; empty: nobody may be sent to now
    objections: tuple[Objection, ...] = ()


_BY_STS = Tls(TlsMode.VERIFIED, TlsPolicy.STS)
_BY_MESSAGE = Tls(TlsMode.VERIFIED, TlsPolicy.REQUIRED)
_ON_TRIAL = Tls(TlsMode.OPPORTUNISTIC, TlsPolicy.OPPORTUNISTIC, trial=True)
_ENCRYPTED = Tls(TlsMode.REQUIRED, TlsPolicy.DANE)
"""RFC 7672 section 2.2: records that nobody can use still promise TLS."""


def judge(
    found: Exchangers,
    sts: Policy | None,
    promises: Mapping[str, Promise],
    *,
    require: bool = False,
) -> Judged:
    """The hosts of `found` that may be used, in their order, each with its terms.

    `promises` by host name, for those hosts that DNSSEC vouches for.
    """
    if sts is None and not promises and not require:
        return Judged(found.hosts)
    kept: list[Host] = []
    objections: dict[str, Objection] = {}
    for host in found.hosts:
        promise = promises.get(host.name, _NO_PROMISE)
        if objection := _objection(host.name, sts, promise):
            objections[host.name] = objection
            if _binds(objection, sts):
                continue
        kept.append(replace(host, tls=_terms(host, found.domain, sts, promise, require=require)))
    return Judged(tuple(kept), tuple(objections.values()))


_NO_PROMISE = Promise()


def _objection(name: str, sts: Policy | None, promise: Promise) -> Objection | None:
    if promise.trouble:
        why = f"DANE: the DNS gave no sure answer about TLSA records: {promise.trouble}"
        return Objection(name, Kind.TLSA, Failing.DNSSEC_INVALID, why)
    if sts is not None and not promise.tlsa and not sts.allows(name):
        why = "MTA-STS: the domain's policy does not name this mail exchanger"
        return Objection(name, Kind.STS, Failing.VALIDATION, why)
    return None


def _binds(objection: Objection, sts: Policy | None) -> bool:
    return objection.kind is Kind.TLSA or (sts is not None and sts.mode is Mode.ENFORCE)


def _terms(
    host: Host, domain: str, sts: Policy | None, promise: Promise, *, require: bool
) -> Tls | None:
    """None: the route's own, which is opportunistic."""
    if promise.tlsa:
        return Tls(TlsMode.DANE, TlsPolicy.DANE, promise.tlsa, (host.name, domain))
    if sts is not None and sts.mode is Mode.ENFORCE:
        return _BY_STS
    if require:
        return _BY_MESSAGE
    if promise.unusable:
        return _ENCRYPTED
    on_trial = sts is not None and sts.mode is Mode.TESTING and sts.allows(host.name)
    return _ON_TRIAL if on_trial else None
