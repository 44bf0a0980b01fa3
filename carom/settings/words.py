"""The closed words and small texts that several sections of the settings use."""

from __future__ import annotations

import difflib
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from analysis.providers import PROVIDERS
from sender.allowances import parse_rate


class Class(StrEnum):
    """How urgent a message is: chooses schedule, deadline and priority."""

    OTP = "otp"
    TRANSACTIONAL = "transactional"
    BULK = "bulk"


class RelayTls(StrEnum):
    REQUIRED = "required"
    OPPORTUNISTIC = "opportunistic"
    IMPLICIT = "implicit"
    NONE = "none"


def _provider(name: str) -> str:
    if name in PROVIDERS:
        return name
    near = difflib.get_close_matches(name, PROVIDERS, n=1)
    meant = f"; did you mean {near[0]}?" if near else f": one of {', '.join(PROVIDERS)}"
    raise ValueError(f"{name} is no provider that mail exchangers are known of{meant}")


def _rate(text: str) -> str:
    parse_rate(text)
    return text


ProviderName = Annotated[str, AfterValidator(_provider)]
RateText = Annotated[str, AfterValidator(_rate)]
StreamName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
