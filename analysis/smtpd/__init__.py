"""A careful SMTP server: what the bounce listener and submission have in common.

`Server` binds and drains, `Conversation` obeys commands within `Limits`, a `Handler` decides what
becomes of mail.  Nothing here knows whose mail it is.
"""

from analysis.smtpd.auth import Credentials
from analysis.smtpd.conversation import Conversation, Handler
from analysis.smtpd.door import Door, Limits, Reason
from analysis.smtpd.gateway import Balancers
from analysis.smtpd.path import CommandError
from analysis.smtpd.server import Server

__all__ = [
    "Balancers",
    "CommandError",
    "Conversation",
    "Credentials",
    "Door",
    "Handler",
    "Limits",
    "Reason",
    "Server",
]
