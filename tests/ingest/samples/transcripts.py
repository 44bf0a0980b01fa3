"""Samples that stand in text files as they are sent, one file a family of systems.

Each begins with `@@ name | kind | address:category ...`, `-` for nobody; lines between
`%%b64:gbk` and `%%end` stand for the same text in that encoding (raw, b64 or qp) and charset.
"""

from __future__ import annotations

import base64
import quopri
import re
from collections.abc import Callable
from pathlib import Path

from tests.ingest.samples.table import BOUNCES, OTHERS

_CODED = re.compile(r"^%%(\w+):([\w-]+)\n(.*?)^%%end\n", re.MULTILINE | re.DOTALL)
_ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "raw": bytes,
    "b64": base64.encodebytes,
    "qp": quopri.encodestring,
}


def _encoded(text: str) -> bytes:
    """The text as bytes, UTF-8 but for the pieces that name another encoding."""
    plain, *coded = _CODED.split(text)
    raw = plain.encode()
    for number in range(0, len(coded), 4):
        encoding, charset, piece, after = coded[number : number + 4]
        raw += _ENCODINGS[encoding](piece.encode(charset)) + after.encode()
    return raw


def read(path: Path) -> None:
    """Put a file's samples into the tables."""
    for block in re.split(r"^@@ ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        head, _, text = block.partition("\n")
        name, kind, people = (field.strip() for field in head.split("|"))
        if kind == "bounce":
            told = (word.rpartition(":") for word in people.split())
            BOUNCES[name] = _encoded(text), {address: category for address, _, category in told}
        else:
            OTHERS[name] = kind, _encoded(text)


for _path in sorted(Path(__file__).with_name("as_sent").glob("*.txt")):
    read(_path)
