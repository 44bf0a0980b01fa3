"""Causes in words: what stands behind a verdict that no mail server worded.

A refusal is explained by the advice of its category (`analysis.advice`); what is left are the
states a delivery can be in and the reasons that people, not servers, give.  English and Chinese.
"""

from __future__ import annotations

from analysis.lifecycle import State
from analysis.suppression import Reason

NEVER = "never_written"
"""The verdict on an address that nothing was ever sent to."""

HELD_BACK = "held_back"
"""What a queued message waits for when its site is not written to for a while."""

OWN_RESOLVER = "own-trouble/own-resolver"
"""The rule of attempts that came no further than our resolver."""

CAUSES: dict[str, dict[str, str]] = {
    "en": {
        NEVER: "Nothing was ever sent to this address.",
        State.QUEUED: "The message waits for its next try.",
        HELD_BACK: "The message is held back: its mail server wants less from us for a while, or "
        "does not answer.",
        State.SENDING: "The message is being handed over right now.",
        State.DELIVERED: "The recipient's mail server accepted the message.",
        State.BOUNCED: "The recipient's mail server refused the message for good.",
        State.EXPIRED: "The message could not be handed over before its deadline.",
        State.SUPPRESSED: "The message was withheld; what withheld it has been lifted or ran out.",
        State.COMPLAINED: "The message was delivered, and the recipient reported it as spam.",
        State.CANCELLED: "The message was cancelled before it was sent.",
        Reason.HARD_BOUNCE: "Mail is withheld: the address cannot receive mail.",
        Reason.SOFT_BOUNCE: "Mail is withheld for some days: the mailbox failed again and again.",
        Reason.COMPLAINT: "Mail is withheld: the recipient reported mail from us as spam.",
        Reason.UNSUBSCRIBE: "Mail is withheld: the recipient unsubscribed.",
        Reason.MANUAL: "Mail is withheld: somebody put the address on the list.",
    },
    "zh": {
        NEVER: "从未向该地址发送过邮件。",
        State.QUEUED: "邮件正在等待下一次投递。",
        HELD_BACK: "邮件暂缓发送：收件方邮件服务器要求我们放慢速度，或暂时没有响应。",
        State.SENDING: "邮件正在投递中。",
        State.DELIVERED: "收件方邮件服务器已接收该邮件。",
        State.BOUNCED: "收件方邮件服务器永久拒收了该邮件。",
        State.EXPIRED: "邮件在截止时间之前未能投递成功。",
        State.SUPPRESSED: "邮件当时被拦截；拦截原因现已解除或到期。",
        State.COMPLAINED: "邮件已送达，但收件人将其举报为垃圾邮件。",
        State.CANCELLED: "邮件在发送之前已被取消。",
        Reason.HARD_BOUNCE: "已停止发送：该地址无法接收邮件。",
        Reason.SOFT_BOUNCE: "已暂停发送数日：该邮箱连续多日投递失败。",
        Reason.COMPLAINT: "已停止发送：收件人曾将我们的邮件举报为垃圾邮件。",
        Reason.UNSUBSCRIBE: "已停止发送：收件人已退订。",
        Reason.MANUAL: "已停止发送：该地址由人工加入了抑制名单。",
    },
}

WAITS: dict[str, dict[str, str]] = {
    "en": {
        "routes": "The message is held back: the way out for it does not work for a while, or has "
        "sent what it may today.",
        "caps": "The message is held back: its recipient has had as many as the stream's cap "
        "allows for a while.",
        OWN_RESOLVER: "The message waits: our own DNS resolver gives no answers, so that no mail "
        "finds its way for a while.",
    },
    "zh": {
        "routes": "邮件暂缓发送：其发送线路暂时不可用，或已达到当日发送上限。",
        "caps": "邮件暂缓发送：该收件人在此时段内收到的邮件已达到上限。",
        OWN_RESOLVER: "邮件正在等待：我们自己的 DNS 解析器暂时没有应答，邮件找不到去路。",
    },
}
"""What else a queued message waits for, by its rule or the first part of that."""

_CHOSEN = {
    "en": {
        "user": "Mail to this address was stopped on request. To receive it again, ask support.",
        "support": "Ask the person whether they want our mail again; only then lift the entry.",
        "developer": "Lift the entry only with the recipient's consent, and say why: "
        "DELETE /v1/suppressions/{address}?why=...",
    },
    "zh": {
        "user": "发往该地址的邮件已按要求停止。如需重新接收，请联系客服。",
        "support": "请先确认收件人愿意再次接收邮件，然后再解除抑制。",
        "developer": "仅在收件人同意时解除抑制，并注明原因："
        "DELETE /v1/suppressions/{address}?why=...",
    },
}
_FINE = {
    "en": {
        "user": "Look in the spam folder and in other folders, and search for the sender.",
        "support": "The mail was accepted: ask the person to look in the spam folder.",
        "developer": "Nothing to do; the timeline holds every fact.",
    },
    "zh": {
        "user": "请查看垃圾邮件箱和其他文件夹，或搜索发件人。",
        "support": "对方服务器已接收邮件：请让收件人查看垃圾邮件箱。",
        "developer": "无需处理；时间线中有全部记录。",
    },
}
_PATIENCE = {
    "en": {
        "user": "The mail is on its way; please wait a little.",
        "support": "The mail is on its way; the next try is made by itself.",
        "developer": "Nothing to do: it is tried until its deadline.",
    },
    "zh": {
        "user": "邮件正在发送途中，请稍候。",
        "support": "邮件正在发送途中，系统会自动重试。",
        "developer": "无需处理：系统会在截止时间之前自动重试。",
    },
}
_NOTHING = {
    "en": {
        "user": "No mail to this address is known here; check how it is spelt.",
        "support": "Check the spelling of the address with the person.",
        "developer": "No message to this address was submitted, or it was so long ago that it is "
        "no longer kept.",
    },
    "zh": {
        "user": "此处没有发往该地址的邮件；请检查地址拼写。",
        "support": "请与对方核对地址拼写。",
        "developer": "没有提交过发往该地址的邮件，或记录已超过保留期限。",
    },
}
_AGAIN = {
    "en": {
        "user": "The mail was not sent; ask for it again.",
        "support": "Have the mail sent again if it is still wanted.",
        "developer": "POST /v1/messages/{id}/resend sends it again.",
    },
    "zh": {
        "user": "该邮件未发送；请重新获取。",
        "support": "如仍需要，请重新发送该邮件。",
        "developer": "POST /v1/messages/{id}/resend 可重新发送。",
    },
}

UNJUDGED: dict[str, dict[str, dict[str, str]]] = {
    NEVER: _NOTHING,
    State.QUEUED: _PATIENCE,
    State.SENDING: _PATIENCE,
    State.DELIVERED: _FINE,
    State.BOUNCED: _AGAIN,
    State.EXPIRED: _AGAIN,
    State.SUPPRESSED: _AGAIN,
    State.COMPLAINED: _CHOSEN,
    State.CANCELLED: _AGAIN,
    Reason.HARD_BOUNCE: _CHOSEN,
    Reason.SOFT_BOUNCE: _PATIENCE,
    Reason.COMPLAINT: _CHOSEN,
    Reason.UNSUBSCRIBE: _CHOSEN,
    Reason.MANUAL: _CHOSEN,
}
"""Advice where there is no category: verdict or reason -> language -> audience -> words."""
