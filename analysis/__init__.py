"""Memory and judgement: what is known, what a remote system's words mean, what follows from them.

Imports nothing of ours; every other package may import it.
"""
