"""Text made from HTML: what a reader of plain text needs, and in linear time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.html_text import text_of
from tests.growth import assert_linear


def test_links_lists_tables_and_images_read_well() -> None:
    html = (
        "<html><head><title>No</title><style>p{}</style></head><body>"
        '<div style="display: none">preheader</div><h1>Order &amp; bill</h1>'
        '<p>See <a href="https://a.example/?x=1&amp;y=2">it</a>, '
        '<a href="https://b.example/">https://b.example</a>.</p>'
        "<ul><li>One<li>Two<ol><li>a</li><li>b</li></ol></ul>"
        "<table><tr><th>Item</th><th>Price</th></tr>"
        "<tr><td><p>Tea</p></td>\n<td><p>3.00</p></td></tr></table>"
        '<img src=x alt="Logo"> a<br>b < c <!-- no --><script>no()</script></body></html>'
    )
    assert text_of(html) == (
        "Order & bill\n\nSee it <https://a.example/?x=1&y=2>, https://b.example.\n\n"
        "- One\n- Two\n  1. a\n  2. b\n\nItem | Price\nTea | 3.00\n\nLogo a\nb < c\n"
    )


@given(st.text(alphabet="ab <>&#/;\"'=!-\n", max_size=200))
def test_any_text_is_read_and_ends_in_a_line_end(html: str) -> None:
    text = text_of(html)
    assert not text or text.endswith("\n")


@given(st.lists(st.text(alphabet="abcdef", min_size=1, max_size=8), max_size=10))
def test_no_word_is_lost(words: list[str]) -> None:
    html = "".join(f"<p>{word}</p>" for word in words)
    assert text_of(html).split() == words


@pytest.mark.parametrize(
    "piece",
    ["<!--", "<a ", '<a b="', "<script>", "<", "<li>", "<ul>", "x<td>", "<a href=http://x>b", "&#"],
)
def test_time_grows_with_length_alone(piece: str) -> None:
    assert_linear(text_of, lambda size: piece * (size // len(piece)), 160_000)
