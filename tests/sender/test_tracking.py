"""Tracking: nothing changes but the targets of links, and twice is once."""

from __future__ import annotations

from html import escape

from hypothesis import given
from hypothesis import strategies as st

from sender.html_tokens import Kind, tokens
from sender.tracking import with_links, with_picture

BASE = "https://m.example"


def through(target: str) -> str:
    return f"{BASE}/c/{len(target)}"


_pieces = st.sampled_from([
    "<p>", "</p>", "<a href=https://x.example>", '<a class="b" href="http://y.example/?a=1&amp;b">',
    "<a HREF='https://z.example/ü' >", "<a href=#top>", "<a href=mailto:a@b.example>", "</a>",
    "text",
    "<!-- <a href=https://no.example> -->", "<style>a{}</style>", "<a", "<a href=", '"', "'", ">",
    "<a href=\"https://u.example", "<area href=http://q.example/>", "</body>", "<img src=x>", " ",
    '<a data-carom-track="off" href="https://off.example">', f'<a href="{BASE}/u/t">', "&lt;", "\n",
])  # fmt: skip
_html = st.one_of(st.lists(_pieces, max_size=30).map("".join), st.text(max_size=200))


@given(_html)
def test_the_pieces_of_html_are_gapless(html: str) -> None:
    found = list(tokens(html))
    assert "".join(html[one.start : one.end] for one in found) == html
    for one in found:
        for attribute in one.attributes:
            assert one.start < attribute.start <= attribute.end <= one.end


def _stripped(html: str) -> list[object]:
    """Everything but the targets of links."""
    return [
        (one.kind, one.tag, [(a.name, a.name == "href" or a.value) for a in one.attributes])
        if one.kind is Kind.OPEN
        else html[one.start : one.end]
        for one in tokens(html)
    ]


@given(_html)
def test_nothing_but_targets_changes_and_twice_is_once(html: str) -> None:
    once = with_links(html, BASE, through)
    assert _stripped(once) == _stripped(html)
    assert with_links(once, BASE, through) == once


@given(_html)
def test_the_picture_is_put_once_and_takes_nothing_out(html: str) -> None:
    once = with_picture(html, BASE, "t")
    picture = f'<img src="{BASE}/o/t.gif" width="1" height="1" alt="">'
    assert once.replace(picture, "", 1) == html or f'"{BASE}/o/' in html
    assert with_picture(once, BASE, "t") == once


def test_a_target_is_passed_on_as_a_browser_would_read_it() -> None:
    seen: list[str] = []
    with_links(
        '<a href=" https://x.example/?a=1&amp;b=&quot; ">x</a>', BASE, lambda t: seen.append(t) or t
    )
    assert seen == ['https://x.example/?a=1&b="']
    assert with_links("<a href=http://x.example>", BASE, lambda _: 'a"b') == (
        f'<a href="{escape("a" + chr(34) + "b")}">'
    )
