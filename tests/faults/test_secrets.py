"""S10: no token that was tampered with is believed, and no key is found where others may look."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from sender.tokens import ALPHABET, Key, Purpose, Token, Tokens
from tests.amounts import Amount
from tests.faults.traffic import Clients, people
from tests.flows.house import carom_house
from tests.peers.counting_sink import CountingSink

NOW = 1_800_000_000.0
TOKENS = Tokens([Key("1", b"k" * 32), Key("2", b"q" * 32)])
OTHERS = Tokens([Key("1", b"x" * 32)])


def tampered(genuine: str, chance: Random) -> str:
    at = chance.randrange(len(genuine))
    match chance.randrange(6):
        case 0:  # one character
            other = chance.choice([c for c in ALPHABET if c != genuine[at]])
            return genuine[:at] + other + genuine[at + 1 :]
        case 1:  # two changed places
            other_at = chance.choice([n for n, c in enumerate(genuine) if c != genuine[at]])
            swapped = list(genuine)
            swapped[at], swapped[other_at] = swapped[other_at], swapped[at]
            return "".join(swapped)
        case 2:
            return genuine[:at] + genuine[at + 1 :]
        case 3:
            return genuine[:at] + chance.choice(ALPHABET) + genuine[at:]
        case 4:  # later than it was good for, under the same proof
            return genuine[:26] + "".join(chance.choices(ALPHABET[16:], k=3)) + genuine[29:]
        case _:
            return OTHERS.issue(Purpose.BOUNCE, genuine[:26], expires=NOW + 86_400)


def test_no_tampered_token_is_believed(
    amount: Amount, chance: Random, seen: Callable[[str], None]
) -> None:
    count = amount(10_000, 200_000)
    purposes = list(Purpose)
    for number in range(count):
        purpose = purposes[number % len(purposes)]
        subject = "".join(["0", *chance.choices(ALPHABET, k=25)])
        genuine = TOKENS.issue(purpose, subject, expires=NOW + 86_400)
        assert isinstance(TOKENS.verify(purpose, genuine, now=NOW), Token)
        fake = tampered(genuine, chance)
        assert fake == genuine or not isinstance(TOKENS.verify(purpose, fake, now=NOW), Token), fake
        other = purposes[(number + 1) % len(purposes)]
        assert not isinstance(TOKENS.verify(other, genuine, now=NOW), Token)
    seen(f"{count} tampered tokens and {count} of another purpose: accepted 0")


@pytest.mark.anyio
async def test_no_key_is_in_the_database_the_log_an_answer_or_a_metric(
    tmp_path: Path, seen: Callable[[str], None]
) -> None:
    url = f"sqlite:///{tmp_path / 'carom.db'}"
    async with CountingSink() as sink, carom_house(tmp_path, url, mx=sink.port) as carom:
        clients = Clients(carom)
        await clients.insist_each(people(5))
        await clients.settled()
        await clients.report(sink.copies[0].return_path, sink.copies[0].recipient)
        await clients.settled()
        wrong = await carom.client.get("/v1/stats", headers={"Authorization": "Bearer wrong"})
        assert wrong.status_code == 401
        said = [
            (await carom.client.get(path)).text
            for path in ("/v1/messages", "/v1/events", "/v1/stats", "/docs", "/openapi.json")
        ]
        said += [wrong.text, await carom.metrics()]
        folder = carom.config.parent
    secrets = list(secret_texts(folder))
    assert len(secrets) >= 4, "an API key, a token key and two DKIM keys"
    places = [*(one.encode() for one in said), *_files(tmp_path)]
    found = [secret[:4] for secret in secrets for place in places if secret in place]
    assert not found
    seen(f"{len(secrets)} secrets in {len(places)} dumps, logs and answers: found 0")


def _files(folder: Path) -> list[bytes]:
    """The database as it lies on the disk, and the log."""
    return [file.read_bytes() for file in folder.iterdir() if file.is_file()]


def secret_texts(folder: Path) -> list[bytes]:
    """What of each private file would give it away, as it is written and as octets."""
    texts: list[bytes] = []
    for file in folder.rglob("*"):
        if file.is_file() and not file.stat().st_mode & 0o077 and file.suffix != ".toml":
            lines = [line for line in file.read_bytes().split() if not line.startswith(b"--")]
            texts += [line for line in lines if len(line) >= 20]
            if file.suffix == ".key" and len(lines) == 1:
                texts += _decoded(lines[0])
    return texts


def _decoded(line: bytes) -> list[bytes]:
    try:
        return [base64.b64decode(line, validate=True)]
    except ValueError:
        return []
