"""Command lines and their arguments, read strictly."""

from __future__ import annotations

import re

import pytest
from aiosmtpd.smtp import SMTP
from hypothesis import given
from hypothesis import strategies as st

from analysis.smtpd import CommandError, Limits
from analysis.smtpd.path import MAIL, RCPT
from tests.analysis.smtpd.running import serving, until
from tests.peers.smtp_client import dial

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("FROM:<", "501"),
        ('FROM:"', "501"),
        ("FROM:<a@[", "501"),
        ('FROM:<"', "501"),
        ('FROM:<">', "501"),
        ("FROM:<a@[>", "553"),
        ("FROM:a@example.net", "501"),
        ("FROM:<@relay.example,@b.example:a@example.net>", "553"),
        ("FROM:<a b@example.net>", "553"),
        ('FROM:<"a b"@example.net>', "501"),
        ("FROM:<a(comment)@example.net>", "553"),
        ("FROM:<a@b@example.net>", "553"),
        ("FROM:<a@example.net>SIZE=1", "501"),
        ("FROM:<a@example.net> SIZE=x", "501"),
        ("FROM:<a@example.net> SIZE=٣", "501"),
        ("FROM:<a@example.net> SIZE=1 SIZE=2", "501"),
        ("FROM:<a@example.net> SIZE=10000001", "552"),
        ("FROM:<a@example.net> BODY=BINARYMIME", "501"),
        ("FROM:<a@example.net> SMTPUTF8=yes", "501"),
        ("FROM:<a@example.net> X-STRANGE=1", "555"),
        ("FROM:<ä@example.net>", "553"),
        ("FROM:<" + "a" * 400 + "@example.net>", "553"),
        ("TO:<a@example.net>", "501"),
        ("", "501"),
        ("FROM:<>", "250"),
        ("from: <>", "250"),
        ("FROM:<a@example.net> SIZE=1000 BODY=8BITMIME", "250"),
        ("FROM:<a@example.net> RET=HDRS ENVID=QQ314159", "250"),
        ("FROM:<ä@bücher.example> SMTPUTF8", "250"),
        ("FROM:<a..b.@example.net>", "250"),
        ('FROM:<"a>b"@example.net>', "250"),
        ("FROM:<a@[192.0.2.1]>", "250"),
    ],
)
async def test_mail_arguments_are_read_strictly(argument: str, code: str) -> None:
    """Weakness 8: aiosmtpd's parser crashes on some of these and takes others."""
    async with serving() as at, dial(at.port) as wire:
        reply = await wire.say(f"MAIL {argument}")
        assert reply[:3] == code
        assert re.fullmatch(r"[245]\d\d [245]\.\d\.\d .+", reply)


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("TO:<b@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+2Bc@example.org", "250"),
        ("TO:<Postmaster>", "250"),
        ("TO:<>", "553"),
        ("TO:<root>", "553"),
        ("TO:<b@example.org> SIZE=1", "555"),
    ],
)
async def test_rcpt_arguments_are_read_strictly(argument: str, code: str) -> None:
    async with serving() as at, dial(at.port) as wire:
        await wire.say("MAIL FROM:<a@example.net>")
        assert (await wire.say(f"RCPT {argument}"))[:3] == code


@pytest.mark.parametrize(
    "line",
    [b"MAIL FROM:<a\x01b@example.net>", b"NOOP \0", b"NOOP a\rb", b"NOOP \xff", b"NO\xc3\xa9OP"],
)
async def test_a_line_that_is_not_text_is_refused(line: bytes) -> None:
    """Weaknesses 8 and 14: no control character and no surrogate reaches a handler."""
    async with serving() as at, dial(at.port) as wire:
        assert (await wire.say(line)).startswith("500 5.5.")


async def test_a_command_that_ends_in_a_bare_line_feed_is_refused() -> None:
    """Weakness 6."""
    async with serving() as at, dial(at.port) as wire:
        wire.write(b"NOOP\n")
        assert (await wire.reply()).startswith("500 5.5.2 ")


async def test_command_length_is_the_same_for_every_session() -> None:
    """Weakness 9: aiosmtpd's limits are one dict of all sessions, and grow."""
    fits = "NOOP " + "x" * (Limits().line - 7)
    async with serving() as at, dial(at.port) as first, dial(at.port) as second:
        for _ in range(10):
            await first.say("EHLO client.example.net")
        for wire in (first, second):
            assert (await wire.say(fits)).startswith("250 ")
            assert (await wire.say(fits + "x")).startswith("500 5.5.2 ")
    assert dict(SMTP.command_size_limits) == {}


async def test_a_command_line_without_end_is_hung_up_on() -> None:
    async with serving() as at, dial(at.port) as wire:
        wire.write(b"x" * 1_000_000)
        assert await wire.reply() in ("500 5.5.2 Line too long", "")
        assert await wire.at_eof()
        await until(lambda: at.server.open == 0)


@given(st.text(max_size=60))
def test_no_argument_breaks_the_grammar(text: str) -> None:
    for grammar in (MAIL, RCPT):
        for argument in (text, f"{grammar.keyword}:{text}", f"{grammar.keyword}:<{text}>"):
            try:
                read = grammar.read(argument).address
            except CommandError as error:
                refusal = error.reply
            else:
                refusal = "500 5.0.0 none"
                assert not re.search(r"[\x00-\x20\x7f-\xa0\ud800-\udfff]", read)
            assert re.fullmatch(r"5\d\d 5\.\d\.\d [ -~]+", refusal)
