"""`carom demo`: the whole loop in one process, against mailbox providers that misbehave."""
