"""The certificate that the servers of these tests show."""

from __future__ import annotations

import pytest

from tests.analysis.smtpd.running import HOST
from tests.peers.certificates import Certificate, certificate_for


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return certificate_for(HOST)
