"""API keys: shown once, kept as a hash, good until revoked."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import keys
from analysis.schema import api_keys
from analysis.store import Store
from tests.storing import NOW, rows


def made(*scopes: str) -> keys.NewKey:
    return keys.make("shop", scopes or ("send",), os.urandom)


def test_a_key_proves_itself_and_no_other() -> None:
    one, two = made(), made()
    assert keys.proves(one.text, one.key)
    assert not keys.proves(two.text, one.key)
    assert keys.key_id(one.text) == one.key.id


def test_no_two_keys_are_alike_and_each_has_256_secret_bits() -> None:
    texts = {made().text for _ in range(50)}
    assert len(texts) == 50
    assert {len(text.rpartition("_")[2]) for text in texts} == {64}


def test_admin_may_everything_and_others_what_they_were_given() -> None:
    assert all(made("admin").key.may(scope) for scope in keys.SCOPES)
    assert [s for s in keys.SCOPES if made("send", "read").key.may(s)] == ["send", "read"]


def test_a_scope_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no scope fly"):
        made("send", "fly")


@given(st.text())
def test_any_text_has_an_id_or_none(text: str) -> None:
    found = keys.key_id(text)
    assert found is None or text.startswith(f"carom_{found}_")


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_at_all_is_disproved_without_a_fault(text: str) -> None:
    assert keys.proves(text, made().key) is False


def test_a_key_does_not_show_its_secret() -> None:
    key = made()
    assert key.text.rpartition("_")[2] not in repr(key.key)


@pytest.mark.anyio
async def test_what_is_kept_is_a_hash_and_stands_until_revoked(store: Store) -> None:
    new = made("send", "read")
    await store.write(lambda tx: keys.add(tx, new.key, now=NOW))
    assert await store.read(keys.standing) == {new.key.id: new.key}
    assert new.text.rpartition("_")[2] not in repr(await rows(store, api_keys))
    revoked = [
        await store.write(lambda tx, n=n: keys.revoke(tx, new.key.id, now=NOW + n)) for n in (1, 2)
    ]
    assert revoked == [True, False]
    assert await store.read(keys.standing) == {}
    [row] = await rows(store, api_keys)
    assert row["revoked_at"] == NOW + 1
