"""Does mail leave in time?"""

from dashboards.boards.asking import CHOSEN, SETTLED, minute, quantile, rate, share
from dashboards.drawing import ANY_IS_BAD, Board, Panel, Query, Row, rises


def _within(seconds: str) -> str:
    """Share that a bucket holds."""
    bucket = rate("carom_time_to_accept_seconds_bucket", "stream", f'{CHOSEN},le="{seconds}"')
    return share(bucket, rate("carom_time_to_accept_seconds_count", "stream"))


_HALF, _MOST, _NEARLY_ALL = 0.5, 0.95, 0.99

_WAITING = Row(
    8,
    [
        Panel(
            title="What is late?",
            description="How long the oldest delivery that is due has waited, by class. A login "
            "code that waits for a minute is lost; a campaign may take hours. What its receiver "
            "put off is not due until its next try.",
            queries=[Query("max by (class) (carom_queue_oldest_seconds)", "{{class}}")],
            unit="s",
            log=True,
            steps=rises(60, 300),
            alert="QueueOldestOtp",
        ),
        Panel(
            title="How much waits?",
            description="Deliveries queued, due or not, by class. A campaign shows as a step that "
            "wears down; a line that only rises is mail that does not get away.",
            queries=[Query("max by (class) (carom_queue_depth)", "{{class}}")],
            stacked=True,
            unit="short",
            alert="QueueOldest",
        ),
        Panel(
            title="Do we keep up?",
            description="Messages taken per minute, and deliveries settled per minute. Settled "
            "below taken for long: the queue grows. A message to many recipients is one taken and "
            "many settled.",
            queries=[
                Query(minute("carom_messages_submitted_total", which='stream=~"$stream"'), "taken"),
                Query(minute("carom_deliveries_total", which=f"{CHOSEN},{SETTLED}"), "settled"),
            ],
            unit="short",
        ),
    ],
)

_TIME = Row(
    8,
    [
        Panel(
            title="How long until the next host accepts?",
            description="From our promise to the 250, for what was accepted: half, 95 and 99 of "
            "100 were faster. The dots are single messages: each leads to its timeline.",
            queries=[
                Query(quantile(_HALF, "carom_time_to_accept_seconds"), "half"),
                Query(quantile(_MOST, "carom_time_to_accept_seconds"), "95 %"),
                Query(
                    quantile(_NEARLY_ALL, "carom_time_to_accept_seconds"), "99 %", exemplars=True
                ),
            ],
            unit="s",
            log=True,
            steps=rises(60, 600),
        ),
        Panel(
            title="How much arrives within ten seconds?",
            description="Share of accepted mail that the next host had taken within 10 seconds "
            "(what a login code needs) and within a minute, by stream.",
            queries=[
                Query(_within("10.0"), "{{stream}}: 10 s"),
                Query(_within("60.0"), "{{stream}}: a minute"),
            ],
            unit="percentunit",
            top=1,
            steps=((None, "red"), (0.9, "yellow"), (0.99, "green")),
        ),
        Panel(
            title="What do attempts come to?",
            description="Attempts per minute by result. accepted and refused end a delivery, "
            "deferred comes again, in_doubt (cut off after the last dot) too: it may have "
            "arrived.",
            queries=[
                Query(
                    minute("carom_attempts_total", "result", 'provider=~"$provider"'), "{{result}}"
                )
            ],
            stacked=True,
            unit="short",
            alert="AttemptsDeferredHigh",
        ),
    ],
)

_WAYS = Row(
    7,
    [
        Panel(
            title="Is a way out closed?",
            description="Routes of [sender] routes that fail and are only probed: 1, else 0. "
            "Their mail goes by the other routes; with none left it waits. Empty: there is but "
            "the one way, directly.",
            queries=[Query("max by (route) (carom_routes_out)", "{{route}}")],
            unit="none",
            steps=ANY_IS_BAD,
            none="no routes are set",
            alert="RouteOut",
        ),
        Panel(
            title="What was given up?",
            description="Deliveries whose schedule or deadline ended before anybody took them, "
            "per minute, by provider. Each is a message that somebody waited for.",
            queries=[
                Query(
                    minute("carom_deliveries_total", "provider", f'{CHOSEN},outcome="expired"'),
                    "{{provider}}",
                )
            ],
            unit="short",
            stacked=True,
            alert="DeliveryRatioLow",
        ),
    ],
)

QUEUE = Board(
    stem="queue",
    title="queue and time",
    question="Does mail leave in time?",
    rows=[_WAITING, _TIME, _WAYS],
)
