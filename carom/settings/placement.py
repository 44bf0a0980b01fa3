"""Settings of our own probes: seed mailboxes, and the canary of the bounce loop."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, SecretStr, model_validator

from analysis.address import AddressError, parse, parse_mailbox
from carom.settings.units import Duration, File, Limit, Listen, Section, key
from carom.settings.words import ProviderName, StreamName


class ImapTls(StrEnum):
    IMPLICIT = "implicit"
    STARTTLS = "starttls"
    NONE = "none"


def _address(text: str) -> str:
    try:
        return text and parse(text).wire
    except AddressError as error:
        raise ValueError(str(error)) from error


def _mailbox(text: str) -> str:
    try:
        if text:
            parse_mailbox(text)
    except AddressError as error:
        raise ValueError(str(error)) from error
    return text


MailAddress = Annotated[str, AfterValidator(_address)]
Sender = Annotated[str, AfterValidator(_mailbox)]


class Seed(Section):
    name: str = key(
        ..., "How it is spoken of; results are kept by it.", pattern="^[a-z0-9][a-z0-9_.-]{0,63}$"
    )
    address: MailAddress = key(..., "Where probes are sent.", "address")
    provider: ProviderName = key("other", "Whose mailbox it is.", "provider")
    imap: Listen = key(..., "Where it is read.", "host:port")
    user: str = key("", "For IMAP; empty: the address.")
    password: SecretStr = key(SecretStr(""), "For IMAP: an application password, best.")
    password_file: File | None = key(None, "The same, alone in a file.", "file")
    tls: ImapTls = key(ImapTls.IMPLICIT, "none is for loopback only.", "implicit, starttls, none")
    authorities: File | None = key(
        None, "Certificate authorities to trust, PEM; unset: the system's.", "file"
    )
    inbox: str = key("INBOX", "The folder that counts as inbox.")
    junk: list[str] = key(
        [], "Folders that count as junk; empty: those that say so (RFC 6154) or are called so."
    )
    receiver: list[str] = key(
        [],
        "Names in Authentication-Results that are the provider's; empty: the topmost is believed.",
        "host name",
    )

    @model_validator(mode="after")
    def _whole(self) -> Seed:
        if bool(self.password.get_secret_value()) == (self.password_file is not None):
            raise ValueError("expected either password or password_file")
        if self.tls is ImapTls.NONE and not self.imap.is_loopback:
            raise ValueError("tls = none would send the password in the clear: loopback only")
        return self


class Placement(Section):
    seeds: list[Seed] = key([], "Mailboxes at providers that show where our mail is filed.")
    streams: list[StreamName] = key(
        [], "Probed, each at every seed; empty: those of [streams], else default."
    )
    every: Duration = key(
        6 * 3_600.0, "Between probes; more of them look like a campaign.", "duration", ge=60
    )
    look_every: Duration = key(120.0, "Between looks while a probe is awaited.", "duration", ge=1)
    missing_after: Duration = key(
        2 * 3_600.0, "After its acceptance; some receivers hold mail for an hour.", "duration"
    )
    window: Duration = key(
        7 * 86_400.0, "That ratios are of: a day has too few probes.", "duration", ge=3_600
    )
    remove: bool = key(True, "Take probes that were found and recorded out of the mailbox.")
    from_: Sender = key(
        "", "From, for streams that have none; empty: seeds@ [sender] domain.", "address",
        alias="from",
    )  # fmt: skip
    subject: str = key(
        "Your {stream} summary of {day}",
        "Filters judge content: make it like your own. {stream}, {day} and {code} are filled in.",
    )
    text: str = key(
        "Hello,\n\nthis is your {stream} summary of {day}. Your reference is {code}.\n"
        "There is nothing you need to do.\n",
        "The same for the text.",
    )
    html: str = key("", "The same in HTML; empty: text alone.")

    @model_validator(mode="after")
    def _names(self) -> Placement:
        names = [seed.name for seed in self.seeds]
        if len(set(names)) < len(names):
            raise ValueError("seeds: two have the same name; give each its own")
        return self


class Canary(Section):
    every: Limit = key(
        60.0,
        "Between probes of the bounce loop; never: none. By itself only where the real path is: "
        'with [ingest] domain, a listener beyond loopback, and no static_mx "*".',
        "duration or never",
    )
    address: MailAddress = key(
        "", "Yours, elsewhere, that always bounces; empty: our own listener plays it.", "address"
    )
    late: Duration = key(
        210.0,
        "Silence after which an event and an alert say that bounces do not come back; never less "
        "than three times `every`.",
        "duration",
    )

    @property
    def alarm_after(self) -> float:
        """Seconds of silence; by chance one canary may be late, three in a row are not."""
        return max(self.late, 3 * (self.every or 0.0))
