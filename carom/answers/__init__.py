"""What each call of the HTTP API answers, as models of the OpenAPI document.

The answers themselves are made where the knowledge is, as plain dictionaries; here stands what a
client may rely on, call by call (`ANSWERS`), with every problem that may come instead
(`problems_of`).  Nothing is checked at run time: tests hold every answer that the test suite ever
gets, and those that schemathesis provokes, against these models, closed.
"""

from __future__ import annotations

from carom.answers.problems import Problem, problems_of
from carom.answers.shapes import Shape
from carom.answers.table import ANSWERS, MEDIA

__all__ = ["ANSWERS", "MEDIA", "Problem", "Shape", "problems_of"]
