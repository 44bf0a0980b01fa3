"""Is mail arriving, now and against last week?"""

from dashboards.boards.asking import (
    CHOSEN,
    TO_RUNBOOK,
    cohort,
    each_of,
    minute,
    quantile,
    rate,
    settled,
    share,
    to_board,
    to_console,
)
from dashboards.drawing import ANY_IS_BAD, Board, Panel, Query, Row, falls, rises


def _arrived(by: str = "") -> str:
    """Accepted, less what came back: of what was settled."""
    accepted = rate("carom_deliveries_total", by, f'{CHOSEN},outcome="delivered"')
    back = rate("carom_bounces_total", by, f'{CHOSEN},source="dsn"')
    whole = settled(by)
    return share(
        f"clamp_min(({accepted} or 0 * {whole}) - ({back} or 0 * {whole}), 0)",
        whole,
    )


def _week_ago(query: str) -> str:
    return query.replace("[$__rate_interval]", "[$__rate_interval] offset 1w")


_NOW = Row(
    4,
    [
        Panel(
            title="Does Carom answer?",
            description="Share of Carom's processes that answered the last scrape. Red: at least "
            "one does not; what only it counted is missing below.",
            kind="stat",
            queries=[Query('avg(up{job="carom"})', "answer")],
            unit="percentunit",
            decimals=0,
            steps=((None, "red"), (1, "green")),
            none="not scraped",
            width=3,
            alert="CaromDown",
        ),
        Panel(
            title="Does mail arrive?",
            description="Of all that was sent in the last 24 hours, was tried and has ended: the "
            "share that was delivered and that no later bounce or complaint took back. Counted "
            "by the hour of sending, so it corrects itself as reports come.",
            kind="stat",
            queries=[Query(share(cohort("delivered"), cohort("ended")), "stayed delivered")],
            unit="percentunit",
            decimals=2,
            steps=falls(0.9, 0.97),
            none="nothing sent",
            width=4,
            alert="DeliveryRatioLow",
            board="providers",
        ),
        Panel(
            title="How much is asked of us?",
            description="Messages accepted for sending, per minute. Not filtered by provider: "
            "where a message goes is known only when it is tried.",
            kind="stat",
            queries=[
                Query(
                    minute("carom_messages_submitted_total", which='stream=~"$stream"'),
                    "messages per minute",
                )
            ],
            unit="short",
            none="nothing",
            width=4,
        ),
        Panel(
            title="Are incidents open?",
            description="Troubles that Carom has found by itself and that are not over: a "
            "provider that refuses us, complaints over a limit, a blocklist, suppressions that "
            "spike. Each has its evidence and its mend in the console.",
            kind="stat",
            queries=[Query("sum(max by (provider, fault) (carom_incidents_open))", "open")],
            unit="none",
            steps=ANY_IS_BAD,
            width=3,
            alert="IncidentOpen",
            board="reputation",
        ),
        Panel(
            title="What is wrong now?",
            description="Carom's alerts that fire at this moment. Empty is good, as long as the "
            "panel to the left is green. The runbook has a heading for each.",
            kind="table",
            queries=[
                Query(
                    "max by (alertname, severity, stream, provider, class) "
                    '(ALERTS{alertstate="firing",service="carom"})'
                )
            ],
            by=["severity", "alertname", "stream", "provider", "class"],
            hidden=["Value"],
            links={"alertname": TO_RUNBOOK, "provider": to_board("providers", "provider")},
            unit="none",
            none="nothing",
        ),
    ],
)

_ARRIVING = Row(
    8,
    [
        Panel(
            title="Is mail arriving?",
            description="Of what was settled (accepted, refused or given up), the share that the "
            "next host accepted, less what bounced later. Dashed: all of it one week ago. A late "
            "bounce counts when it comes, so a bad hour looks better than it was until its "
            "bounces are in; the panel above corrects that. Accepted mail may still lie in Junk: "
            "see Inbox.",
            queries=[
                Query(_arrived("stream"), "{{stream}}"),
                Query(_week_ago(_arrived()), "all, a week ago"),
            ],
            dashed=".*a week ago",
            unit="percentunit",
            top=1,
            steps=falls(0.9, 0.97),
            alert="DeliveryRatioLow",
            board="bounces",
        ),
        Panel(
            title="How fast?",
            description="From our promise (the 202) to the 250 of the next host, for what was "
            "accepted: half, 95 and 99 of 100 were faster. Greylisting shows as minutes at the "
            "top. What is never accepted is not in here; see 'What waits?'. 3,600 s is the last "
            "bucket: more is drawn as an hour. The dots are single messages: each leads to its "
            "timeline.",
            queries=[
                Query(quantile(0.5, "carom_time_to_accept_seconds"), "half"),
                Query(quantile(0.95, "carom_time_to_accept_seconds"), "95 %"),
                Query(quantile(0.99, "carom_time_to_accept_seconds"), "99 %", exemplars=True),
            ],
            unit="s",
            steps=rises(60, 600),
            log=True,
            board="queue",
        ),
    ],
)

_WHY_NOT = Row(
    8,
    [
        Panel(
            title="What waits?",
            description="Lines: how long the oldest delivery that is due has waited, by class. A "
            "delivery put off by its receiver is not due until its next try. Bars: how many are "
            "queued, due or not. Read from the database at each scrape.",
            queries=[
                Query("max by (class) (carom_queue_oldest_seconds)", "{{class}}: oldest due"),
                Query("max by (class) (carom_queue_depth)", "{{class}}: queued"),
            ],
            right=".*queued",
            unit="s",
            steps=rises(60, 300),
            alert="QueueOldestOtp",
            board="queue",
        ),
        Panel(
            title="Whose fault are the bounces?",
            description="Bounces, in the session and later, as a share of what was settled, by "
            "whose fault they are. Sender is us: reputation, content, authentication, rate; it "
            "suppresses nobody. Recipient and domain say something of the list.",
            queries=[Query(each_of(rate("carom_bounces_total", "fault"), settled()), "{{fault}}")],
            unit="percentunit",
            steps=rises(0.05, 0.15),
            alert="ProviderRefusesUs",
            board="bounces",
        ),
        Panel(
            title="Do bounces come back to us?",
            description="Seconds since a probe that must bounce came back to us through the real "
            "path. Rising without end: the MX of the bounce domain is dead, and everything looks "
            "perfectly delivered. No line: [ingest.canary] is switched off.",
            queries=[Query("max(carom_bounce_loop_last_ok_seconds)", "last probe that came back")],
            unit="s",
            steps=rises(120, 210),
            none="not probed",
            alert="BounceLoopDead",
            board="inbound",
        ),
    ],
)

_WHERE = Row(
    9,
    [
        Panel(
            title="Which provider is in trouble?",
            description="The last 15 minutes by mailbox provider, found by MX; complaints over a "
            "day. A share stays empty below 30 settled (or tried) messages, where it would tell "
            "of chance. All streams: a receiver judges the whole house. Needs the recording "
            "rules.",
            kind="table",
            by=["provider"],
            links={
                "provider": to_board("providers", "provider"),
                "our fault": to_console("incidents"),
            },
            unit="short",
            decimals=1,
            queries=[
                Query(
                    "sum by (provider) "
                    '(stream_provider:carom_settled:increase15m{provider=~"$provider"}) > 0',
                    "settled",
                ),
                Query(
                    'provider:carom_arrived:ratio15m{provider=~"$provider"}',
                    "arrived",
                    "percentunit",
                    falls(0.9, 0.97),
                ),
                Query(
                    'provider:carom_deferred:ratio15m{provider=~"$provider"}',
                    "put off",
                    "percentunit",
                    rises(0.3, 0.6),
                ),
                Query(
                    "sum by (provider) "
                    '(provider_fault:carom_bounces:ratio15m{provider=~"$provider",fault="sender"})',
                    "our fault",
                    "percentunit",
                    rises(0.01, 0.05),
                ),
                Query(
                    "sum by (provider) (provider_fault:carom_bounces:ratio15m"
                    '{provider=~"$provider",fault=~"recipient|domain"})',
                    "recipient's or domain's fault",
                    "percentunit",
                    rises(0.05, 0.15),
                ),
                Query(
                    'provider:carom_complaints:ratio1d{provider=~"$provider"}',
                    "complaints",
                    "percentunit",
                    rises(0.001, 0.003),
                ),
            ],
            alert="ProviderRefusesUs",
            board="providers",
        )
    ],
)

OVERVIEW = Board(
    stem="overview",
    title="overview",
    question="Is mail arriving, and if not, whose fault is it?",
    rows=[_NOW, _ARRIVING, _WHY_NOT, _WHERE],
)
