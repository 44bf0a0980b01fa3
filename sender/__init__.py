"""Everything that leaves: submission, composition, signing, the queue, SMTP to the next host."""
