"""Notices of software older than any standard, in the wordings that flufl.bounce collected."""

from __future__ import annotations

from ingest import addresses
from ingest.finding import Finding
from ingest.flufl import ask
from ingest.notice import Notice


def read(notice: Notice) -> list[Finding]:
    headers = notice.mail.headers
    delayed, failed = ask(headers.get("from"), headers.word("subject"), notice.text)
    actions = {**dict.fromkeys(delayed, "delayed"), **dict.fromkeys(failed, "failed")}
    return [
        Finding(address, action=action)
        for text, action in actions.items()
        if (address := addresses.first(text)) and not notice.is_boilerplate(address)
    ]
