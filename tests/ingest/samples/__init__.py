"""Bounces in the manner of many systems, one module a family: what each must be read as."""

from __future__ import annotations

from tests.ingest.samples import (
    asia,
    exchange,
    exim,
    fields,
    gateways,
    languages,
    office,
    others,
    postfix,
    prose,
    providers,
    qmail,
    sendmail,
    transcripts,
)
from tests.ingest.samples.table import BOUNCES, OTHERS

__all__ = [
    "BOUNCES",
    "OTHERS",
    "asia",
    "exchange",
    "exim",
    "fields",
    "gateways",
    "languages",
    "office",
    "others",
    "postfix",
    "prose",
    "providers",
    "qmail",
    "sendmail",
    "transcripts",
]
