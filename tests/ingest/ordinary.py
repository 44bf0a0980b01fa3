"""Ordinary mail that talks about delivery, quotas and failures: none of it is a bounce.

Name -> raw message, in our own words.
"""

# ruff: noqa: E501  (a sample stands as it is sent)

from __future__ import annotations

from collections.abc import Iterable

from tests.ingest.letters import LETTER, letter

ORDINARY: dict[str, bytes] = {}

BOUNCE_TEXT = """This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  jo@example.net
    SMTP error from remote mail server after RCPT TO:<jo@example.net>:
    550 5.1.1 User unknown"""


def _mail(name: str, sender: str, subject: str, body: str, *more: str) -> None:
    ORDINARY[name] = letter(
        [f"From: {sender}", "To: news@example.com", f"Subject: {subject}", *more], body
    )


def _each(rows: Iterable[tuple[str, str, str, str, tuple[str, ...]]]) -> None:
    for name, sender, subject, body, more in rows:
        _mail(name, sender, subject, body, *more)


AUTO = "Auto-Submitted: auto-replied"
MADE = "Auto-Submitted: auto-generated"
NULL = "Return-Path: <>"

_each(
    [
        (
            "question-about-bounce",
            "Kim Lee <kim@example.org>",
            "Mail to Jo does not arrive",
            f"Hi team,\n\nany idea why this comes back?\n\n{BOUNCE_TEXT}\n\nKim",
            (),
        ),
        (
            "question-outlook",
            "Kim Lee <kim@example.org>",
            "Undeliverable: Offer 4711",
            f"Hello,\n\nplease have a look at the notice below, it happens every day.\n\n{BOUNCE_TEXT}\n",
            ("Thread-Topic: Undeliverable: Offer 4711", "Thread-Index: AdXY", "X-MS-Has-Attach:"),
        ),
        (
            "forwarded",
            "Kim Lee <kim@example.org>",
            "Fwd: Mail delivery failed: returning message to sender",
            f"FYI\n\n{BOUNCE_TEXT}\n\n{LETTER}",
            ("X-Mailer: Apple Mail (2.1)",),
        ),
        (
            "forwarded-german",
            "Kim Lee <kim@example.de>",
            "WG: Unzustellbar: Angebot",
            f"Kannst du das prüfen?\n\n{BOUNCE_TEXT}",
            ("Thread-Topic: x",),
        ),
        (
            "forwarded-chinese",
            "王小明 <wang@example.cn>",
            "转发: 系统退信",
            f"请帮忙看一下，谢谢。\n\n{BOUNCE_TEXT}",
            ("X-Mailer: Foxmail 7",),
        ),
        (
            "reply-to-bounce",
            "Jo <jo@example.net>",
            "Re: Delivery Status Notification (Failure)",
            f"Works again now, thanks.\n\n> {BOUNCE_TEXT}",
            ("In-Reply-To: <a@b>", "References: <a@b>"),
        ),
        (
            "ticket-opened",
            "Support <support@desk.example.org>",
            "[#1234] Delivery failed to jo@example.net",
            "Your request was received.\n\nDescription: mail to jo@example.net could not be delivered, 550 5.1.1 user unknown.\nWe will answer within one day.",
            (MADE,),
        ),
        (
            "ticket-answer",
            "Support <support@desk.example.org>",
            "[#1234] Update: message not delivered",
            "Hello,\n\nwe looked into it. The address jo@example.net does not exist: 550 5.1.1 unknown user. Please ask your contact for the new address.\n\nBest regards\nThe desk",
            (MADE,),
        ),
        (
            "newsletter",
            "Deliverability Weekly <hello@letters.example.org>",
            "What does 550 5.7.1 mean?",
            "This week: why messages bounce.\n\n550 5.1.1 user unknown: the mailbox does not exist.\n552 5.2.2 mailbox full: try later.\n\nUnsubscribe: https://letters.example.org/u/1",
            (
                "List-Unsubscribe: <https://letters.example.org/u/1>",
                "List-Id: <w.letters.example.org>",
                "Precedence: bulk",
            ),
        ),
        (
            "failed-payment",
            "Billing <billing@shop.example.org>",
            "Your payment failed",
            "We could not process the payment for jo@example.net. The card was rejected by the bank (error 550). Please update your card.",
            (MADE,),
        ),
        (
            "failed-parcel",
            "Parcel Service <no-reply@parcel.example.org>",
            "Delivery failed: parcel 99-1",
            "Your parcel could not be delivered: the recipient address was not found. Contact jo@example.net or visit the depot.",
            (MADE,),
        ),
        (
            "parcel-returned",
            "Delivery Team <delivery@parcel.example.org>",
            "Undeliverable parcel returned to sender",
            "The parcel you sent could not be delivered to the recipient.\n\nRecipient: Jo, jo@example.net\nReason: address unknown\n\nIt is returned to you.",
            (MADE,),
        ),
        (
            "quota-warning",
            "Mail Team <no-reply@mail.example.org>",
            "Your mailbox is almost full",
            "The mailbox news@example.com has used 95 % of its quota. When it is full, mail will be rejected with 552 5.2.2 mailbox full.",
            (MADE,),
        ),
        (
            "quota-warning-system",
            "System Administrator <admin@mail.example.org>",
            "Mailbox quota warning",
            "Your mailbox has exceeded the warning limit. You may not be able to send or receive new mail until you reduce its size.\n\nnews@example.com: 980 MB of 1 GB",
            (MADE,),
        ),
        (
            "calendar",
            "Calendar <calendar@cal.example.org>",
            "Invitation: Review of the bounce handling",
            "You are invited.\n\nWhen: Monday 10:00\nGuests: jo@example.net, kim@example.net\n\nAgenda: why 5 % of mail is not delivered; rejected recipients",
            (MADE,),
        ),
        (
            "calendar-declined",
            "Jo <jo@example.net>",
            "Declined: Review",
            "Jo (jo@example.net) has declined this invitation.",
            ("Content-Class: urn:content-classes:calendarmessage",),
        ),
        (
            "list-moderation",
            "list-owner@lists.example.org",
            "Your message to staff awaits moderator approval",
            "Your mail to 'staff@lists.example.org' with the subject\n\n    Hello\n\nIs being held until the list moderator can review it for approval.\n\nThe reason it is being held:\n\n    Post by non-member to a members-only list",
            (
                "Precedence: bulk",
                MADE,
                "X-BeenThere: staff@lists.example.org",
                "List-Id: <staff.lists.example.org>",
            ),
        ),
        (
            "list-bounce-disabled",
            "staff-request@lists.example.org",
            "Your subscription has been disabled",
            "Mail to your address news@example.com has bounced too often, so your subscription to staff was disabled. The last bounce was dated 6 May.\n\nTo enable it again visit https://lists.example.org/",
            ("Precedence: bulk", "List-Id: <staff.lists.example.org>"),
        ),
        (
            "list-unsubscribe-notice",
            "mailman@lists.example.org",
            "Bounce action notification",
            "This is a Mailman mailing list bounce action notice:\n\n    List:       staff\n    Member:     jo@example.net\n    Action:     Subscription disabled.\n    Reason:     Excessive or fatal bounces.",
            ("X-List-Administrivia: yes", "Precedence: list"),
        ),
        (
            "cron",
            "Cron Daemon <root@host.example.org>",
            "Cron <root@host> /usr/local/bin/mailstats",
            "mailq: 3 messages\n550 5.1.1 <jo@example.net>: user unknown: 12\n452 4.2.2 mailbox full: 3",
            (MADE, "X-Cron-Env: <SHELL=/bin/sh>"),
        ),
        (
            "logwatch",
            "logwatch@host.example.org",
            "Logwatch for host (Linux)",
            " --------------------- Postfix Begin ------------------------\n   3  Rejected\n      2  550 5.1.1 <jo@example.net>: Recipient address rejected: User unknown\n ---------------------- Postfix End -------------------------",
            ("Precedence: bulk", MADE),
        ),
        (
            "monitor",
            "Nagios <nagios@host.example.org>",
            "** PROBLEM Service Alert: mx/SMTP is CRITICAL **",
            "Service: SMTP\nState: CRITICAL\nInfo: Connection timed out, mail cannot be delivered to mx.example.net (postmaster@example.net)",
            (MADE,),
        ),
        (
            "vacation",
            "Jo <jo@example.net>",
            "Out of office: Your invoice",
            "I am away until Monday. In urgent cases write to kim@example.net.",
            (AUTO, NULL),
        ),
        (
            "vacation-quotes-error",
            "Jo <jo@example.net>",
            "Automatic reply: Mail delivery failed",
            "I am out of the office. Your message said:\n\n> 550 5.1.1 <lee@example.net>: user unknown",
            (AUTO, NULL),
        ),
        (
            "vacation-left",
            "Jo <jo@example.net>",
            "Automatic reply: Your invoice",
            "Jo no longer works at this company. Your message was not forwarded. Please write to kim@example.net instead.",
            (AUTO, NULL),
        ),
        (
            "vacation-japanese",
            "Jo <jo@example.net>",
            "自動返信: ご請求書",
            "ただいま不在にしております。メールは届いていません等のお問い合わせは kim@example.net まで。",
            (AUTO,),
        ),
        (
            "autoreply-mailbox-unwatched",
            "No Reply <no-reply@shop.example.org>",
            "Re: Your invoice",
            "This mailbox is not monitored. Your message was not read. Write to support@shop.example.org.",
            (AUTO, "Precedence: auto_reply"),
        ),
        (
            "autoreply-ticket-null",
            "Helpdesk <helpdesk@desk.example.org>",
            "Ticket 77 received",
            "Thank you. We received your report about 'recipient jo@example.net rejected'. An agent will answer.",
            (AUTO, NULL),
        ),
        (
            "challenge",
            "Jo <jo@example.net>",
            "Please confirm your message",
            "Your message was held. Click the link below to verify that you are a person: https://c.example.net/1\n\nIt is protected by a spam filter.",
            (AUTO, NULL),
        ),
        (
            "spam-digest",
            "Quarantine <quarantine@filter.example.org>",
            "Spam digest: 3 messages were blocked",
            "The following messages were quarantined:\n\n  From: win@example.net   Subject: You won\n  From: jo@example.net    Subject: Invoice\n\nRelease them here.",
            (MADE,),
        ),
        (
            "spam-report-copy",
            "Filter <filter@filter.example.org>",
            "Blocked message report",
            "3 messages to news@example.com were rejected today. Top sender: jo@example.net (spam).",
            (MADE,),
        ),
        (
            "welcome-verify",
            "Shop <no-reply@shop.example.org>",
            "Verify your address",
            "Please verify news@example.com. If you do not, mail to this address will be refused.",
            (MADE,),
        ),
        (
            "security-alert",
            "Security <no-reply@accounts.example.org>",
            "Sign-in blocked",
            "A sign-in to your account jo@example.net was blocked. User unknown device. Check activity.",
            (MADE,),
        ),
        (
            "deploy-mail",
            "CI <ci@build.example.org>",
            "Build failed: bounce-parser #12",
            "FAILED tests/test_bounce.py: expected jo@example.net to be failed (550 5.1.1 user unknown), got nothing",
            (MADE,),
        ),
        (
            "commit-mail",
            "git@code.example.org",
            "[carom] Read 'could not be delivered' notices (#44)",
            "+    '550 5.1.1 <jo@example.net>: user unknown',\n-    '550 no such user',\n",
            ("List-Id: <carom.code.example.org>", "X-Mailer: git"),
        ),
        (
            "issue-mail",
            "Kim Lee <notifications@code.example.org>",
            "[carom] Bounce from jo@example.net not recognised (Issue #45)",
            f"Kim Lee wrote:\n\nThe following is not read:\n\n```\n{BOUNCE_TEXT}\n```\n\n--\nReply to this email directly.",
            ("List-Id: <carom.code.example.org>", "Precedence: list"),
        ),
        (
            "tls-report",
            "noreply-smtp-tls-reporting@example.net",
            "Report Domain: example.com Submitter: example.net Report-ID: <1>",
            "This is an aggregate TLS report from example.net. Failures: 3 sessions failed, certificate expired.",
            (MADE, "TLS-Report-Domain: example.com"),
        ),
        (
            "dmarc-report-text",
            "dmarcreport@example.net",
            "Report Domain: example.com Submitter: example.net Report-ID: 5",
            "This is a DMARC aggregate report for example.com. 3 messages were rejected.",
            (MADE,),
        ),
        (
            "delivery-note",
            "Warehouse <noreply@store.example.org>",
            "Delivery note 12",
            "Delivered to: Jo\nRecipient: jo@example.net\nItems not delivered: 2 (not available)",
            (MADE,),
        ),
        (
            "failed-login",
            "root <root@host.example.org>",
            "Failure report",
            "failed login for jo@example.net: unknown user (5 times)",
            (MADE,),
        ),
        (
            "ndr-training",
            "Security Awareness <training@learn.example.org>",
            "Beware of fake 'Mail delivery failed' messages",
            f"Criminals send messages such as:\n\n{BOUNCE_TEXT}\n\nDo not click links in them.",
            ("Precedence: bulk",),
        ),
        (
            "survey-answer",
            "Forms <forms@survey.example.org>",
            "New answer",
            "Email: jo@example.net\nComment: my mail was rejected, address unknown, mailbox full. Please help!",
            (MADE,),
        ),
        (
            "backup",
            "Backup <backup@host.example.org>",
            "Backup failed: mailbox jo@example.net",
            "Backup of mailbox jo@example.net failed: disk quota exceeded.\nWill be retried tomorrow.",
            (MADE,),
        ),
        (
            "fax",
            "Fax Gateway <fax@gw.example.org>",
            "Fax could not be sent",
            "Your fax to +49 30 1234 could not be delivered: number unknown. Sender: news@example.com",
            (MADE,),
        ),
        (
            "voicemail",
            "Voicemail <pbx@gw.example.org>",
            "Voice message not delivered to mobile",
            "A voice message from jo@example.net could not be sent to your mobile.",
            (MADE,),
        ),
        (
            "mail-server-quota",
            "Mail Server <mailserver@example.org>",
            "Quota warning",
            "Your mailbox news@example.com is at 95 % of its quota. When it is full, mail from jo@example.net and others cannot be delivered.",
            (MADE,),
        ),
        (
            "mail-system-password",
            "Mail System <mail-system@example.org>",
            "Your password expires",
            "The password of jo@example.net expires in 3 days. After that the account is disabled.",
            (MADE,),
        ),
        (
            "mail-gateway-digest",
            "Mail Gateway <gateway@example.org>",
            "Daily digest",
            "Blocked today:\n\n  win@example.net   spam\n  jo@example.net    banned attachment",
            (MADE,),
        ),
        (
            "order-failed",
            "Orders <orders@shop.example.org>",
            "Order 12 could not be delivered",
            "Recipient: jo@example.net\nReason: address not found\n\nPlease correct the address.",
            (MADE,),
        ),
        (
            "time-sheet",
            "HR <hr@corp.example.org>",
            "Failure notice: time sheet",
            "The time sheet of jo@example.net was rejected: user unknown in SAP.",
            (),
        ),
        (
            "question-with-code",
            "Kim <kim@example.org>",
            "question about your bounce",
            "Hi, your notice said 550 5.1.1 jo@example.net unknown user. Who is that?",
            ("User-Agent: Mozilla Thunderbird",),
        ),
        (
            "postmaster-password",
            "Postmaster <postmaster@example.org>",
            "Your password expires",
            "The password of jo@example.net expires in 3 days. After that the account is disabled.",
            (MADE,),
        ),
        (
            "postmaster-quota",
            "Mail Administrator <postmaster@example.org>",
            "Storage almost used up",
            "The mailbox jo@example.net has used 95 % of its quota. When it is full, new mail is rejected.",
            (MADE,),
        ),
        (
            "postmaster-migration",
            "Postmaster <postmaster@example.org>",
            "Move to the new server on Sunday",
            "On Sunday mail to jo@example.net and all other accounts could be delayed or rejected for an hour.",
            (),
        ),
    ]
)
