"""Text is read in its charset, also where that is told wrongly or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.rulebook import shipped
from analysis.verdict import Category
from ingest.charsets import decode_text, decode_words
from ingest.parse import read_mail

SAID = {
    "gb18030": "收件人的邮箱已满，无法投递",
    "big5": "收件人的信箱不存在，郵件已退回",
    "shift_jis": "宛先のメールアドレスが見つかりません",
    "euc-jp": "宛先のメールアドレスが見つかりません",
    "euc-kr": "수신자의 메일 주소를 찾을 수 없습니다",
    "windows-1251": "Сообщение не доставлено: адрес не найден",
    "koi8-r": "Сообщение не доставлено: адрес не найден",
}


@pytest.mark.parametrize("charset", ["gbk", "GB2312", "gb18030"])
def test_chinese_charsets_are_read(charset: str) -> None:
    assert decode_text("邮箱不存在".encode(charset), charset) == "邮箱不存在"


@pytest.mark.parametrize(
    "charset",
    ["utf-7", "idna", "undefined", "zlib", "x-unknown", "us-ascii\0", "punycode", "rot13"],
)
def test_a_codec_that_is_no_charset_is_never_used(charset: str) -> None:
    assert decode_text(b"+ADw-script+AD4-", charset) == "+ADw-script+AD4-"


def test_undeclared_eight_bit_text_is_utf8_or_latin1() -> None:
    assert decode_text("né".encode(), "") == "né"
    assert decode_text("né".encode("latin-1"), "us-ascii") == "né"


def test_utf8_under_the_name_of_a_one_byte_charset_is_utf8() -> None:
    assert decode_text("Empfänger".encode(), "iso-8859-1") == "Empfänger"
    assert decode_text("Empfänger".encode("latin-1"), "windows-1252") == "Empfänger"


def test_text_cut_inside_a_character_stays_utf8() -> None:
    assert decode_text("ééé".encode()[:-1], "") == "éé"


def test_encoded_words_are_decoded() -> None:
    assert decode_words("=?UTF-8?B?6YCA5L+h?= =?utf-8?q?=3A_x?=") == "退信: x"
    assert decode_words("=?nonsense?b?eA==?=") == "x"


@pytest.mark.parametrize("told", ["", "us-ascii", "iso-8859-1", "windows-1252"])
@pytest.mark.parametrize("charset", SAID)
def test_a_charset_that_is_not_told_shows_by_the_words_of_mail(charset: str, told: str) -> None:
    assert decode_text(SAID[charset].encode(charset), told) == SAID[charset]


@pytest.mark.parametrize("text", ["Empfänger: Größe überschritten", "Boîte aux lettres désactivée"])
def test_western_text_is_not_taken_for_another(text: str) -> None:
    assert decode_text(text.encode("latin-1"), "") == text


def test_a_chinese_notice_without_a_charset_is_understood() -> None:
    words = "抱歉，您的邮件被退回。收件人 full@example.net 的邮箱已满。".encode("gb18030")
    head = b"From: postmaster@example.net\r\nSubject: Undelivered mail\r\nReturn-Path: <>\r\n\r\n"
    (found,) = read_mail(head + words, shipped()).recipients
    assert (found.address, found.verdict.category) == ("full@example.net", Category.MAILBOX_FULL)


@given(st.binary(max_size=300), st.sampled_from(["", "us-ascii", "gbk", "x", "iso-8859-1"]))
def test_any_bytes_are_read(data: bytes, told: str) -> None:
    assert isinstance(decode_text(data, told), str)
