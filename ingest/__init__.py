"""Everything that comes back: the bounce listener, raw storage, and the reading of reports."""
