"""Header fields: how one is written, and how a block of them is read back.

Python's own serialiser is not used: on 3.11.7 it turns an encoded-word in a value into a real
header (CVE-2024-6923) and accepts line ends in a header name.  Here a field is a name and a list
of tokens, folded between tokens only, and every block that is written is read back and compared
with what was asked before anybody sees it.

Promises: lines end in CRLF and stay within 76 octets wherever a token allows it (RFC 5322 section
2.1.1), always within 998; text outside ASCII becomes RFC 2047 encoded-words; an address outside
ASCII stays raw UTF-8 (RFC 6532), which makes the message one that needs SMTPUTF8.
Refuses, with a `ComposeError` that names the field of the API: control characters, line and
paragraph separators, lone surrogates, and input that already is an encoded-word.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from analysis.address import Mailbox

MAX_BLOCK = 100_000
"""Octets of a header block.  Receivers commonly refuse more."""
MAX_TEXT = 4_000
"""Characters of one value handed in."""

_LINE = 76  # RFC 2047 section 2: a line that holds an encoded-word
_WORD = 75  # RFC 2047 section 2: one encoded-word
_LONGEST_TOKEN = 900  # leaves room for the name within 998 octets
_LONGEST_QUOTED = 60

_NAME = re.compile(r"[A-Za-z0-9-]{1,70}")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LOOKS_ENCODED = re.compile(r"=\?[^?\s]{1,100}\?[A-Za-z]\?")
_SPACED_WORD = re.compile(r" *[^ ]+")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)\r\n")

# RFC 2047 section 5 (3): the octets that may stand for themselves even in a phrase.
_Q = ["_" if octet == 32 else f"={octet:02X}" for octet in range(256)]
for _octet in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/":
    _Q[_octet] = chr(_octet)


class ComposeError(ValueError):
    """Input that cannot become mail; `field` names it as the API does: `subject`, `headers.X-A`."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.field = field
        self.text = text


# What is taken in


def checked_name(name: str, field: str) -> str:
    """The header name, or a `ComposeError` for anything but 1-70 letters, digits and hyphens."""
    if not _NAME.fullmatch(name):
        raise ComposeError(field, "a header name has 1 to 70 letters, digits and hyphens")
    return name


def checked_text(value: str, field: str) -> str:
    """The value without outer spaces, or a `ComposeError`."""
    if len(value) > MAX_TEXT:
        raise ComposeError(field, f"is longer than {MAX_TEXT} characters")
    if bad := _UNSAFE.search(value):
        raise ComposeError(field, f"contains the control character U+{ord(bad[0]):04X}")
    if _LOOKS_ENCODED.search(value):
        raise ComposeError(field, "contains an encoded-word (=?...?=); give plain text instead")
    return value.strip(" ")


# What is written


def text_tokens(name: str, value: str) -> list[str]:
    """An unstructured value (RFC 5322 section 2.2.1): its words as they are, or encoded-words."""
    words = _SPACED_WORD.findall(value)
    plain = value.isascii() and "=?" not in value
    if plain and all(len(word) <= _LONGEST_TOKEN for word in words):
        return words[:1] + [word[1:] for word in words[1:]]
    return encoded_words(value, len(name) + 2)


def mailbox_tokens(name: str, mailboxes: Sequence[Mailbox]) -> list[str]:
    """An address list (RFC 5322 section 3.4)."""
    tokens: list[str] = []
    for mailbox in mailboxes:
        if tokens:
            tokens[-1] += ","
        if name_shown := mailbox.name.strip(" "):
            tokens += _phrase(name_shown, 1 if tokens else len(name) + 2)
            tokens.append(f"<{mailbox.address.wire}>")
        else:
            tokens.append(mailbox.address.wire)
    return tokens


def _phrase(text: str, column: int) -> list[str]:
    if text.isascii() and "=?" not in text:
        if len(text) <= _LONGEST_TOKEN and _ATOMS.fullmatch(text):
            return text.split(" ")
        if len(text) <= _LONGEST_QUOTED:
            return ['"' + re.sub(r'(["\\])', r"\\\1", text) + '"']
    return encoded_words(text, column)


def encoded_words(text: str, column: int) -> list[str]:
    """RFC 2047 words, the first short enough for a line of which `column` octets are taken.

    Words are cut between characters, as section 5 demands, and written in the shorter encoding.
    """
    raw = text.encode()
    form, head = (_q, "=?utf-8?q?") if len(_q(raw)) <= len(_b(raw)) else (_b, "=?utf-8?b?")
    room = min(_WORD, max(_LINE - column, 30)) - len(head) - 2
    words: list[str] = []
    piece = b""
    for octets in (char.encode() for char in text):
        if piece and len(form(piece + octets)) > room:
            words.append(f"{head}{form(piece)}?=")
            piece, room = b"", _WORD - len(head) - 2
        piece += octets
    return [*words, f"{head}{form(piece)}?="] if piece else words


def _q(octets: bytes) -> str:
    return "".join([_Q[octet] for octet in octets])


def _b(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def _fold(name: str, tokens: Sequence[str]) -> str:
    lines = [f"{name}:"]
    for token in tokens:
        if len(lines[-1]) + 1 + len(token) <= _LINE:
            lines[-1] += f" {token}"
        else:
            lines.append(f" {token}")
    return "\r\n".join(lines) + "\r\n"


def header_block(fields: Sequence[tuple[str, Sequence[str]]]) -> bytes:
    """Write fields, each a name and its tokens, and prove that they read back as asked."""
    block = "".join(_fold(name, tokens) for name, tokens in fields).encode()
    read, end = read_block(block)
    asked = [(name.encode(), " ".join(tokens).encode()) for name, tokens in fields]
    if end != len(block) or [(name, unfolded(value)) for name, value in read] != asked:
        raise RuntimeError("the header block does not read back as it was asked for")
    return block


def prepend(content: bytes, headers: Sequence[tuple[str, str]]) -> bytes:
    """`content` with ASCII headers of one delivery in front, such as List-Unsubscribe.

    The body stays as it is, so that its `signing.body_hash` holds for every delivery.
    """
    for name, value in headers:
        checked_name(name, f"headers.{name}")
        if not (value.isascii() and value.isprintable()):
            raise ComposeError(f"headers.{name}", "must be printable ASCII")
    return header_block([(name, value.split()) for name, value in headers]) + content


# What is read


def read_block(content: bytes) -> tuple[list[tuple[bytes, bytes]], int]:
    """The fields at the head of a CRLF message and the offset behind the last of them.

    Names as written, values raw with their folding.  The offset is at the empty line, at the end,
    or, where `content` is not well formed, at the first line that is no field.
    """
    fields = []
    at = 0
    while found := _FIELD.match(content, at):
        fields.append((found[1], found[2]))
        at = found.end()
    return fields, at


def unfolded(value: bytes) -> bytes:
    """The value on one line, without outer white space.  RFC 5322 section 2.2.3."""
    return value.replace(b"\r\n", b"").strip(b" \t")


_ADDRESS_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\((?:[^()\\]|\\.)*\)|<[^<>]*>|[,;:]|[^"()<>,;:]+')


def address_list(value: bytes) -> list[tuple[str, str]]:
    """The display names and address texts of an address list, RFC 5322 section 3.4.

    Comments are dropped, groups opened, names decoded; `ValueError` where it is not well formed.
    """
    found: list[tuple[str, str]] = []
    words: list[str] = []
    for token in _address_tokens(unfolded(value).decode() + ","):
        match token[0]:
            case "," | ";":
                found += _mailbox_of(words)
                words = []
            case ":":  # what stood before it is the name of a group
                words = []
            case "(":
                pass
            case _:
                words.append(token)
    return found


def _address_tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        # Giving up at the first mismatch keeps this linear: each quote is looked for once.
        if not (token := _ADDRESS_TOKEN.match(text, at)):
            raise ValueError("a quote, a bracket or a comment is not closed")
        yield token[0]
        at = token.end()


def _mailbox_of(words: Sequence[str]) -> list[tuple[str, str]]:
    angles = [word for word in words if word[0] == "<"]
    if not angles:
        bare = "".join(words).strip()
        return [("", bare)] if bare else []
    if len(angles) > 1 or words[-1].strip() not in (angles[0], ""):
        raise ValueError("text follows an address in angle brackets")
    names = [re.sub(r"\\(.)", r"\1", w[1:-1]) if w[0] == '"' else w.strip() for w in words]
    shown = " ".join(names[: words.index(angles[0])])
    return [(decoded(shown.encode()), angles[0][1:-1].strip())]


_ENCODED = re.compile(r"=\?([A-Za-z0-9_-]{1,40})(?:\*[A-Za-z-]{1,20})?\?([bBqQ])\?([^?\s]*)\?=")
_CHARSETS = re.compile(
    r"us-ascii|utf-8|iso-8859-(?:[1-9]|1[013-6])|windows-125[0-8]|koi8-[ru]|gbk|gb2312|gb18030|big5|euc-(?:jp|kr)"
    r"|shift_jis|iso-2022-(?:jp|kr)"
)


def decoded(value: bytes, most: int = MAX_TEXT) -> str:
    """A value as people read it, cut at `most`: encoded-words decoded, never an error."""
    text = unfolded(value)[: 4 * most].decode("utf-8", "replace")
    return _UNSAFE.sub(" ", _decoded_words(text)).strip(" ")[:most]


def _decoded_words(text: str) -> str:
    found = list(_ENCODED.finditer(text)) if "=?" in text else []
    if not found:
        return text
    parts = [text[: found[0].start()], _decoded_word(found[0])]
    for before, word in pairwise(found):
        between = text[before.end() : word.start()]
        # RFC 2047 section 6.2: white space between encoded-words is not part of the text.
        parts += [between if between.strip() else "", _decoded_word(word)]
    return "".join(parts) + text[found[-1].end() :]


def _decoded_word(word: re.Match[str]) -> str:
    charset, encoding, body = word[1].lower(), word[2].lower(), word[3].encode()
    try:
        octets = binascii.a2b_base64(body) if encoding == "b" else binascii.a2b_qp(body, True)
    except binascii.Error:
        return word[0]
    # Python's table of codecs holds things that are no charsets: `utf-7`, `zlib`, `idna`.
    return octets.decode(charset if _CHARSETS.fullmatch(charset) else "latin-1", "replace")


def closed(content: bytes) -> bytes:
    """Content that ends with a line end."""
    return content if content.endswith(b"\r\n") else content + b"\r\n"


def crlf(content: bytes) -> bytes:
    """Content whose lines all end in CRLF, whatever they ended in."""
    if b"\r" in content:
        if content.count(b"\r") == content.count(b"\n") == content.count(b"\r\n"):
            return content
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return content.replace(b"\n", b"\r\n")
