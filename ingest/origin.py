"""Who wrote a message: a mail system about a failure, or a person.

A notice in prose is believed only from a mail system, since people write about bounces, quote them
and pass them on; a false bounce costs an innocent recipient.  Decided from the header alone.
"""

from __future__ import annotations

import re

from ingest.dialects import fml
from ingest.mime import Mail
from ingest.wording import NOT_ARRIVED

_DAEMON = re.compile(
    r"mailer[-_. ]?da?emon|post[-_]?master|mail[-_. ]?daemon|mdaemon|microsoftexchange|bounces?[@+]"
    r"|\bdaemon@|mail delivery|delivery (?:sub)?system|mail\.delivery\.system"
    r"|(?:system|mail) administrator",
    re.IGNORECASE,
)
_GATEWAY = re.compile(
    r"anti-?virus|web-?shield|group-?shield|mail (?:security|marshal)|mailmarshal|interscan|imss"
    r"|scanmail|mail-?sweeper|surfcontrol|content.filter|e-?mail (?:gateway|firewall)",
    re.IGNORECASE,
)
"""A filter by name; its maker writes newsletters as well."""
_CALLED_FAILURE = re.compile(r"mail delivery (?:failure|error)", re.IGNORECASE)
_MAIL_SYSTEM = re.compile(r"\b(?:mail|list)[ -](?:system|server|router|gateway)\b", re.IGNORECASE)
_ROBOT = re.compile(
    r"no-?reply|do-?not-?reply|mail-?(?:system|sys|server|gate|deliver|admin|service)|\bmta\b|daemon"
    r"|smtp|gateway|notif|robot|auto|bounce|undeliver|delivery|post_?master|administrator|<root@",
    re.IGNORECASE,
)
_FAILURE_SUBJECT = re.compile(
    r"undeliver|un-deliver|not deliver|returned mail|bounced mail|failure notice|user unknown"
    r"|deliver\w{0,3} (?:status|fail|problem|error|notif|report|delayed)|delivery has failed"
    r"|mail (?:system )?error|mail (?:could not|cannot)|mail failure|failed (?:mail|delivery)"
    r"|(?:message|mail) (?:delayed|undeliver|not)|could not (?:be )?(?:sent|deliver|send)"
    r"|(?:message|mail) (?:was |has been )?(?:rejected|refused|returned|blocked|bounced)"
    r"|unable to (?:deliver|send)|virus (?:in|found|detected)|(?:content|policy) violation"
    r"|non[- ]?remis|apparently from you"
    r"|\u9000\u4fe1|\u9000\u4ef6|\u6295\u9012\u5931\u8d25|\u53d1\u9001\u5931\u8d25"
    r"|メールエラー|エラー通知|エラーメール|配信でき|送信でき|届けでき"
    r"|(?:automatically|mail|message) (?:was )?(?:rejected|stopped|bounced)|\bbanned\b|blocked by"
    r"|non d.livr|non recapitat|recapito non|mancat[oa] (?:recapito|consegna)|no entregad"
    r"|no se (?:puede|pudo|ha podido) entregar|n.o (?:. poss.vel entregar|entregue|foi entregue)"
    r"|onbestelbaar|kan (?:inte|ikke) levere|niedostarcz|nie dostarcz|nelze doru|nedoru"
    r"|teslim edileme|k.zbes.thet|nem k.zbes|ei voi(?:tu)? toimittaa|не удалось доставить"
    r"|배달되지|전송 ?실패|발송 ?실패|반송|无法送达|未送达|無法傳遞|メール(?:拒否|返送)"
    r"|unzustellbar|nicht zugestellt|недостав|не доставлен|配信不能|配信エラー",
    re.IGNORECASE,
)
_ANSWER = re.compile(
    r"\s{0,5}(?:\[[^\[\]]{1,60}\]\s{0,3})?(re|fwd?|aw|wg|tr|sv|rv|enc|\u8f6c\u53d1|\u56de\u590d|答复)\s{0,3}[:\uff1a]",
    re.IGNORECASE,
)
_FORWARD = frozenset({"fw", "fwd", "wg", "tr", "rv", "enc", "\u8f6c\u53d1"})
_BY_HAND = frozenset(
    {
        *("in-reply-to", "references", "user-agent", "thread-topic", "thread-index"),
        *("x-ms-has-attach", "accept-language"),
    }
)
_MARKS = _BY_HAND | {"x-mailer", "list-id"}
_PROGRAM = re.compile(
    r"outlook|thunderbird|mozilla|apple mail|iphone|ipad|android|eudora|mutt|\bpine\b|alpine"
    r"|evolution|kmail|zimbra|roundcube|squirrel|horde|foxmail|becky|the bat|sylpheed|claws"
    r"|pegasus|opera|airmail|emclient|yahoomail|webmail|entourage|netscape|lotus notes release"
    r"|spark|superhuman",
    re.IGNORECASE,
)
_FIRST_PERSON = re.compile(
    r"\bI (?:get|got|sent|send|have (?:been|tried)|tried|keep|think|would|need|see|don't|do not)\b"
    r"|\bI (?:am|was) (?!sorry|afraid|not able|unable)|\b[Cc]an you\b|\b[Tt]hanks\b|\bCheers\b"
    r"|\b[Mm]y (?:e-?mail|mail|message|server|account|colleague)\b"
    r"|\b(?:[Bb]est|[Kk]ind) regards\b|\bwrote:"
)


def is_daemon(mail: Mail) -> bool:
    """Whether the author is a mail system by name."""
    author = mail.headers.word("from")[:500]
    if _DAEMON.search(author) is not None:
        return True
    return _GATEWAY.search(author) is not None and not is_to_many(mail)


def is_from_system(mail: Mail) -> bool:
    """Whether a mail system wrote the message, by its name, its mark or its subject."""
    return is_surely_from_system(mail) or (_speaks_of_failure(mail) and not is_by_hand(mail))


def is_surely_from_system(mail: Mail) -> bool:
    """Whether a mail system wrote the message, by its name or its mark."""
    headers = mail.headers
    if is_daemon(mail) or "x-failed-recipients" in headers or fml.wrote(headers):
        return True
    return headers.get("from").strip() in ("<>", "") or is_status_report(mail)


def is_called_mail_system(mail: Mail) -> bool:
    """Whether the author is called so; such a one also writes about passwords and quotas."""
    return _MAIL_SYSTEM.search(mail.headers.word("from")[:500]) is not None


def is_to_many(mail: Mail) -> bool:
    """Whether a list or a bulk sender sent it, which report nobody's failure."""
    precedence = mail.headers.get("precedence").strip().lower()
    listed = "list-id" in mail.headers or "list-unsubscribe" in mail.headers
    return listed or precedence in ("bulk", "list", "junk")


def has_null_path(mail: Mail) -> bool:
    """Whether nobody may answer: the envelope's sender was empty.  RFC 5321 section 4.5.5."""
    return mail.headers.get("return-path").strip() == "<>"


def is_from_robot(mail: Mail) -> bool:
    """Whether software sent it, though it may not be a mail system: words must say the rest."""
    headers = mail.headers
    if has_null_path(mail):
        return True
    submitted = headers.get("auto-submitted").lower()
    return submitted.startswith("auto-") or _ROBOT.search(headers.word("from")[:500]) is not None


def is_failure_notice(mail: Mail) -> bool:
    """Whether the header alone tells a failure, even if nobody can say whose."""
    if _CALLED_FAILURE.search(mail.headers.word("from")[:200]) is not None:
        return True
    if is_daemon(mail) and NOT_ARRIVED.search(mail.headers.word("subject")[:500]):
        return True
    if not _speaks_of_failure(mail):
        return False
    nobody = mail.headers.get("from").rstrip().endswith("<>")
    return is_daemon(mail) or nobody or (bool(mail.returned) and not is_by_hand(mail))


def is_by_hand(mail: Mail) -> bool:
    """Whether a mail program's marks, or somebody who says `I`, show that a person wrote."""
    headers = mail.headers
    marked = not _BY_HAND.isdisjoint(headers.names) and not _is_by_machine(mail)
    if marked or _PROGRAM.search(headers.get("x-mailer")[:200]):
        return True
    return _FIRST_PERSON.search(mail.notice[:2_000]) is not None


def _is_by_machine(mail: Mail) -> bool:
    """Whether the header swears that no person wrote.  Exchange's own reports carry its marks."""
    headers = mail.headers
    if has_null_path(mail) or "x-ms-embedded-report" in headers:
        return True
    submitted = headers.get("auto-submitted").lower()
    return submitted.startswith("auto-") or headers.get("content-class").endswith(":dsn")


def _speaks_of_failure(mail: Mail) -> bool:
    return _FAILURE_SUBJECT.search(mail.headers.word("subject")[:500]) is not None


def is_status_report(mail: Mail) -> bool:
    """Whether the message calls itself a delivery report.  RFC 6522 section 3."""
    return mail.parameters.get("report-type", "").lower() == "delivery-status"


def is_answer(mail: Mail) -> bool:
    """Whether the subject answers or passes on an earlier message."""
    return _ANSWER.match(mail.headers.word("subject")) is not None


def is_forwarded(mail: Mail) -> bool:
    """Whether the subject passes an earlier message on, rather than answers it."""
    answer = _ANSWER.match(mail.headers.word("subject"))
    return answer is not None and answer[1].lower() in _FORWARD


def is_passed_on(mail: Mail) -> bool:
    """Whether somebody answers or passes on a bounce: the failure is no news of ours."""
    if is_daemon(mail) or is_status_report(mail):
        return False
    answer = _ANSWER.match(mail.headers.word("subject"))
    if answer is None:
        return False
    by_hand = not _MARKS.isdisjoint(mail.headers.names)
    ticket = answer[0].lstrip().startswith("[")
    return by_hand or ticket or answer[1].lower() != "re"
