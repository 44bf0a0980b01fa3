"""The rules in force: the shipped ones, and before them an operator's own, which may change.

`current` is the rulebook of this moment; whoever judges asks for it anew each time, which costs
nothing.  `look` notices a changed file by its time and size, compiles and lints it, and puts the
new rulebook in place whole: nobody ever sees half of one.  A file that cannot be read, or that the
lint finds fault with, changes nothing: the rules before it stay in force.  `look` touches the disk
and may take a second; it is to be called off the event loop, every few seconds.
"""

from __future__ import annotations

from pathlib import Path

from analysis.reply import Reply
from analysis.rulebook import Rulebook, shipped
from analysis.rulecheck import check
from analysis.rulefile import RuleError, read_rules
from analysis.verdict import Verdict

_Mark = tuple[int, int, int]


def with_own(file: Path) -> Rulebook:
    """The operator's rules before the shipped ones; `RuleError` names what is wrong with them."""
    own = tuple(read_rules(file))
    problems = check(own, shipped().rules)
    if problems:
        more = f" (and {len(problems) - 1} more; see `carom rules check`)" if problems[1:] else ""
        raise RuleError(f"{file}: {problems[0]}{more}")
    return Rulebook((*own, *shipped().rules))


class RulebookSource:
    """Raises `RuleError` at its making where the file cannot be used: there is nothing to keep."""

    def __init__(self, file: Path | None = None) -> None:
        self.file = file
        self._mark = _mark(file)
        self.current = shipped() if file is None else with_own(file)
        self.trouble = ""  # why the file as it is now is not in force

    def classify(self, reply: Reply) -> Verdict:
        """What the reply means by the rules of this moment."""
        return self.current.classify(reply)

    def look(self) -> bool:
        """Take a changed file into force; whether it was.

        Raises `RuleError`, once for each change, where it cannot be used; the rules then stay.
        """
        mark = _mark(self.file)
        if self.file is None or mark == self._mark:
            return False
        self._mark = mark
        try:
            self.current = with_own(self.file)
        except RuleError as error:
            self.trouble = str(error)
            raise
        self.trouble = ""
        return True


def _mark(file: Path | None) -> _Mark | None:
    """What tells one state of the file from another; None where there is none."""
    if file is None:
        return None
    try:
        found = file.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
