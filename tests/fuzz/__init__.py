"""Mail that nobody would write, by the hundred thousand: `python -m tests.fuzz --messages 200000`.

`herd` holds the sound mail, `mutator` spoils it by a seed, `tree` draws whole messages by
Hypothesis, `run` reads them and keeps the accounts.
"""
