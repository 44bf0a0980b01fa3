"""A rule: one judgement of replies, when it applies and what it concludes.

`analysis.rulefile` reads rules from files; the text is asked by `analysis.rulebook`, for many rules
at once.  What a rule leaves open is what its category usually means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.reply import Reply, Stage
from analysis.verdict import Category, Fault, Severity, Verdict


@dataclass(frozen=True, slots=True)
class Meaning:
    """Whose fault a category usually is, and whether it lasts."""

    fault: Fault
    severity: Severity
    suppress: bool = False


_LASTING = Severity.HARD
_PASSING = Severity.SOFT

USUAL: Mapping[Category, Meaning] = {
    Category.BAD_MAILBOX: Meaning(Fault.RECIPIENT, _LASTING, suppress=True),
    Category.MAILBOX_DISABLED: Meaning(Fault.RECIPIENT, _LASTING, suppress=True),
    Category.MAILBOX_FULL: Meaning(Fault.RECIPIENT, _PASSING),
    Category.BAD_DOMAIN: Meaning(Fault.DOMAIN, _LASTING, suppress=True),
    Category.NETWORK: Meaning(Fault.NETWORK, _PASSING),
    Category.EXPIRED: Meaning(Fault.NETWORK, _PASSING),
    Category.TOO_BIG: Meaning(Fault.MESSAGE, _LASTING),
    Category.SPAM_CONTENT: Meaning(Fault.SENDER, _PASSING),
    Category.VIRUS: Meaning(Fault.MESSAGE, _LASTING),
    Category.REPUTATION: Meaning(Fault.SENDER, _PASSING),
    Category.RATE_LIMIT: Meaning(Fault.SENDER, _PASSING),
    Category.GREYLISTED: Meaning(Fault.RECEIVER, _PASSING),
    Category.POLICY: Meaning(Fault.SENDER, _PASSING),
    Category.AUTHENTICATION: Meaning(Fault.SENDER, _PASSING),
    Category.SENDER_REJECTED: Meaning(Fault.SENDER, _PASSING),
    Category.RELAY_DENIED: Meaning(Fault.RECEIVER, _PASSING),
    Category.TLS_REQUIRED: Meaning(Fault.SENDER, _PASSING),
    Category.PROTOCOL: Meaning(Fault.SENDER, _PASSING),
    Category.SYSTEM: Meaning(Fault.RECEIVER, _PASSING),
    Category.UNKNOWN: Meaning(Fault.UNKNOWN, _PASSING),
}
"""Sender-side blocks are never hard: the mailbox lives and a mend on our side opens it again."""


@dataclass(frozen=True, slots=True)
class Example:
    """A reply that its rule must take, with the verdict's stated parts (None: the rule's own)."""

    reply: Reply
    severity: Severity | None = None
    suppress: bool | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One judgement: when it applies and what it concludes."""

    id: str
    patterns: tuple[str, ...]  # RE2; empty: any text
    codes: tuple[str, ...]  # leading digits of the SMTP code; empty: any or none
    enhanced: tuple[str, ...]  # `5.7.`-like prefixes, class first; empty: any or none
    stages: frozenset[Stage]
    providers: frozenset[str]
    category: Category
    fault: Fault
    severity: Severity
    suppress: bool
    confidence: float
    whatever_code: bool  # hard even on a temporary reply
    examples: tuple[Example, ...]
    last_resort: bool = False

    @property
    def conditional(self) -> bool:
        """Whether anything but the text is asked."""
        return bool(self.codes or self.enhanced or self.stages or self.providers)

    def applies(self, reply: Reply) -> bool:
        """Whether the conditions beside the text hold."""
        if self.codes and not str(reply.code or "").startswith(self.codes):
            return False
        if self.enhanced and not _under(reply.enhanced, self.enhanced):
            return False
        if self.stages and reply.stage not in self.stages:
            return False
        return not self.providers or reply.provider in self.providers

    def verdict(self, reply: Reply, *, lasting: bool, confidence: float) -> Verdict:
        """The conclusion; `lasting` False turns a hard one soft."""
        severity = self.severity
        if severity is _LASTING and not (lasting or self.whatever_code):
            severity = _PASSING
        suppress = self.suppress and severity is _LASTING
        return Verdict(
            self.category, self.fault, severity, suppress, self.id, str(reply), confidence
        )


def _under(status: str | None, prefixes: tuple[str, ...]) -> bool:
    return status is not None and f"{status}.".startswith(prefixes)
