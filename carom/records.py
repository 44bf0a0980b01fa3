"""The DNS records to publish, from the settings in force.

Pure: nothing is looked up here (`carom doctor` does).  A record is what must stand in DNS; where
only the operator can know the value (addresses), it says so in `value` and is left commented out
in the zone fragment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from carom.settings import Settings
from ingest.recipients import DMARC_REPORTS, TLS_REPORTS
from sender.dkim_keys import dns_record, dns_strings
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


def records(settings: Settings, signers: Sequence[Signer]) -> list[Record]:
    """Everything to publish for the sending domain, the bounce domain and this host."""
    domain, bounces = settings.sender.domain, settings.ingest.domain
    found = [*_host(settings.sender.hostname)]
    if bounces:
        found += _bounce_domain(settings.sender.hostname, bounces)
    found += [_dkim(signer) for signer in signers]
    if domain:
        found += _dmarc(domain, bounces)
    return found


def zone(found: Iterable[Record]) -> str:
    """A fragment for a zone file; what is not ready is a comment."""
    lines: list[str] = []
    for record in found:
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


def _host(hostname: str) -> Iterator[Record]:
    yield Record(
        hostname,
        "A",
        "(the public address of this host)",
        "The name said in EHLO. Ask your provider to make the address resolve back to it (PTR).",
        ready=False,
    )
    yield Record(
        hostname,
        "TXT",
        "v=spf1 a -all",
        "SPF of the EHLO name, which is asked for mail with the null sender (RFC 7208 2.3).",
    )


def _bounce_domain(hostname: str, bounces: str) -> Iterator[Record]:
    yield Record(bounces, "MX", f"10 {hostname}.", "Bounces come back to our own listener.")
    # Not -all: some receivers refuse on it before they see that DKIM would have passed.
    yield Record(bounces, "TXT", "v=spf1 mx ~all", "SPF of the return path. Add your relay's.")
    yield Record(
        f"_smtp._tls.{bounces}",
        "TXT",
        f"v=TLSRPTv1; rua=mailto:{TLS_REPORTS}@{bounces}",
        "Others report here when TLS to our listener fails (RFC 8460 section 3).",
    )
    yield Record(
        f"_mta-sts.{bounces}",
        "TXT",
        "v=STSv1; id=1",
        f"MTA-STS (RFC 8461): once https://mta-sts.{bounces}/.well-known/mta-sts.txt is served"
        " and the listener has a certificate.",
        ready=False,
    )


def _dkim(signer: Signer) -> Record:
    value = dns_record(signer.key)
    name = f"{signer.selector}._domainkey.{signer.domain}"
    return Record(name, "TXT", value, "The public half of a DKIM key (RFC 6376 section 3.6.2).")


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
