"""The boards, one a module: what is asked, and the queries that answer."""

from dashboards.boards.bounces import BOUNCES
from dashboards.boards.inbound import INBOUND
from dashboards.boards.inbox import INBOX
from dashboards.boards.overview import OVERVIEW
from dashboards.boards.providers import PROVIDERS
from dashboards.boards.queue import QUEUE
from dashboards.boards.reputation import REPUTATION
from dashboards.boards.suppression import SUPPRESSION

BOARDS = (OVERVIEW, PROVIDERS, REPUTATION, BOUNCES, QUEUE, SUPPRESSION, INBOX, INBOUND)
