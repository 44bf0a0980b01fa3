"""Looks over IMAP at a real Dovecot, and what is said when a look comes to nothing."""

from __future__ import annotations

import smtplib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from imap_tools import FolderInfo

from analysis.placement import TAG, Place, Sighting
from ingest import seed_account, seeds
from ingest.seed_account import Account, Reason, Security, SeedError
from ingest.seeds import Wish, check, folders, look
from tests.peers.certificates import certificate_for
from tests.servers import LOOPBACK, free_port
from tests.servers.dovecot import PASSWORD, Dovecot

ANN, JON = "ann@seed.example", "jon@seed.example"
MARKED = 'require "editheader"; addheader "Authentication-Results" "mx.seed.example; spf=fail";'
JUNK = 'require "fileinto"; fileinto "Junk";'


def account(dovecot: Dovecot, user: str = ANN) -> Account:
    return Account(LOOPBACK, dovecot.imap_port, user, PASSWORD, Security.NONE)


def deliver(dovecot: Dovecot, user: str, header: str = "") -> None:
    content = f"Subject: hello\r\n{header}\r\nText.\r\n"
    with smtplib.LMTP(LOOPBACK, dovecot.lmtp_port) as client:
        client.sendmail("shop@example.com", [user], content.encode())


def everything(remove: frozenset[str] = frozenset()) -> Wish:
    """Takes any tag for the probe it names."""
    return Wish(time.time(), lambda tag: tag or None, remove)


def seen(account: Account, wish: Wish) -> list[Sighting]:
    return look(account, wish, time.monotonic)


@pytest.fixture
def dovecot(start_dovecot: Callable[..., Dovecot]) -> Dovecot:
    return start_dovecot(users={ANN: MARKED, JON: JUNK})


def test_probes_are_seen_in_their_folders_and_other_mail_is_not(dovecot: Dovecot) -> None:
    for user in (ANN, JON):
        deliver(dovecot, user)
        deliver(dovecot, user, f"{TAG}: probe-1\r\nAuthentication-Results: forged; spf=pass\r\n")
    began = time.time()
    [one] = seen(account(dovecot), everything())
    assert (one.probe_id, one.place, one.folder, one.spf) == (
        "probe-1",
        Place.INBOX,
        "INBOX",
        "fail",
    )
    assert one.arrived_at is not None
    assert abs(one.arrived_at - began) < 10
    [other] = seen(account(dovecot, JON), everything())
    assert (other.place, other.folder) == (Place.JUNK, "Junk")


def test_a_tag_that_proves_nothing_is_passed_over(dovecot: Dovecot) -> None:
    deliver(dovecot, ANN, f"{TAG}: forged\r\n")
    wish = Wish(time.time(), lambda tag: None)
    assert seen(account(dovecot), wish) == []


def test_a_look_leaves_everything_as_it_is(dovecot: Dovecot) -> None:
    deliver(dovecot, ANN, f"{TAG}: probe-1\r\n")
    seen(account(dovecot), everything())
    seen(account(dovecot), everything())
    assert dovecot.counts(ANN) == {"INBOX": 1}
    [mail] = (dovecot.home / "mail" / ANN).glob("*/1*")
    assert "S" not in mail.name.partition(":2,")[2], "it is not marked as seen"


def test_only_probes_that_were_recorded_are_taken_out(dovecot: Dovecot) -> None:
    deliver(dovecot, ANN, f"{TAG}: probe-1\r\n")
    deliver(dovecot, ANN, f"{TAG}: probe-2\r\n")
    deliver(dovecot, ANN)
    assert len(seen(account(dovecot), everything(frozenset({"probe-1"})))) == 2
    assert dovecot.counts(ANN) == {"INBOX": 2}
    assert [one.probe_id for one in seen(account(dovecot), everything())] == ["probe-2"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"password": "wrong"}, Reason.LOGIN),
        ({"user": "nobody@seed.example"}, Reason.LOGIN),
        ({"password": "pässword"}, Reason.LOGIN),
        ({"port": free_port()}, Reason.CONNECT),
        ({"host": "no-such-host.invalid"}, Reason.CONNECT),
        ({"security": Security.IMPLICIT}, Reason.TLS),
        ({"security": Security.STARTTLS}, Reason.TLS),
        ({"inbox": "Nowhere"}, Reason.FOLDER),
    ],
)
def test_what_is_wrong_is_named_without_the_password(
    dovecot: Dovecot, change: dict[str, object], reason: Reason
) -> None:
    wrong = replace(account(dovecot), **change)  # type: ignore[arg-type]
    for use in (lambda: check(wrong), lambda: seen(wrong, everything())):
        with pytest.raises(SeedError) as caught:
            use()
        assert caught.value.reason is reason
        assert "\n" not in str(caught.value)
        assert wrong.password not in str(caught.value)
    assert PASSWORD not in repr(wrong)


def test_encrypted_ways_need_a_certificate_that_holds(
    start_dovecot: Callable[..., Dovecot], tmp_path: Path
) -> None:
    made = certificate_for("localhost")
    files = tmp_path / "chain.pem", tmp_path / "key.pem"
    for file, pem in zip(files, (made.chain_pem, made.key_pem), strict=True):
        file.write_bytes(pem)
    dovecot = start_dovecot(users={ANN: ""}, certificate=files)
    plain = Account("localhost", dovecot.imap_port, ANN, PASSWORD, Security.STARTTLS)
    trusting = replace(plain, context=made.client)
    implicit = replace(trusting, port=dovecot.imaps_port, security=Security.IMPLICIT)
    for way in (trusting, implicit):
        assert check(way) == [(Place.INBOX, "INBOX"), (Place.JUNK, "Junk")]
    for way in (replace(implicit, context=None), replace(implicit, host=LOOPBACK), plain):
        with pytest.raises(SeedError) as caught:
            check(way)
        assert caught.value.reason is Reason.TLS


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Takes connections, says the given and nothing more."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def test_a_server_that_says_nothing_costs_only_its_time(
    silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seed_account, "SECONDS", 0.2)
    with pytest.raises(SeedError) as caught:
        check(Account(LOOPBACK, silent_port, ANN, PASSWORD, Security.NONE))
    assert caught.value.reason is Reason.TIMEOUT


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"* OK\r\n",
        b"\x00\xff\r\n",
        b"* BYE go away\r\n",
        b"* OK hello\r\n* CAPABILITY\r\n",
    ],
)
def test_a_server_that_talks_nonsense_is_an_error_of_the_closed_set(said: bytes) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:

        def serve() -> None:
            talk, _ = server.accept()
            with talk:
                talk.sendall(said)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(SeedError) as caught:
            check(Account(LOOPBACK, server.getsockname()[1], ANN, PASSWORD, Security.NONE))
        thread.join()
    assert caught.value.reason in (Reason.CONNECT, Reason.PROTOCOL)


PLAIN = Account(LOOPBACK, 143, ANN, PASSWORD)


def listed(**names: str) -> list[FolderInfo]:
    return [FolderInfo(name, "/", tuple(flags.split())) for name, flags in names.items()]


def test_junk_is_what_says_so_or_else_what_is_called_so() -> None:
    says_so = listed(INBOX="", Junk="", Werbung="\\HasNoChildren \\Junk")
    found = folders(PLAIN, says_so)
    assert found == [(Place.INBOX, "INBOX"), (Place.JUNK, "Werbung"), (Place.OTHER, "Junk")]
    assert (Place.JUNK, "垃圾邮件") in folders(PLAIN, listed(INBOX="", 垃圾邮件=""))
    named = replace(PLAIN, junk=("Junk",))
    assert (Place.OTHER, "Werbung") in folders(named, says_so)


def test_what_holds_no_arriving_mail_is_not_looked_through() -> None:
    others = listed(inbox="", All="\\All", Sent="\\Sent", Drafts="\\Drafts", Top="\\Noselect")
    assert folders(PLAIN, others) == [(Place.INBOX, "INBOX")]
    many = [FolderInfo(f"f{n}", "/", ()) for n in range(100)]
    assert len(folders(PLAIN, many)) == seeds.FOLDERS


@pytest.mark.parametrize(
    ("told", "at"),
    [
        (b'1 (UID 7 INTERNALDATE "17-Jul-2026 02:44:25 -0700")', 1_784_281_465.0),
        (b'1 (UID 7 INTERNALDATE " 7-Jul-2026 09:44:25 +0000")', 1_783_417_465.0),
        (b'1 (UID 7 INTERNALDATE "yesterday, about noon")', None),
        (b"1 (UID 7)", None),
    ],
)
def test_internal_dates(told: bytes, at: float | None) -> None:
    [(uid, found, header)] = list(seeds._messages([(told, b"header"), b")"]))
    assert (uid, found, header) == ("7", at, b"header")


def test_attributes_may_stand_behind_the_header() -> None:
    after = b' UID 9 INTERNALDATE "17-Jul-2026 02:44:25 -0700")'
    [(uid, at, _)] = list(seeds._messages([(b"1 (BODY[HEADER.FIELDS (X)] {6}", b"header"), after]))
    assert (uid, at) == ("9", 1_784_281_465.0)
