"""Words by which reports can be known, in the languages that providers write.

Patterns only, compiled by RE2, so that they are linear on any text.  They tell a notice of failure
from other mail and find its joints; what a failure means is the rulebook's business.
"""

from __future__ import annotations

import re2

_OPTIONS = re2.Options()
_OPTIONS.case_sensitive = False
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 8 << 20


def any_of(*patterns: str) -> re2._Regexp[str]:
    """One pattern without case that finds any of these, in linear time."""
    return re2.compile("|".join(f"(?:{pattern})" for pattern in patterns), _OPTIONS)


_NOT_ARRIVED = (
    # German, French
    r"nicht (?:\S+ ){0,6}(?:zugestellt|zustellbar|zustellen|erreicht|gefunden)|unzustellbar",
    r"nicht (?:\S+ ){0,6}(?:aus(?:ge|zu)?liefer|.bermittel|weitergeleitet|weiterleiten)",
    r"zustellung.{0,30}(?:fehl|nicht)|kam(?:en)? (?:\S+ ){0,3}nicht an\b|nicht angekommen",
    r"n.(?:a|ont) (?:pas )?pu\b|non (?:remis|distribu|d.livr)|pas .t. (?:d.livr|remis|distribu)",
    r"n.(?:a|ont) (?:malheureusement )?(?:jamais )?.t. (?:remis|d.livr|distribu)",
    r"ne (?:peut|peuvent|saurait|pourra|pouvait) (?:pas )?(?:.tre )?(?:remi|d.livr|distribu)",
    r"impossible de (?:remettre|distribuer|d.livrer)",
    # Spanish, Italian, Portuguese, Dutch, Polish
    r"no (?:se )?(?:pudo|ha podido|puede|ha entregado|entreg)|no entregad|devuelto",
    r"non .{0,20}(?:recapitat|consegnat|consegnar|recapitare)|impossibile (?:recapit|consegn)",
    r"n.o (?:foi|p.de|pode) (?:\S+ ){0,2}(?:entreg|ser)|n.o entregue|devolvid",
    r"niet (?:\S+ ){0,2}(?:bezorgd|afgeleverd|worden)|onbestelbaar",
    r"nie (?:\S+ ){0,3}(?:dostarcz|dor.cz)",
    r"falha (?:na|de|ao) (?:entreg|envi)|(?:fallo|error|fall[óo]) (?:en|de|al) (?:la )?entreg",
    r"(?:mancata|errore (?:di|nella)) (?:consegna|recapito)|chec de (?:la )?remise",
    r"chec de (?:la )?distribution",
    r"niedostarcz|(?:dostarczeni|wysłani)\w+ .{0,40}(?:nie powiod|niemożliw)",
    r"bezorging .{0,20}mislukt|niet bezorg",
    # Russian, Ukrainian
    r"не (?:[а-я]+ ){0,3}(?:доставлен|может быть|удалось)",
    r"недостав|невозможно доставить|ошибка доставки|не вдалося|не доставлен",
    # Chinese
    r"退信|退回|拒收|没有送达|未送达",
    r"(?:无法|未能|没能)(?:成功|正常|被)?(?:送达|投递|发送|到达|传送|投送)|(?:发送|投递|传送|送达)失败",
    r"(?:無法|未能)(?:送達|投遞|傳送|寄送|遞送)|(?:傳送|寄送|投遞)失敗|退件",
    # Japanese
    r"(?:配信|配送|送信|お届け|送達|届ける事が)(?:が|は|を)?(?:でき|出来)|配信不能|届きません",
    r"届けられ|宛先不明|送信エラー|戻って|エラーメール",
    r"(?:配送|配信|送信)に失敗|(?:届ける|送る|配信する|送信する)(?:こと|事)(?:が|は)?(?:でき|出来)",
    # Korean, Scandinavian, Czech, Hungarian, Turkish
    r"(?:전달|전송|배달|발송|배송)(?:을|를|이|에|되지)? ?(?:할 수 ?없|하지 ?못|실패|못했|않았)",
    r"반송",
    r"kunde inte (?:levereras|skickas)|kunne ikke (?:leveres|sendes)|ikke (?:leveret|levert)",
    r"gick inte att (?:leverera|skicka|nå)|kan (?:inte|ikke) (?:levere|sende|nå)",
    r"(?:leverans|levering|afsendelse)\w* (?:\S+ ){0,3}(?:misslyck|mislyk|mislykk)",
    r"(?:nepodařilo|nezdařilo) (?:se )?doručit|(?:nebylo|není) možné .{0,20}doručit",
    r"doručení .{0,40}(?:nezdařilo|selhalo|nepodařilo)",
    r"nedoru[čc]|(?:nepodarilo|nebolo možné) (?:sa )?doručiť",
    r"nem sikerült .{0,40}kézbesít|kézbesíthetetlen|kézbesítés.{0,30}sikertelen",
    r"teslim (?:edilemiyor|edilmedi|başarısız)|teslimat .{0,20}başarısız|gönderilemedi",
    r"ei voitu (?:toimittaa|lähettää)|toimit\w+ epäonnistui",
    r"nu (?:a putut|a fost|poate) .{0,20}livra|δεν (?:ήταν δυνατή|μπόρεσε|παραδόθηκε)",
    r"не (?:може|можа|беше|бе) .{0,20}достав|неуспешн\w+ достав",
    r"tidak (?:dapat|bisa) (?:di)?kirim|gagal (?:di)?kirim|không thể (?:gửi|chuyển)",
    r"تعذر|لم يتم (?:تسليم|إرسال)|לא ניתן (?:למסור|לשלוח)|ไม่สามารถ(?:นำ)?ส่ง",
    r"nelze doručit|nebyl[ao]? doručen|nem (?:lehetett )?kézbesít|teslim edilemedi|iletilemedi",
)
"""In other languages than English: it was not delivered."""

FAILED = any_of(
    # English: it was not delivered
    r"(?:not|n[o'’]t) (?:be |been |able to be |yet been )?(?:deliver|reach|sent\b|found|exist)",
    r"(?:not|n[o'’]t) (?:be |been |yet been )?(?:accept|complet|process)",
    r"(?:can ?not|can[’']t|unable to|failed to|able to) (?:find|locate|deliver|send|relay|reach)",
    r"(?:could not|couldn[’']?t|not) (?:be able to )?(?:find|locate|deliver|relay|reach)\b",
    r"undeliver(?:able|ed)|returned (?:to (?:the )?sender|mail)|\(failure\)|giving up|error_code",
    r"(?:problem|error) (?:\w+ )?(?:deliver|send)",
    r"deliver\w*:? (?:\w+ ){0,3}(?:failed|failure|error|problem|impossible)",
    r"(?:failed|failure|error)\b.{0,40}deliver|permanent(?:ly)? (?:fail|error|fatal)",
    r"(?:recipient|addresse?)(?:s|es|\(s\)|\(es\))? failed|failed,? permanently",
    r"message (?:was |has been |is )?(?:rejected|refused|blocked|bounced|returned)",
    r"(?:was|has been|were) (?:\w{1,15}ly )?(?:rejected|refused|blocked|returned"
    r"|bounced|discarded)",
    r"(?:was|has been|were|is) (?:\w{1,15}ly )?(?:stopped|dropped|intercepted)"
    r"|delayed|has not yet been",
    # English: why
    r"(?:unknown|no such|invalid|non-?existent|bad|inactive|disabled) "
    r"(?:user|recipient|address|mailbox|local|final|destination|account|host|domain)",
    r"(?:user|recipient|address|mailbox|account|host)\b.{0,60}"
    r"(?:unknown|not found|is full|reject|disabled|does not exist|doesn.t exist|not known)",
    r"(?:user|recipient|address|mailbox|account|host)\b.{0,60}(?:unavailable|invalid|quota|exceed)",
    r"(?:reject|refus|block|bounc)\w* (?:the )?(?:recipient|address|user|e-?mail)",
    r"considered (?:unsolicited|spam)|(?:was|has been) (?:quarantined|classified as)",
    r"wrong or no longer valid|no (?:such|mailbox)|user doesn.t have|mailbox (?:is )?full",
    r"(?:over|exceed\w*|out of) (?:\w+ )?(?:quota|storage)",
    # an SMTP reply
    r"(?:^|[^0-9.:])[45][0-5][0-9][ -]#?[45]\.[0-9]+\.[0-9]+",
    r"(?:^|[^0-9.:])[45][0-5][0-9][ -].{0,40}(?:unknown|reject|denied|fail|error|exist|full|quota)",
    r"(?:^|[^0-9.:])[45][0-5][0-9][ -].{0,40}(?:user|mailbox|spam|block)",
    # other languages
    *_NOT_ARRIVED,
    r"unbekannter? (?:empf|benutzer|adress)|adresse .{0,20}inconnu|perille",
    r"不存在|邮箱已满|空间不足|无效的?(?:收件|邮箱|地址)|見つかりません|存在しません",
    r"не (?:[а-я]+ ){0,3}(?:существует|найден)|nie (?:\S+ ){0,3}istnieje",
)
"""Something was not delivered."""

NOT_ARRIVED = any_of(*_NOT_ARRIVED)

OPENS_LIST = any_of(
    r"(?:following|these|below|intended|one or more|some or all)\b.{0,60}"
    r"(?:address|recipient|destination|user)",
    r"(?:address|recipient)(?:es|s|\(es\)|\(s\))?\b.{0,60}(?:failed|problem|errors?|below|follow)",
    r"(?:address|recipient)(?:es|s|\(es\)|\(s\))?\b.{0,60}(?:not (?:be )?(?:deliver|reach)|:\s*$)",
    r"(?:not|n't|unable to|failed to) (?:be |been )?deliver(?:ed)?\b.{0,60}to\b.{0,20}$",
    r"(?:message|mail|e-mail) to:?\s{0,20}$",
    r"deliver(?:y|ed) to\b.{0,60}(?:fail|not)|did not reach|not be delivered to",
    r"could not be (?:delivered|reached|sent)\b.{0,60}$|failed addresses",
    r"folgende.{0,40}(?:empf|adress)|empf.nger.{0,40}(?:nicht|fehl)",
    r"destinat[aá]i?ri?\w*.{0,40}(?:suivant|:)|adresat\w*.{0,40}:",
    r"(?:příjemc|adresát|címzett|alıcı|vastaanottaj|destinatar|παραλήπτ).{0,60}:",
    r"(?:aux?|les?) destinataire|l.un ou plusieurs",
    r"(?:siguientes?|seguintes?|seguenti?) (?:destinat|direcc|endere|indirizz)",
    r"volgende.{0,30}(?:adres|ontvanger|geadresseerde)",
    r"(?:следующ|получател|адрес).{0,60}(?:не|:)",
    r"(?:收件人|收信人|地址|用户|邮箱).{0,30}(?:：|:|失败|无法|未能|不)",
    r"(?:수신자|받는 ?사람|주소|수신인).{0,40}(?:에게|:|로|없|실패)|mottagare|modtager|mottaker",
    r"(?:以下|下記|次).{0,20}(?:宛先|受信者|アドレス|メール|あて先|宛て|地址|收件)|宛先|受信者",
)
"""A line after which failed addresses are listed."""

SPARED = any_of(
    r"without (?:an )?(?:error|problem|fail)|(?:were|was"
    r"|been) (?:\w{1,15}ly )?(?:delivered|reached|sent)",
    r"successful|no (?:errors|problems)|erfolgreich|ohne fehler|sans erreur",
)
"""A line that opens a list of those who did not fail."""

_MESSAGE = r"(?:message|mail|e-mail|msg)(?:'s)?"
RETURNED = any_of(
    r"(?:original|unsent|returned|bounced|undelivered|offending|rejected|failed|source|sent) "
    rf"{_MESSAGE}(?: headers?| text| body)?"
    r"( (?:text |headers? |body )?(?:follow|below|attached|is (?:following|included|attached)).*)?",
    r"(?:copy|copie|headers?|header lines|text|body|start|beginning|contents?|portion|part|lines"
    rf"|bytes|fragment|summary) of (?:the |your |this )?(?:\w+ )?{_MESSAGE}"
    r"( (?:follow|below|is following|you sent follows).*)?",
    r"message (?:headers?|text|body|contents?|envelope|source) (follow|below|is)",
    r"(below this line)|(message header follows)",
    r"(?:original|returned) (?:headers?|text)( follow.*)?",
    r"(?:mail|message) (?:headers?|text|body)\s*[-=:*]+",
    r"原信|原邮件|原始邮件|原始信件|原郵件|退回邮件|邮件原文|原文如下",
    r"元のメッセージ|元メール|送信されたメール|オリジナル",
    r"urspr.nglich\w+ (?:nachricht|mail)|message d.origine|mensaje original|mensagem original",
    r"messaggio originale|oorspronkelijk bericht|исходное (?:сообщение|письмо)|оригинал",
)
"""A line under which the message that came back begins; a group says so without dashes."""

FOOTER = any_of(
    r"(?:been|was|is) (?:virus )?(?:scanned|checked)\b.{0,60}(?:virus|spam|by|content)",
    r"(?:e-?mail|message)\b.{0,60}\bconfidential|^\W*disclaimer",
)
"""A gateway's or lawyer's footer: nothing below it belongs to the report."""

HELP = any_of(
    r"^\W*(?:please|if|for|contact|should)\b.{0,120}(?:contact|question|assist|help|support|call)",
    r"^\W*(?:please |to )?(?:contact|visit|write to|complain|report)\b|do not reply",
)
"""A sentence that offers help names no failed address."""

OPENING = any_of(
    r"^\W*(?:hi\W{1,3})?this is (?:the|a|an) (?:[\w.-]+ ){0,3}"
    r"(?:mail|mailer-daemon|postfix|program|delivery|qmail-send|mta|report)\b",
    r"^\W*this (?:message|report|e-?mail) (?:was|is|has been) (?:created |generated )?"
    r"automatically",
    r"^\W*the original message was received|^\W*this report relates to",
    r"^\W*(?:sorry\W{1,3}|unfortunately\W{1,3})?(?:\w+ ){0,4}unable to deliver (?:the |your )?mes",
    r"^\W*(?:(?:your|the|a|an) )?(?:following )?(?:e-?mail |mail )?(?:message|mail|e-?mail)\b"
    r"(?:[^.!?]|\w\.\w){0,120}(?:not|n't|fail\w*|undeliver\w*|return\w*) .{0,40}"
    r"(?:deliver|reach|recipient|sen[dt]|address)",
    r"^\W*(?:delivery|sending) .{0,30}(?:failed|not possible|recipients)",
)
"""How a mail system begins to speak; nobody who quotes a notice begins so."""

SPENT = any_of(
    r"(?:message|delivery|retry|queue|delivery time|time ?out)\b.{0,40}(?:expired|timeout exc)",
    r"(?:in (?:the )?queue|been failing|delivered|trying) (?:for )?(?:a |too )?long",
    r"(?:send|deliver\w*|retried|tried|trying|queue\w*) (?:the )?(?:message |mail )?"
    r"for \d+ (?:day|hour)s?",
    r"for \d+ (?:day|hour)s?\b.{0,40}(?:giv|gave|delet|remov)|deleted from queue|message too old",
)
"""A queue gave up after its time."""

WAITING = any_of(
    r"not yet been delivered|not been delivered yet|(?:attempts|server) will continue|delayed mail",
    r"will (?:be retried|be attempted|retry|keep trying|continue)|still being retried",
    r"warning(?: message)? only|do not need to resend|no need to resend|incomplete \*\*",
    r"keeps? (?:on )?(?:re-?)?trying (?:until|till|for|to)",
    r"(?:is|are) (?:still )?being (?:re-?tried|tried)",
    r"will (?:go on|be) trying|will try (?:it |to deliver it )?again|will be tried again",
    r"(?:do|does|is) (?:not|no) (?:need|have|necessary) to (?:be )?(?:re-?sen[dt]|send it again)",
    r"no need to (?:re-?send|send (?:it|the \w+|your \w+) again)",
    r"noch nicht zugestellt|wird weiter|weiterhin versuch|仍会|继续尝试|繼續嘗試|再送信を|再送を試",
    r"continuera (?:\S+ )?(?:ses tentatives|d.essayer|de tenter)|sera retent",
    r"se seguirá intentando|seguirá intentando|continuar[áà] (?:a |\S+ )?(?:tent|prova|intentand)",
    r"blijft (?:het )?proberen|fortsätter (?:att )?försöka|будет продолжать попытки",
    r"попытки (?:доставки )?(?:будут )?(?:продолж|повтор)|próby (?:doręczenia |dostarczenia )?będą",
)
"""It is still being tried, whatever else the notice says."""

NO_LONGER = any_of(
    r"\b(?:not|won.t|no longer|nicht|ne|no|non|n[ãa]o|niet|nie|inte|ikke) (?:[^\s.,;:]+ )?"
    r"(?:keep|continu\w*|seguir\S*|weiter\w*|blijft|fortsätter|próby)\b",
    r"(?:^|\s)не (?:[^\s.,;:]+ )?буд[еу]т",
    r"(?:不会|不再|将不|不會|不)(?:再)?(?:继续|繼續)|再送を?(?:し|試み|行い)ません",
)
"""It is tried no more, said by the words of `WAITING` and a no."""

QUEUED = any_of(
    r"(?:has|have) been queued since",
    r"(?:still|kept|remains|waiting) in (?:the |our )?(?:mail )?queue",
    r"(?:is|was|has been) queued (?:for|and will)|in der warteschlange|en file d.attente",
    r"en cola (?:desde|de espera)|in coda (?:dal|da)\b|排队中|キューに(?:残|保)",
)
"""It waits; with words that it is given up, it does no more."""

SUCCEEDED = any_of(
    r"success(?:fully|ful(?:ly)?)? (?:\w+ )?(?:deliver|relay|receiv|sent)|\(success\)",
    r"(?:has been|was) (?:delivered|relayed|expanded)|deliver\w* (?:was )?success",
    r"erfolgreich zugestellt|remis avec succ|entregado correctamente|成功送达|配信されました",
)
"""It arrived, or was handed on."""

DELAY_SUBJECT = any_of(
    r"\bdelay|\bwarning: (?:message|could not send)|deferred mail|verz.ger|retard|遅延|延迟|задерж"
)
"""A subject that speaks of a delay."""

GIVEN_UP = any_of(
    r"given up|giving up|gave up|permanent(?:ly)? (?:error|fail|fatal)|failed permanently",
    r"(?:is|was|were) undeliverable|could not be delivered to|will be deleted|expired",
)
"""It is not tried any more."""
