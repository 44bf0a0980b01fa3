"""Which messages the reflector owes a bounce, and that the bounce reads as one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ulid import ULID

from analysis.facts import Kind
from analysis.rulebook import shipped
from analysis.smtpd import CommandError, Reason
from ingest import canary
from ingest.listener import Inbound
from ingest.parse import read_mail
from ingest.recipients import Recipients
from sender.tokens import Key, Tokens

DOMAIN = "bounces.example.com"
NOW = 1_795_000_000.0
TOKENS = Tokens([Key("1", b"k" * 32)])
OWNER = "01jd000000000000000000000a"
CANARY = str(ULID.from_timestamp(NOW)).lower()
OURS = Recipients(
    DOMAIN,
    read_return_path=TOKENS.read_return_path,
    read_unsubscribe_address=TOKENS.read_unsubscribe_address,
    read_canary_address=canary.fresh(TOKENS.read_canary_address),
)
ADDRESS = TOKENS.canary_address(CANARY, DOMAIN, expires=NOW + 9)
RETURN_PATH = TOKENS.return_path(OWNER, DOMAIN, expires=NOW + 9)
ARRIVED = Inbound(
    peer="192.0.2.1",
    helo="mx.example.net",
    mail_from=RETURN_PATH,
    recipients=(OURS.find(ADDRESS, NOW + 2),),
    content=b"Subject: x\r\n\r\nwords of a stranger\r\n",
    received_at=NOW + 2,
    tls=False,
)


def owed(inbound: Inbound) -> canary.Reflection | None:
    [accepted] = inbound.recipients
    return canary.owed(inbound, accepted, domain=DOMAIN, read_return_path=TOKENS.read_return_path)


def test_a_canary_of_ours_is_owed_a_bounce() -> None:
    assert owed(ARRIVED) == canary.Reflection(CANARY, RETURN_PATH, OWNER, ADDRESS, NOW + 2)
    assert canary.without_canaries(ARRIVED).recipients == ()


@pytest.mark.parametrize(
    "sender",
    [
        "",
        "eve@example.org",
        RETURN_PATH.replace(DOMAIN, "example.org"),
        f"b+forged@{DOMAIN}",
        RETURN_PATH.replace("b+01jd", "b+01je"),
        ADDRESS,
    ],
    ids=["null", "foreign", "foreign domain", "forged", "another's", "the canary's own address"],
)
def test_nobody_else_is(sender: str) -> None:
    assert owed(replace(ARRIVED, mail_from=sender)) is None


def test_other_mail_is_not() -> None:
    other = OURS.find(f"postmaster@{DOMAIN}", NOW)
    assert owed(replace(ARRIVED, recipients=(other,))) is None
    assert canary.without_canaries(replace(ARRIVED, recipients=(other,))).recipients == (other,)


@pytest.mark.parametrize("later", [-60.0, canary.FRESH + 60.0])
def test_an_address_made_at_another_time_is_refused(later: float) -> None:
    with pytest.raises(CommandError) as refused:
        OURS.find(ADDRESS, NOW + later)
    assert refused.value.reason is Reason.EXPIRED_TOKEN


def test_where_there_are_no_canaries_there_is_no_such_address() -> None:
    without = Recipients(
        DOMAIN,
        read_return_path=TOKENS.read_return_path,
        read_unsubscribe_address=TOKENS.read_unsubscribe_address,
    )
    with pytest.raises(CommandError) as refused:
        without.find(ADDRESS, NOW)
    assert refused.value.reason is Reason.UNKNOWN_RECIPIENT


def test_the_bounce_reads_as_a_bounce_and_quotes_nobody() -> None:
    reflection = owed(ARRIVED)
    assert reflection is not None
    content = canary.notice(
        reflection, hostname="mta.example.com", domain=DOMAIN, message_id="<a@b.example>"
    )
    assert b"stranger" not in content
    assert content.count(b"\n") == content.count(b"\r\n")
    reading = read_mail(content, shipped())
    assert reading.kind is Kind.BOUNCE
    [recipient] = reading.recipients
    assert (recipient.address, recipient.action, recipient.status) == (ADDRESS, "failed", "5.1.1")
    assert reading.error is None
