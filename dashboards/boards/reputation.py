"""What do receivers think of us, and which incidents are open?"""

from dashboards.boards.asking import COMPLAINTS, over_a_day, rate, share, to_console
from dashboards.drawing import ANY_IS_BAD, Board, Panel, Query, Row, rises

_HERE = 'provider=~"$provider"'
_CHOSEN_DAY = f'stream=~"$stream",{_HERE}'

_NOW = Row(
    5,
    [
        Panel(
            title="Which incidents are open?",
            description="Troubles that Carom has found and that are not over, by provider ('all': "
            "not one provider's) and by whose fault they are: 'sender' is ours. Each opens once "
            "with its evidence and closes by itself when the receiver accepts again.",
            kind="table",
            queries=[Query("max by (provider, fault) (carom_incidents_open) > 0", "open")],
            by=["provider", "fault"],
            links={"provider": to_console("incidents")},
            unit="none",
            none="none",
            alert="IncidentOpen",
        ),
        Panel(
            title="Are we on a blocklist?",
            description="Addresses and domains of ours on each list that is asked, by the list's "
            "own return codes; an answer that only refuses the question does not count. Empty: "
            "[reputation] blocklists names none, or none was asked yet.",
            kind="table",
            queries=[
                Query(
                    "max by (list, subject_kind) (carom_blocklisted)",
                    "listed",
                    steps=ANY_IS_BAD,
                )
            ],
            by=["list", "subject_kind"],
            unit="none",
            none="none is asked",
            alert="Blocklisted",
        ),
        Panel(
            title="Is suppression frozen?",
            description="Suppressions that the circuit breaker holds back, because a provider's "
            "bounces spiked and it is likelier that the provider errs than that all its people "
            "left. A person decides in the console: suppress them or let them go.",
            kind="stat",
            queries=[Query("max(carom_suppressions_held)", "held back")],
            unit="none",
            steps=ANY_IS_BAD,
            width=5,
            alert="SuppressionsHeld",
            board="suppression",
        ),
    ],
)

_COMPLAINTS = Row(
    8,
    [
        Panel(
            title="Who complains?",
            description="Complaints by feedback loops against accepted mail, over one day, by "
            "provider; from 1,000 accepted a day on. Yellow 0.1 %, red 0.3 %: limits that "
            "receivers publish. Gmail sends no single complaints: look in its Postmaster Tools. "
            "Needs the recording rules.",
            queries=[
                Query(
                    "sum by (provider) "
                    f"(stream_provider:carom_complaints:increase1d{{{_CHOSEN_DAY}}})\n"
                    "/ (sum by (provider) "
                    f"(stream_provider:carom_delivered:increase1d{{{_CHOSEN_DAY}}}) >= 1000)",
                    "{{provider}}",
                )
            ],
            unit="percentunit",
            decimals=2,
            steps=rises(0.001, 0.003),
            alert="ComplaintRatioHigh",
        ),
        Panel(
            title="What do they complain of?",
            description="Feedback reports in the last 24 hours, by type. 'abuse' is the button "
            "'this is spam'; 'not-spam' takes one back; 'opt-out' and 'auth-failure' are no "
            "complaints and do not count as such.",
            queries=[Query(over_a_day("carom_complaints_total", "type", _CHOSEN_DAY), "{{type}}")],
            unit="short",
            stacked=True,
        ),
        Panel(
            title="Which stream do they complain of?",
            description="Complaints of a day as a share of what the stream had accepted in it. "
            "One bad stream costs all others the provider's good will: keep login codes and "
            "campaigns apart.",
            queries=[
                Query(
                    share(
                        over_a_day(
                            "carom_complaints_total", "stream", f"{_CHOSEN_DAY},{COMPLAINTS}"
                        ),
                        over_a_day(
                            "carom_deliveries_total", "stream", f'{_CHOSEN_DAY},outcome="delivered"'
                        ),
                    ),
                    "{{stream}}",
                )
            ],
            unit="percentunit",
            decimals=2,
            steps=rises(0.001, 0.003),
            alert="ComplaintRatioHigh",
        ),
    ],
)

_LIMITS = Row(
    8,
    [
        Panel(
            title="How near are we to a provider's limit?",
            description="As Carom itself judges it, from the deliveries of the last day: "
            "complaints and dead addresses, the limit that the provider bears at most, and of how "
            "much mail the share is. A provider shows here from 1,000 messages a day on.",
            kind="table",
            by=["provider"],
            unit="percentunit",
            decimals=2,
            queries=[
                Query(
                    f"max by (provider) (carom_reputation_samples{{{_HERE}}})", "accepted", "short"
                ),
                Query(
                    f"max by (provider) (carom_reputation_complaint_ratio{{{_HERE}}})",
                    "complaints",
                    steps=rises(0.001, 0.003),
                ),
                Query(f"max by (provider) (carom_reputation_limit_ratio{{{_HERE}}})", "limit"),
                Query(
                    f"max by (provider) (carom_reputation_bounce_ratio{{{_HERE}}})",
                    "dead addresses",
                    steps=rises(0.05, 0.1),
                ),
            ],
            none="too little mail to judge",
            alert="ReputationLimitNear",
        ),
        Panel(
            title="Do they refuse us for what we are?",
            description="Bounces for our fault, per minute, by category: reputation, content "
            "(spam_content, policy), authentication, rate. Nobody is suppressed for them.",
            queries=[
                Query(
                    "60 * "
                    + rate("carom_bounces_total", "category", f'{_CHOSEN_DAY},fault="sender"'),
                    "{{category}}",
                )
            ],
            unit="short",
            stacked=True,
            alert="ProviderRefusesUs",
            board="bounces",
        ),
    ],
)

REPUTATION = Board(
    stem="reputation",
    title="reputation and incidents",
    question="What do receivers think of us, and which incidents are open?",
    rows=[_NOW, _COMPLAINTS, _LIMITS],
    since="now-7d",
)
