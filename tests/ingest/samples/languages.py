"""Notices in European languages."""

# ruff: noqa: E501  (a sample stands as it is sent)

from __future__ import annotations

from tests.ingest.letters import group, notice, report
from tests.ingest.samples.table import coded, sample

sample(
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

sample(
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

sample(
    "russian-unknown",
    coded(
        "Ваше письмо не доставлено следующим получателям:\n\n<jo@example.net>\n    пользователь не найден\n",
        "koi8-r",
        "Письмо не доставлено",
    ),
    jo="bad_mailbox",
)

sample(
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

sample(
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

sample(
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

sample(
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

sample(
    "named-on-its-own-line",
    notice(
        "Sorry, your message to\n\n    Jo Doe <jo@example.net>\n\ncould not be delivered. The mailbox is disabled.\n"
    ),
    jo="mailbox_disabled",
)

sample(
    "spanish",
    notice(
        "El mensaje no pudo ser entregado a:\n\n  jo@example.net\n\nMotivo: buzón lleno\n",
        subject="Mensaje no entregado",
        sender="Correo <postmaster@mx.example.es>",
    ),
    jo="mailbox_full",
)

sample(
    "french",
    notice(
        "Votre message n'a pas pu être remis au destinataire suivant :\n\n  jo@example.net\n\nRaison : utilisateur inconnu\n",
        subject="Message non remis",
        sender="Postmaster <postmaster@mx.example.fr>",
    ),
    jo="bad_mailbox",
)

sample(
    "german",
    notice(
        "Ihre Nachricht konnte dem folgenden Empfänger nicht zugestellt werden:\n\n  jo@example.net\n\nGrund: Das Postfach ist voll.\n",
        subject="Unzustellbare Nachricht",
        sender="Postmaster <postmaster@mx.example.de>",
    ),
    jo="mailbox_full",
)

DAEMON = "Postmaster <postmaster@mx.example.net>"

sample(
    "french-without-pas",
    notice(
        "Bonjour,\n\nla lettre que vous avez envoyée à jo@example.net n'a pu être distribuée,"
        " la boîte aux lettres ayant été fermée.\n",
        sender=DAEMON,
        subject="Votre courrier n'a pu être remis",
    ),
    jo="mailbox_disabled",
)

sample(
    "french-cannot-be-delivered",
    notice(
        "Le courriel destiné à jo@example.net ne peut être délivré : utilisateur inconnu.\n",
        sender=DAEMON,
        subject="Message non distribué",
    ),
    jo="bad_mailbox",
)

sample(
    "german-ausliefern",
    notice(
        "Guten Tag,\n\nwir konnten Ihre Mail vom 6. Mai nicht an jo@example.net ausliefern."
        " Das Postfach wurde aufgelöst.\n",
        sender=DAEMON,
        subject="Ihre Nachricht kam nicht an",
    ),
    jo="bad_mailbox",
)

sample(
    "german-harmful",
    notice(
        "Ihre Mail an jo@example.net wurde nicht ausgeliefert, weil die Anlage als schädlich"
        " erkannt wurde.\n",
        sender=DAEMON,
        subject="Nicht zugestellt",
    ),
    jo="virus",
)

sample(
    "japanese-own-filter",
    coded(
        "以下のあて先へは、エラーのため送信できませんでした。\n\n"
        "　送信先アドレス：jo@example.net\n　理由：受信者のメール設定により拒否されました。\n",
        "iso-2022-jp",
        "メールが届きませんでした",
        sender="Postmaster@mx.example.net",
    ),
    jo="policy",
)

for _mark, _end in (("stop", "."), ("shout", "!"), ("comma", ", neboť")):
    sample(
        f"czech-sentence-{_mark}",
        coded(
            f"Zprávu nebylo možné doručit na adresu jo@example.net{_end} schránka neexistuje.\n",
            "iso-8859-2",
            "Nedoručitelná zpráva",
        ),
        jo="bad_mailbox",
    )

sample(
    "language-unknown-to-us",
    notice(
        "Sõnumit ei saanud toimetada aadressile jo@example.net! Vabandame.\n\npostimees\n",
        subject="Undelivered mail",
    ),
    jo="unknown",
)
