"""Several locks with a session that other locks use, too: to Consul all its users are one."""

from __future__ import annotations

import pytest

from consul_lock._protocol.client.keeper import Keeper
from consul_lock.errors import (
    LockLost,
    LossReason,
)
from tests.unit.protocol.fake_driver import hold_of, waits
from tests.unit.protocol.multilock_driver import (
    KEYS,
    B,
    C,
    Sharing,
    each_reason,
    lose,
)


@pytest.mark.parametrize("first, second", [("several", "single"), ("several", "overlapping")])
@pytest.mark.parametrize("swapped", [False, True])
def test_locks_that_share_a_session_exclude_each_other(
    first: str, second: str, swapped: bool
) -> None:
    """Consul would give the key to both, and one would release it for the other."""
    shared = Sharing()
    driver = shared.driver
    one, two = getattr(shared, first), getattr(shared, second)
    if swapped:
        one, two = two, one
    assert driver.acquire(one, owner="one")
    assert not driver.acquire(two, timeout=0, owner="two")
    assert not driver.acquire(two, timeout=3, owner="two")
    for key in one.keys if hasattr(one, "keys") else [one.key]:
        assert driver.held()[key] == hold_of(one).session.id
    driver.release(one, owner="one")
    assert driver.held() == {}
    assert driver.acquire(two, timeout=0, owner="two")
    driver.release(two, owner="two")
    assert driver.held() == {}
    assert not shared.client.local_queues._queues


def test_a_user_of_a_shared_session_waits_for_the_release_of_the_others() -> None:
    """It sees its own session on the key, and knows that this is somebody else's lock."""
    shared = Sharing()
    driver = shared.driver
    driver.acquire(shared.single, owner="one")
    flow, watching = driver.queue_up(shared.several)
    assert watching.path == f"/v1/kv/{KEYS[B]}"
    driver.when_blocked = lambda: driver.release(shared.single, owner="one")
    assert driver.run_after(flow, watching)
    assert driver.owned(shared.several)


def test_a_call_that_is_cut_off_takes_nothing_from_others_of_its_session() -> None:
    """It has asked for all once, in vain; by now they are another lock's of this process."""
    shared = Sharing()
    driver = shared.driver
    other = driver.lock(driver.client("b"), C)
    driver.acquire(other)
    job = shared.several.acquire(True, None, "me")
    watching = driver.until(job.flow, waits)
    driver.release(other)
    same = driver.multilock(client=shared.client, shared=shared.session)
    assert driver.acquire(same, timeout=0, owner="another")
    again = driver.until(job.flow, waits, after=watching)
    assert again.path == f"/v1/kv/{KEYS[C]}"
    job.flow.close()
    assert job.undo is not None
    driver.run(job.undo())
    assert driver.owned(same)
    assert hold_of(same).counts(driver.world.now)


@each_reason
@pytest.mark.parametrize("found_by", ["keeper", "release"])
def test_a_loss_with_a_shared_session_leaves_no_key_behind(
    found_by: str, reason: LossReason
) -> None:
    """The other keys would stay with the session for as long as that lives."""
    shared = Sharing()
    driver = shared.driver
    driver.acquire(shared.several)
    driver.acquire(shared.beside)
    thief = lose(driver, shared.several, KEYS[B], reason)
    driver.world.advance(4)
    if found_by == "keeper":
        driver.drive(Keeper(shared.client).run(), 40)
    with pytest.raises(LockLost) as caught:
        driver.release(shared.several)
    assert caught.value.reason is reason
    driver.run(shared.client.pool.sweep(driver.world.now))
    assert set(driver.held().values()) <= {thief, ""}
    assert hold_of(shared.beside).reason is LossReason.SESSION_INVALID
    if thief:
        driver.destroy(thief)
    driver.delete(KEYS[B])
    assert driver.acquire(shared.several, timeout=60)
