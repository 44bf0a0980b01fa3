"""How does each mailbox provider treat us?"""

from dashboards.boards.asking import (
    CHOSEN,
    SETTLED,
    cohort,
    minute,
    quantile,
    rate,
    share,
    to_console,
)
from dashboards.drawing import Board, Panel, Query, Row, falls, rises

_ATTEMPTS = rate("carom_attempts_total", "provider", 'provider=~"$provider"')
_PUT_OFF = rate(
    "carom_attempts_total", "provider", 'provider=~"$provider",result=~"deferred|in_doubt"'
)

_DAY = Row(
    9,
    [
        Panel(
            title="What stayed delivered in the last 24 hours?",
            description="By the hour of sending, of what was tried and has ended: what the "
            "provider accepted and what no later bounce or complaint took back, with the numbers "
            "that the share is of. The same figures as /v1/stats.",
            kind="table",
            by=["provider"],
            links={"provider": to_console("incidents")},
            unit="short",
            queries=[
                Query(cohort("ended", "provider"), "ended"),
                Query(cohort("delivered", "provider"), "stayed delivered"),
                Query(
                    share(cohort("delivered", "provider"), cohort("ended", "provider")),
                    "share",
                    "percentunit",
                    falls(0.9, 0.97),
                ),
            ],
            none="nothing sent",
            alert="DeliveryRatioLow",
        ),
        Panel(
            title="Where does the mail go?",
            description="Deliveries settled per minute, by provider: accepted, refused or given "
            "up. A provider that vanishes from here is one that nothing is sent to any more.",
            queries=[
                Query(
                    minute("carom_deliveries_total", "provider", f"{CHOSEN},{SETTLED}"),
                    "{{provider}}",
                )
            ],
            stacked=True,
            unit="short",
        ),
    ],
)

_TREATED = Row(
    8,
    [
        Panel(
            title="Who puts us off?",
            description="Attempts that ended in a 4xx or in doubt, as a share of all. Half is "
            "usual for a provider that greylists; a leap without a leap of volume means that it "
            "thinks less of us, or is in trouble itself.",
            queries=[
                Query(
                    share(f"({_PUT_OFF} or 0 * {_ATTEMPTS})", _ATTEMPTS),
                    "{{provider}}",
                )
            ],
            unit="percentunit",
            top=1,
            steps=rises(0.3, 0.6),
            alert="AttemptsDeferredHigh",
        ),
        Panel(
            title="Who refuses us for our fault?",
            description="Bounces whose fault is the sender's, per minute, by provider and "
            "category. Nobody is suppressed for them. The incident that opens names the reply "
            "and the mend.",
            queries=[
                Query(
                    minute("carom_bounces_total", "provider, category", f'{CHOSEN},fault="sender"'),
                    "{{provider}}: {{category}}",
                )
            ],
            unit="short",
            alert="ProviderRefusesUs",
            board="reputation",
        ),
        Panel(
            title="Whom do we hold back from?",
            description="Receiving sites that nothing is sent to now, because they do not answer "
            "or have closed the door on us; their mail waits and is tried again by itself. The "
            "most that any process says.",
            queries=[
                Query(
                    'max by (provider) (carom_sites_suspended{provider=~"$provider"}) > 0'
                    ' or max(carom_sites_suspended{provider=~"$provider"})',
                    "{{provider}}",
                )
            ],
            unit="none",
            steps=rises(1, 5),
            alert="SitesSuspended",
        ),
    ],
)

_SPEED = Row(
    8,
    [
        Panel(
            title="How long until a provider accepts?",
            description="From our promise to the provider's 250: 95 of 100 were faster. A "
            "provider that rises alone slows us down; all together means that we are slow.",
            queries=[
                Query(
                    "histogram_quantile(0.95, "
                    + rate("carom_time_to_accept_seconds_bucket", "le, provider")
                    + ")",
                    "{{provider}}",
                    exemplars=True,
                )
            ],
            unit="s",
            log=True,
            steps=rises(60, 600),
        ),
        Panel(
            title="How long until the end is known?",
            description="From our promise to a final state, whichever it is: half and 95 of 100. "
            "Days here are mail that a receiver puts off until the schedule ends; more than an "
            "hour is drawn as one.",
            queries=[
                Query(quantile(0.5, "carom_time_to_resolve_seconds"), "half"),
                Query(quantile(0.95, "carom_time_to_resolve_seconds"), "95 %"),
            ],
            unit="s",
            log=True,
            board="queue",
        ),
        Panel(
            title="Is the way to them encrypted?",
            description="Messages handed over per minute, by TLS version and by the policy that "
            "asked for it: opportunistic, MTA-STS or DANE. 'none' is plain text.",
            queries=[
                Query(
                    minute("carom_tls_sessions_total", "version, policy"),
                    "{{version}}, {{policy}}",
                )
            ],
            stacked=True,
            unit="short",
        ),
    ],
)

PROVIDERS = Board(
    stem="providers",
    title="providers",
    question="How does each mailbox provider treat us?",
    rows=[_DAY, _TREATED, _SPEED],
)
