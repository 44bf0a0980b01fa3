"""Settings of judgement: what an operator's own rules say."""

from __future__ import annotations

from carom.settings.units import File, Section, key


class Rules(Section):
    file: File | None = key(
        None, "Your own rules, asked before ours; read again when it changes.", "file"
    )
