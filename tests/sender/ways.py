"""The way out as the engine builds it, from a domain to a mail host, for stories of TLS."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.reply import Reply
from sender.connections import Connections
from sender.routes import Routes
from sender.smtp import Envelope, Outcome, Timeouts
from sender.tls_report import Row, TlsReport

PATIENT = Timeouts(connect=60, quit=1)
BODY = b"Subject: Your code\r\n\r\n123456\r\n"


@dataclass
class Way:
    """The way out, as the engine builds it."""

    routes: Routes
    connections: Connections
    report: TlsReport

    async def send(self, domain: str, *, require_tls: bool = False) -> Outcome | Reply:
        route = await self.routes.route(domain, require_tls=require_tls)
        if isinstance(route, Reply):
            return route
        envelope = Envelope("b+1@bounces.example.com", f"ann@{domain}", BODY)
        return await self.connections.deliver(route, envelope)

    def counted(self, domain: str) -> dict[Row, int]:
        return {row: count for row, count in self.report.drain().items() if row.domain == domain}


def reply_of(got: Outcome | Reply) -> Reply:
    return got.reply if isinstance(got, Outcome) else got
