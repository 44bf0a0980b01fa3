"""Does what comes back reach us, and are the nodes well?"""

from dashboards.boards.asking import minute
from dashboards.drawing import Board, Panel, Query, Row, rises

_OURS = 'job="carom"'

_BACK = Row(
    8,
    [
        Panel(
            title="Is the listener fed?",
            description="Mail read per minute, by kind. Silence while mail is sent means that "
            "bounces do not reach us: a dead MX looks like perfect delivery. Bars to the right: "
            "stored and not read yet; they should touch zero.",
            queries=[
                Query(minute("carom_inbound_messages_total", "kind"), "{{kind}}"),
                Query("max(carom_inbound_unread)", "unread"),
            ],
            right="unread",
            unit="short",
            alert="BounceListenerSilent",
        ),
        Panel(
            title="What does the listener refuse?",
            description="Refusals per minute, by reason. Unknown recipients are the usual noise "
            "of the net. Many forged or expired tokens beside few reports read: a token key was "
            "lost, or somebody tries. Trouble is ours: those senders will try again.",
            queries=[Query(minute("carom_inbound_refused_total", "reason"), "{{reason}}")],
            unit="short",
            alert="TokensRefused",
        ),
        Panel(
            title="Is the loop closed?",
            description="Seconds since a probe that must bounce came back through the real path. "
            "Red after three and a half minutes: no bounce reaches us, whatever else looks well.",
            kind="stat",
            queries=[Query("max(carom_bounce_loop_last_ok_seconds)", "since the last probe")],
            unit="s",
            steps=rises(120, 210),
            none="not probed",
            width=5,
            alert="BounceLoopDead",
        ),
    ],
)

_HEALTH = Row(
    7,
    [
        Panel(
            title="What does the doctor say?",
            description="Checks of `carom doctor`, which the service runs by itself, that warn or "
            "fail now: MX, SPF, DKIM, DMARC, reverse DNS, ports, clock. Each has its mend in "
            "`carom doctor`.",
            kind="table",
            by=["check", "state"],
            hidden=["Value"],
            queries=[
                Query(
                    'max by (check, state) (carom_doctor_check{state=~"warning|failure"}) > 0', ""
                )
            ],
            unit="none",
            none="nothing to mend",
            alert="DoctorFails",
        ),
        Panel(
            title="When did the doctor look last?",
            description="Seconds since the service examined itself. It does so a few times a day; "
            "what it said long ago is no comfort.",
            kind="stat",
            queries=[
                Query(
                    "time() - (max(carom_doctor_last_run_timestamp_seconds) > 0)",
                    "since the last examination",
                )
            ],
            unit="s",
            steps=rises(86_400, 172_800),
            none="not yet",
            width=5,
            alert="DoctorFails",
        ),
        Panel(
            title="Do webhooks get through?",
            description="Tries to tell a webhook, per minute, by result. A hook that fails for "
            "days is switched off, and its events wait to be replayed.",
            queries=[Query(minute("carom_webhook_deliveries_total", "result"), "{{result}}")],
            stacked=True,
            unit="short",
            alert="WebhooksFail",
        ),
    ],
)

_NODES = Row(
    7,
    [
        Panel(
            title="Is every process there?",
            description="1 for each process of job carom that answered its scrape, 0 for one that "
            "did not.",
            queries=[Query(f"min by (instance) (up{{{_OURS}}})", "{{instance}}")],
            unit="none",
            top=1,
            steps=((None, "red"), (1, "green")),
            alert="CaromDown",
        ),
        Panel(
            title="What does a scrape cost?",
            description="Seconds that Prometheus waited for /metrics. It reads the database: a "
            "scrape that gets slow tells of a database that does.",
            queries=[
                Query(f"max by (instance) (scrape_duration_seconds{{{_OURS}}})", "{{instance}}")
            ],
            unit="s",
            steps=rises(0.5, 5),
        ),
        Panel(
            title="How much does a process need?",
            description="Share of a processor that each process uses, and to the right its "
            "memory. 100 % is one whole processor, which is all that one process can use.",
            queries=[
                Query(
                    "sum by (instance) "
                    f"(rate(process_cpu_seconds_total{{{_OURS}}}[$__rate_interval]))",
                    "{{instance}}",
                ),
                Query(
                    f"max by (instance) (process_resident_memory_bytes{{{_OURS}}})",
                    "{{instance}}: memory",
                ),
            ],
            right=".*memory",
            right_unit="bytes",
            unit="percentunit",
            steps=rises(0.7, 0.95),
        ),
        Panel(
            title="Do the files run out?",
            description="Open files and sockets as a share of what the system allows the process. "
            "At the limit no connection is taken or made any more.",
            queries=[
                Query(
                    f"max by (instance) (process_open_fds{{{_OURS}}})"
                    f" / max by (instance) (process_max_fds{{{_OURS}}})",
                    "{{instance}}",
                )
            ],
            unit="percentunit",
            top=1,
            steps=rises(0.7, 0.9),
            alert="FilesRunOut",
        ),
    ],
)

INBOUND = Board(
    stem="inbound",
    title="inbound and nodes",
    question="Does what comes back reach us, and are the nodes well?",
    rows=[_BACK, _HEALTH, _NODES],
)
