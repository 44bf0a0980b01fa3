"""Nothing lost, nobody gets in: each check of docs/torture.md, in a short and in a full form.

The short form runs with all other tests; `make torture` runs the full one and writes the table.
"""
