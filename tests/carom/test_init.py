"""Set-up: `carom init` writes what `carom serve` can start with, and never overwrites."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import dkim
import dns.rdatatype
import dns.zone
import pytest

from analysis import keys
from carom import setup
from carom.__main__ import main
from carom.errors import UsageError
from carom.records import records, zone
from carom.settings import Settings, load
from carom.settings.keyfiles import dkim_keys, static_api_keys, token_keys
from sender.dkim_keys import KeyKind, kind_of

OPTIONS = ["--domain", "example.com", "--bounce-domain", "bounces.example.com"]


@pytest.fixture
def made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    folder = tmp_path / "mail"
    assert main(["init", str(folder), *OPTIONS]) == 0
    capsys.readouterr()
    return folder


@pytest.fixture
def settings(made: Path) -> Settings:
    return load(made / "carom.toml", {})


def published(made: Path, capsys: pytest.CaptureFixture[str]) -> dns.zone.Zone:
    """What `carom dns --zone` prints, read by a DNS library."""
    assert main(["dns", "--config", str(made / "carom.toml"), "--zone"]) == 0
    fragment = capsys.readouterr().out
    head = "$ORIGIN example.com.\n@ 60 IN SOA ns h 1 1 1 1 1\n@ 60 IN NS ns\n"
    return dns.zone.from_text(head + fragment, origin="example.com.")


def txt(records_of: dns.zone.Zone, name: str) -> bytes:
    (record,) = records_of.find_rdataset(name, dns.rdatatype.TXT)
    assert all(len(part) <= 255 for part in record.strings)
    return b"".join(record.strings)


def test_every_file_is_the_owners_only(made: Path) -> None:
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made.iterdir()}
    assert modes == dict.fromkeys(
        [
            *("carom.toml", "api.key", "token.key", "privacy.key", "dkim-rsa.pem"),
            *("dkim-ed25519.pem", "own-rules.toml"),
        ],
        0o600,
    )


def test_the_settings_load_and_listen_on_loopback(settings: Settings) -> None:
    assert settings.sender.domain == "example.com"
    assert settings.ingest.domain == "bounces.example.com"
    for listener in (settings.api, settings.submission, settings.ingest):
        assert listener.listen.host == "127.0.0.1"


def test_both_kinds_of_dkim_key_are_made(settings: Settings) -> None:
    signers = dkim_keys(settings)
    assert [kind_of(signer.key) for signer in signers] == [KeyKind.RSA, KeyKind.ED25519]
    assert {signer.domain for signer in signers} == {"example.com"}


def test_the_token_key_has_32_random_octets(settings: Settings, made: Path) -> None:
    (key,) = token_keys(settings.tokens)
    assert len(key.secret) == 32
    assert base64.b64decode((made / "token.key").read_text()) == key.secret


def test_the_api_key_proves_itself_and_holds_every_scope(settings: Settings, made: Path) -> None:
    text = (made / "api.key").read_text().strip()
    key = static_api_keys(settings.api)[keys.key_id(text) or ""]
    assert keys.proves(text, key)
    assert key.scopes == frozenset(keys.SCOPES)
    assert text not in (made / "carom.toml").read_text()


def test_a_second_init_refuses_and_touches_nothing(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in made.iterdir()}
    assert main(["init", str(made), *OPTIONS]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "there is already a set-up" in error
    assert {path: path.read_bytes() for path in made.iterdir()} == before


def test_one_file_of_a_set_up_is_enough_to_refuse(tmp_path: Path) -> None:
    (tmp_path / "token.key").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"\(token\.key\)"):
        setup.write(tmp_path, setup.plan("example.com"), bytes)
    assert [path.name for path in tmp_path.iterdir()] == ["token.key"]


def test_a_set_up_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    """The last file cannot be written; the folder is as empty as before."""
    content = {"a": b"1", "missing-folder/b": b"2"}
    with pytest.raises(FileNotFoundError):
        setup._write_all(tmp_path, content)
    assert list(tmp_path.iterdir()) == []


def test_two_set_ups_share_no_secret(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert main(["init", str(tmp_path / name), *OPTIONS]) == 0
    for file in ("api.key", "token.key", "dkim-rsa.pem", "dkim-ed25519.pem"):
        assert (tmp_path / "a" / file).read_bytes() != (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--domain", "localhost"], "--domain localhost: expected a domain name"),
        (["--domain", "a b.example"], "expected a domain name"),
        (["--domain", "example.com", "--bounce-domain", "EXAMPLE.com."], "a domain of its own"),
        (["--domain", "example.com", "--hostname", "-"], "--hostname -: expected a domain name"),
        ([], "Missing option '--domain'"),
    ],
)
def test_names_that_cannot_be_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    assert main(["init", str(tmp_path / "x"), *arguments]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_a_folder_that_cannot_be_made_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["init", str(tmp_path / "file" / "below"), *OPTIONS]) == 1
    error = capsys.readouterr().err
    assert "Not a directory" in error
    assert error.count("\n") == 1


def test_international_names_become_ascii() -> None:
    names = setup.plan("Bücher.example")
    assert names.domain == "xn--bcher-kva.example"
    assert names.bounce_domain == "bounces.xn--bcher-kva.example"


def test_the_zone_fragment_is_a_zone(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zone_read = published(made, capsys)
    (mx,) = zone_read.find_rdataset("bounces", dns.rdatatype.MX)
    assert mx.preference == 10
    assert mx.exchange.to_text() == "mta"
    assert txt(zone_read, "bounces") == b"v=spf1 mx ~all"
    assert txt(zone_read, "_dmarc").startswith(b"v=DMARC1; p=none; rua=mailto:")
    assert txt(zone_read, "_smtp._tls.bounces").startswith(b"v=TLSRPTv1; rua=mailto:")


@pytest.mark.parametrize("index", [0, 1])
def test_what_we_sign_verifies_by_the_published_dkim_record(
    made: Path, settings: Settings, capsys: pytest.CaptureFixture[str], index: int
) -> None:
    """dkimpy verifies a signature of the private key with the TXT out of the zone fragment."""
    entry, signer = settings.dkim.keys[index], dkim_keys(settings)[index]
    zone_read = published(made, capsys)
    message = b"From: a@example.com\r\nTo: b@example.net\r\nSubject: x\r\n\r\nBody\r\n"
    private = entry.file.read_bytes()
    algorithm = b"rsa-sha256"
    if kind_of(signer.key) is KeyKind.ED25519:
        algorithm, private = b"ed25519-sha256", base64.b64encode(signer.key.private_bytes_raw())  # type: ignore[union-attr]
    signed = dkim.sign(
        message, entry.selector.encode(), b"example.com", private, signature_algorithm=algorithm
    )
    asked = []

    def lookup(name: bytes, timeout: int = 5) -> bytes:
        asked.append(name)
        return txt(zone_read, name.decode().removesuffix(".example.com."))

    assert dkim.verify(signed + message, dnsfunc=lookup)
    assert asked == [f"{entry.selector}._domainkey.example.com.".encode()]


def test_records_come_as_json_too(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dns", "--config", str(made), "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"carom-r1._domainkey.example.com", "carom-e1._domainkey.example.com"} <= {
        record["name"] for record in found
    }
    assert all(record["why"] for record in found)


def test_reports_to_a_foreign_domain_are_authorised(made: Path) -> None:
    """RFC 7489 section 7.1: a report address elsewhere needs the other domain's consent."""
    settings = load(made, {"CAROM_INGEST__DOMAIN": "example.org"})
    names = [record.name for record in records(settings, ())]
    assert "example.com._report._dmarc.example.org" in names
    assert not any("_report" in r.name for r in records(load(made, {}), ()))


def test_what_has_to_be_filled_in_is_commented_out_of_the_zone(settings: Settings) -> None:
    found = records(settings, ())
    lines = zone(found).splitlines()
    assert sum(not line.startswith(";") for line in lines) == sum(r.ready for r in found)


def test_dns_without_a_domain_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "carom.toml").write_text("")
    assert main(["dns", "--config", str(tmp_path)]) == 2
    assert "[sender] domain: is not set" in capsys.readouterr().err
