"""Advice: what to do about a verdict, and when it is tried again, for whom it concerns.

`user` is the person whose mail did not come, `support` is who answers them, `developer` is who
runs the sending.  The texts lie beside this module, one TOML file a language, a table a category.
Every category has every text in every language (a test holds it), so `advise` always answers;
another audience or language than those named is a `ValueError`.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path

from analysis.verdict import Category

AUDIENCES = ("user", "support", "developer")
LANGUAGES = ("en", "zh")


def advise(category: Category, audience: str = "support", lang: str = "en") -> str:
    """One or a few sentences; `audience` of AUDIENCES, `lang` of LANGUAGES."""
    if audience not in AUDIENCES:
        raise ValueError(f"audience {audience!r} is not one of {', '.join(AUDIENCES)}")
    if lang not in LANGUAGES:
        raise ValueError(f"language {lang!r} is not one of {', '.join(LANGUAGES)}")
    return _texts(lang)[category][audience]


@functools.cache
def _texts(lang: str) -> Mapping[str, Mapping[str, str]]:
    text = Path(__file__).with_name(f"{lang}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
