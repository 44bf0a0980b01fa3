"""The sandbox: what templates can do, and forty things that they cannot."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.sandbox import Missing, TemplateFault, render

DATA: dict[str, Any] = {
    "user": {"name": "<Ann>", "tags": ["a", "b"], "keys": "own"},
    "rows": [{"p": 2.5}, {"p": 3}],
    "n": 5,
    "nothing": None,
    "long": "x" * 100_000,
}
LOOKS = 5_000
"""At the clock: a template that looks oftener has been at it for too long."""


def made(source: str, *, html: bool = False, data: Any = None) -> str:
    return render(
        source,
        DATA if data is None else data,
        html=html,
        until=LOOKS,
        most=1_000_000,
        monotonic=count().__next__,
    )


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ user.name }} {{ n + 1 }}", "<Ann> 6"),
        ("{% for r in rows %}{{ loop.index }}:{{ r.p|number(2) }} {% endfor %}", "1:2.50 2:3.00 "),
        ("{{ user.tags|join(', ') }} {{ rows|sum(attribute='p') }}", "a, b 5.5"),
        ("{% for k, v in user.items() if k == 'name' %}{{ k ~ v }}{% endfor %}", "name<Ann>"),
        ("{{ nope|default('x') }}{{ user.nope is defined }}{{ nothing }}", "xfalse"),
        ("{% set a = 2 %}{% if a > 1 and n %}{{ 'yes'|upper }}{% else %}no{% endif %}", "YES"),
        ("{{ 1234567.5|number(1, '.', ',') }} {{ user.keys }}", "1.234.567,5 own"),
        ("{{ ['b', 'a']|sort|join('-') }} {{ 'abc'[:2] }} {{ user['name'][1] }}", "a-b ab A"),
    ],
)
def test_what_messages_need_works(source: str, text: str) -> None:
    assert made(source) == text


def test_html_escapes_every_value() -> None:
    assert made("{{ user.name }}{{ user.name ~ '&' }}", html=True) == "&lt;Ann&gt;&lt;Ann&gt;&amp;"
    joined = made("{{ [user.name, 1]|join('<') }}{{ 'a\nb<'|nl2br }}", html=True)
    assert joined == "&lt;Ann&gt;&lt;1a<br>\nb&lt;"
    assert made("{{ user.name|upper|e }}", html=True) == "&lt;ANN&gt;"


HOSTILE = [
    "{{ ().__class__.__bases__[0].__subclasses__() }}",
    "{{ user.__class__.__mro__ }}",
    "{{ ''['__class__'] }}",
    "{{ user|join(attribute='__class__') }}",
    "{{ rows|map(attribute='__init__')|list }}",
    "{{ user.items.__func__ }}",
    "{{ range.__self__ }}",
    "{{ self }}",
    "{{ self._TemplateReference__context }}",
    "{% for i in rows %}{{ loop.__class__ }}{% endfor %}",
    "{% for i in rows %}{{ loop(rows) }}{% endfor %}",
    "{% for i in rows recursive %}{{ loop(rows) }}{% endfor %}",
    "{{ 'x' * 1000000000 }}",
    "{{ 10 ** 1000000000 }}",
    "{{ [1] * 1000000000 }}",
    "{% set x = 9 %}" + "{% set x = x * x %}" * 60,
    "{% set x = 'a' %}" + "{% set x = x ~ x %}" * 60,
    "{% set x = 'a' %}" + "{% set x = x + x %}" * 60,
    "{% set x = [1] %}" + "{% set x = [x, x] %}" * 60 + "{{ x }}",
    "{% set x = (1,) %}" + "{% set x = (x, x) %}" * 60 + "{{ {x: 1} }}",
    "{% set x = {'a': 1} %}" + "{% set x = {'a': x, 'b': x} %}" * 60 + "{{ x == x }}",
    "{{ range(1000000000)|list }}",
    "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    "{% for a in range(9999) %}{% for b in range(9999) %}xxxxxxxxxx{% endfor %}{% endfor %}",
    "{% for a in range(9999) %}{% set y = long|upper %}{% endfor %}",
    "{{ long|replace('', long) }}",
    "{{ long|join(long) }}",
    "{{ '%1000000000d'|format(1) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '{:>1000000000}'.format(1) }}",
    "{{ 'x'|center(1000000000) }}",
    "{{ 1.5|round(999999999) }}",
    "{{ 1|number(999999999) }}",
    "{{ 'a'.ljust(1000000000) }}",
    "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "{% include 'other' %}",
    "{% extends 'other' %}",
    "{% import 'os' as os %}",
    "{% autoescape false %}{{ user.name }}{% endautoescape %}",
    "{{ user.name|safe }}",
    "{{ lipsum(100000) }}",
    "{{ cycler('a').__init__.__globals__ }}",
    "{% set ns = namespace() %}",
    "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
    "{{ " + "-" * 5_000 + "1 }}",
    "{{ 1" + " + 1" * 15_000 + " }}",
    "{{ " + "9" * 100_000 + " }}",
    "{% if n %}" * 300 + "{% endif %}" * 300,
    "{{ 1 / 0 }}",
    "{{ n() }}",
    "{{ user }}",
    "{{" * 50_000,
    "{#" * 50_000,
    "{% raw %}" * 20_000,
    "x" * 200_001,
]


@pytest.mark.parametrize("source", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_template_is_refused(source: str) -> None:
    """By a rule or a size, or at the clock: what never looked at it would end with a text."""
    with pytest.raises((TemplateFault, Missing)):
        made(source, html=True)


@pytest.mark.parametrize(
    ("data", "name"),
    [({}, "user"), ({"user": {}}, "name"), ({"user": {"name": None}}, None)],
)
def test_what_is_missing_is_told_and_null_is_not_missing(data: Any, name: str | None) -> None:
    if name is None:
        assert made("{{ user.name }}", data=data) == ""
        return
    with pytest.raises(Missing) as told:
        made("{{ user.name }}", data=data)
    assert told.value.name == name


@given(st.text(alphabet="{}%# abnif.|'()[]-+*/~1\n", max_size=80))
def test_any_source_renders_or_is_refused(source: str) -> None:
    try:
        made(source)
    except (TemplateFault, Missing):
        return
