"""Our own TLS reports (RFC 8460): what came of TLS with each domain yesterday, to whom it asks.

A duty.  Of each policy domain that we talked to, `_smtp._tls` is asked for; where it names mail
addresses, one report goes there, handed in to our own intake, so it is stored, signed, retried and
seen like any other mail.  It is marked as our own (`PROBE`): it counts as nobody's, is delivered
even where TLS fails, and its session is in no report (section 3).

Once a domain a day, however many nodes and whatever dies between two steps: the intake knows the
order by its key, and `tls_reports_sent` spares the next look.  Reports to `https:` are posted; a
receiver may get such a one twice, with the same id.

Bounds: domains looked at in one round, reports a day, addresses of one domain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256

import structlog
from sqlalchemy import Connection, and_, exists, func, select

from analysis.address import Address
from analysis.batch import Overloaded
from analysis.schema import tls_reports_sent, tls_results
from analysis.store import Store, StoreUnavailable, chunks, upsert
from sender import tls_store
from sender.idempotency import Idempotency, Receipt
from sender.intake import Order, Refused
from sender.ready import read
from sender.resolver import Found, Resolver, Trouble
from sender.tls_report import DAY, PROBE
from sender.tls_report_file import Reporter, content, mail
from sender.tls_rua import Asked, asked

log = structlog.get_logger()

STREAM = "tls-reports"
EVERY = 900.0
ROUND = 500
"""Domains looked at in one round."""
AT_ONCE = 20
SETTLE = 600.0
"""Seconds after midnight in which every node puts down what it counted."""
SPREAD = 4 * 3_600
"""Seconds over which installations spread their reports: section 4 asks for it."""
AGAIN = 3 * 3_600.0
"""After which a domain is tried again that could not be reported to."""

Post = Callable[[str, bytes], Awaitable[None]]
"""Hands a report to an `https:` address; raises OSError where it is not taken."""


@dataclass(frozen=True, slots=True)
class TlsReporting:
    store: Store
    resolver: Resolver
    accept: Callable[[Order], Awaitable[Receipt]]
    reporter: Reporter
    post: Post | None = None  # None: mail only
    most: int = 1_000  # reports a day

    async def do(self, now: float) -> None:
        """Report on the day before `now`, as far as is due and was not done."""
        day = int(now // DAY) - 1
        if now < (day + 1) * DAY + self.starts:
            return
        domains = await self.store.read(lambda tx: due(tx, day, now, self.most))
        for some in chunks(domains, AT_ONCE):
            await asyncio.gather(*(self._report(day, domain, now) for domain in some))

    @property
    def starts(self) -> float:
        """Seconds after midnight, another for each submitter."""
        digest = sha256(self.reporter.submitter.encode()).digest()
        return SETTLE + int.from_bytes(digest[:4], "big") % SPREAD

    async def _report(self, day: int, domain: str, now: float) -> None:
        try:
            how, message_id, detail = await self._try(day, domain)
        except (Refused, Overloaded, OSError) as error:
            how, message_id, detail = "failed", None, str(error)[:500]
            log.info("a TLS report was not taken", domain=domain, why=detail)
        except StoreUnavailable as error:
            log.warning("TLS reports wait: the database is unavailable", error=str(error))
            return
        row = {
            "day": day,
            "domain": domain,
            "how": how,
            "at": now,
            "message_id": message_id,
            "detail": detail,
        }
        await self.store.write(
            lambda tx: upsert(tx, tls_reports_sent, [row], keys=("day", "domain"))
        )

    async def _try(self, day: int, domain: str) -> tuple[str, str | None, str]:
        wanted = await self._asked(domain)
        if not (wanted.mail or (wanted.https and self.post is not None)):
            return "none", None, ""
        rows, kept = await self.store.read(
            lambda tx: (tls_store.results(tx, day, domain), tls_store.load(tx, domain))
        )
        policy = None if kept is None else kept.policy
        report = content(self.reporter, domain, day, rows, policy)
        if self.post is not None:
            for url in wanted.https:
                await self.post(url, report)
        if not wanted.mail:
            return "https", None, " ".join(wanted.https)
        message_id = await self._send(day, domain, wanted.mail, report)
        return "mail", message_id, " ".join(to.wire for to in wanted.mail)

    async def _asked(self, domain: str) -> Asked:
        try:
            answer = await self.resolver.ask(f"_smtp._tls.{domain}", "TXT")
        except ValueError:  # too long with the labels in front
            return Asked()
        if isinstance(answer, Trouble):
            raise OSError(f"the DNS did not say who takes reports: {answer.why}")
        return asked(answer.records) if isinstance(answer, Found) else Asked()

    async def _send(
        self, day: int, domain: str, to: tuple[Address, ...], report: bytes
    ) -> str | None:
        key = sha256(f"tls-report|{day}|{domain}".encode()).digest()
        receipt = await self.accept(
            Order(
                message=read(mail(self.reporter, domain, day, to, report)),
                recipients=to,
                stream=STREAM,
                class_="bulk",
                idempotency=Idempotency(key, key),
                probe=PROBE,
            )
        )
        return receipt.answer.get("id")


def due(tx: Connection, day: int, now: float, most: int) -> list[str]:
    """Domains to look at now, those we talked to most first; none once `most` have a report."""
    done, counted = tls_reports_sent.c, tls_results.c
    sent = select(func.count()).where(done.day == day, done.how.in_(("mail", "https")))
    left = most - int(tx.execute(sent).scalar_one())
    settled = exists().where(
        and_(done.day == day, done.domain == counted.domain),
        (done.how != "failed") | (done.at > now - AGAIN),
    )
    query = (
        select(counted.domain)
        .where(counted.day == day, counted.domain != "*", ~settled)
        .group_by(counted.domain)
        .order_by(func.sum(counted.sessions).desc(), counted.domain)
        .limit(max(0, min(left, ROUND)))
    )
    return list(tx.execute(query).scalars())
