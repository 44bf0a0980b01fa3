"""Why is mail refused, and whose fault is it?"""

from dashboards.boards.asking import CHOSEN, each_of, minute, over_a_day, rate, settled, to_console
from dashboards.drawing import Board, Panel, Query, Row, rises


def _of(fault: str) -> str:
    which = f'{CHOSEN},fault=~"{fault}"'
    return each_of(f"({rate('carom_bounces_total', '', which)} or vector(0))", settled())


_FAULTS = Row(
    8,
    [
        Panel(
            title="Whose fault is it?",
            description="Bounces per minute, in the session and later, by fault. Only recipient "
            "and domain suppress; sender is us, receiver and network are not in our hands, "
            "message is a mail too big or malformed.",
            queries=[Query(minute("carom_bounces_total", "fault", CHOSEN), "{{fault}}")],
            stacked=True,
            unit="short",
        ),
        Panel(
            title="Is the list bad, or are we?",
            description="Bounces as a share of what was settled: the recipient's or the domain's "
            "fault says something of the list, the sender's something of us. Red is where an "
            "alert looks, over a minimum of mail.",
            queries=[
                Query(_of("recipient|domain"), "the list"),
                Query(_of("sender"), "we"),
                Query(_of("receiver|network"), "their systems"),
            ],
            unit="percentunit",
            steps=rises(0.05, 0.15),
            alert="RecipientsRefusedHigh",
        ),
    ],
)

_CATEGORIES = Row(
    9,
    [
        Panel(
            title="Why do they refuse?",
            description="Bounces of the last 24 hours by category, as the rules judge the "
            "receiver's words. 'unknown' is what no rule understands: it suppresses nobody, and "
            "the console lists its replies under 'not understood'.",
            kind="table",
            by=["category", "fault"],
            links={"category": to_console("not-understood")},
            queries=[
                Query(over_a_day("carom_bounces_total", "category, fault", CHOSEN), "bounces")
            ],
            unit="short",
            decimals=0,
            none="no bounce",
        ),
        Panel(
            title="When did it begin?",
            description="Bounces per minute by category. A step in one category is a change: of "
            "the list, of a template, of a record in DNS, or of a provider's mind.",
            queries=[Query(minute("carom_bounces_total", "category", CHOSEN), "{{category}}")],
            stacked=True,
            unit="short",
        ),
        Panel(
            title="Are mailboxes full?",
            description="Bounces for a full mailbox, as a share of what was settled, by provider. "
            "A wave of these is a fact about their people and not about us: nobody is woken, and "
            "nobody is suppressed until it has lasted for days.",
            queries=[
                Query(
                    each_of(
                        rate(
                            "carom_bounces_total", "provider", f'{CHOSEN},category="mailbox_full"'
                        ),
                        settled(),
                    ),
                    "{{provider}}",
                )
            ],
            unit="percentunit",
        ),
    ],
)

_SOURCES = Row(
    8,
    [
        Panel(
            title="Do they refuse at once or later?",
            description="Bounces per minute by how we learnt of them: smtp is a refusal in the "
            "session, dsn a report after acceptance. Mail that bounced later once counted as "
            "delivered; without a working bounce MX the second line is missing.",
            queries=[Query(minute("carom_bounces_total", "source", CHOSEN), "{{source}}")],
            unit="short",
            alert="BounceListenerSilent",
        ),
        Panel(
            title="Which provider bounces, and why?",
            description="The 20 largest of the last 24 hours. One category at one provider is "
            "that provider; one category everywhere is us or the list.",
            kind="table",
            by=["provider", "category", "fault", "source"],
            queries=[
                Query(
                    "topk(20, "
                    + over_a_day("carom_bounces_total", "provider, category, fault, source", CHOSEN)
                    + ")",
                    "bounces",
                )
            ],
            unit="short",
            decimals=0,
            none="no bounce",
        ),
    ],
)

BOUNCES = Board(
    stem="bounces",
    title="bounces",
    question="Why is mail refused, and whose fault is it?",
    rows=[_FAULTS, _CATEGORIES, _SOURCES],
)
