"""Settings: the file, the environment over it, and one clear line for every mistake."""

from __future__ import annotations

import json
import tomllib
from base64 import b64encode
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carom.errors import SettingsError
from carom.settings import Settings, load, load_with_origins
from carom.settings.keyfiles import dkim_keys, static_api_keys, token_keys
from carom.settings.keys import keys_below, values, variable
from carom.settings.sending import Class
from carom.settings.show import as_markdown, as_objects, as_toml
from carom.settings.units import (
    Endpoint,
    format_duration,
    format_size,
    parse_duration,
    parse_endpoint,
    parse_size,
)

SECRET = b64encode(bytes(range(32))).decode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "carom.toml"


def refusal(file: Path, toml: str, **environ: str) -> str:
    file.write_text(toml, "utf-8")
    with pytest.raises(SettingsError) as caught:
        load(file, environ)
    text = str(caught.value)
    assert "\n" not in text
    return text.replace(str(file), "carom.toml")


def test_defaults_are_those_of_the_contract(tmp_path: Path) -> None:
    settings = Settings()
    assert settings.database.url == "sqlite:///carom.db"
    assert str(settings.api.listen) == "127.0.0.1:8025"
    assert str(settings.api.metrics_listen) == "127.0.0.1:9825"
    assert str(settings.ingest.listen) == "127.0.0.1:2525"
    assert str(settings.submission.listen) == "127.0.0.1:2587"


def test_environment_goes_over_the_file(file: Path) -> None:
    file.write_text('[sender]\nhostname = "a.example"\ndomain = "a.example"\nconcurrency = 7\n')
    settings = load(
        file, {"CAROM_SENDER__HOSTNAME": "b.example", "CAROM_SENDER__SCHEDULE__OTP": "5s, 1m*2"}
    )
    assert settings.sender.hostname == "b.example"
    assert settings.sender.domain == "a.example"
    assert settings.sender.concurrency == 7
    assert settings.sender.schedule.otp == "5s, 1m*2"


def test_structured_values_in_the_environment_are_json_and_tables_are_merged(file: Path) -> None:
    file.write_text('[sender]\nstatic_mx = { "example.net" = "127.0.0.1:2526" }\n')
    settings = load(
        file,
        {
            "CAROM_SENDER__STATIC_MX": '{"*": "[::1]:2527"}',
            "CAROM_SENDER__ALLOW_NETWORKS": '["10.0.0.0/8"]',
            "CAROM_STREAMS__NEWS__CLASS": "bulk",
        },
    )
    assert settings.sender.static_mx == {
        "example.net": Endpoint("127.0.0.1", 2526),
        "*": Endpoint("::1", 2527),
    }
    assert settings.sender.allow_networks == [ip_network("10.0.0.0/8")]
    assert settings.streams["news"].class_ is Class.BULK


def test_an_ipv6_endpoint_in_the_environment_is_no_json(file: Path) -> None:
    file.write_text("")
    assert load(file, {"CAROM_API__LISTEN": "[::1]:8025"}).api.listen == Endpoint("::1", 8025)


def test_a_relay_is_an_endpoint_or_a_table(file: Path) -> None:
    file.write_text('[sender]\nrelay = "smtp.example.com:587"\n')
    short = load(file, {}).sender.relay
    assert short is not None
    assert short.host == Endpoint("smtp.example.com", 587)
    long = load(
        file, {"CAROM_SENDER__RELAY": '{"host": "h:25", "user": "u", "password": "p"}'}
    ).sender.relay
    assert long is not None
    assert long.password.get_secret_value() == "p"


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        (
            '[sender]\nhostnme = "a"',
            "carom.toml: [sender] hostnme: no such key; did you mean hostname?",
        ),
        ("[sendr]\n", "carom.toml: [sendr]: no such section; did you mean [sender]?"),
        (
            '[log]\nhostname = "a"',
            "carom.toml: [log] hostname: no such key; did you mean [sender] hostname?",
        ),
        (
            '[sender.schedule]\nopt = "1m"',
            "carom.toml: [sender] schedule.opt: no such key; did you mean otp?",
        ),
        (
            '[streams.news]\nclas = "bulk"',
            "carom.toml: [streams] news.clas: no such key; did you mean class?",
        ),
        (
            '[log]\nzzzz = "a"',
            "carom.toml: [log] zzzz: no such key; there are level, format",
        ),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_right_name(
    file: Path, toml: str, expected: str
) -> None:
    assert refusal(file, toml) == expected


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        (
            '[sender]\nconcurrency = "many"',
            '[sender] concurrency = "many": expected a whole number',
        ),
        ("[sender]\nconcurrency = 0", "[sender] concurrency = 0: expected 1 or more"),
        (
            '[api]\nlisten = "8025"',
            '[api] listen = "8025": expected host:port, such as 127.0.0.1:8025 or [::1]:8025',
        ),
        (
            '[sender]\nschedule.otp = "soon"',
            "[sender] schedule.otp = \"soon\": retry schedule: 'soon' is no wait",
        ),
        (
            '[log]\nlevel = "loud"',
            "[log] level = \"loud\": expected 'debug', 'info', 'warning' or 'error'",
        ),
        (
            '[database]\nurl = "mysql://u:hunter2@h/d"',
            '[database] url = "mysql://u:***@h/d": expected sqlite:///FILE or postgresql://',
        ),
        (
            '[database]\nurl = "mysql://u:h@nter2@h/d?password=hunter2&x=1"',
            '[database] url = "mysql://u:***@h/d?password=***&x=1": expected sqlite:///FILE',
        ),
        ("[dkim]\nkeys = [{ file = 'a' }]", "[dkim] keys[0].selector: must be set"),
        ("dkim = 3", "[dkim]: expected a table"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_expected(
    file: Path, toml: str, expected: str
) -> None:
    assert refusal(file, toml).startswith(f"carom.toml: {expected}")


def test_mistakes_in_the_environment_name_the_variable(file: Path) -> None:
    assert refusal(file, "", CAROM_SENDER__HOSTNME="x") == (
        "environment: CAROM_SENDER__HOSTNME: no such key; did you mean CAROM_SENDER__HOSTNAME?"
    )
    assert refusal(file, "", CAROM_SENDER__CONCURRENCY="x") == (
        'environment: CAROM_SENDER__CONCURRENCY = "x": expected a whole number'
    )
    assert refusal(file, "", CAROM_SENDER__ALLOW_NETWORKS="10.0.0.0/8") == (
        'environment: CAROM_SENDER__ALLOW_NETWORKS = "10.0.0.0/8": expected a list, as JSON'
    )
    assert "CAROM_SENDER__STATIC_MX: is not JSON" in refusal(
        file, "", CAROM_SENDER__STATIC_MX="{'*': 1}"
    )


def test_one_underscore_where_two_are_meant_is_refused(file: Path) -> None:
    assert refusal(file, "", CAROM_DATABASE_URL="sqlite:///x") == (
        "environment: CAROM_DATABASE_URL: no such setting; write CAROM_DATABASE__URL"
    )


def test_variables_that_kubernetes_sets_are_let_pass(file: Path) -> None:
    file.write_text("")
    environ = {"CAROM_SERVICE_HOST": "10.1.2.3", "CAROM_PORT_8025_TCP": "tcp://10.1.2.3:8025"}
    assert load(file, environ) == load(file, {})


def test_several_mistakes_are_counted(file: Path) -> None:
    assert refusal(file, "[sender]\nconcurrency = 0\nmx_tries = 0").endswith("(and 1 more)")


def test_a_secret_never_shows_in_a_refusal(file: Path) -> None:
    broken = '[tokens]\nkeys = [{ id = "1", secret = "hunter2", file = "k" }]'
    assert "hunter2" not in refusal(file, broken)
    assert "hunter2" not in refusal(file, "", CAROM_TOKENS__KEYS='[{"secret": "hunter2"')
    assert "hunter2" not in refusal(file, '[sender.relay]\nhost = "h:1"\npassword = "hunter2"')
    assert "hunter2" not in refusal(file, '[sender.relay]\nhost = "h:1"\npasword = "hunter2"')


@pytest.mark.parametrize("toml", ["= 3", "[api]\nlisten = ", "\x00"])
def test_what_is_no_toml_is_refused_with_the_place(file: Path, toml: str) -> None:
    assert refusal(file, toml).startswith("carom.toml: is not TOML: ")


def test_a_file_that_is_missing_or_unreadable_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file; `carom init` writes one"):
        load(tmp_path / "none.toml", {})
    (tmp_path / "latin.toml").write_bytes(b"# \xe4")
    with pytest.raises(SettingsError, match="is not UTF-8"):
        load(tmp_path / "latin.toml", {})


def test_the_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--config before CAROM_CONFIG before ./carom.toml before the defaults."""
    monkeypatch.chdir(tmp_path)
    assert load(None, {}).sender.domain == ""
    for name in ("carom.toml", "b.toml", "c.toml"):
        (tmp_path / name).write_text(f'[sender]\ndomain = "{name[0]}.example"\n')
    assert load(None, {}).sender.domain == "c.example"
    assert load(None, {"CAROM_CONFIG": "b.toml"}).sender.domain == "b.example"
    assert load(Path("c.toml"), {"CAROM_CONFIG": "b.toml"}).sender.domain == "c.example"
    assert load(tmp_path, {"CAROM_CONFIG": "b.toml"}).sender.domain == "c.example"


def test_relative_paths_start_from_the_folder_of_the_file(file: Path) -> None:
    file.write_text('[ingest]\ntls = { cert = "a.pem", key = "/etc/k.pem" }\n')
    settings = load(file, {"CAROM_DKIM__KEYS": '[{"selector": "s", "file": "d.pem"}]'})
    assert settings.ingest.tls is not None
    assert settings.ingest.tls.cert == file.parent / "a.pem"
    assert settings.ingest.tls.key == Path("/etc/k.pem")
    assert settings.dkim.keys[0].file == file.parent / "d.pem"
    assert settings.database.url == f"sqlite:///{file.parent}/carom.db"


def test_an_absolute_or_remote_database_is_left_as_it_is(file: Path) -> None:
    for url in ("sqlite:////var/lib/carom.db", "postgresql://carom@db/carom"):
        file.write_text(f'[database]\nurl = "{url}"\n')
        assert load(file, {}).database.url == url


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().sender.hostname = "x"


def test_every_key_has_a_reason_and_the_markdown_names_it() -> None:
    markdown = as_markdown()
    for place, field in keys_below(Settings).items():
        assert field.description, place
        assert f"`{'.'.join(place[1:]).replace('.N.', '[].').removeprefix('NAME.')}`" in markdown


def test_what_is_shown_masks_secrets_and_tells_where_values_come_from(file: Path) -> None:
    file.write_text(
        '[database]\nurl = "postgresql://carom:hunter2@db/carom"\n'
        f'[tokens]\nkeys = [{{ id = "1", secret = "{SECRET}" }}]\n'
        '[sender.relay]\nhost = "h:25"\nuser = "u"\npassword = "hunter2"\n'
    )
    loaded = load_with_origins(file, {"CAROM_LOG__LEVEL": "debug"})
    text, objects = as_toml(loaded), json.dumps(list(as_objects(loaded)))
    for shown in (text, objects):
        assert "hunter2" not in shown
        assert SECRET not in shown
    assert f'url = "postgresql://carom:***@db/carom"  # {file}' in text
    assert 'level = "debug"  # CAROM_LOG__LEVEL' in text
    assert 'format = "json"  # default' in text


def test_what_is_shown_can_be_read_again(file: Path) -> None:
    file.write_text(
        '[sender]\nstatic_mx = { "*" = "127.0.0.1:1" }\nrelay = "h:25"\n'
        '[streams.news]\nclass = "bulk"\n[suppression]\nhard_bounce = "never"\n'
    )
    loaded = load_with_origins(file, {})
    again = file.with_name("again.toml")
    again.write_text(as_toml(loaded))
    assert load(again, {}) == loaded.settings
    assert tomllib.loads(as_toml(loaded))["suppression"]["soft_bounce"] == "7d"


def test_every_plain_key_can_be_set_by_its_variable(file: Path) -> None:
    """What `carom settings` shows, given back by variables, is the same settings."""
    file.write_text("")
    shown = {place: value for place, value in values(load(file, {})) if value is not None}
    environ = {
        variable(place): value if isinstance(value, str) else json.dumps(value)
        for place, value in shown.items()
    }
    assert load(file, environ) == load(file, {})


def test_suppression_settings_agree_with_the_limits_they_become() -> None:
    from analysis.suppression import Limits

    assert Settings().suppression_limits() == Limits()


def test_token_keys_are_read_from_files_and_settings(file: Path) -> None:
    (file.parent / "t.key").write_text(SECRET + "\n")
    file.write_text(
        f'[tokens]\nkeys = [{{ id = "2", file = "t.key" }}, {{ id = "1", secret = "{SECRET}" }}]\n'
    )
    first, second = token_keys(load(file, {}).tokens)
    assert (first.id, second.id) == ("2", "1")
    assert first.secret == second.secret == bytes(range(32))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("[]", "none is set"),
        ('[{ id = "1", file = "none" }]', "none: cannot be read: No such file"),
        ('[{ id = "1", secret = "%%%" }]', "key 1: is not base64"),
        ('[{ id = "1", secret = "YWJj" }]', "key 1: has 3 octets; at least 32 are needed"),
        (f'[{{ id = "1", secret = "{SECRET}" }}, {{ id = "1", secret = "{SECRET}" }}]', "same id"),
    ],
)
def test_token_keys_that_cannot_be_used_are_refused(file: Path, keys: str, expected: str) -> None:
    file.write_text(f"[tokens]\nkeys = {keys}\n")
    settings = load(file, {})
    with pytest.raises(SettingsError, match=expected):
        token_keys(settings.tokens)


def test_a_dkim_key_that_cannot_be_used_is_refused(file: Path) -> None:
    (file.parent / "d.pem").write_text("nonsense")
    file.write_text('[dkim]\nkeys = [{ selector = "s", domain = "a.example", file = "d.pem" }]\n')
    settings = load(file, {})
    with pytest.raises(SettingsError, match=r"d\.pem: "):
        dkim_keys(settings)


def test_static_api_keys_have_the_shape_of_stored_ones(file: Path) -> None:
    file.write_text(
        f'[api]\nkeys = [{{ id = "ab", name = "n", scopes = ["read"], hash = "{"0f" * 32}" }}]\n'
    )
    key = static_api_keys(load(file, {}).api)["ab"]
    assert key.secret_hash == b"\x0f" * 32
    assert key.may("read")
    assert not key.may("send")


@given(st.integers(0, 10**9))
def test_durations_and_sizes_are_read_as_they_are_written(number: int) -> None:
    assert parse_duration(format_duration(float(number))) == number
    assert parse_size(format_size(number)) == number


@given(st.text() | st.integers() | st.floats() | st.none() | st.booleans())
def test_anything_else_is_refused_by_value_error_only(value: object) -> None:
    for parse in (parse_duration, parse_size, parse_endpoint):
        try:
            parse(value)
        except ValueError as error:
            assert str(error).startswith("expected ")  # noqa: PT017


@pytest.mark.parametrize(
    "text", ["h", "h:", ":1", "h:65536", "h:-1", "h:１", "[::1]", "::1:25", "[h]:1", "a b:1"]
)
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected host:port"):
        parse_endpoint(text)


@given(st.ip_addresses(), st.integers(0, 65_535))
def test_endpoints_are_read_as_they_are_written(address: object, port: int) -> None:
    endpoint = Endpoint(str(address), port)
    assert parse_endpoint(str(endpoint)) == endpoint


def test_a_stream_can_say_that_its_complaints_reach_all_streams(tmp_path: Path) -> None:
    file = tmp_path / "carom.toml"
    file.write_text('[streams.news]\nsuppression = "all"\n[streams.codes]\n')
    limits = load(file, environ={}).suppression_limits()
    assert [limits.reach(stream) for stream in ("news", "codes")] == ["*", "codes"]
