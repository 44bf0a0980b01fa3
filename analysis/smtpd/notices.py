"""The parameters by which a sender asks for notices.  RFC 3461 sections 4.1 to 4.4.

They are checked as that standard writes them, so that a mistake is told where it is made.  What
is done about them is the matter of whoever offers DSN.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from analysis.smtpd.path import CommandError

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+")
_ORIGINAL = re.compile(r"[A-Za-z0-9-]{1,40};([^\x00-\x20=\x7f-\xa0]{1,500})")
_WHEN = frozenset({"SUCCESS", "FAILURE", "DELAY"})
_MOST_ENVID = 100
_MOST_ORCPT = 500


def check_mail(parameters: Mapping[str, str]) -> None:
    """`RET=FULL|HDRS` and `ENVID=xtext`."""
    if "RET" in parameters and parameters["RET"].upper() not in ("FULL", "HDRS"):
        raise CommandError("501 5.5.4 Syntax: RET=FULL or RET=HDRS")
    envid = parameters.get("ENVID")
    if envid is not None and not (len(envid) <= _MOST_ENVID and _XTEXT.fullmatch(envid)):
        raise CommandError(f"501 5.5.4 Syntax: ENVID=xtext, of {_MOST_ENVID} characters at most")


def check_recipient(parameters: Mapping[str, str]) -> None:
    """`NOTIFY=NEVER` or a list of occasions, and `ORCPT=type;xtext`."""
    if "NOTIFY" in parameters and not _is_notify(parameters["NOTIFY"].upper()):
        raise CommandError("501 5.5.4 Syntax: NOTIFY=NEVER or a list of SUCCESS,FAILURE,DELAY")
    if "ORCPT" in parameters and not _is_original(parameters["ORCPT"]):
        raise CommandError("501 5.5.4 Syntax: ORCPT=rfc822;xtext")


def _is_notify(value: str) -> bool:
    asked = value.split(",")
    return value == "NEVER" or (_WHEN.issuperset(asked) and len(set(asked)) == len(asked))


def _is_original(value: str) -> bool:
    match = _ORIGINAL.fullmatch(value)
    if match is None or len(value) > _MOST_ORCPT:
        return False
    # RFC 6533 section 3: an address outside ASCII may stand as it is.
    return not match[1].isascii() or _XTEXT.fullmatch(match[1]) is not None
