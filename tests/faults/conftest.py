"""`Amount` under the name by which checks that are still on their way ask for it."""

from tests.amounts import Amount

__all__ = ["Amount"]
