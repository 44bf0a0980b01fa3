"""Linting at intake: each stream's policy, and what a finding becomes.

`off` looks at nothing; `warn` tells findings in the answer and in an event; `refuse` refuses the
message for an error, and warns of the rest.  Our own probes and reports are not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from sender.compliance import Facts, Standing, check
from sender.compliance_findings import ERROR, Finding
from sender.compose import Composed, Draft
from sender.letters import of_draft, of_ready
from sender.ready import Ready


class Policy(StrEnum):
    """What a stream does about findings."""

    OFF = "off"
    WARN = "warn"
    REFUSE = "refuse"


class Linting:
    def __init__(self, facts: Facts, policies: Mapping[str, Policy]) -> None:
        """`policies` by stream; others are warned."""
        self.facts = facts
        self._policies = policies

    def policy(self, stream: str) -> Policy:
        return self._policies.get(stream, Policy.WARN)

    def look(
        self, message: Draft | Ready, composed: Composed, stream: str, class_: str, now: float
    ) -> tuple[Finding, ...]:
        """The findings of a message that intake could compose."""
        if self.policy(stream) is Policy.OFF:
            return ()
        if isinstance(message, Draft):
            letter = of_draft(message, len(composed.content))
        else:
            letter = of_ready(message, composed.from_)
        return check(letter, self.facts, Standing(stream, class_, now))

    def refused(self, stream: str, findings: tuple[Finding, ...]) -> Finding | None:
        """The finding that the message is refused for."""
        if self.policy(stream) is not Policy.REFUSE:
            return None
        return next((one for one in findings if one.severity == ERROR), None)
