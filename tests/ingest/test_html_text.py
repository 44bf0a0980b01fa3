"""A page's text is what a person would read of it."""

from __future__ import annotations

from ingest.html_text import html_to_text


def test_html_is_read_without_tags_styles_and_scripts() -> None:
    page = "<style>p{}</style><p>One&nbsp;&lt;a@b.example&gt;</p><script>x</script><br>two"
    assert html_to_text(page + "<!-- no -->").split() == ["One", "<a@b.example>", "two"]


def test_a_character_number_of_ten_thousand_digits_is_left_alone() -> None:
    assert "&#" in html_to_text("&#" + "9" * 10_000 + ";")
