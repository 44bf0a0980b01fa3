"""Does accepted mail reach the inbox, and does it look like ours?"""

from dashboards.boards.asking import CHOSEN, COMPLAINTS, over_a_day, quantile
from dashboards.drawing import ANY_IS_BAD, Board, Panel, Query, Row, falls, rises

_HERE = 'provider=~"$provider"'


def _placement(part: str) -> str:
    return f"max by (provider) (carom_inbox_placement_{part}{{{_HERE}}})"


_AUTHENTICATED = over_a_day("carom_seed_authentication_total", "provider, method", _HERE)
_PASSED = over_a_day(
    "carom_seed_authentication_total", "provider, method", f'{_HERE},result="pass"'
)

_PLACED = Row(
    8,
    [
        Panel(
            title="What share lands in the inbox?",
            description="Of our probes to seed mailboxes: the share found in the inbox, and not "
            "in Junk, elsewhere or missing. The share lies between low and high with 95 % "
            "certainty; with few probes that is wide, and says so. Seeds are no people: read it "
            "beside complaints.",
            kind="table",
            by=["provider"],
            queries=[
                Query(_placement("samples"), "probes", "none"),
                Query(_placement("ratio"), "in the inbox", steps=falls(0.8, 0.95)),
                Query(_placement("low"), "low"),
                Query(_placement("high"), "high"),
            ],
            unit="percentunit",
            none="no seeds are set",
            alert="PlacementDrops",
        ),
        Panel(
            title="Did it change?",
            description="Share of probes in the inbox, by provider, and dashed the lower end of "
            "its 95 % interval. A real drop takes the dashed line with it; a wide gap is too few "
            "probes.",
            queries=[
                Query(_placement("ratio"), "{{provider}}"),
                Query(_placement("low"), "{{provider}}, at least"),
            ],
            dashed=".*at least",
            unit="percentunit",
            top=1,
            steps=falls(0.8, 0.95),
            none="no seeds are set",
            alert="PlacementDrops",
        ),
        Panel(
            title="How long until the inbox?",
            description="From our handing in to the seed's inbox: half and 95 of 100 probes. A "
            "receiver that takes mail at once may still hold it back before it shows.",
            queries=[
                Query(quantile(0.5, "carom_inbox_seconds", _HERE), "half"),
                Query(quantile(0.95, "carom_inbox_seconds", _HERE), "95 %"),
            ],
            unit="s",
            log=True,
            none="no seeds are set",
        ),
    ],
)

_OURS = Row(
    8,
    [
        Panel(
            title="Do receivers see our signatures?",
            description="Probes of a day whose Authentication-Results say pass, as the receiver "
            "saw them, by provider and method. Below 100 %: a record, a key or an address is "
            "wrong, or somebody changes the mail on its way.",
            queries=[
                Query(
                    f"({_PASSED} or 0 * {_AUTHENTICATED}) / ({_AUTHENTICATED} > 0)",
                    "{{provider}}: {{method}}",
                )
            ],
            unit="percentunit",
            top=1,
            steps=falls(0.9, 0.99),
            none="no seeds are set",
            alert="SeedsUnauthenticated",
        ),
        Panel(
            title="Who sends in our name?",
            description="Messages under our domains in the DMARC reports of a day, by what "
            "aligned and by whether the source is ours. 'failed, ours' is our own mail without "
            "SPF and DKIM; 'unknown' is a service that nobody registered, or a forger.",
            queries=[
                Query(
                    over_a_day("carom_dmarc_messages_total", "result, source"),
                    "{{result}}, {{source}}",
                )
            ],
            stacked=True,
            unit="short",
            alert="DmarcUnknownSource",
        ),
        Panel(
            title="Are there senders we do not know?",
            description="Addresses that used our domains in the last week and that are not ours, "
            "from DMARC reports. Forgers come and go; one that stays and sends much is often a "
            "colleague's newsletter tool.",
            kind="stat",
            queries=[Query("max(carom_dmarc_unknown_sources)", "addresses")],
            unit="none",
            steps=rises(1, 50),
            width=4,
            alert="DmarcUnknownSource",
        ),
    ],
)

_REPORTS = Row(
    8,
    [
        Panel(
            title="Can others reach us encrypted?",
            description="Sessions to our bounce listener in the TLS reports of a day, by result. "
            "Anything but success is a certificate or a policy of ours that others stumble over: "
            "their bounces do not arrive.",
            queries=[
                Query(over_a_day("carom_tls_reported_sessions_total", "result"), "{{result}}")
            ],
            stacked=True,
            unit="short",
        ),
        Panel(
            title="Do reports come?",
            description="DMARC and TLS reports read in a day: counted, signed by who reports or "
            "unsigned; left out for want of a signature; refused because they are about nothing of "
            "ours. Many unsigned ones at once are somebody's who makes them up. Most receivers "
            "send one a day; none at all means that rua or our MX is wrong.",
            queries=[Query(over_a_day("carom_aggregate_reports_total", "result"), "{{result}}")],
            unit="short",
        ),
        Panel(
            title="Can the seeds be read?",
            description="Looks at seed mailboxes that came to nothing in the last 24 hours, by "
            "reason. While a seed cannot be read, its placement stands still.",
            queries=[Query(over_a_day("carom_seed_errors_total", "reason"), "{{reason}}")],
            unit="short",
            steps=ANY_IS_BAD,
            none="none failed",
            alert="SeedsUnread",
        ),
        Panel(
            title="What do people say?",
            description="In a day: complaints, recipients who said that mail which was accepted "
            "did not come, and deliveries that a person (no scanner) opened. Beside the seeds "
            "these are the only words of real people.",
            queries=[
                Query(
                    over_a_day(
                        "carom_complaints_total", "", f'stream=~"$stream",{_HERE},{COMPLAINTS}'
                    ),
                    "complained",
                ),
                Query(
                    over_a_day("carom_feedback_total", "", CHOSEN),
                    "did not come",
                ),
                Query(
                    over_a_day(
                        "carom_engagement_total",
                        which='stream=~"$stream",kind="open",class="human"',
                    ),
                    "opened",
                ),
            ],
            unit="short",
            none="nothing was said",
        ),
    ],
)

INBOX = Board(
    stem="inbox",
    title="inbox placement and authentication",
    question="Does accepted mail reach the inbox, and does it look like ours?",
    rows=[_PLACED, _OURS, _REPORTS],
    since="now-7d",
)
