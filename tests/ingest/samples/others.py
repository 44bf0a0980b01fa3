"""What is no failure: delays, receipts, answers, complaints."""

# ruff: noqa: E501  (a sample stands as it is sent)

from __future__ import annotations

from tests.ingest.letters import feedback, group, letter, notice, report
from tests.ingest.samples.table import kind

kind(
    "delay-postfix",
    "delayed",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="delayed",
            status="4.4.1",
            diagnostic_code="X-Postfix; connect to mx.example.net[192.0.2.5]:25: Connection refused",
            will_retry_until="Fri, 10 May 2024 10:00:00 +0000",
        ),
        text="####\n# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #\n####",
        subject="Delayed Mail (still being retried)",
    ),
)

kind(
    "delay-exim",
    "delayed",
    notice(
        """This message was created automatically by mail delivery software.
A message that you sent has not yet been delivered to one or more of its
recipients after more than 24 hours on the queue on mx.example.org.

The address to which the message has not yet been delivered is:

  jo@example.net
    host mx.example.net [192.0.2.5]: Connection timed out

No action is required on your part. Delivery attempts will continue for
some time, and this warning may be repeated at intervals.""",
        subject="Warning: message 1abc delayed 24 hours",
    ),
)

kind(
    "delay-gmail",
    "delayed",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="delayed",
            status="4.2.2",
            diagnostic_code="smtp; 452-4.2.2 The recipient's inbox is out of storage space.",
        ),
        subject="Delivery Status Notification (Delay)",
        text="** Delivery incomplete **\n\nThere was a temporary problem delivering your message to jo@example.net. Gmail will retry for 46 more hours.",
    ),
)

kind(
    "ses-complaint-arf",
    "complaint",
    feedback("Feedback-Type: abuse\nUser-Agent: X/1\nVersion: 1\nOriginal-Rcpt-To: jo@example.net"),
)

kind(
    "arf-optout",
    "complaint",
    feedback(
        "Feedback-Type: opt-out\nVersion: 1\nUser-Agent: Y/2\nRemoval-Recipient: jo@example.net"
    ),
)

kind(
    "arf-mixed-b64",
    "complaint",
    feedback("Feedback-Type: abuse\nUser-Agent: N/1\nVersion: 1", encoding="base64", top="mixed"),
)

kind("arf-caps", "complaint", feedback("FEEDBACK-TYPE: Abuse\nVERSION: 0.1\nUSER-AGENT: Z"))

kind(
    "arf-fraud",
    "complaint",
    feedback("Version: 1\nUser-Agent: Q\nFeedback-Type: fraud\nSource-IP: 192.0.2.1"),
)

kind(
    "arf-authfail",
    "complaint",
    feedback(
        "Feedback-Type: auth-failure\nVersion: 1\nUser-Agent: d/1\nAuth-Failure: dmarc\nReported-Domain: example.com"
    ),
)

kind(
    "success",
    "delivered",
    report(
        group(final_recipient="rfc822; jo@example.net", action="delivered", status="2.0.0"),
        subject="Successful Mail Delivery Report",
        text="Your message was successfully delivered to jo@example.net.",
    ),
)

kind(
    "ooo",
    "autoreply",
    letter(
        [
            "From: Jo <jo@example.net>",
            "To: news@example.com",
            "Subject: Abwesenheitsnotiz: Rechnung",
            "Auto-Submitted: auto-replied",
        ],
        "Ich bin bis Montag nicht erreichbar. Ihre Nachricht wird nicht weitergeleitet.",
    ),
)

kind(
    "challenge-boxbe",
    "challenge",
    letter(
        [
            "From: Guard <guard@ch.example.net>",
            "To: news@example.com",
            "Subject: Your message to Jo awaits (Action Required)",
        ],
        "jo@example.net protects the inbox.\n\nPlease click the link below to verify that you are a person, then your message is delivered: https://c.example/1",
    ),
)

kind(
    "mdn",
    "mdn",
    letter(
        [
            "From: jo@example.net",
            "To: news@example.com",
            "Subject: Read: x",
            "Content-Type: multipart/report; report-type=disposition-notification; boundary=q",
        ],
        "--q\n\nYour message was read.\n--q\nContent-Type: message/disposition-notification\n\nFinal-Recipient: rfc822;jo@example.net\nDisposition: manual-action/MDN-sent-manually; displayed\n--q--",
    ),
)

kind(
    "mdn-deleted",
    "mdn",
    letter(
        [
            "From: jo@example.net",
            "To: news@example.com",
            "Subject: Not read: x",
            "Content-Type: multipart/report; report-type=disposition-notification; boundary=q",
        ],
        "--q\n\nYour message was deleted without being read.\n--q\nContent-Type: message/disposition-notification\n\nFinal-Recipient: rfc822;jo@example.net\nDisposition: automatic-action/MDN-sent-automatically; deleted\n--q--",
    ),
)

kind(
    "mailman-probe",
    "normal",
    letter(
        [
            "From: list-request@lists.example.org",
            "To: news@example.com",
            "Subject: list mailing list probe message",
            "Precedence: bulk",
        ],
        "This is a probe message. You can ignore this message.\n\nThe list mailing list has received a number of bounces from you, indicating that there may be a problem delivering messages to news@example.com.",
    ),
)

kind(
    "delay-told-earlier",
    "delayed",
    notice(
        """Delivery to jo@example.net is being retried. So far the host answered

   450 4.2.0 store offline (earlier: 550 5.1.1 no such user)

We keep trying until Friday, you do not have to send it again.""",
        sender="postmaster@mx.example.net",
        subject="Temporary trouble with your mail",
    ),
)

kind(
    "delay-queued",
    "delayed",
    notice(
        "Your mail for <jo@example.net> has been queued since noon, since its server"
        " said: 550 5.1.1 unknown user.",
        subject="Delivery problem",
    ),
)

kind(
    "delay-nobody-named",
    "delayed",
    notice("Answer so far: 550 5.1.1 unknown user. The gateway keeps trying until Friday."),
)

for _name, _said in {
    "english": "It was not delivered; we will keep trying.",
    "portuguese": "O servidor continuará tentando.",
    "spanish": "El servidor seguirá intentando la entrega.",
    "french": "Le serveur continuera ses tentatives.",
    "russian": "Сервер будет продолжать попытки доставки.",
    "chinese": "服务器将继续尝试。",
    "german": "Die Zustellung wird weiterhin versucht.",
}.items():
    kind(
        f"delay-{_name}",
        "delayed",
        notice(f"<jo@example.net>: 550 5.1.1 user unknown\n\n{_said}\n"),
    )
