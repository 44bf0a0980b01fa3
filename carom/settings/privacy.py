"""Settings of what is left of a person who was erased."""

from __future__ import annotations

from pydantic import SecretStr, model_validator

from carom.settings.units import File, Section, key


class PrivacyKey(Section):
    file: File | None = key(None, "Base64 of at least 32 random octets.", "file")
    secret: SecretStr | None = key(None, "The same, in place of a file.", "base64")

    @model_validator(mode="after")
    def _one_source(self) -> PrivacyKey:
        if (self.file is None) == (self.secret is None):
            raise ValueError("expected either file or secret")
        return self


class Privacy(Section):
    keys: list[PrivacyKey] = key(
        [],
        "Erased addresses are known by these: new ones by the first, all are looked for.  Never"
        " take one away, or whom it protects is written to again.  None: made from [tokens] keys.",
    )
