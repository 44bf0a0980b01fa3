"""Systems of China, Japan and Korea."""

# ruff: noqa: E501  (a sample stands as it is sent)

from __future__ import annotations

import quopri

from tests.ingest.letters import LETTER, group, letter, notice, report
from tests.ingest.samples.table import coded, sample

sample(
    "qq",
    coded(
        "<html><body><p>您发送的邮件被退回</p><p>收件人邮件地址（jo@example.net）不存在，邮件无法送达。</p><p>host mx.example.net said: 550 Mailbox not found</p></body></html>",
        "gbk",
        "系统退信",
        kind="text/html",
        sender="PostMaster@qq.com",
    ),
    jo="bad_mailbox",
)

sample(
    "netease",
    coded(
        "<html><body><p>抱歉，您的邮件被退回来了……</p><table><tr><td>收件人：</td><td>jo@example.net</td></tr><tr><td>退信原因：</td><td>对方邮箱已满 (552 mailbox full)</td></tr></table></body></html>",
        "gb2312",
        "系统退信/Systems bounce",
        kind="text/html",
        sender="Postmaster@163.com",
    ),
    jo="mailbox_full",
)

sample(
    "chinese-gateway",
    coded(
        "尊敬的用户：\n\n您的邮件未能成功投递到以下地址：\n\n  jo@example.net\n\n失败原因：该用户已被停用\n",
        "utf-8",
        "退信通知",
    ),
    jo="mailbox_disabled",
)

sample(
    "aliyun",
    coded(
        "您好，\n\n邮件发送失败，收件人：jo@example.net\n原因：554 域名不存在\n",
        "utf-8",
        "退信：Your invoice",
        sender="mailer-daemon@mail.example.cn",
    ),
    jo="bad_domain",
)

sample(
    "japanese-iso2022",
    coded(
        "下記の宛先へメールを送信できませんでした。\n\n<jo@example.net>\n    ユーザが存在しません\n",
        "iso-2022-jp",
        "メール配信エラー",
    ),
    jo="bad_mailbox",
)

sample(
    "japanese-full",
    coded(
        "次のあて先にメールを届けることができませんでした。\n\n  jo@example.net\n\n理由: 受信者のメールボックスの容量が超過しています。\n",
        "iso-2022-jp",
        "配信エラー",
    ),
    jo="mailbox_full",
)

sample(
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

sample(
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

sample(
    "korean",
    coded(
        "다음 수신자에게 메일을 전달할 수 없습니다.\n\njo@example.net\n\n원인: 존재하지 않는 사용자입니다.\n",
        "euc-kr",
        "메일 전송 실패 알림",
    ),
    jo="bad_mailbox",
)

sample(
    "sina",
    coded(
        "您好，您发给 jo@example.net 的邮件被退回。\n\n退信原因：收件人邮箱已满。\n\n此信由系统自动发出，请勿回复。",
        "gbk",
        "退信通知",
        sender="MAILER-DAEMON@sina.example.cn",
    ),
    jo="mailbox_full",
)

sample(
    "263",
    coded(
        "尊敬的用户,您的邮件没有发送成功!\n\n收件人：<jo@example.net>\n服务器返回：550 User not found: jo@example.net\n",
        "gb2312",
        "发信失败通知",
        sender="postmaster@263.example.cn",
    ),
    jo="bad_mailbox",
)

sample(
    "coremail",
    coded(
        "很抱歉，您的邮件无法送达。\n\n主题：发票\n收件人：jo@example.net\n原因：对方服务器拒绝接收，错误信息：554 DT:SPM mx9\n",
        "utf-8",
        "系统退信",
        sender="Coremail <postmaster@mail.example.cn>",
    ),
    jo="spam_content",
)

sample(
    "chinese-trad",
    coded(
        "您的郵件無法送達下列收件者：\n\n  jo@example.net\n\n原因：使用者不存在\n",
        "big5",
        "無法傳遞的郵件",
    ),
    jo="bad_mailbox",
)

sample(
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

sample(
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

sample(
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
