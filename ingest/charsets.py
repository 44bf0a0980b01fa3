"""Text out of bytes whose charset is told, told wrongly, or not told at all.

Only charsets of languages are decoded (utf-7, idna and the Python codecs are attacks).  Where no
charset is told, or one that takes any byte, the bytes themselves are asked: UTF-8 shows by its
form, the charsets of East Asia and Russia by words that a mail about mail can hardly do without.

Never raises; what nothing fits is read a byte a character, which loses nothing.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

MAX_WORDS: Final = 2_000
"""Characters of a field in which encoded words are looked for."""
MAX_LOOKED: Final = 20_000
"""Bytes in which words that tell a charset are looked for."""

_WORD = re.compile(
    r"=\?([\w.:-]{1,40})(?:\*[\w-]{0,20})?\?([bBqQ])\?([^?]{0,2000})\?=(?:\s{1,20}(?==\?))?",
    re.ASCII,
)
_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)
_CHARSETS = re.compile(
    r"us-ascii|ascii|utf-?8|iso-?8859-?\d{1,2}|windows-125\d|cp125\d|cp437|cp85\d|cp93[26]|cp949"
    r"|koi8-[ru]|gb2312|gbk|gb18030|hz-gb-2312|big5(?:-?hkscs)?|euc-?(?:jp|kr|cn)|shift_?-?jis|sjis"
    r"|iso-2022-(?:jp(?:-[123])?|kr)|ks_c_5601-1987|tis-620|macroman"
)
_SUPERSET = {"gb2312": "gb18030", "gbk": "gb18030", "euc-cn": "gb18030", "us-ascii": "utf-8"}
_ONE_BYTE = ("iso-8859-", "windows-125")
_JAPANESE = re.compile("メール|エラー|アドレス|ユーザ|サーバ|送信|宛先")
_RUSSIAN = re.compile("сообщен|письм|адрес|почт|доставлен|сервер", re.IGNORECASE)
_TELLING: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("gb18030", re.compile("邮件|邮箱|退信|地址|收件|发件|用户|投递|发送|服务器|拒绝")),
    ("big5", re.compile("郵件|信箱|退信|位址|收件|寄件|使用者|傳送|伺服器|無法")),
    ("shift_jis", _JAPANESE),
    ("euc-jp", _JAPANESE),
    ("euc-kr", re.compile("메일|수신|발신|전송|사용자|서버|주소")),
    ("windows-1251", _RUSSIAN),
    ("koi8-r", _RUSSIAN),
)
"""A charset, and words by which a mail about mail shows that it is written in it."""


def decode_text(data: bytes, charset: str) -> str:
    """Decode with a charset that is a language's, else as it looks.  Never raises."""
    name = charset.strip().lower().strip("\"'")
    if not _CHARSETS.fullmatch(name):
        return guess(data)
    try:
        text = data.decode(_SUPERSET.get(name, name), "replace")
    except (LookupError, UnicodeError):
        return guess(data)
    if name in ("us-ascii", "ascii"):
        return guess(data)
    return (_mislabelled(data) if name.startswith(_ONE_BYTE) else "") or text


def _mislabelled(data: bytes) -> str:
    """What stands under a name whose charset takes any byte; '' where nothing else shows."""
    if data.isascii():
        return ""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _by_words(data)


def guess(data: bytes) -> str:
    """UTF-8 where it is that, else a byte a character, which loses nothing."""
    try:
        text = data.decode("utf-8")
        return _shifted(data) or text if "\x1b$" in text else text
    except UnicodeDecodeError as error:
        whole = data[: error.start]
        if error.start >= len(data) - 3 and not whole.isascii():  # cut inside a character
            return whole.decode("utf-8")
        return _by_words(data) or data.decode("latin-1")


def _by_words(data: bytes) -> str:
    """Text in the charset whose telling words stand in it; '' where there are none."""
    front = data[:MAX_LOOKED]
    for charset, words in _TELLING:
        if words.search(front.decode(charset, "ignore")):
            return data.decode(charset, "replace")
    return ""


def _shifted(data: bytes) -> str:
    """Undeclared Japanese: nothing else holds ISO-2022's escapes.  '' where it is broken."""
    try:
        return data.decode("iso-2022-jp")
    except UnicodeDecodeError:
        return ""


def decode_words(value: str) -> str:
    """Decode encoded words.  RFC 2047; what cannot be decoded is left as it stands."""
    if "=?" not in value:
        return value
    return _WORD.sub(_word, value[:MAX_WORDS])


def _word(match: re.Match[str]) -> str:
    data = match[3].encode("utf-8", "replace")
    raw = base64_bytes(data) if match[2] in "bB" else binascii.a2b_qp(data, header=True)
    return decode_text(raw, match[1])


def base64_bytes(body: bytes) -> bytes:
    """The octets of a base64 body, whatever else stands between its letters.  Never raises."""
    end = body.find(b"=")
    data = body.translate(None, _NOT_BASE64) if end < 0 else body[:end].translate(None, _NOT_BASE64)
    return binascii.a2b_base64(data[: len(data) // 4 * 4] + _padding(data))


def _padding(data: bytes) -> bytes:
    over = len(data) % 4
    return data[-over:] + b"=" * (4 - over) if over > 1 else b""
