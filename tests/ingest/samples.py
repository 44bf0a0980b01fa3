"""Bounces in the manner of many systems: our own words and addresses, what each must be read as.

`BOUNCES` holds name -> (raw message, {failed address: category}).  The shapes follow what the
systems are documented to write; no line is anybody's mail.
"""

# ruff: noqa: E501  (a sample stands as it is sent)

from __future__ import annotations

import base64
import quopri

from tests.ingest.letters import LETTER, feedback, group, letter, notice, report

Expected = dict[str, str]
BOUNCES: dict[str, tuple[bytes, Expected]] = {}


def _sample(name: str, raw: bytes, **expected: str) -> None:
    """`jo="bad_mailbox"` stands for jo@example.net."""
    people = {
        f"{who.replace('__', '.')}@example.net": category for who, category in expected.items()
    }
    BOUNCES[name] = raw, people


def _coded(
    text: str,
    charset: str,
    subject: str,
    *,
    kind: str = "text/plain",
    sender: str = "Postmaster <postmaster@mx.example.org>",
) -> bytes:
    body = base64.encodebytes(text.encode(charset, "xmlcharrefreplace")).decode()
    words = base64.b64encode(subject.encode(charset)).decode()
    headers = [
        f"From: {sender}",
        "To: news@example.com",
        f"Subject: =?{charset}?B?{words}?=",
        "MIME-Version: 1.0",
        f"Content-Type: {kind}; charset={charset}",
        "Content-Transfer-Encoding: base64",
    ]
    return letter(headers, body)


RETURNED = (
    f"\n\n------ This is a copy of the message, including all the headers. ------\n\n{LETTER}"
)

_sample(
    "exim-multiple-causes",
    notice(
        """This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  jo@example.net
    host mx.example.net [192.0.2.5]
    SMTP error from remote mail server after RCPT TO:<jo@example.net>:
    550 5.1.1 <jo@example.net>: no mailbox of that name
  kim@example.net
    mailbox is full: retry timeout exceeded
  lee@example.net
    host mx.example.net [192.0.2.5]
    SMTP error from remote mail server after end of data:
    554 5.7.1 spam score too high"""
        + RETURNED,
        subject="Mail delivery failed: returning message to sender",
    ),
    jo="bad_mailbox",
    kim="mailbox_full",
    lee="spam_content",
)

_sample(
    "exim-unrouteable",
    notice(
        """A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  jo@example.net
    Unrouteable address"""
        + RETURNED
    ),
    jo="bad_domain",
)

_sample(
    "exim-ultimately-generated",
    notice(
        """The following address(es) failed:

  inner@example.org
    (ultimately generated from jo@example.net)
    SMTP error from remote mail server after RCPT TO:<inner@example.org>:
    host mx.example.org [192.0.2.6]: 550 No such person at this address"""
        + RETURNED
    ),
)
BOUNCES["exim-ultimately-generated"] = (
    BOUNCES["exim-ultimately-generated"][0],
    {"inner@example.org": "bad_mailbox"},
)

_sample(
    "qmail",
    notice(
        """Hi. This is the qmail-send program at mail.example.org.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<jo@example.net>:
192.0.2.7 does not like recipient.
Remote host said: 550 5.1.1 unknown or illegal alias: jo@example.net
Giving up on 192.0.2.7.

<kim@example.net>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

"""
        + LETTER,
        subject="failure notice",
    ),
    jo="bad_mailbox",
    kim="bad_mailbox",
)

_sample(
    "qmail-connect",
    notice(
        """<jo@example.net>:
Sorry, I couldn't find any host named example.net. (#5.1.2)

--- Below this line is a copy of the message.

"""
        + LETTER,
        subject="failure notice",
    ),
    jo="bad_domain",
)

_sample(
    "qmail-ldap-full",
    notice(
        """Hi. This is the deliver program at mail.example.org.

<jo@example.net>:
The users mailfolder is over the allowed quota (size). (#5.2.2)

--- Enclosed is a copy of the message.

"""
        + LETTER,
        subject="failure notice",
    ),
    jo="mailbox_full",
)

_sample(
    "postfix-no-dsn",
    notice(
        """This is the mail system at host out.example.org.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients.

For further assistance, please send mail to <postmaster>

                   The mail system

<jo@example.net>: host mx.example.net[192.0.2.5] said: 452 4.2.2 Mailbox of
    user is over quota (in reply to RCPT TO command)

<kim@example.net> (expanded from <list@example.org>): unknown user: "kim" """
    ),
    jo="mailbox_full",
    kim="bad_mailbox",
)

_sample(
    "postfix-sender-blocked",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.0.0",
            remote_mta="dns; mx.example.net",
            diagnostic_code="smtp; 554 mx.example.net ESMTP refused: 192.0.2.1 has a poor sending history",
        )
    ),
    jo="reputation",
)

_sample(
    "postfix-tls",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="4.7.4",
            diagnostic_code="X-Postfix; TLS is required, but was not offered by host mx.example.net[192.0.2.5]",
        )
    ),
    jo="tls_required",
)

_sample(
    "postfix-mailbox-gone-vague",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.0.0",
            remote_mta="dns; mx.example.net",
            diagnostic_code="smtp; 550 This recipient is not known to us",
        )
    ),
    jo="bad_mailbox",
)

_sample(
    "sendmail",
    notice(
        """The original message was received at Mon, 6 May 2024 10:00:00 GMT
from app.example.com [192.0.2.1]

   ----- The following addresses had permanent fatal errors -----
<jo@example.net>
    (reason: 550 5.1.1 <jo@example.net>... User unknown)
<kim@example.net>
    (reason: 552 5.2.2 <kim@example.net>... Mailbox full)

   ----- Transcript of session follows -----
... while talking to mx.example.net.:
>>> DATA
<<< 550 5.1.1 <jo@example.net>... User unknown
550 5.1.1 <jo@example.net>... User unknown
<<< 552 5.2.2 <kim@example.net>... Mailbox full
554 5.0.0 Service unavailable
""",
        subject="Returned mail: see transcript for details",
    ),
    jo="bad_mailbox",
    kim="mailbox_full",
)

_sample(
    "sendmail-host-unknown",
    notice(
        """   ----- The following addresses had permanent fatal errors -----
<jo@example.net>
    (reason: 550 Host unknown)

   ----- Transcript of session follows -----
550 5.1.2 <jo@example.net>... Host unknown (Name server: example.net: host not found)
""",
        subject="Returned mail: Host unknown (Name server: example.net: host not found)",
    ),
    jo="bad_domain",
)

_sample(
    "sendmail-8.6",
    notice(
        """The original message was received at Mon, 6 May 1996 10:00:00 -0500
from app.example.com

   ----- The following addresses had delivery problems -----
jo@example.net  (unrecoverable error)

   ----- Transcript of session follows -----
... while talking to mx.example.net.:
>>> RCPT To:<jo@example.net>
<<< 550 <jo@example.net>... Name not in our directory

   ----- Original message follows -----
"""
        + LETTER,
        subject="Returned mail: User unknown",
    ),
    jo="bad_mailbox",
)

_sample(
    "exchange-5.5",
    notice(
        """Your message

  To:      jo@example.net
  Subject: Your invoice
  Sent:    Mon, 6 May 2002 10:00:00 +0100

did not reach the following recipient(s):

jo@example.net on Mon, 6 May 2002 10:00:05 +0100
    The recipient name is not recognized
	The MTS-ID of the original message is: c=GB;a= ;p=EXAMPLE;l=MX0205061000
    MSEXCH:IMS:EXAMPLE:HQ:MX 0 (000C05A6) Unknown Recipient
""",
        sender="System Administrator <postmaster@mx.example.org>",
        subject="Undeliverable: Your invoice",
    ),
    jo="bad_mailbox",
)

_sample(
    "exchange-2003",
    notice(
        """Your message did not reach some or all of the intended recipients.

      Subject:	Your invoice
      Sent:	06/05/2004 10:00

The following recipient(s) could not be reached:

      jo@example.net on 06/05/2004 10:00
            The e-mail account does not exist at the organization this message was sent to.  Check the e-mail address, or contact the recipient directly to find out the correct address.
            <mx.example.net #5.1.1>
""",
        sender="System Administrator <postmaster@mx.example.org>",
        subject="Undeliverable: Your invoice",
    ),
    jo="bad_mailbox",
)

_sample(
    "exchange-2003-size",
    notice(
        """The following recipient(s) could not be reached:

      jo@example.net on 06/05/2004 10:00
            This message is larger than the current system limit or the recipient's mailbox is full.  Create a shorter message body or remove attachments and try sending it again.
            <mx.example.net #5.2.3>
""",
        sender="System Administrator <postmaster@mx.example.org>",
        subject="Undeliverable: Your invoice",
    ),
    jo="too_big",
)

_sample(
    "office365",
    notice(
        """Your message to jo@example.net couldn't be delivered.

jo wasn't found at example.net.

news    Office 365    jo
Action Required                                     Recipient
Unknown To address

How to Fix It
The address may be misspelled or may not exist.

More Info for Email Admins
Status code: 550 5.1.10

Reported error: 550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient jo@example.net not found by SMTP address lookup
DSN generated by: X.prod.example
""",
        sender="Microsoft Outlook <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@example.net>",
        subject="Undeliverable: Your invoice",
    ),
    jo="bad_mailbox",
)

_sample(
    "exchange-german",
    notice(
        """Fehler bei der Nachrichtenzustellung an folgende Empfänger oder Gruppen:

jo@example.net<mailto:jo@example.net>
Die eingegebene E-Mail-Adresse konnte nicht gefunden werden. Überprüfen Sie die E-Mail-Adresse des Empfängers.

Diagnoseinformationen für Administratoren:
Generierender Server: mx.example.org
jo@example.net
#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##

Ursprüngliche Nachrichtenkopfzeilen:

Received: from app.example.com
""",
        sender="Postmaster <postmaster@mx.example.org>",
        subject="Unzustellbar: Your invoice",
    ),
    jo="bad_mailbox",
)

_sample(
    "exchange-french",
    notice(
        """Échec de la remise pour ces destinataires ou groupes :

jo@example.net<mailto:jo@example.net>
La boîte aux lettres du destinataire est pleine et ne peut pas accepter de messages pour le moment.

Informations de diagnostic pour les administrateurs :
Serveur de génération : mx.example.org

jo@example.net
#554 5.2.2 mailbox full ##
""",
        sender="Postmaster <postmaster@mx.example.org>",
        subject="Non remis : Your invoice",
    ),
    jo="mailbox_full",
)

_sample(
    "exchange-spanish",
    notice(
        """No se pudo entregar el mensaje a los siguientes destinatarios o grupos:

jo@example.net<mailto:jo@example.net>
No se encontró la dirección de correo electrónico que escribió.

Información de diagnóstico para administradores:
jo@example.net
#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##
""",
        sender="Postmaster <postmaster@mx.example.org>",
        subject="No se puede entregar: Your invoice",
    ),
    jo="bad_mailbox",
)

_sample(
    "domino",
    report(
        group(
            final_recipient="rfc822;jo@example.net",
            action="failed",
            status="5.1.1",
            diagnostic_code="X-Notes; User jo (jo@example.net) not listed in Domino Directory",
        ),
        text="Your message\n\n  Subject: Your invoice\n\nwas not delivered to:\n\n  jo@example.net\n\nbecause:\n\n  User jo (jo@example.net) not listed in Domino Directory\n",
    ),
    jo="bad_mailbox",
)

_sample(
    "domino-japanese",
    report(
        group(
            final_recipient="rfc822;jo@example.net",
            action="failed",
            status="5.0.0",
            diagnostic_code="X-Notes; ユーザー jo (jo@example.net) は Domino ディレクトリにありません".encode(
                "iso-2022-jp"
            ).decode("latin-1"),
        )
    ),
    jo="bad_mailbox",
)

_sample(
    "notes",
    notice(
        """------- Failure Reasons  --------

User jo not listed in public Name & Address Book
jo@example.net

------- Returned Message --------

Received: from app.example.com
""",
        sender="Postmaster <postmaster@mx.example.org>",
        subject="DELIVERY FAILURE: User jo not listed in public Name & Address Book",
    ),
    jo="bad_mailbox",
)

_sample(
    "groupwise",
    notice(
        """The message that you sent was undeliverable to the following:
	jo (user not found)

Possibly truncated original message follows:

"""
        + LETTER.replace("nobody@", "jo@"),
        sender="Mailer-Daemon@example.net",
        subject="Message status - undeliverable",
    ),
    jo="bad_mailbox",
)

_sample(
    "groupwise-full",
    notice(
        """The message that you sent was undeliverable to the following:
	jo@example.net (mailbox is full)

Possibly truncated original message follows:

"""
        + LETTER,
        subject="Message status - undeliverable",
    ),
    jo="mailbox_full",
)

_sample(
    "courier",
    notice(
        """This is a delivery status notification from mx.example.org,
running the Courier mail server, version 0.73.

The original message was received on Mon, 06 May 2024 10:00:00 GMT
from app.example.com (app.example.com [192.0.2.1])

---------------------------------------------------------------------------

                           UNDELIVERABLE MAIL

Your message to the following recipients cannot be delivered:

<jo@example.net>:
    mx.example.net [192.0.2.5]:
>>> RCPT TO:<jo@example.net>
<<< 550 User does not exist in this place.

---------------------------------------------------------------------------

If your message was also sent to additional recipients, their delivery
status is not included in this report.
""",
        subject="NOTICE: mail delivery status.",
    ),
    jo="bad_mailbox",
)

_sample(
    "mailmarshal",
    notice(
        """Your message:
   From:    news@example.com
   Subject: Your invoice

Could not be delivered because of

550 5.1.1 User unknown

The following recipients were affected:
    jo@example.net
""",
        sender="postmaster@mx.example.org (MailMarshal)",
        subject='Undeliverable Mail: "Your invoice"',
    ),
    jo="bad_mailbox",
)

_sample(
    "imail",
    notice(
        """Unknown user: jo@example.net

Original message follows.

"""
        + LETTER,
        sender="Postmaster <postmaster@mx.example.org>",
        subject="Undeliverable Mail",
        more=["X-Mailer: <SMTP32 v8.22>"],
    ),
    jo="bad_mailbox",
)

_sample(
    "imail-full",
    notice(
        """User mailbox exceeds allowed size: jo@example.net

Original message follows.

"""
        + LETTER,
        sender="Postmaster <postmaster@mx.example.org>",
        subject="Undeliverable Mail",
        more=["X-Mailer: <SMTP32 v8.22>"],
    ),
    jo="mailbox_full",
)

_sample(
    "james",
    notice(
        """Hi. This is the James mail server at mx.example.org.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.  Below
I include the list of recipients and the reason why I was unable to deliver
your message.

Failed recipient(s):
jo@example.net

Error message:
550 5.1.1 no such account here

Message details:
  Subject: Your invoice
  From: news@example.com
""",
        sender="postmaster@mx.example.org",
        subject="[BOUNCE] Your invoice",
    ),
    jo="bad_mailbox",
)

_sample(
    "opensmtpd",
    notice(
        """Hi!

This is the MAILER-DAEMON, please DO NOT REPLY to this email.

An error has occurred while attempting to deliver a message for
the following list of recipients:

jo@example.net: 550 Invalid recipient
kim@example.net: 552 5.2.2 Over quota

Below is a copy of the original message:

"""
        + LETTER,
        subject="Delivery status notification: error",
    ),
    jo="bad_mailbox",
    kim="mailbox_full",
)

_sample(
    "dragonfly",
    notice(
        """This is the DragonFly Mail Agent v0.13 at out.example.org.

There was an error delivering your mail to <jo@example.net>.

mx.example.net [192.0.2.5] did not like our RCPT TO:
550 5.2.1 mailbox disabled

Original message headers follow.

"""
        + LETTER,
        subject="Mail delivery failed",
    ),
    jo="mailbox_disabled",
)

_sample(
    "gmail-dsn",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.1.1",
            remote_mta="dns; mx.example.net. (192.0.2.5, the server for the domain example.net.)",
            diagnostic_code="smtp; 550-5.1.1 The email account that you tried to reach does not exist. Please try 550-5.1.1 double-checking the recipient's email address for typos or 550 5.1.1 unnecessary spaces.",
        ),
        text="** Address not found **\n\nYour message wasn't delivered to jo@example.net because the address couldn't be found, or is unable to receive mail.",
    ),
    jo="bad_mailbox",
)

_sample(
    "gmail-no-domain",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="4.0.0",
            diagnostic_code="smtp; DNS Error: DNS type 'mx' lookup of example.net responded with code NXDOMAIN Domain name not found: example.net",
        )
    ),
    jo="bad_domain",
)

_sample(
    "gmail-old",
    notice(
        """Delivery to the following recipient failed permanently:

     jo@example.net

Technical details of permanent failure:
Google tried to deliver your message, but it was rejected by the recipient domain. The error that the other server returned was: 550 550 No mailbox by that name is currently available (state 14).

----- Original message -----

"""
        + LETTER,
        sender="Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
        subject="Delivery Status Notification (Failure)",
    ),
    jo="bad_mailbox",
)

_sample(
    "yahoo",
    notice(
        """Sorry, we were unable to deliver your message to the following address.

<jo@example.net>:
Remote host said:
550 5.2.1 This mailbox is disabled.
 [RCPT_TO]

--- Below this line is a copy of the message.

"""
        + LETTER,
        sender="MAILER-DAEMON@yahoo.com",
        subject="Failure Notice",
    ),
    jo="mailbox_disabled",
)

_sample(
    "aol",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.1.1",
            diagnostic_code="smtp; 550 5.1.1 <jo@example.net>: Recipient address rejected: example.net",
        ),
        text="Your message could not be delivered.",
    ),
    jo="bad_mailbox",
)

_sample(
    "amazon-ses-bounce",
    report(
        group(
            final_recipient="rfc822;jo@example.net",
            action="failed",
            status="5.1.1",
            diagnostic_code="smtp; 550 5.1.1 user unknown",
        ),
        text="An error occurred while trying to deliver the mail to the following recipients:\njo@example.net",
        subject="Delivery Status Notification (Failure)",
    ),
    jo="bad_mailbox",
)

_sample(
    "workmail",
    notice(
        """Technical report:

Reporting-MTA: dns; a.example.org

Final-Recipient: rfc822;jo@example.net
Original-Recipient: rfc822;jo@example.net
Action: failed
Status: 5.2.2
Diagnostic-Code: smtp; 552 5.2.2 recipient storage quota reached
Remote-MTA: dns; mx.example.net
""",
        sender="Mail Delivery Subsystem <postmaster@a.example.org>",
        subject="Undeliverable: Your invoice",
    ),
    jo="mailbox_full",
)

_sample(
    "zoho",
    notice(
        """This message was created automatically by mail delivery software.
 A message that you sent could not be delivered to one or more of its recipients. This is a permanent error.

jo@example.net Invalid Address, ERROR_CODE :550, ERROR_CODE :5.1.1 user unknown

Received:from app.example.com by out.example.com
""",
        sender="mailer-daemon@mail.example.org",
        subject="Undelivered Mail Returned to Sender",
    ),
    jo="bad_mailbox",
)

_sample(
    "yandex",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            original_recipient="rfc822;jo@example.net",
            action="failed",
            status="5.1.1",
            diagnostic_code="smtp; 550 5.7.1 No such user!",
        ),
        text="This is the mail system at host mail.example.org.\n\n<jo@example.net>: host mx.example.net[192.0.2.5] said: 550 5.7.1 No such user!\n",
    ),
    jo="bad_mailbox",
)

_sample(
    "mailru",
    notice(
        """Это письмо создано автоматически сервером, отвечать на него не нужно.

К сожалению, Ваше письмо не может быть доставлено одному или нескольким получателям:

**********************
jo@example.net
Ошибка: превышен размер ящика получателя
**********************
""",
        sender="mailer-daemon@example.ru",
        subject="Недоставленное сообщение",
    ),
    jo="mailbox_full",
)

_sample(
    "russian-unknown",
    _coded(
        "Ваше письмо не доставлено следующим получателям:\n\n<jo@example.net>\n    пользователь не найден\n",
        "koi8-r",
        "Письмо не доставлено",
    ),
    jo="bad_mailbox",
)

_sample(
    "qq",
    _coded(
        "<html><body><p>您发送的邮件被退回</p><p>收件人邮件地址（jo@example.net）不存在，邮件无法送达。</p><p>host mx.example.net said: 550 Mailbox not found</p></body></html>",
        "gbk",
        "系统退信",
        kind="text/html",
        sender="PostMaster@qq.com",
    ),
    jo="bad_mailbox",
)

_sample(
    "netease",
    _coded(
        "<html><body><p>抱歉，您的邮件被退回来了……</p><table><tr><td>收件人：</td><td>jo@example.net</td></tr><tr><td>退信原因：</td><td>对方邮箱已满 (552 mailbox full)</td></tr></table></body></html>",
        "gb2312",
        "系统退信/Systems bounce",
        kind="text/html",
        sender="Postmaster@163.com",
    ),
    jo="mailbox_full",
)

_sample(
    "chinese-gateway",
    _coded(
        "尊敬的用户：\n\n您的邮件未能成功投递到以下地址：\n\n  jo@example.net\n\n失败原因：该用户已被停用\n",
        "utf-8",
        "退信通知",
    ),
    jo="mailbox_disabled",
)

_sample(
    "aliyun",
    _coded(
        "您好，\n\n邮件发送失败，收件人：jo@example.net\n原因：554 域名不存在\n",
        "utf-8",
        "退信：Your invoice",
        sender="mailer-daemon@mail.example.cn",
    ),
    jo="bad_domain",
)

_sample(
    "japanese-iso2022",
    _coded(
        "下記の宛先へメールを送信できませんでした。\n\n<jo@example.net>\n    ユーザが存在しません\n",
        "iso-2022-jp",
        "メール配信エラー",
    ),
    jo="bad_mailbox",
)

_sample(
    "japanese-full",
    _coded(
        "次のあて先にメールを届けることができませんでした。\n\n  jo@example.net\n\n理由: 受信者のメールボックスの容量が超過しています。\n",
        "iso-2022-jp",
        "配信エラー",
    ),
    jo="mailbox_full",
)

_sample(
    "kddi",
    notice(
        """Your mail sent on: Mon, 6 May 2024 10:00:00

Could not be delivered to: <jo@example.net>

As their mailbox is full.

"""
        + LETTER,
        sender="no-reply@app.example.org",
        subject="Mail System Error - Returned Mail",
    ),
    jo="mailbox_full",
)

_sample(
    "ezweb",
    notice(
        """The user(s) account is disabled.

<jo@example.net>: 550 user unknown

    ----- Original message follows -----

"""
        + LETTER,
        sender="Postmaster <Postmaster@ezweb.example.jp>",
        subject="Mail System Error - Returned Mail",
    ),
    jo="bad_mailbox",
)

_sample(
    "verizon-mms",
    notice(
        """Error: Reason: Recipient address unknown

Message could not be delivered to mobile.

  jo@example.net

""",
        sender="post_master@vtext.example.com",
        subject="Undeliverable Message",
    ),
    jo="bad_mailbox",
)

_sample(
    "interscan",
    notice(
        """****** Message from InterScan E-Mail Gateway ******

The following mail could not be delivered.
Reason: jo@example.net: 550 mailbox not found

******************     End of message     ***************
""",
        sender="InterScan Notification <mailgw@mx.example.org>",
        subject="Mail could not be delivered",
    ),
    jo="bad_mailbox",
)

_sample(
    "mimecast-text",
    notice(
        """The following mail could not be delivered by Mimecast.

Recipient: jo@example.net
Reason: 550 Rejected - mailbox does not exist

-----END-----
""",
        sender="postmaster@mx.example.org",
        subject="[Postmaster] Email Delivery Failure",
    ),
    jo="bad_mailbox",
)

_sample(
    "mcafee",
    notice(
        """--- The following addresses had delivery problems ---

<jo@example.net>   (User unknown jo@example.net)

--------------Boundary-00=_00000000--
""",
        sender="Postmaster <postmaster@mx.example.org>",
        subject="WebShield Virus Scanner: Unable to deliver",
    ),
    jo="bad_mailbox",
)

_sample(
    "surfcontrol",
    notice(
        """Your message could not be sent.
A transcript of the attempts to send the message follows.
The number of attempts made: 1
Addressed To: jo@example.net

Mon 6 May 2024 10:00:00
Failed to send to identified host,
jo@example.net: [192.0.2.5], 550 jo@example.net... No such user
--- Message non-deliverable.
""",
        sender="Mail Delivery System <postmaster@mx.example.org>",
        subject="Message Delivery Failure",
    ),
    jo="bad_mailbox",
)

_sample(
    "barracuda",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.7.1",
            diagnostic_code="smtp; 550 5.7.1 Message blocked by the mail filter: content 00000-11-2",
        )
    ),
    jo="spam_content",
)

_sample(
    "activehunter",
    notice(
        """A message that you sent could not be delivered to all of its recipients.

  >>> 550 sorry, no mailbox here by that name (#5.1.1 - chkusr)

This is the following address(es) failed:

jo@example.net
""",
        sender="MAILER-DAEMON <postmaster@mx.example.org>",
        subject="FAILURE NOTICE :",
    ),
    jo="bad_mailbox",
)

_sample(
    "1und1",
    notice(
        """This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of
its recipients. This is a permanent error. The following address
failed:

jo@example.net:
SMTP error from remote server for RCPT TO command, host: mx.example.net (192.0.2.5) reason: 550 5.7.1 unknown recipient

--- The header of the original message is following. ---

"""
        + LETTER,
        subject="Mail delivery failed: returning message to sender",
    ),
    jo="bad_mailbox",
)

_sample(
    "gmx",
    notice(
        """This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of
its recipients. This is a permanent error. The following address
failed:

"jo@example.net":
SMTP error from remote server after RCPT command:
host: mx.example.net
5.1.1 <jo@example.net>... User is unknown {mx105}

--- The header of the original message is following. ---

"""
        + LETTER,
        subject="Mail delivery failed: returning message to sender",
    ),
    jo="bad_mailbox",
)

_sample(
    "mdaemon",
    notice(
        """The attached message had PERMANENT fatal delivery errors!

After one or more unsuccessful delivery attempts the attached message has
been removed from the mail queue on this server.

--- Session Transcript ---
 Mon 2024-05-06 10:00:00: --> RCPT TO:<jo@example.net>
 Mon 2024-05-06 10:00:00: <-- 550 <jo@example.net>, Recipient unknown
 Mon 2024-05-06 10:00:00: --> QUIT
--- End Transcript ---
""",
        sender="MDaemon at mx.example.org <MDaemon@mx.example.org>",
        subject="Permanent Delivery Failure",
    ),
    jo="bad_mailbox",
)

_sample(
    "communigate",
    notice(
        """Failed to deliver to 'jo@example.net'
LOCAL module(account jo) reports:
 mailbox is full
""",
        sender="MAILER-DAEMON@mx.example.org",
        subject="Undeliverable mail: Your invoice",
    ),
    jo="mailbox_full",
)

_sample(
    "messaging-server",
    notice(
        """This report relates to a message you sent with the following header fields:

  Message-id: <letter.1@example.com>
  From: News <news@example.com>
  To: jo@example.net
  Subject: Your invoice

Your message cannot be delivered to the following recipients:

  Recipient address: jo@example.net
  Reason: Remote SMTP server has rejected address
  Diagnostic code: smtp;550 5.1.1 No such recipient
  Remote system: dns;mx.example.net (TCP|192.0.2.1|1|192.0.2.5|25)
""",
        sender="Internet Mail Delivery <postmaster@mx.example.org>",
        subject="Delivery Notification: Delivery has failed",
    ),
    jo="bad_mailbox",
)

_sample(
    "powermta",
    report(
        group(
            final_recipient="rfc822;jo@example.net",
            action="failed",
            status="5.2.2 (mailbox full)",
            remote_mta="dns;mx.example.net (192.0.2.5)",
            diagnostic_code="smtp;552 5.2.2 The mailbox is full",
            x_powermta_bouncecategory="quota-issues",
        ),
        text="Hello, this is the mail server on out.example.org.\n\nI am sending you this message to inform you on the delivery status of a message you previously sent.",
    ),
    jo="mailbox_full",
)

_sample(
    "sendgrid",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            original_recipient="rfc822; jo@example.net",
            action="failed",
            status="Unable to resolve MX host example.net",
            diagnostic_code="Unable to resolve MX host example.net",
        ),
        text="This is an automatically generated message from SendGrid.\n\nI'm sorry to have to tell you that your message was not able to be delivered to one of its intended recipients.",
    ),
    jo="bad_domain",
)

_sample(
    "scalix",
    notice(
        """Note:  This message was not delivered to the following recipients:

   jo@example.net
      The recipient is not registered on this system.
""",
        sender="Mail Administrator <postmaster@mx.example.org>",
        subject="Undelivered: Your invoice",
    ),
    jo="bad_mailbox",
)

_sample(
    "smtp-gateway-html-only",
    letter(
        [
            "From: Mail Delivery <postmaster@mx.example.org>",
            "To: news@example.com",
            "Subject: Delivery failure",
            "MIME-Version: 1.0",
            "Content-Type: text/html; charset=utf-8",
        ],
        "<html><head><style>p{x:y}</style></head><body><h3>Delivery failure</h3><p>We could not deliver your message to:</p><ul><li><a href='mailto:jo@example.net'>jo@example.net</a></li></ul><p>Server answer: <code>550&nbsp;5.1.1 this user is not known here</code></p></body></html>",
    ),
    jo="bad_mailbox",
)

_sample(
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

_sample(
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

_sample(
    "portuguese",
    notice(
        """A sua mensagem não pôde ser entregue aos seguintes destinatários:

<jo@example.net>: usuário desconhecido
""",
        sender="Postmaster <postmaster@mx.example.br>",
        subject="Mensagem não entregue",
    ),
    jo="bad_mailbox",
)

_sample(
    "italian",
    notice(
        """Il messaggio non è stato recapitato ai seguenti destinatari:

jo@example.net
   casella piena
""",
        sender="Postmaster <postmaster@mx.example.it>",
        subject="Mancata consegna",
    ),
    jo="mailbox_full",
)

_sample(
    "polish",
    notice(
        """Wiadomość nie została dostarczona do następujących odbiorców:

<jo@example.net>: 550 5.1.1 nie ma takiego użytkownika
""",
        sender="Postmaster <postmaster@mx.example.pl>",
        subject="Niedostarczona wiadomość",
    ),
    jo="bad_mailbox",
)

_sample(
    "dutch",
    notice(
        """Uw bericht kon niet worden afgeleverd aan de volgende ontvanger:

jo@example.net: gebruiker onbekend
""",
        sender="Postmaster <postmaster@mx.example.nl>",
        subject="Bericht niet afgeleverd",
    ),
    jo="bad_mailbox",
)

_sample(
    "korean",
    _coded(
        "다음 수신자에게 메일을 전달할 수 없습니다.\n\njo@example.net\n\n원인: 존재하지 않는 사용자입니다.\n",
        "euc-kr",
        "메일 전송 실패 알림",
    ),
    jo="bad_mailbox",
)

_sample(
    "unknown-name-sender",
    notice(
        """Your message could not be delivered to the following recipient:

jo@example.net
    550 5.1.1 recipient unknown

--- original message headers ---

"""
        + LETTER,
        sender="Acme Relay <relay-system@mx.example.org>",
        subject="Message not delivered",
        more=["Auto-Submitted: auto-replied"],
    ),
    jo="bad_mailbox",
)

_sample(
    "null-sender-unknown-name",
    notice(
        """We tried to hand over your mail but the other side refused:

  jo@example.net: 550 user is unknown
""",
        sender="Post Office <office@mx.example.org>",
        subject="Problem with your mail",
        more=["Return-Path: <>", "Auto-Submitted: auto-generated"],
    ),
    jo="bad_mailbox",
)

_sample(
    "loop",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.4.6",
            diagnostic_code="X-Postfix; mail for example.net loops back to myself",
        )
    ),
    jo="system",
)

_sample(
    "expired-connect",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="4.4.1",
            diagnostic_code="X-Postfix; connect to mx.example.net[192.0.2.5]:25: Connection timed out",
        )
    ),
    jo="expired",
)

_sample(
    "expired-greylisted",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="4.7.1",
            diagnostic_code="smtp; 451 4.7.1 Greylisting in action, come back later",
        )
    ),
    jo="greylisted",
)

_sample(
    "relay-denied",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.7.1",
            diagnostic_code="smtp; 554 5.7.1 <jo@example.net>: Relay access denied",
        )
    ),
    jo="relay_denied",
)

_sample(
    "code-says-user-words-say-rate",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.1.1",
            diagnostic_code="smtp; 550 5.1.1 too many recipients from you this hour",
        )
    ),
    jo="rate_limit",
)

_sample(
    "only-status",
    report(
        group(final_recipient="rfc822; jo@example.net", action="failed", status="5.1.1"),
        text="Undeliverable.",
    ),
    jo="bad_mailbox",
)

_sample(
    "no-returned-mail",
    letter(
        [
            "From: MAILER-DAEMON@mx.example.org",
            "To: news@example.com",
            "Subject: Delivery Status Notification",
            "MIME-Version: 1.0",
            "Content-Type: multipart/report; report-type=delivery-status; boundary=b1",
        ],
        "--b1\n\nSorry.\n--b1\nContent-Type: message/delivery-status\n\nReporting-MTA: dns;mx.example.org\n\nFinal-Recipient: rfc822;jo@example.net\nAction: failed\nStatus: 5.2.1\nDiagnostic-Code: smtp;550 5.2.1 account of this user was closed\n--b1--\n",
    ),
    jo="mailbox_disabled",
)

_sample(
    "o365-html",
    letter(
        [
            "From: postmaster@example.org",
            "To: news@example.com",
            "Subject: Undeliverable: Hello",
            "Content-Type: text/html; charset=utf-8",
            "MIME-Version: 1.0",
        ],
        "<html><body><h1>Your message couldn't be delivered</h1><p><b>Delivery has failed to these recipients or groups:</b></p><p><a href=\"mailto:jo@example.net\">Jo Doe</a> (<a href=\"mailto:jo@example.net\">jo@example.net</a>)<br>The recipient's mailbox is full and can't accept messages now.</p><p>Diagnostic information for administrators:</p><p>Generating server: mx.example.org</p><p>jo@example.net<br>Remote Server returned '554 5.2.2 mailbox full;STOREDRV'</p><p>Original message headers:</p><pre>Received: from a by b\nFrom: news@example.com\nTo: jo@example.net</pre></body></html>",
    ),
    jo="mailbox_full",
)
_sample(
    "exch2010-groups",
    notice(
        """Delivery has failed to these recipients or groups:

Jo Doe (jo@example.net)<mailto:jo@example.net>
Your message can't be delivered because delivery to this address is restricted.

Kim Lee (kim@example.net)<mailto:kim@example.net>
The e-mail address you entered couldn't be found. Please check the recipient's e-mail address and try to resend the message.

The following organization rejected your message: mx.example.net.

Diagnostic information for administrators:

Generating server: mx.example.org

jo@example.net
#550 5.7.1 RESOLVER.RST.NotAuthorized; not authorized ##rfc822;jo@example.net

kim@example.net
#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##rfc822;kim@example.net

Original message headers:

Received: from x by y
""",
        subject="Undeliverable: Hello",
    ),
    jo="policy",
    kim="bad_mailbox",
)
_sample(
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
_sample(
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
_sample(
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
_sample(
    "spaces-before-colon",
    report(
        "Final-Recipient : rfc822 ; jo@example.net\nAction : failed\nStatus : 5.1.1 (bad destination)\nDiagnostic-Code : smtp ; 550 unknown user"
    ),
    jo="bad_mailbox",
)
_sample(
    "sina",
    _coded(
        "您好，您发给 jo@example.net 的邮件被退回。\n\n退信原因：收件人邮箱已满。\n\n此信由系统自动发出，请勿回复。",
        "gbk",
        "退信通知",
        sender="MAILER-DAEMON@sina.example.cn",
    ),
    jo="mailbox_full",
)
_sample(
    "263",
    _coded(
        "尊敬的用户,您的邮件没有发送成功!\n\n收件人：<jo@example.net>\n服务器返回：550 User not found: jo@example.net\n",
        "gb2312",
        "发信失败通知",
        sender="postmaster@263.example.cn",
    ),
    jo="bad_mailbox",
)
_sample(
    "coremail",
    _coded(
        "很抱歉，您的邮件无法送达。\n\n主题：发票\n收件人：jo@example.net\n原因：对方服务器拒绝接收，错误信息：554 DT:SPM mx9\n",
        "utf-8",
        "系统退信",
        sender="Coremail <postmaster@mail.example.cn>",
    ),
    jo="spam_content",
)
_sample(
    "chinese-trad",
    _coded(
        "您的郵件無法送達下列收件者：\n\n  jo@example.net\n\n原因：使用者不存在\n",
        "big5",
        "無法傳遞的郵件",
    ),
    jo="bad_mailbox",
)
_sample(
    "docomo",
    notice(
        """The following address(es) failed:

jo@example.net
    550 Unknown user jo@example.net
""",
        sender="Mail Delivery System <MAILER-DAEMON@mfsmax.example.ne.jp>",
        subject="Mail delivery failed",
    ),
    jo="bad_mailbox",
)
_sample(
    "jp-raw-jis",
    b"From: MAILER-DAEMON@example.jp\r\nTo: news@example.com\r\nSubject: failure notice\r\n\r\n"
    + "次の宛先に配信できませんでした。\r\n\r\n<jo@example.net>:\r\n該当するユーザーが存在しません。\r\n".encode(
        "iso-2022-jp"
    ),
    jo="bad_mailbox",
)
_sample(
    "sjis",
    _coded(
        "以下の宛先に送信できませんでした\n\njo@example.net\n\nエラー内容: 宛先のメールアドレスが見つかりません\n",
        "shift_jis",
        "送信エラーのお知らせ",
    ),
    jo="bad_mailbox",
)
_sample(
    "x-mfilter",
    notice(
        """-------server message
550 5.1.1 unknown recipient <jo@example.net>

-------SMTP command
RCPT TO:<jo@example.net>

-------original message
"""
        + LETTER,
        sender="postmaster@mx.example.jp",
        subject="failure notice",
        more=["X-Mailer: m-FILTER"],
    ),
    jo="bad_mailbox",
)
_sample(
    "expanded-alias",
    notice(
        """   ----- The following addresses had permanent fatal errors -----
kim@example.net
    (reason: 550 5.1.1 User unknown)
    (expanded from: <team@example.org>)

   ----- Transcript of session follows -----
... while talking to mx.example.net.:
>>> RCPT To:<kim@example.net>
<<< 550 5.1.1 User unknown
550 5.1.1 <team@example.org>... User unknown
""",
        subject="Returned mail: see transcript for details",
    ),
    kim="bad_mailbox",
)
_sample(
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
_sample(
    "cisco",
    report(
        group(
            final_recipient="rfc822;jo@example.net",
            action="failed",
            status="5.0.0",
            diagnostic_code="smtp; 5.1.0 - Unknown address error 550-'5.1.1 <jo@example.net> is not a valid mailbox' (delivery attempts: 0)",
        )
    ),
    jo="bad_mailbox",
)
_sample(
    "prose-sentence",
    notice(
        "Dear sender,\n\nyour message to jo@example.net was rejected because the mailbox has been disabled.\n\nFor questions contact postmaster@example.net.\n"
    ),
    jo="mailbox_disabled",
)
_sample(
    "prose-help-after",
    notice(
        "We could not deliver your message to the address jo@example.net. The remote server said:\n\n   554 5.7.1 Message refused, sender on our block list\n\nIf you think this is wrong write to help@example.net or call 555."
    ),
    jo="reputation",
)
_sample(
    "numbered-list",
    notice(
        "The following recipients could not be reached:\n\n1. jo@example.net - mailbox full\n2. kim@example.net - unknown user\n"
    ),
    jo="mailbox_full",
    kim="bad_mailbox",
)
_sample(
    "angle-dash",
    notice(
        "Failed addresses follow:\n---------------------|---------------------\n<jo@example.net> ... unknown user\n<kim@example.net> ... over quota\n\n--- message text follows ---\nFrom: x@y\n"
    ),
    jo="bad_mailbox",
    kim="mailbox_full",
)
_sample(
    "brackets",
    notice("Message could not be delivered to:\n[jo@example.net] 550 no such account\n"),
    jo="bad_mailbox",
)
_sample(
    "table-html",
    letter(
        [
            "From: mailer-daemon@mx.example.org",
            "To: news@example.com",
            "Subject: Delivery failure",
            "Content-Type: text/html",
        ],
        "<table><tr><th>Recipient</th><th>Reason</th></tr><tr><td>jo@example.net</td><td>The user is not known</td></tr><tr><td>kim@example.net</td><td>Mailbox quota exceeded</td></tr></table>",
    ),
    jo="bad_mailbox",
    kim="mailbox_full",
)
_sample(
    "ibm-notes-vague",
    notice(
        """Your message

  Subject: Hi

was not delivered to:

  jo@example.net

because:

  Error transferring to MX.EXAMPLE.NET; SMTP Protocol Returned a Permanent Error 550 5.1.1 unknown recipient
""",
        sender="postmaster@notes.example.org",
        subject="DELIVERY FAILURE: Error transferring to MX.EXAMPLE.NET",
    ),
    jo="bad_mailbox",
)
_sample(
    "sendmail-fatal-local",
    notice(
        """   ----- The following addresses had permanent fatal errors -----
"|/usr/bin/vacation jo"
    (reason: 127)
    (expanded from: <jo@example.net>)

   ----- Transcript of session follows -----
sh: vacation: not found
554 5.3.0 unknown mailer error 127
""",
        subject="Returned mail: see transcript for details",
    ),
    jo="system",
)
_sample(
    "vdomain-quota",
    notice(
        """Hi. This is the qmail-send program at example.org.

<jo@example.net>:
vpopmail: user is over quota

--- Below this line is a copy of the message.
"""
        + LETTER,
        subject="failure notice",
    ),
    jo="mailbox_full",
)
_sample(
    "qmail-rcpthosts",
    notice(
        """<jo@example.net>:
192.0.2.5 does not like recipient.
Remote host said: 553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)
Giving up on 192.0.2.5.
""",
        subject="failure notice",
    ),
    jo="relay_denied",
)

_sample(
    "final-folded",
    report(
        "Final-Recipient: rfc822;\n jo@example.net\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp;\n 550 5.1.1 no\n such user"
    ),
    jo="bad_mailbox",
)
_sample(
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
_sample(
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
_sample(
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
_sample(
    "x-actual",
    report(
        "Final-Recipient: rfc822; jo@example.net\nX-Actual-Recipient: rfc822; joe@inner.example.org\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 unknown"
    ),
    jo="bad_mailbox",
)
_sample(
    "uppercase-fields",
    report(
        "FINAL-RECIPIENT: RFC822;jo@example.net\nACTION: FAILED\nSTATUS: 5.2.2\nDIAGNOSTIC-CODE: SMTP;552 MAILBOX FULL"
    ),
    jo="mailbox_full",
)
_sample(
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
_sample(
    "lost-mime-header",
    letter(
        [
            "From: MAILER-DAEMON@mx.example.org",
            "To: news@example.com",
            "Subject: Returned mail: User unknown",
        ],
        "This is a MIME-encapsulated message\n\n--AA/mx\n\nThe following addresses had delivery problems:\n<jo@example.net>\n    (reason: 550 User unknown)\n\n--AA/mx\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\nFinal-Recipient: RFC822; jo@example.net\nAction: failed\nStatus: 5.1.1\n\n--AA/mx\nContent-Type: message/rfc822\n\n"
        + LETTER
        + "\n--AA/mx--",
    ),
    jo="bad_mailbox",
)
_sample(
    "aol-not-accepting",
    notice(
        "The original message was received at Mon, 6 May 2002\n\n   ----- The following addresses had permanent fatal errors -----\n<jo@example.net>\n\n   ----- Transcript of session follows -----\n... while talking to air.example.net.:\n>>> RCPT To:<jo@example.net>\n<<< 550 jo IS NOT ACCEPTING MAIL FROM THIS SENDER\n550 <jo@example.net>... User unknown\n",
        subject="Returned mail: User unknown",
    ),
    jo="policy",
)
_sample(
    "transcript-said-both",
    notice(
        "   ----- The following addresses had permanent fatal errors -----\n<jo@example.net>\n<kim@example.net>\n\n   ----- Transcript of session follows -----\n... while talking to mx.example.net.:\n>>> RCPT To:<jo@example.net>\n<<< 550 5.1.1 <jo@example.net>... User unknown\n550 5.1.1 <jo@example.net>... User unknown\n>>> RCPT To:<kim@example.net>\n<<< 452 4.2.2 <kim@example.net>... Mailbox full\n<kim@example.net>... Deferred: 452 4.2.2 <kim@example.net>... Mailbox full\n",
        subject="Returned mail: see transcript for details",
    ),
    jo="bad_mailbox",
    kim="mailbox_full",
)
_sample(
    "novell",
    notice(
        "The message from <news@example.com> to jo@example.net could not be delivered.\nError: 550 mailbox disabled\n"
    ),
    jo="mailbox_disabled",
)
_sample(
    "reason-above",
    notice(
        "Reason for failure: the mailbox is full.\n\nRecipient: jo@example.net\nSubject: Hello\n"
    ),
    jo="mailbox_full",
)
_sample(
    "xfailed",
    notice(
        "Something went wrong with your mail.\n\n550 5.7.1 spam\n",
        more=["X-Failed-Recipients: jo@example.net, kim@example.net"],
    ),
    jo="spam_content",
    kim="spam_content",
)
_sample(
    "mail-com",
    notice(
        "This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of\nits recipients. The following addresses failed:\n\n<jo@example.net>\nReason: quota exceeded\n\n<kim@example.net>\nReason: user is unknown\n\n--- The header of the original message is following. ---\n\n"
        + LETTER
    ),
    jo="mailbox_full",
    kim="bad_mailbox",
)
_sample(
    "netscape",
    notice(
        "This Message was undeliverable due to the following reason:\n\nEach of the following recipients was rejected by a remote mail server.\nThe reasons given by the server are included to help you determine why\neach recipient was rejected.\n\n    Recipient: <jo@example.net>\n    Reason:    5.1.1 <jo@example.net>... User unknown\n\nPlease reply to <Postmaster@mx.example.org>\nif you feel this message to be in error.\n",
        subject="Mail System Error - Returned Mail",
    ),
    jo="bad_mailbox",
)
_sample(
    "netscape-timeout",
    notice(
        "This Message was undeliverable due to the following reason:\n\nYour message was not delivered because the destination computer was\nnot found.  Carefully check that it was spelled correctly and try\nsending it again if there were any mistakes.\n\n     Host example.net not found\n\nThe following recipients did not receive your message:\n\n     <jo@example.net>\n",
        subject="Mail System Error - Returned Mail",
    ),
    jo="bad_domain",
)
_sample(
    "lotus-smtp",
    notice(
        "The message could not be delivered because the recipient's destination email system is unknown or invalid.\n\njo@example.net; Host unknown\n",
        sender="Mail Router <postmaster@notes.example.org>",
        subject="DELIVERY FAILURE",
    ),
    jo="bad_domain",
)
_sample(
    "exch-pt",
    notice(
        "Falha na entrega para estes destinatários ou grupos:\n\njo@example.net<mailto:jo@example.net>\nNão foi possível encontrar o endereço de email inserido.\n\nInformações de diagnóstico para administradores:\n\njo@example.net\n#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##\n",
        subject="Não é possível entregar: oi",
        sender="Postmaster <postmaster@mx.example.br>",
    ),
    jo="bad_mailbox",
)
_sample(
    "exch-it",
    notice(
        "Recapito non riuscito per i seguenti destinatari o gruppi:\n\njo@example.net<mailto:jo@example.net>\nLa cassetta postale del destinatario è piena.\n\njo@example.net\n#550 5.2.2 quota ##\n",
        subject="Non recapitabile: ciao",
        sender="Postmaster <postmaster@mx.example.it>",
    ),
    jo="mailbox_full",
)
_sample(
    "exch-zh",
    _coded(
        "无法传递至以下收件人或组:\n\njo@example.net<mailto:jo@example.net>\n找不到您输入的电子邮件地址。\n\n供管理员使用的诊断信息:\n\njo@example.net\n#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##\n",
        "utf-8",
        "未传递: 你好",
        sender="Postmaster <postmaster@mx.example.cn>",
    ),
    jo="bad_mailbox",
)
_sample(
    "exch-ja",
    _coded(
        "以下の受信者またはグループへの配信に失敗しました:\n\njo@example.net<mailto:jo@example.net>\n受信者のメールボックスがいっぱいです。\n\n管理者向けの診断情報:\n\njo@example.net\n#554 5.2.2 mailbox full ##\n",
        "utf-8",
        "配信不能: 請求書",
        sender="Postmaster <postmaster@mx.example.jp>",
    ),
    jo="mailbox_full",
)
_sample(
    "exch-ru",
    _coded(
        "Сбой доставки следующим получателям или группам:\n\njo@example.net<mailto:jo@example.net>\nНе удалось найти введенный адрес электронной почты.\n\njo@example.net\n#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##\n",
        "utf-8",
        "Не удается доставить: счет",
        sender="Postmaster <postmaster@mx.example.ru>",
    ),
    jo="bad_mailbox",
)
_sample(
    "facebook",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.1.1",
            diagnostic_code="smtp; 550 5.1.1 RCP-P2 http://postmaster.example/response_codes?ip=192.0.2.1#rcp Refused due to recipient preferences",
        )
    ),
    jo="bad_mailbox",
)
_sample(
    "docomo-spec",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.0.0",
            diagnostic_code="smtp; 550 Unknown user jo@example.net (in reply to end of DATA command)",
        )
    ),
    jo="bad_mailbox",
)
_sample(
    "google-policy",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.7.1",
            diagnostic_code="smtp; 550-5.7.1 [192.0.2.1] The IP you're using to send mail is not authorized to send email directly to our servers.",
        )
    ),
    jo="reputation",
)
_sample(
    "zoho-bounce2",
    notice(
        "This message was created automatically by mail delivery software.\n A message that you sent could not be delivered to one or more of its recipients. This is a permanent error.\n\njo@example.net, ERROR CODE :552 - 5.2.2 Mailbox quota exceeded\nkim@example.net, ERROR CODE :550 - Unknown recipient\n",
        sender="mailer-daemon@mail.example.org",
    ),
    jo="mailbox_full",
    kim="bad_mailbox",
)
_sample(
    "ms-antispam",
    report(
        group(
            final_recipient="rfc822;jo@example.net",
            action="failed",
            status="5.7.1",
            diagnostic_code="smtp;550 5.7.1 Service unavailable, Client host [192.0.2.1] blocked using Spamhaus.",
        )
    ),
    jo="reputation",
)
_sample(
    "clamsmtp",
    notice(
        "Your message to jo@example.net was rejected because it contains a virus: Eicar-Test.\n",
        sender="Virus Scanner <postmaster@mx.example.org>",
        subject="VIRUS IN YOUR MAIL - message rejected",
    ),
    jo="virus",
)
_sample(
    "amavis",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.7.1",
            diagnostic_code="smtp; 554 5.7.1 Reject, id=1-2 - SPAM",
        ),
        text="A message from <news@example.com> to:\n-> jo@example.net\n\nwas considered unsolicited bulk e-mail (UBE).",
        subject="Considered UNSOLICITED BULK EMAIL, apparently from you",
    ),
    jo="spam_content",
)
_sample(
    "kerio",
    notice(
        "Your message did not reach some or all of the intended recipients.\n\n   Subject: x\n   Date: today\n\nThe following recipient(s) could not be reached:\n\n   jo@example.net\n      Error Type: SMTP\n      Remote server (192.0.2.5) issued an error.\n      hMailServer sent: RCPT TO:<jo@example.net>\n      Remote server replied: 550 Unknown user\n\nhMailServer\n",
        sender="mailer-daemon@mx.example.org",
        subject="Message undeliverable: x",
    ),
    jo="bad_mailbox",
)
_sample(
    "mercury",
    notice(
        "Your message was not delivered to the following addresses:\n\n  To: <jo@example.net>\n  Error: Job failed - 553 No such user.\n",
        sender="Electronic Postmaster <Postmaster@mx.example.org>",
        subject="Delivery failure notification",
    ),
    jo="bad_mailbox",
)
_sample(
    "argosoft",
    notice(
        "Message delivery to the following recipient failed:\n\n    jo@example.net\n\nError was:\n\n    Mailbox is over quota\n",
        sender="ArGoSoft Mail Server <postmaster@mx.example.org>",
        subject="Delivery Status",
    ),
    jo="mailbox_full",
)
_sample(
    "gordano",
    notice(
        "The following message could not be delivered because the recipient address\n\n        jo@example.net\n\nis not known at this site.\n",
        subject="Undelivered message",
    ),
    jo="bad_mailbox",
)
_sample(
    "dkim-prose",
    notice(
        "jo@example.net\n  Remote server said: 550 5.7.20 The message was rejected: no valid DKIM signature\n",
        subject="Undelivered Mail Returned to Sender",
    ),
    jo="authentication",
)
_sample(
    "prose-handed-over",
    notice(
        "Dear user,\n\nI regret that the following message could not be handed to its recipient.\n\nTo: jo@example.net\nSubject: Your invoice\n\nThe answer of the other server was:\n550 5.1.1 no such person\n",
        subject="Undelivered message",
    ),
    jo="bad_mailbox",
)
_sample(
    "error-colon",
    notice(
        "ERROR: Your mail to <jo@example.net> was not delivered:\n\n   552 mailbox over quota\n\n----- message headers -----\n"
        + LETTER
    ),
    jo="mailbox_full",
)
_sample(
    "plus-list",
    notice(
        "Delivery report\n\n+ jo@example.net: failed (550 unknown account)\n+ kim@example.net: failed (554 blocked using bl.example.org)\n",
        subject="Delivery report",
    ),
    jo="bad_mailbox",
    kim="reputation",
)
_sample(
    "named-on-its-own-line",
    notice(
        "Sorry, your message to\n\n    Jo Doe <jo@example.net>\n\ncould not be delivered. The mailbox is disabled.\n"
    ),
    jo="mailbox_disabled",
)
_sample(
    "addressee",
    report(
        group(
            final_recipient="rfc822;jo@example.net",
            action="failed",
            status="5.3.0",
            diagnostic_code="smtp;553 5.3.0 <jo@example.net>... Addressee not known here",
        )
    ),
    jo="bad_mailbox",
)
_sample(
    "temporary-then-final",
    report(
        group(
            final_recipient="rfc822;jo@example.net",
            action="failed",
            status="4.3.0",
            diagnostic_code="smtp;451 4.3.0 mail server temporarily rejected message",
        )
    ),
    jo="system",
)
_sample(
    "chinese-html-quoted-printable",
    letter(
        [
            "From: Mail System <mail-system@gw.example.org>",
            "To: news@example.com",
            "Subject: Your mail could not be delivered",
            "Content-Type: text/html; charset=gb2312",
            "Content-Transfer-Encoding: quoted-printable",
        ],
        quopri.encodestring(
            "<div>尊敬的用户：您的邮件<b>未能送达</b></div><div>收件人: jo@example.net</div><div>原因: 用户不存在</div>".encode(
                "gb2312"
            )
        ).decode()
        + "\n<div>-----</div>",
    ),
    jo="bad_mailbox",
)
_sample(
    "spanish",
    notice(
        "El mensaje no pudo ser entregado a:\n\n  jo@example.net\n\nMotivo: buzón lleno\n",
        subject="Mensaje no entregado",
        sender="Correo <postmaster@mx.example.es>",
    ),
    jo="mailbox_full",
)
_sample(
    "french",
    notice(
        "Votre message n'a pas pu être remis au destinataire suivant :\n\n  jo@example.net\n\nRaison : utilisateur inconnu\n",
        subject="Message non remis",
        sender="Postmaster <postmaster@mx.example.fr>",
    ),
    jo="bad_mailbox",
)
_sample(
    "german",
    notice(
        "Ihre Nachricht konnte dem folgenden Empfänger nicht zugestellt werden:\n\n  jo@example.net\n\nGrund: Das Postfach ist voll.\n",
        subject="Unzustellbare Nachricht",
        sender="Postmaster <postmaster@mx.example.de>",
    ),
    jo="mailbox_full",
)
_sample(
    "in-parentheses",
    notice(
        "The following addresses had errors:\n  jo@example.net (unknown user)\n  kim@example.net (mailbox full)\nThe message was sent to all others.\n"
    ),
    jo="bad_mailbox",
    kim="mailbox_full",
)
_sample(
    "yahoo-quota",
    notice(
        "Message from example.net.\nUnable to deliver message to the following address(es).\n\n<jo@example.net>:\nSorry, that user is over quota [0]\n\n--- Original message follows.\n\n"
        + LETTER,
        sender="MAILER-DAEMON@example.net",
        subject="Delivery failure",
    ),
    jo="mailbox_full",
)

_sample(
    "exim-deliveries-in-place-of-addresses",
    notice(
        """This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  jo@example.net
    Unknown user

  save to /home/kim/Mailbox
    generated by kim@example.net
    disk quota exceeded
"""
        + RETURNED,
        sender="Mail Delivery System <Mailer-Daemon@mx.example.org>",
        subject="Mail delivery failed: returning message to sender",
    ),
    jo="bad_mailbox",
    kim="mailbox_full",
)
_sample(
    "exchange-german-with-its-time",
    _coded(
        """Die Nachricht hat nicht alle Empfänger erreicht.

      Betreff:\tRechnung

Folgende Empfänger konnten nicht erreicht werden:

      jo@example.net am 06.11.2023 10:00
            Dieses Konto ist in der Organisation nicht vorhanden.
            <mx.example.org #5.1.1>
""",
        "utf-8",
        "Unzustellbar: Rechnung",
    ),
    jo="bad_mailbox",
)
_sample(
    "reason-under-a-heading-of-the-original-message",
    notice(
        """----- The following addresses had permanent fatal errors -----

>>> "jo" <jo@example.net>

----- original message reason -----
550 no mailbox here by that name

----- original headers -----
Received: from a.example.com
From: news@example.com
To: jo@example.net
""",
        sender="MAILER-DAEMON@mx.example.org",
        subject="Failure notice",
    ),
    jo="bad_mailbox",
)
_sample(
    "error-after-transfer-of-mail-text",
    notice(
        """This message was created automatically by mail delivery software.
It could not be delivered. The following address failed:

<jo@example.net>:
SMTP error from remote server after transfer of mail text:
host: mx.example.net
5.7.1 Message classified as SPAM
"""
        + RETURNED,
        sender="Mail Delivery System <mailer-daemon@mx.example.org>",
        subject="Mail delivery failed: returning message to sender",
    ),
    jo="spam_content",
)
_sample(
    "closed-under-a-passing-code-given-up",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="4.2.1",
            diagnostic_code="smtp; 450 4.2.1 <jo@example.net>: this mailbox has been disabled",
        )
    ),
    jo="mailbox_disabled",
)

OTHERS: dict[str, tuple[str, bytes]] = {}
"""Name -> (kind, raw message): what is said to the same address and is no failure."""


def _kind(name: str, kind: str, raw: bytes) -> None:
    OTHERS[name] = kind, raw


_kind(
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
_kind(
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
_kind(
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
_kind(
    "ses-complaint-arf",
    "complaint",
    feedback("Feedback-Type: abuse\nUser-Agent: X/1\nVersion: 1\nOriginal-Rcpt-To: jo@example.net"),
)
_kind(
    "arf-optout",
    "complaint",
    feedback(
        "Feedback-Type: opt-out\nVersion: 1\nUser-Agent: Y/2\nRemoval-Recipient: jo@example.net"
    ),
)
_kind(
    "arf-mixed-b64",
    "complaint",
    feedback("Feedback-Type: abuse\nUser-Agent: N/1\nVersion: 1", encoding="base64", top="mixed"),
)
_kind("arf-caps", "complaint", feedback("FEEDBACK-TYPE: Abuse\nVERSION: 0.1\nUSER-AGENT: Z"))
_kind(
    "arf-fraud",
    "complaint",
    feedback("Version: 1\nUser-Agent: Q\nFeedback-Type: fraud\nSource-IP: 192.0.2.1"),
)
_kind(
    "arf-authfail",
    "complaint",
    feedback(
        "Feedback-Type: auth-failure\nVersion: 1\nUser-Agent: d/1\nAuth-Failure: dmarc\nReported-Domain: example.com"
    ),
)
_kind(
    "success",
    "delivered",
    report(
        group(final_recipient="rfc822; jo@example.net", action="delivered", status="2.0.0"),
        subject="Successful Mail Delivery Report",
        text="Your message was successfully delivered to jo@example.net.",
    ),
)
_kind(
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
_kind(
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
_kind(
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
_kind(
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
_kind(
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
