"""DMARC aggregate reports: XML in, facts out.  RFC 7489 appendix C and RFC 9990.

The two differ in their namespace and in elements that are left out here, so one reader reads both:
names count without their namespace, order does not count, what is unknown is passed over.  Reports
of the world leave out much; only what the figures rest on is insisted on: a source, a count, who
reports on which domain and days.

`read` raises `Unreadable` with the reason, for people.  No DTD and no entity is ever looked at, no
tree is built of the whole, and what one report costs is bounded by the limits below.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException  # type: ignore[import-untyped]
from defusedxml.ElementTree import DefusedXMLParser  # type: ignore[import-untyped]

from analysis.aggregate import AuthResult, DmarcAggregate, DmarcRow, Origin
from analysis.reply import clean
from ingest.charsets import decode_text

MOST_RECORDS = 5_000
MOST_NODES = 400
"""Elements of one record, or of the head."""
MOST_DEPTH = 12
MOST_TEXT = 1_000
"""Characters of one element."""
MOST_CHECKS = 10
"""Checks and reasons kept of one record."""
MOST_COUNT = 2_000_000_000
"""What fits; nobody sends one domain more in a day."""

_DECLARED = re.compile(rb"\s{0,20}<\?xml[^>]{0,200}?encoding\s{0,5}=\s{0,5}[\"']([\w.:-]{1,40})")
# reports have no attributes to speak of: a million of them make one tag that takes seconds
_LONG_TAG = re.compile(rb"<[^<>]{4000}")
_DECLARATION = re.compile(r"\s{0,20}<\?xml[^>]{0,300}\?>")
_NUMBER = re.compile(r"([0-9]{1,13})(?:\.[0-9]{1,9})?", re.ASCII)
_DOMAIN = re.compile(r"[\w](?:[\w.-]{0,251}[\w])?", re.ASCII)
_DISPOSITIONS = frozenset({"none", "pass", "quarantine", "reject"})
_POLICIES = frozenset({"none", "quarantine", "reject"})


class Unreadable(ValueError):
    """It is no aggregate report that can be counted."""


@dataclass(slots=True)
class _Node:
    """An element: its text, its children by name."""

    text: str = ""
    children: dict[str, list[_Node]] = field(default_factory=dict)

    def all(self, *path: str) -> list[_Node]:
        """Every element at `path`; only the last name may be there several times."""
        node = self
        for name in path[:-1]:
            found = node.children.get(name)
            if not found:
                return []
            node = found[0]
        return node.children.get(path[-1], [])

    def get(self, *path: str) -> str:
        found = self.all(*path)
        return found[0].text if found else ""


class _Enough(Exception):
    """As many records as are read."""


class _Builder:
    """Target of the parser: hands on each child of the root, and forgets it."""

    def __init__(self) -> None:
        self.metadata = _Node()
        self.policy = _Node()
        self.rows: dict[DmarcRow, int] = {}
        self.records = 0
        self.skipped = 0  # records without a source or a count
        self._stack: list[_Node] = []
        self._nodes = 0
        self._children = 0

    def start(self, tag: str, _attributes: object) -> None:
        name = tag.rpartition("}")[2]
        if not self._stack and name != "feedback":
            raise Unreadable(f"the XML is no DMARC report but <{clean(name, 40)}>")
        if len(self._stack) >= MOST_DEPTH:
            raise Unreadable("the XML is nested too deep")
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise Unreadable("an element of the report holds too much")
        node = _Node()
        if len(self._stack) > 1:
            self._stack[-1].children.setdefault(name, []).append(node)
        self._stack.append(node)

    def data(self, text: str) -> None:
        node = self._stack[-1]
        if len(node.text) < MOST_TEXT:
            node.text += text[:MOST_TEXT]

    def end(self, tag: str) -> None:
        node = self._stack.pop()
        node.text = node.text.strip()
        if len(self._stack) == 1:
            self._nodes = 1
            self._take(tag.rpartition("}")[2], node)

    def close(self) -> None:
        pass

    def _take(self, name: str, node: _Node) -> None:
        self._children += 1
        if self._children > 2 * MOST_RECORDS:
            raise Unreadable("the report holds too much that is no record")
        if name == "report_metadata":
            self.metadata = node
        elif name == "policy_published":
            self.policy = node
        elif name == "record":
            self.records += 1
            if self.records > MOST_RECORDS:
                raise _Enough
            self._record(node)

    def _record(self, node: _Node) -> None:
        messages = _whole(node.get("row", "count"))
        source = _address(node.get("row", "source_ip"))
        if source is None or messages is None:
            self.skipped += 1
        elif messages:
            row = _row(node, source)
            self.rows[row] = min(MOST_COUNT, self.rows.get(row, 0) + messages)


@dataclass(frozen=True, slots=True)
class Read:
    report: DmarcAggregate
    trouble: str | None  # what was left out, for people


def read(data: bytes) -> Read:
    """Read one XML file; `Unreadable` where it is none or lacks what counts."""
    text = _utf8(data)
    if _LONG_TAG.search(text):
        raise Unreadable("a tag of the XML is too long")
    builder = _Builder()
    parser = DefusedXMLParser(target=builder, encoding="utf-8", forbid_dtd=True)
    trouble: list[str] = []
    try:
        parser.feed(text)
        parser.close()
    except _Enough:
        trouble.append(f"only the first {MOST_RECORDS} records were counted")
    except DefusedXmlException:
        raise Unreadable("the XML declares a DTD or entities, which no report needs") from None
    except ParseError as error:
        raise Unreadable(f"the XML is broken: {clean(str(error), 80)}") from error
    if builder.skipped:
        trouble.append(f"{builder.skipped} records without a source or a count were left out")
    return Read(_report(builder), "; ".join(trouble) or None)


def looks_like(data: bytes) -> bool:
    """Whether a file begins as a DMARC report does."""
    head = data[:2_000].replace(b"\0", b"")
    return b"<feedback" in head


def _utf8(data: bytes) -> bytes:
    """The XML in UTF-8 without its declaration, whatever it was in and whatever it said it was."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = data.decode("utf-16", "replace")
    else:
        data = data.removeprefix(b"\xef\xbb\xbf")
        declared = _DECLARED.match(data)
        text = decode_text(data, declared[1].decode() if declared else "utf-8")
        if "�" in text:
            text = decode_text(data, "")  # as it looks
    return _DECLARATION.sub("", text, count=1).strip().encode("utf-8", "replace")


def _report(builder: _Builder) -> DmarcAggregate:
    meta, policy = builder.metadata, builder.policy
    begin = _time(meta.get("date_range", "begin"))
    end = _time(meta.get("date_range", "end"))
    domain = _domain(policy.get("domain"))
    wanted = {
        "report_metadata/org_name": clean(meta.get("org_name") or meta.get("email"), 255),
        "report_metadata/report_id": clean(meta.get("report_id"), 255),
        "policy_published/domain": domain,
    }
    missing = [name for name, value in wanted.items() if not value]
    if begin is None or end is None:
        raise Unreadable("the report does not say which time it covers")
    if missing:
        raise Unreadable(f"the report has no {missing[0]}")
    organisation, report_id, _ = wanted.values()
    return DmarcAggregate(
        Origin(organisation, clean(meta.get("email"), 255), report_id, begin, end),
        domain,
        _one_of(_POLICIES, policy.get("p")),
        tuple(_counted(row, messages) for row, messages in builder.rows.items()),
    )


def _counted(row: DmarcRow, messages: int) -> DmarcRow:
    return DmarcRow(
        row.source,
        messages,
        row.disposition,
        row.dkim,
        row.spf,
        row.header_from,
        row.envelope_from,
        row.checks,
        row.reasons,
    )


def _row(node: _Node, source: str) -> DmarcRow:
    """A record without its count: equal ones are added up."""
    evaluated = ("row", "policy_evaluated")
    reasons = node.all(*evaluated, "reason")[:MOST_CHECKS]
    return DmarcRow(
        source,
        0,
        _one_of(_DISPOSITIONS, node.get(*evaluated, "disposition")),
        node.get(*evaluated, "dkim").lower() == "pass",
        node.get(*evaluated, "spf").lower() == "pass",
        _domain(node.get("identifiers", "header_from")),
        _domain(node.get("identifiers", "envelope_from")),
        (
            *(_check("dkim", one) for one in node.all("auth_results", "dkim")[:MOST_CHECKS]),
            *(_check("spf", one) for one in node.all("auth_results", "spf")[:MOST_CHECKS]),
        ),
        tuple(clean(one.get("type"), 40) for one in reasons),
    )


def _check(method: str, node: _Node) -> AuthResult:
    return AuthResult(
        method,
        _domain(node.get("domain")),
        clean(node.get("result").lower(), 16),
        clean(node.get("selector"), 63),
    )


def _one_of(names: frozenset[str], text: str) -> str:
    return text.lower() if text.lower() in names else "none"


def _whole(text: str) -> int | None:
    match = _NUMBER.fullmatch(text)
    return min(int(match[1]), MOST_COUNT) if match else None


def _time(text: str) -> float | None:
    """Unix seconds; some reporters write a fraction."""
    match = _NUMBER.fullmatch(text)
    return float(match[0]) if match else None


def _address(text: str) -> str | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address).partition("%")[0]


def _domain(text: str) -> str:
    """Lower-case A-labels; '' for what is no name.  An address gives its domain."""
    name = text.rpartition("@")[2].strip().rstrip(".").lower()
    if not name.isascii():
        try:
            name = name[:253].encode("idna").decode()
        except UnicodeError:
            return ""
    return name if _DOMAIN.fullmatch(name) else ""
