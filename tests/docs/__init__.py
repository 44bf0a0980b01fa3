"""The documents are claims as well: what they name exists, and what they show runs."""
