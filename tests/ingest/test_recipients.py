"""Which addresses are ours, with real tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.smtpd import CommandError, Reason
from ingest.recipients import Recipients
from sender.tokens import Key, Tokens

DELIVERY = "01jd000000000000000000000a"
DOMAIN = "bounces.example.com"
NOW = 1_700_000_000.0
TOKENS = Tokens([Key("1", b"k" * 32)])
OURS = Recipients(
    DOMAIN,
    read_return_path=TOKENS.read_return_path,
    read_unsubscribe_address=TOKENS.read_unsubscribe_address,
)
RETURN_PATH = TOKENS.return_path(DELIVERY, DOMAIN, expires=NOW + 1)
UNSUBSCRIBE = TOKENS.unsubscribe_address(DELIVERY, DOMAIN, expires=NOW + 1)


@pytest.mark.parametrize(
    ("address", "purpose"),
    [
        (RETURN_PATH, "bounce"),
        (RETURN_PATH.upper(), "bounce"),
        (UNSUBSCRIBE, "unsubscribe"),
        (UNSUBSCRIBE.replace("unsubscribe+", "u+"), "unsubscribe"),
        (UNSUBSCRIBE.upper(), "unsubscribe"),
    ],
)
def test_a_genuine_token_is_accepted_in_any_case(address: str, purpose: str) -> None:
    accepted = OURS.find(address, NOW)
    assert (accepted.address, accepted.purpose) == (address, purpose)
    assert accepted.token is not None
    assert accepted.token.subject_id == DELIVERY


@pytest.mark.parametrize(
    ("address", "purpose"),
    [
        (f"fbl@{DOMAIN}", "fbl"),
        (f"Abuse@{DOMAIN.upper()}", "abuse"),
        (f"postmaster@{DOMAIN}", "postmaster"),
        (f"DMARC-Reports@{DOMAIN}", "dmarc"),
        (f"tls-reports@{DOMAIN}", "tls"),
        ("PostMaster", "postmaster"),
    ],
)
def test_names_are_accepted_in_any_case(address: str, purpose: str) -> None:
    accepted = OURS.find(address, NOW)
    assert (accepted.purpose, accepted.token) == (purpose, None)


LAST = "1" if RETURN_PATH.partition("@")[0][-1] == "0" else "0"
FORGED = f"{RETURN_PATH.partition('@')[0][:-1]}{LAST}@{DOMAIN}"


@pytest.mark.parametrize(
    ("address", "now", "reason"),
    [
        (f"nobody@{DOMAIN}", NOW, Reason.UNKNOWN_RECIPIENT),
        (f"b+nonsense@{DOMAIN}", NOW, Reason.UNKNOWN_RECIPIENT),
        (f"b+@{DOMAIN}", NOW, Reason.UNKNOWN_RECIPIENT),
        (f"unsubscribe@{DOMAIN}", NOW, Reason.UNKNOWN_RECIPIENT),
        (f"fbl+x@{DOMAIN}", NOW, Reason.UNKNOWN_RECIPIENT),
        (FORGED, NOW, Reason.FORGED_TOKEN),
        (UNSUBSCRIBE.replace("unsubscribe+", "b+"), NOW, Reason.FORGED_TOKEN),
        (RETURN_PATH.replace("b+", "u+"), NOW, Reason.FORGED_TOKEN),
        (RETURN_PATH, NOW + 3 * 86_400, Reason.EXPIRED_TOKEN),
    ],
)
def test_whoever_guesses_learns_nothing(address: str, now: float, reason: Reason) -> None:
    """The answer is one and the same; only our own count knows why."""
    with pytest.raises(CommandError) as refusal:
        OURS.find(address, now)
    assert refusal.value.reply == "550 5.1.1 No such address here"
    assert refusal.value.reason is reason


@pytest.mark.parametrize(
    "domain",
    ["example.com", f"x.{DOMAIN}", f"{DOMAIN}.example.net", "[127.0.0.1]", "bounces.example.ｃom"],
)
def test_nothing_is_relayed(domain: str) -> None:
    with pytest.raises(CommandError) as refusal:
        OURS.find(f"postmaster@{domain}", NOW)
    assert refusal.value.reply.startswith("550 5.7.1 ")
    assert refusal.value.reason is Reason.RELAY_DENIED


@given(st.text(max_size=80))
def test_no_local_part_is_ours_by_chance(local: str) -> None:
    if local.lower() in ("fbl", "abuse", "postmaster"):
        return
    with pytest.raises(CommandError):
        OURS.find(f"{local}@{DOMAIN}", NOW)
