"""What the pages name exists: files, headings, commands with their options, settings, metrics,
paths of the API."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import pytest

from analysis.lifecycle import State
from carom import setup
from carom.assembly import build
from carom.cli import COMMANDS, GROUPS
from carom.settings import load
from carom.settings.keys import keys_below, variable
from carom.settings.model import Settings
from carom.web import create_app
from tests.docs import pages, reference
from tests.docs.pages import ROOT

PAGES = pages.documents()
each_page = pytest.mark.parametrize("page", PAGES, ids=pages.name_of)

_CALL = re.compile(r"(?:^|[\s`$(;|])(?:[\w./-]*/)?carom (?=[a-z])([^\n`#|&;<>)]*)", re.MULTILINE)
_METRIC = re.compile(r"\bcarom_[a-z]+(?:_[a-z]+)+\b")
_VARIABLE = re.compile(r"\bCAROM_[A-Z]+__[A-Z_]+\b")
_SETTING = re.compile(r"^\[([a-z_]+)((?:\.[a-z_]+)*)\] +([a-z_][a-z_.]*)\b")
_ROUTE = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE) (/v1/[\w/{}.:-]*|/healthz|/readyz|/docs)")
_SAMPLES = ("_bucket", "_sum", "_count", "_total")


@each_page
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = [link for link in pages.links(page) if not _leads_somewhere(page, link)]
    assert broken == []


@each_page
def test_every_command_exists_with_the_options_that_are_shown(page: Path) -> None:
    assert [problem for call in _calls(page) if (problem := _problem_of(call))] == []


@each_page
def test_every_metric_that_is_named_exists(page: Path) -> None:
    known = {metric.name for metric, _ in reference.metrics()}
    known |= {name + end for name in known for end in _SAMPLES}
    text = page.read_text()
    if page.is_relative_to(ROOT / "dashboards"):
        text = ""  # tests/dashboards holds every query to the registry
    assert sorted(set(_METRIC.findall(text)) - known) == []


@each_page
def test_every_setting_that_is_named_exists(page: Path) -> None:
    text = page.read_text()
    known = {variable(place) for place in keys_below(Settings)}
    free = ("CAROM_STREAMS__", "CAROM_PROVIDERS__", "CAROM_SECTION__KEY")
    named = {name for name in _VARIABLE.findall(text) if not name.startswith(free)}
    assert sorted(named - known) == []
    documented = (ROOT / "docs/settings.md").read_text()
    spans = [found.groups() for code in pages.inline_code(page) if (found := _SETTING.match(code))]
    assert [span for span in spans if not _is_setting(span, documented)] == []


@each_page
def test_every_toml_example_is_accepted_as_settings_or_rules(page: Path, tmp_path: Path) -> None:
    """One that begins with `# carom.toml` is loaded; files it names need not exist yet."""
    for example in pages.fences(page):
        if example.language == "toml" and example.code.startswith("# carom.toml"):
            file = tmp_path / "carom.toml"
            file.write_text(example.code)
            load(file, environ={})


@pytest.mark.anyio
async def test_every_path_of_the_api_that_is_named_is_served(tmp_path: Path) -> None:
    config = setup.write(tmp_path / "carom", setup.plan("example.com"), secrets.token_bytes)
    async with await build(load(config, environ={})) as engine:
        served = create_app(engine).openapi()["paths"]
    routes = {(method.upper(), _bare(path)) for path, ops in served.items() for method in ops}
    routes.add(("GET", "/docs"))
    for page in PAGES:
        named = {(method, _bare(path)) for method, path in _ROUTE.findall(page.read_text())}
        assert sorted(named - routes) == [], pages.name_of(page)


def test_the_index_leads_to_every_page() -> None:
    index = ROOT / "docs/README.md"
    led_to = {link.partition("#")[0] for link in pages.links(index)}
    beside = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert beside <= led_to


def test_the_readme_names_the_two_commands_and_stays_short() -> None:
    text = (ROOT / "README.md").read_text()
    assert "make demo" in text
    assert "make test" in text
    assert len(text.splitlines()) < 350


def test_the_states_of_a_delivery_are_those_of_the_table() -> None:
    """`docs/how-it-works.md` lists them in a table of its own."""
    page = (ROOT / "docs/how-it-works.md").read_text()
    assert [state for state in State if f"| {state} |" not in page] == []


def test_every_picture_is_alone_in_its_file_and_says_what_it_shows() -> None:
    """No script, no font and nothing from elsewhere: GitHub and browsers show it alike."""
    for picture in sorted((ROOT / "docs/img").glob("*.svg")):
        text = picture.read_text()
        assert "<title" in text, picture.name
        assert not re.search(r"<script|<foreignObject|href=\"http|@import|url\(http", text)


def _leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return False
    return not anchor or anchor in pages.anchors(target)


def _calls(page: Path) -> list[str]:
    """Each `carom ...` in code, with lines that end in a backslash joined."""
    blocks = [one.code for one in pages.fences(page) if one.language.split()[:1] != ["text"]]
    text = "\n".join([*blocks, *(f"`{code}`" for code in pages.inline_code(page))])
    return [call.strip() for call in _CALL.findall(text.replace("\\\n", " "))]


def _problem_of(call: str) -> str:
    words = call.split()
    path = next((p for p in (" ".join(words[:2]), words[0]) if p in COMMANDS), None)
    if path is None:
        alone = words[0] in GROUPS and len(words) == 1
        return "" if alone else f"no command: carom {call}"
    known = {name for one in reference.options(path) for name in (*one.opts, *one.secondary_opts)}
    given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    unknown = given - known - {"-h", "--help"}
    return f"carom {path} has no {', '.join(sorted(unknown))}" if unknown else ""


def _is_setting(span: tuple[str, ...], documented: str) -> bool:
    section, below, name = span
    part = (
        documented.partition(f"## `[{section}]`")[2]
        or documented.partition(f"## `[{section}.NAME]`")[2]
    )
    part = part.partition("\n## ")[0]
    whole = f"{below}.{name}".lstrip(".")
    tail = whole if f"| `{whole}" in part else name
    return (
        bool(part) and re.search(rf"^\| `{re.escape(tail)}[`.\[]", part, re.MULTILINE) is not None
    )


def _bare(path: str) -> str:
    """A path with its placeholders alike: `{id}` is `{message_id}` and `{address:path}`."""
    return re.sub(r"\{[^}]*\}", "{}", path).rstrip("/").rstrip(".")
