"""Sound mail of every kind that the reader knows, self-made: what the mutator starts from."""

from __future__ import annotations

import json
import re

from carom.bench.mail import REPLIES, letters
from carom.demo.letters import bounce, complaint, out_of_office
from tests.ingest import aggregate_files as files
from tests.ingest.letters import LETTER, feedback, group, letter, notice, report

_TOKEN = "b+0123456789abcdefghjkmnpqrstvwxyz0123456789abcdef"
_OF_THE_HOUR = re.compile(rb"(?m)^(Date:|Message-ID:)[^\r\n]*(?:2\d{3}|providers)[^\r\n]*")


def herd() -> list[bytes]:
    """About sixty messages, always the same."""
    mails = [*letters(10), *_reports(), *_notices(), *_others(), *_aggregates()]
    return [_OF_THE_HOUR.sub(rb"\1 <1@mx.providers.example>", mail) for mail in mails]


def _aggregates() -> list[bytes]:
    """Plain ones too: what the mutator does inside a packed file only breaks the packing."""
    xml = files.dmarc_xml(files.dmarc_report(files.dmarc_row(), files.stranger()), files.NEW)
    json_ = files.tls_json(files.tls_report())
    return [
        files.mail(files.packed(xml, "gzip")),
        files.mail(files.packed(xml, "zip"), kind="application/zip", multipart=""),
        files.tls_mail(files.packed(json_, "gzip")),
        files.plain_mail(xml, "text/xml"),
        files.plain_mail(json_, "application/tlsrpt+json"),
    ]


def _reports() -> list[bytes]:
    failed = group(
        final_recipient="rfc822; ann@example.net",
        original_recipient="rfc822; ann+tag@example.net",
        action="failed",
        status="5.1.1 (no such user)",
        remote_mta="dns; mx.example.net",
        diagnostic_code="smtp; 550 5.1.1 <ann@example.net>: user unknown\n in virtual table",
    )
    late = group(final_recipient="rfc822; bob@example.net", action="delayed", status="4.4.7")
    fine = group(
        final_recipient="utf-8; 用户\\x{41}@例子.example", action="relayed", status="2.0.0"
    )
    full = group(
        original_recipient="rfc822;carl+3D1@example.net",
        action="failed",
        status="552 mailbox full",
        x_supplementary_info="<mx.example.net #5.2.2 smtp;552 over quota>",
    )
    return [
        report(failed),
        report(failed, late, fine, full),
        report(failed, full, blank="\n\n\n\n", subject="=?utf-8?b?6YCA5L+h?="),
        report(failed, encoding="base64", returned=LETTER.replace("letter.1", _TOKEN)),
        report(fine, kind="message/global-delivery-status"),
        report(late, subject="Delayed Mail (still being retried)"),
        *(report(group(final_recipient="rfc822;a@b.example", diagnostic_code=f"smtp; {words}"))
          for words in REPLIES),
    ]  # fmt: skip


def _notices() -> list[bytes]:
    quoted = "\n".join(f"> {line}" for line in LETTER.split("\r\n"))
    return [
        notice(
            "This message was created automatically by mail delivery software.\n\n"
            "A message could not be delivered to one or more of its recipients:\n\n"
            "  ann@example.net\n    SMTP error from remote mail server after RCPT TO:\n"
            "    host mx.example.net [192.0.2.1]: 550 5.1.1 no such user here\n\n"
            f"------ This is a copy of the message, including all the headers. ------\n\n{LETTER}",
            more=["X-Failed-Recipients: ann@example.net, bob@example.net"],
        ),
        notice(
            "The following addresses had permanent fatal errors\n<ann@example.net>\n"
            "    (reason: 552 mailbox is full)\n\n   ----- Transcript of session follows -----\n"
            "... while talking to mx.example.net.:\n>>> RCPT TO:<ann@example.net>\n"
            "<<< 552 5.2.2 over quota\n554 5.0.0 Service unavailable\n"
        ),
        notice("Recipient: <ann@example.net>\nReason: mailbox disabled\n\n" + quoted),
        notice("很抱歉，您的邮件无法送达。\n收件人：ann@example.net\n原因：邮箱已满，空间不足\n"),
        notice("宛先 ann@example.net への配信に失敗しました。存在しません。\n"),
        notice("Не удалось доставить: <ann@example.net>: почтовый ящик не существует\n"),
        notice("Ihre Nachricht konnte nicht zugestellt werden:\n  ann@example.net\n"),
        notice("Warning: not yet been delivered to ann@example.net, will keep trying.\n"),
        letter(
            [
                "From: <postmaster@mx.example.org>",
                "Subject: Undeliverable: =?gb2312?B?1vfM4g==?=",
                "Content-Type: text/html; charset=gb2312",
                "Content-Transfer-Encoding: quoted-printable",
            ],
            "<html><style>p {}</style><body>Delivery to <b>ann&#64;example.net</b> failed=\n"
            "<br>550 user unknown <a href=3D'mailto:help@example.org'>help</a></body></html>",
        ),
    ]


def _others() -> list[bytes]:
    original = LETTER.encode()
    event = {
        "notificationType": "Bounce",
        "bounce": {
            "bounceType": "Permanent",
            "bouncedRecipients": [
                {
                    "emailAddress": "ann@example.net",
                    "status": "5.1.1",
                    "diagnosticCode": "smtp; 550 no",
                }
            ],
        },
    }
    return [
        feedback("Feedback-Type: abuse\nVersion: 1\nOriginal-Rcpt-To: <a@b.example>"),
        feedback("Feedback-Type: not-spam\nSource-IP: 192.0.2.1", encoding="base64", top="mixed"),
        bounce("b@bounces.example", "ann@example.net", original, "5.2.2", "552 5.2.2 full"),
        complaint("fbl@bounces.example", "ann@example.net", original),
        out_of_office("b@bounces.example", "ann@example.net"),
        letter(["From: <ann@example.net>", "Subject: unsubscribe"], ""),
        letter(["From: <ann@example.net>", "Subject: Re: hello"], f"Thanks! wrote:\n{LETTER}"),
        letter(
            ["From: <ann@example.net>", "Subject: Please confirm your message",
             "Auto-Submitted: auto-replied"],
            "Click this link to verify that you are a person: https://example.net/x",
        ),
        letter(["From: sns@example.com", "x-amz-sns-message-id: 1"],
               json.dumps({"Type": "Notification", "Message": json.dumps(event)})),
        letter(
            ["From: r@example.net", "Subject: Report Domain: example.com Submitter: example.net",
             "Content-Type: application/zip; name=\"a.net!example.com!1700000000!1700086400.zip\"",
             "Content-Transfer-Encoding: base64"],
            "UEsDBBQAAAAI",
        ),
        letter(
            ["From: <fml-admin@example.net>", "Subject: refused", "X-MLServer: fml [fml 4.0]"],
            "You are not a member of <list@example.net>.",
        ),
    ]  # fmt: skip
