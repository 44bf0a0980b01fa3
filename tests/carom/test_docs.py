"""What the documents say is so: settings, commands, files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from carom.cli import COMMANDS, GROUPS
from carom.settings.show import as_markdown

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_docs_settings_is_what_the_settings_declare() -> None:
    """Mend: `.venv/bin/carom settings --markdown > docs/settings.md`."""
    assert (ROOT / "docs/settings.md").read_text() == as_markdown()


@pytest.mark.parametrize("line", sorted(set(re.findall(r"bin/carom ([a-z]+(?: [a-z]+)?)", README))))
def test_every_command_that_the_readme_names_exists(line: str) -> None:
    first, _, second = line.partition(" ")
    assert first in COMMANDS or (first in GROUPS and f"{first} {second}" in COMMANDS), line


@pytest.mark.parametrize(
    "target",
    sorted({link.partition("#")[0] for link in re.findall(r"\]\(((?!http)[^)]+)\)", README)}),
)
def test_every_file_that_the_readme_links_to_exists(target: str) -> None:
    assert (ROOT / target).exists()


def test_no_placeholder_is_left_in_the_readme() -> None:
    assert not re.search(r"\b(MEASURED|DEMO_REPORT|TODO)\b", README)


def test_the_changelog_has_something_unreleased_or_released() -> None:
    assert re.search(r"^## \[", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
