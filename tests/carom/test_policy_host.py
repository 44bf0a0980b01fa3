"""The MTA-STS policy that we serve: under its own name, readable, and known by its id."""

from __future__ import annotations

from pathlib import Path

import pytest

from carom import policy_host
from carom.records import records
from carom.settings.keyfiles import published_keys
from sender.mta_sts import Mode, read_policy
from tests.carom.web_peer import made, web

HOST = {"Host": "MTA-STS.bounces.example.com:443"}


@pytest.mark.anyio
async def test_it_is_served_under_its_own_name_only(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        served = await api.client.get(policy_host.PATH, headers=HOST)
        assert served.status_code == 200
        assert served.headers["content-type"].startswith("text/plain")
        policy = read_policy(served.content)
        assert (policy.mode, policy.allows(api.engine.settings.sender.hostname)) == (
            Mode.TESTING,
            True,
        )
        for other in ("bounces.example.com", "mta-sts.example.com", ""):
            answer = await api.client.get(policy_host.PATH, headers={"Host": other})
            assert answer.status_code == 404


@pytest.mark.parametrize("mode", ["testing", "enforce", "none"])
def test_each_policy_has_its_own_id_in_the_record(tmp_path: Path, mode: str) -> None:
    settings, _ = made(tmp_path, CAROM_INGEST__MTA_STS=mode)
    assert read_policy(policy_host.policy(settings).encode()).mode == mode
    found = {one.name: one.value for one in records(settings, published_keys(settings))}
    shown = found["_mta-sts.bounces.example.com"]
    assert shown == f"v=STSv1; id={policy_host.policy_id(settings)}"
    other, _ = made(tmp_path / "other", CAROM_SENDER__HOSTNAME="mx2.example.com")
    assert policy_host.policy_id(other) != policy_host.policy_id(settings)
