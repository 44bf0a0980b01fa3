"""Delivery-status fields in every shape."""

# ruff: noqa: E501  (a sample stands as it is sent)

from __future__ import annotations

from tests.ingest.letters import group, letter, report
from tests.ingest.samples.table import sample

sample(
    "two-groups-two-causes",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.1.1",
            diagnostic_code="smtp; 550 5.1.1 no such user",
        ),
        group(
            final_recipient="rfc822; kim@example.net",
            action="failed",
            status="5.7.1",
            diagnostic_code="smtp; 554 5.7.1 refused: bad reputation of 192.0.2.1",
        ),
    ),
    jo="bad_mailbox",
    kim="reputation",
)

sample(
    "two-groups-one-delivered",
    report(
        group(final_recipient="rfc822; ok@example.net", action="delivered", status="2.0.0"),
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.4.4",
            diagnostic_code="X-Postfix; Host or domain name not found. Name service error for name=example.net type=AAAA: Host not found",
        ),
    ),
    jo="bad_domain",
)

sample(
    "global",
    report(
        group(
            final_recipient="utf-8; jo@example.net",
            action="failed",
            status="5.1.1",
            diagnostic_code="smtp; 550 5.1.1 no such mailbox",
        ),
        kind="message/global-delivery-status",
    ),
    jo="bad_mailbox",
)

sample(
    "b64-status",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.7.1",
            diagnostic_code="smtp; 550 5.7.1 your IP 192.0.2.1 is listed at bl.example.org",
        ),
        encoding="base64",
    ),
    jo="reputation",
)

sample(
    "original-only",
    report(
        group(
            original_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.2.2",
            diagnostic_code="smtp; 552 over quota",
        )
    ),
    jo="mailbox_full",
)

sample(
    "spaces-before-colon",
    report(
        "Final-Recipient : rfc822 ; jo@example.net\nAction : failed\nStatus : 5.1.1 (bad destination)\nDiagnostic-Code : smtp ; 550 unknown user"
    ),
    jo="bad_mailbox",
)

sample(
    "three-mixed",
    report(
        group(
            final_recipient="rfc822; a@example.net",
            action="failed",
            status="5.1.1",
            diagnostic_code="smtp; 550 5.1.1 unknown",
        ),
        group(
            final_recipient="rfc822; b@example.net",
            action="delayed",
            status="4.4.1",
            diagnostic_code="smtp; connection refused",
        ),
        group(final_recipient="rfc822; c@example.net", action="relayed", status="2.1.5"),
    ),
    a="bad_mailbox",
    b="network",
)

sample(
    "final-folded",
    report(
        "Final-Recipient: rfc822;\n jo@example.net\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp;\n 550 5.1.1 no\n such user"
    ),
    jo="bad_mailbox",
)

sample(
    "final-route",
    report(
        group(
            final_recipient="RFC822; @relay.example.org:jo@example.net",
            action="failed",
            status="5.0.0",
            diagnostic_code="smtp; 552 quota full",
        )
    ),
    jo="mailbox_full",
)

sample(
    "final-local-type",
    report(
        group(
            final_recipient="LOCAL; <jo@example.net>",
            action="failed",
            status="5.1.1 (unknown)",
            diagnostic_code="X-local; unknown user",
        )
    ),
    jo="bad_mailbox",
)

sample(
    "final-name",
    report(
        group(
            final_recipient='rfc822; "Jo Doe" <jo@example.net>',
            action="failed",
            status="5.7.1",
            diagnostic_code="smtp;550 5.7.1 rejected by DMARC policy",
        )
    ),
    jo="authentication",
)

sample(
    "x-actual",
    report(
        "Final-Recipient: rfc822; jo@example.net\nX-Actual-Recipient: rfc822; joe@inner.example.org\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 unknown"
    ),
    jo="bad_mailbox",
)

sample(
    "uppercase-fields",
    report(
        "FINAL-RECIPIENT: RFC822;jo@example.net\nACTION: FAILED\nSTATUS: 5.2.2\nDIAGNOSTIC-CODE: SMTP;552 MAILBOX FULL"
    ),
    jo="mailbox_full",
)

sample(
    "status-as-textplain",
    letter(
        [
            "From: MAILER-DAEMON@mx.example.org",
            "To: news@example.com",
            "Subject: Returned mail",
            "Content-Type: multipart/mixed; boundary=zz",
            "MIME-Version: 1.0",
        ],
        "--zz\nContent-Type: text/plain\n\nYour mail came back.\n--zz\nContent-Type: text/plain; name=status.txt\n\nReporting-MTA: dns; mx.example.org\n\nFinal-Recipient: rfc822; jo@example.net\nAction: failed\nStatus: 5.4.7\nDiagnostic-Code: smtp; 4.4.7 delivery time expired\n--zz--",
    ),
    jo="expired",
)
