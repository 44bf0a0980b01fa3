"""The support console: what became of a mail, in plain words, at `/console`.

Pages are rendered on the server and work without scripts; one style sheet, one small script for
the keyboard.  `routes.console` gives the routes; `visit.Visit` is one request by one person, and a
page is a coroutine from a `Visit` to a response (`pages/`).  Texts lie in `texts/`, one file a
language.  Everything shown is escaped by the templates; the policy allows nothing from elsewhere.
"""
