"""The DNS records to publish, from the settings in force.

Pure: nothing is looked up here (`carom doctor` does).  A record is what must stand in DNS; where
only the operator can know the value (addresses), it says so in `value` and is left commented out
in the zone fragment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from analysis.destination import refusal
from carom import policy_host
from carom.settings import Settings
from ingest.recipients import DMARC_REPORTS, TLS_REPORTS
from sender.dkim_keys import dns_record, dns_strings
from sender.doctor.ours import PublishedKey, mechanism
from sender.doctor.reverse import pointer_name
from sender.signing import Signer


@dataclass(frozen=True, slots=True)
class Record:
    """`name` without the final dot.  `value` of a TXT is whole, not yet cut into strings."""

    name: str
    type: str
    value: str
    why: str
    ready: bool = True  # False: the operator has to fill it in or to do something else first

    @property
    def data(self) -> str:
        """The value as a zone file has it, RFC 1035 section 5.1."""
        if self.type != "TXT":
            return self.value
        return " ".join(f'"{text}"' for text in dns_strings(self.value))


def records(settings: Settings, keys: Sequence[Signer | PublishedKey]) -> list[Record]:
    """Everything to publish for the sending domain, the bounce domain and this host."""
    domain, bounces = settings.sender.domain, settings.ingest.domain
    sources = _sources(settings)
    found = [*_host(settings.sender.hostname, sources)]
    if bounces:
        found += _bounce_domain(settings.sender.hostname, bounces, sources)
        found += _mta_sts(settings)
    found += [_dkim(key) for key in keys]
    if domain:
        found += _dmarc(domain, bounces)
        found.append(_own_spf(domain, bounces))
    return found


def zone(found: Iterable[Record]) -> str:
    """A fragment for a zone file; what is not ready is a comment."""
    lines: list[str] = []
    for record in sorted(found, key=lambda record: not record.ready):
        mark = "" if record.ready else "; "
        lines += [f"; {record.why}", f"{mark}{record.name}. 3600 IN {record.type} {record.data}"]
    return "\n".join(lines) + "\n"


def listing(found: Iterable[Record]) -> str:
    """The same for people: what, where, why."""
    blocks = [
        f"{record.name}  {record.type}{'' if record.ready else '  (to be filled in)'}\n"
        f"    {record.value}\n"
        f"    {record.why}\n"
        for record in found
    ]
    return "\n".join(blocks)


def _sources(settings: Settings) -> dict[str, str]:
    """The addresses that receivers see, as far as the settings name them, with their EHLO names."""
    hostname = settings.sender.hostname
    named = {str(address): hostname for address in settings.reputation.addresses}
    for route in settings.sender.routes:
        own = {str(s.address): s.hostname or hostname for s in route.source}
        named |= {address: name for address, name in own.items() if refusal(address) is None}
    return named


def _host(hostname: str, sources: Mapping[str, str]) -> Iterator[Record]:
    why = "The name said in EHLO; the address must resolve back to it (PTR)."
    if not sources:
        yield Record(hostname, "A", "(the public address of this host)", why, ready=False)
        yield _helo(hostname, "a")
        yield Record(
            "(the reverse name of the address)",
            "PTR",
            f"{hostname}.",
            "Whoever owns the address, the hosting provider, sets it.",
            ready=False,
        )
    for address, name in sources.items():
        yield Record(name, "AAAA" if ":" in address else "A", address, why)
    for name in dict.fromkeys(sources.values()):
        own = [mechanism(address) for address, called in sources.items() if called == name]
        yield _helo(name, " ".join(own))
    for address, name in sources.items():
        yield Record(
            pointer_name(address),
            "PTR",
            f"{name}.",
            f"Whoever owns {address}, the hosting provider, sets it.",
            ready=False,
        )


def _helo(name: str, mechanisms: str) -> Record:
    why = "SPF of the EHLO name, which is asked for mail with the null sender (RFC 7208 2.3)."
    return Record(name, "TXT", f"v=spf1 {mechanisms} -all", why)


def _bounce_domain(hostname: str, bounces: str, sources: Mapping[str, str]) -> Iterator[Record]:
    yield Record(bounces, "MX", f"10 {hostname}.", "Bounces come back to our own listener.")
    # Not -all: some receivers refuse on it before they see that DKIM would have passed.
    allowed = " ".join(map(mechanism, sources)) or "mx"
    yield Record(
        bounces, "TXT", f"v=spf1 {allowed} ~all", "SPF of the return path. Add your relay's."
    )
    yield Record(
        f"_smtp._tls.{bounces}",
        "TXT",
        f"v=TLSRPTv1; rua=mailto:{TLS_REPORTS}@{bounces}",
        "Others report here when TLS to our listener fails (RFC 8460 section 3).",
    )


def _mta_sts(settings: Settings) -> Iterator[Record]:
    served = policy_host.host(settings)
    proxy = urlsplit(settings.api.public_url).hostname or "(the host of the TLS proxy)"
    yield Record(
        served,
        "CNAME",
        f"{proxy}." if "(" not in proxy else proxy,
        f"MTA-STS (RFC 8461): the API serves https://{served}{policy_host.PATH}; the proxy before"
        " it needs a certificate for this name.",
        ready=False,
    )
    yield Record(
        f"_mta-sts.{settings.ingest.domain}",
        "TXT",
        f"v=STSv1; id={policy_host.policy_id(settings)}",
        "Once that answers and the listener has a certificate; again after each change of"
        " [ingest] mta_sts or [sender] hostname.",
        ready=False,
    )


def _dkim(key: Signer | PublishedKey) -> Record:
    value = dns_record(key.key)
    name = f"{key.selector}._domainkey.{key.domain}"
    why = "The public half of a DKIM key (RFC 6376 section 3.6.2)."
    match getattr(key, "state", "active"):
        case "waiting":
            why += f" Once it is seen: carom keys dkim activate {key.selector}"
        case "retired":
            why += " Retired: keep it until `carom doctor` says to remove it."
    return Record(name, "TXT", value, why)


def _own_spf(domain: str, bounces: str) -> Record:
    return Record(
        domain,
        "TXT",
        "v=spf1 -all",
        f"Leave the SPF record of {domain} as it is: our return path is {bounces}. Only if nothing"
        " else sends with this domain as its return path, say so.",
        ready=False,
    )


def _dmarc(domain: str, bounces: str) -> Iterator[Record]:
    report = f"; rua=mailto:{DMARC_REPORTS}@{bounces}" if bounces else ""
    yield Record(
        f"_dmarc.{domain}",
        "TXT",
        f"v=DMARC1; p=none{report}",
        "DMARC (RFC 7489): watch the reports, then raise p to quarantine and reject.",
    )
    if bounces and not bounces.endswith(f".{domain}"):
        yield Record(
            f"{domain}._report._dmarc.{bounces}",
            "TXT",
            "v=DMARC1",
            "Lets the other domain take the reports (RFC 7489 section 7.1).",
        )
