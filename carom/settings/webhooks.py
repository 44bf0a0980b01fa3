"""Settings of webhooks: how patiently they are told, and where they may lie."""

from __future__ import annotations

from carom.settings.sending import ScheduleText
from carom.settings.units import Duration, Network, Section, key


class Webhooks(Section):
    schedule: ScheduleText = key(
        "5s, 5m, 30m, 2h, 5h, 10h, 14h, 20h, 24h",
        "Three days; an endpoint that took nothing meanwhile is disabled.",
        "waits",
    )
    timeout: Duration = key(
        15.0, "From the connection to the end of the answer.", "duration", ge=0.1, le=120
    )
    concurrency: int = key(
        20, "Posts to one endpoint that are under way, on all nodes together.", "posts", ge=1,
        le=200,
    )  # fmt: skip
    overlap: Duration = key(
        86_400.0, "The old secret signs beside a new one for so long.", "duration"
    )
    allow_networks: list[Network] = key(
        [],
        "Private networks that an endpoint may lie in, also with http://; otherwise refused.",
        "network",
    )
