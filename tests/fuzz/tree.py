"""Hypothesis draws whole messages: MIME trees in which everything may be wrong at once."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.mutator import CHARSETS, ENCODINGS, FIELDS, SPICES, TYPES

_BOUNDARIES = (b"=_edge", b"=_edg", b"a", b"a" * 70, b"-" * 70, b"x y", b'"', b"")
_LINE_ENDS = (b"\r\n", b"\r\n", b"\n", b"\r", b"\n\r\n")
_WORDS = (
    *(
        b"could not be delivered to",
        b"the following recipients:",
        b"<ann@example.net>",
        b":",
        b"\r\n",
    ),
    *(b"ann@example.net", b"550 5.1.1 user unknown", b"Final-Recipient: rfc822; ann@example.net"),
    *(
        b"Action: failed",
        b"Status: 5.2.2",
        b"Diagnostic-Code: smtp; 552 full",
        b"Feedback-Type: abuse",
    ),
    *(b"<a\0b@example.net>: 550", b"\x7f@\0", b"Message-ID: <\0\x85>", b"a\x1b[1m@example.net"),
    *(b"----- original message -----", b"> quoted", b"Recipient:", b" ", b"    ", b"\r\n\r\n"),
)

_spice = st.sampled_from(SPICES) | st.binary(max_size=20)
_text = st.lists(st.sampled_from(_WORDS) | _spice, max_size=30).map(b"".join)
_value = st.sampled_from((*SPICES, *TYPES, *ENCODINGS, b"MAILER-DAEMON@a.example")) | _text
_field = st.builds(
    lambda name, gap, value: name + gap + value,
    st.sampled_from(FIELDS) | st.binary(max_size=10),
    st.sampled_from((b": ", b":", b" : ", b"")),
    _value,
)
_times = st.sampled_from((1, 1, 1, 2, 50, 2_000))


@st.composite
def _header(draw: st.DrawFn, kind: bytes) -> bytes:
    end = draw(st.sampled_from(_LINE_ENDS))
    fields = [
        line * draw(_times) for line in draw(st.lists(_field.map(lambda f: f + end), max_size=6))
    ]
    if draw(st.integers(0, 9)):
        fields.append(b"Content-Type: " + kind + end)
    if draw(st.booleans()):
        fields.append(b"Content-Transfer-Encoding: " + draw(st.sampled_from(ENCODINGS)) + end)
    return b"".join(draw(st.permutations(fields)))


@st.composite
def _leaf(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(TYPES)) + b"; charset=" + draw(st.sampled_from(CHARSETS))
    body = draw(_text) * draw(_times)
    return draw(_header(kind)) + draw(st.sampled_from(_LINE_ENDS)) + body


@st.composite
def _branch(draw: st.DrawFn, children: st.SearchStrategy[bytes]) -> bytes:
    """A multipart whose delimiter lines may be another's, whose end may be missing."""
    edge = draw(st.sampled_from(_BOUNDARIES))
    used = edge if draw(st.integers(0, 4)) else draw(st.sampled_from(_BOUNDARIES))
    kind = b"multipart/" + draw(st.sampled_from((b"mixed", b"report; report-type=delivery-status")))
    head = draw(_header(kind + b'; boundary="' + edge + b'"'))
    parts = draw(st.lists(children, max_size=5))
    body = b"".join(b"--" + used + b"\r\n" + part + b"\r\n" for part in parts)
    end = b"--" + used + b"--\r\n" if draw(st.booleans()) else b""
    return head + b"\r\n" + body * draw(st.sampled_from((1, 1, 1, 30))) + end


def mails() -> st.SearchStrategy[bytes]:
    """Messages of at most 200,000 octets, some cut short."""
    trees = st.recursive(_leaf(), _branch, max_leaves=8)
    whole = st.builds(lambda head, tree: head + tree, _header(b"text/plain"), trees)
    cut = st.builds(lambda mail, at: mail[:at], whole, st.integers(0, 5_000))
    return (trees | whole | cut).map(lambda mail: mail[:200_000])
