"""Whom do we not write to, and why?"""

from dashboards.boards.asking import minute, over_a_day, to_console
from dashboards.drawing import ANY_IS_BAD, Board, Panel, Query, Row, rises

_STREAM = 'stream=~"$stream"'

_LIST = Row(
    8,
    [
        Panel(
            title="How long is the list?",
            description="Entries that stand, by reason. hard_bounce: the address is dead; "
            "soft_bounce: it failed on several days; complaint and unsubscribe: the person said "
            "so; manual: one of us did.",
            queries=[Query("max by (reason) (carom_suppressions)", "{{reason}}")],
            stacked=True,
            unit="short",
        ),
        Panel(
            title="How fast does it grow?",
            description="Entries of today less those of the same time yesterday, by reason. A "
            "leap without an import is the fault of a receiver or of a rule; what falls has run "
            "out or was lifted.",
            queries=[
                Query(
                    "max by (reason) (carom_suppressions)"
                    " - max by (reason) (carom_suppressions offset 1d)",
                    "{{reason}}",
                )
            ],
            unit="short",
            alert="SuppressionSpike",
        ),
        Panel(
            title="Does the breaker hold any back?",
            description="Suppressions held back because a provider's bounces spiked: it is "
            "likelier that the provider errs than that its people all left. A person decides in "
            "the console.",
            kind="stat",
            queries=[Query("max(carom_suppressions_held)", "held back")],
            unit="none",
            steps=ANY_IS_BAD,
            width=5,
            alert="SuppressionsHeld",
        ),
    ],
)

_USE = Row(
    8,
    [
        Panel(
            title="What do we withhold?",
            description="Deliveries not tried, per minute, because the recipient is on the list, "
            "by reason. Each is named in the answer to who submitted it, never dropped silently.",
            queries=[
                Query(
                    minute("carom_suppressed_sends_total", "reason", _STREAM),
                    "{{reason}}",
                )
            ],
            stacked=True,
            unit="short",
        ),
        Panel(
            title="Does somebody write to the dead?",
            description="Withheld recipients as a share of messages taken in the last 24 hours, "
            "by stream. A stream that keeps asking for suppressed people does not read its "
            "answers: its list wants cleaning.",
            kind="table",
            by=["stream"],
            links={"stream": to_console("streams")},
            queries=[
                Query(over_a_day("carom_suppressed_sends_total", "stream", _STREAM), "withheld"),
                Query(over_a_day("carom_messages_submitted_total", "stream", _STREAM), "taken"),
                Query(
                    over_a_day("carom_suppressed_sends_total", "stream", _STREAM)
                    + " / ("
                    + over_a_day("carom_messages_submitted_total", "stream", _STREAM)
                    + " > 0)",
                    "share",
                    "percentunit",
                    rises(0.05, 0.2),
                ),
            ],
            unit="short",
            decimals=1,
            none="nothing withheld",
        ),
    ],
)

SUPPRESSION = Board(
    stem="suppression",
    title="suppression",
    question="Whom do we not write to, and why?",
    rows=[_LIST, _USE],
    since="now-7d",
)
