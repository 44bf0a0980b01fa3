"""Mail addresses: what is written to, and what is the same mailbox.

Owns the two forms of an address.  `wire` is what RCPT TO says: the local part exactly as given,
the domain in A-labels.  `key` is the identity that suppression compares: the local part
case-folded in NFC, the domain lower-case in A-labels.  `+tag` and dots are not folded, since only
their owner knows what they mean.  Both come from one reading, so what was looked up is what is
sent.

Accepts RFC 5321 `Mailbox` as the world uses it: a dot-atom, in Unicode too (RFC 6531), and a
quoted local part whose content is letters an atom could hold and dots in any order, such as
`"a..b"@example.com`; needless quotes are dropped (RFC 5321 section 4.1.2).  Refuses all that is
sent by mistake or to deceive: blanks, controls and invisible characters, line ends, comments,
source routes, angle brackets, other quoted strings, address literals, bare IP addresses, domains
of one label, trailing dots, labels that IDNA 2008 does not know, local parts over 64 octets and
addresses over 254 (RFC 5321 section 4.5.3.1).

Fails with `AddressError`, whose text is made for people and never repeats the whole address.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

import idna

MAX_ADDRESS = 254
MAX_LOCAL = 64
MAX_DOMAIN = 253
MAX_INPUT = 1_000
"""Characters looked at: a display name and an address of the greatest length fit."""

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PLAIN = re.compile(rf"({_ATEXT}+(?:\.{_ATEXT}+)*)@((?:{_LABEL}\.)+(?![0-9]){_LABEL})")
_LABELS = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NOT_ATEXT = re.compile(rf"(?!{_ATEXT}|\.)[\x00-\x7f]")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"})
_NOT_IN_NAME = frozenset({"Cc", "Cs", "Zl", "Zp"})
_NAME_SPECIALS = re.compile(r'[()<>\[\]:;@\\,"]')
_QUOTED_NAME = re.compile(r'"((?:[^"\\]|\\.)*)"')


class AddressError(ValueError):
    """The text is no address that can be written to; the message says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address that was read by `parse`."""

    local: str  # as given, without needless quotes
    domain: str  # A-labels, lower case: `xn--bcher-kva.example`
    unicode_domain: str  # U-labels, for people: `bücher.example`

    @property
    def wire(self) -> str:
        """The exact text between the angle brackets of RCPT TO."""
        return f"{self.local}@{self.domain}"

    @property
    def needs_smtputf8(self) -> bool:
        """Whether the next host must offer SMTPUTF8, RFC 6531 section 3.2."""
        return not self.local.isascii()

    @property
    def key(self) -> str:
        """The identity of the mailbox.  Reading a key gives the same key."""
        return f"{_fold(self.local)}@{self.domain}"

    def __str__(self) -> str:
        return f"{self.local}@{self.unicode_domain}"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address with the name shown beside it, which may be empty.  RFC 5322 section 3.4."""

    name: str
    address: Address


def address_hash(key: str) -> bytes:
    """Return the SHA-256 of an `Address.key`, 32 octets: a lookup that names nobody."""
    return sha256(key.encode()).digest()


def key_of(text: str) -> str:
    """`parse(text).key`, or `AddressError`: for many addresses of which most are plain."""
    plain = _PLAIN.fullmatch(text) if len(text) <= MAX_ADDRESS else None
    if plain and plain.end(1) <= MAX_LOCAL and text.find("--", plain.start(2)) < 0:
        return text.lower()
    return parse(text).key


def parse(text: str, *, allow_single_label: bool = False) -> Address:
    """Read an address alone, `local@domain`, or raise `AddressError`.

    `allow_single_label` lets `user@localhost` pass, for tests and closed networks.
    """
    plain = _PLAIN.fullmatch(text) if len(text) <= MAX_ADDRESS else None
    if plain and len(plain[1]) <= MAX_LOCAL and "--" not in plain[2]:
        domain = plain[2].lower()
        return Address(plain[1], domain, domain)
    return _parse_any(text, allow_single_label)


def parse_domain(text: str, *, allow_single_label: bool = False) -> str:
    """Return a mail domain in A-labels and lower case, or raise `AddressError`."""
    if len(text) > MAX_INPUT:
        raise AddressError("the domain is too long")
    if text.startswith("["):
        raise AddressError("the domain is an address literal: a domain name is needed")
    if text.endswith("."):
        raise AddressError("the domain ends in a dot")
    domain = _to_ascii(text)
    if len(domain) > MAX_DOMAIN:
        raise AddressError(f"the domain is longer than {MAX_DOMAIN} octets")
    labels = domain.split(".")
    if labels[-1][0].isdigit():
        raise AddressError("the domain is a number or an IP address: a domain name is needed")
    if len(labels) == 1 and not allow_single_label:
        raise AddressError("the domain has one label only, as in `localhost`")
    return domain


def parse_mailbox(
    value: str | Mapping[str, object], *, allow_single_label: bool = False
) -> Mailbox:
    """Read `a@b`, `<a@b>`, `Name <a@b>` or `{"email": "a@b", "name": "Name"}`.

    A name that holds `,` `;` `:` `@` or brackets must stand in double quotes: nothing is guessed,
    nothing is left over.
    """
    if isinstance(value, str):
        name, text = _split_name(value)
    else:
        name, text = _from_mapping(value)
    return Mailbox(_checked_name(name), parse(text, allow_single_label=allow_single_label))


def _parse_any(text: str, allow_single_label: bool) -> Address:
    if not text:
        raise AddressError("the address is empty")
    if len(text) > MAX_INPUT:
        raise AddressError(f"the address is longer than {MAX_ADDRESS} octets")
    given_local, at, given_domain = text.rpartition("@")
    if not at:
        raise AddressError("the address has no @")
    if not given_domain:
        raise AddressError("the address has no domain after the @")
    local = _local_part(given_local)
    domain = parse_domain(given_domain, allow_single_label=allow_single_label)
    if len(local.encode()) + 1 + len(domain) > MAX_ADDRESS:
        raise AddressError(f"the address is longer than {MAX_ADDRESS} octets")
    return Address(local, domain, _to_unicode(domain))


def _local_part(text: str) -> str:
    if not text:
        raise AddressError("the address has nothing before the @")
    quoted = len(text) > 2 and text[0] == text[-1] == '"'
    content = text[1:-1] if quoted else text
    _refuse_characters(content)
    if _needs_quotes(content):
        if not quoted:
            raise AddressError(
                "the local part begins or ends with a dot or has two together: "
                'if it is meant, write it in quotes, "a..b"@example.com'
            )
        content = f'"{content}"'
    if len(content.encode()) > MAX_LOCAL:
        raise AddressError(f"the local part is longer than {MAX_LOCAL} octets")
    return content


def _refuse_characters(local: str) -> None:
    for char in local:
        if not char.isascii() and unicodedata.category(char) in _UNSEEN:
            raise AddressError(f"the local part holds {_name(char)}")
    # Compatibility forms such as U+FF20, a wide @, are taken for what they look like.
    if match := _NOT_ATEXT.search(unicodedata.normalize("NFKC", local)):
        raise AddressError(f"the local part holds {_name(match[0])}")


def _needs_quotes(content: str) -> bool:
    return content.startswith(".") or content.endswith(".") or ".." in content


def _fold(local: str) -> str:
    """Case-fold for comparison: Unicode canonical caseless matching (D145), kept in NFC."""
    if local.isascii():
        return local.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", local).casefold())


def _to_ascii(text: str) -> str:
    if text.isascii() and "xn--" not in (lower := text.lower()):
        if not _LABELS.fullmatch(text):
            raise AddressError(_bad_domain(text))
        return lower
    if any(_is_unseen(char) for char in text):
        raise AddressError(_bad_domain(text))  # IDNA's mapping would silently drop some of them
    try:
        return idna.encode(text, uts46=True).decode("ascii").lower()
    except UnicodeError as error:  # idna.IDNAError and what str methods raise on hostile text
        raise AddressError(_bad_domain(text)) from error


def _to_unicode(domain: str) -> str:
    return idna.decode(domain) if "xn--" in domain else domain


def _bad_domain(text: str) -> str:
    """Say which rule of RFC 1035 section 2.3.1 or IDNA 2008 a domain breaks."""
    for char in text:
        if _is_unseen(char) or (char.isascii() and not char.isalnum() and char not in "-."):
            return f"the domain holds {_name(char)}"
    for label in text.split("."):
        if not label:
            return "the domain has an empty label: two dots together or a dot in front"
        if len(label) > 63:
            return "the domain has a label longer than 63 octets"
        if label.startswith("-") or label.endswith("-"):
            return "the domain has a label that begins or ends with a hyphen"
    return "the domain is no name that IDNA 2008 (RFC 5891) allows"


def _is_unseen(char: str) -> bool:
    # The two joiners are letters to Persian and Indic scripts; IDNA checks where they stand.
    return unicodedata.category(char) in _UNSEEN and char not in "\u200c\u200d"


def _name(char: str) -> str:
    if char == " ":
        return "a blank"
    if char.isprintable():
        return f"the character {char!r}, which is not allowed there"
    return f"the unseen character U+{ord(char):04X}"


def _split_name(text: str) -> tuple[str, str]:
    if len(text) > MAX_INPUT:
        raise AddressError(f"the mailbox is longer than {MAX_INPUT} characters")
    text = text.strip(" ")
    if not text.endswith(">"):
        return "", text
    before, bracket, address = text[:-1].rpartition("<")
    if not bracket:
        raise AddressError("the mailbox has a `>` without a `<`")
    return _read_name(before.strip(" ")), address


def _read_name(text: str) -> str:
    if quoted := _QUOTED_NAME.fullmatch(text):
        return re.sub(r"\\(.)", r"\1", quoted[1])
    if special := _NAME_SPECIALS.search(text):
        raise AddressError(
            f"the name before the address holds {special[0]!r}: put the name in double quotes, "
            "and give one address at a time"
        )
    return text


def _from_mapping(value: Mapping[str, object]) -> tuple[str, str]:
    if unknown := set(value) - {"email", "name"}:
        raise AddressError(f"a mailbox has `email` and `name`, not {sorted(map(str, unknown))}")
    email, name = value.get("email"), value.get("name")
    if not isinstance(email, str):
        raise AddressError("`email` must be text")
    if name is not None and not isinstance(name, str):
        raise AddressError("`name` must be text")
    return name or "", email


def _checked_name(name: str) -> str:
    if len(name) > MAX_INPUT:
        raise AddressError(f"the name is longer than {MAX_INPUT} characters")
    for char in name:
        if unicodedata.category(char) in _NOT_IN_NAME:
            raise AddressError(f"the name holds {_name(char)}")
    # Serialisers have turned encoded words in given text into header lines (CVE-2024-6923).
    if "=?" in name:
        raise AddressError("the name holds `=?`: give it as plain Unicode, not encoded")
    return name
