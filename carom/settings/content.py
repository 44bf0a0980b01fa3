"""Settings of what messages say: templates, the lint before send, whether reading is noticed."""

from __future__ import annotations

from carom.settings.units import Duration, Section, Size, key
from sender.linting import Policy


class Templates(Section):
    render: Duration = key(
        1.0,
        "Rendering one message ends then: a template's mistake must hold nothing up.",
        "duration",
        gt=0,
        le=10,
    )
    size: Size = key(1_000_000, "The most that one part may become.", "characters", ge=1_000)


class Content(Section):
    """What a stream does about the content of its messages."""

    compliance: Policy = key(
        Policy.WARN,
        "What the lint's findings do: warn tells them, refuse turns errors away.",
        "off, warn, refuse",
    )
    opens: bool = key(False, "Put a picture into HTML that tells when it is opened.")
    clicks: bool = key(False, "Lead links in HTML through us, which tells when they are followed.")
    track_codes: bool = key(False, "Do both in login codes (otp) too, where nobody expects it.")
