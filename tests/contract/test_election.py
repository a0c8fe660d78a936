"""The election.  What it shares with every lock is shown by the tests of those."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any

import pytest

from consul_lock import (
    AlreadyHeld,
    ConfigError,
    LockLost,
    LockTimeout,
    LossReason,
    NotHeld,
)
from tests.contract.fixture import SELDOM, Room, Told
from tests.contract.lock_kinds import Kind, Options
from tests.contract.operator import LOCK_FLAG
from tests.support.waiting import eventually


def make(api: ModuleType, name: str, client: Any, options: Options) -> Any:
    return api.Election(name, client=client, **options)


ELECTION = Kind("election", make)

pytestmark = pytest.mark.parametrize("kind", [ELECTION], indirect=True, ids=["election"])


# -- campaigning


def test_a_candidate_leads_and_all_can_see_it(room: Room) -> None:
    """With value, token and all that is known of a holder; resigned, nobody leads."""
    mine, others = room.lock(meta={"build": "7"}), room.others_lock()
    assert others.leader() is None
    assert not mine.is_leader
    mine.campaign("10.0.0.1:80")
    assert mine.is_leader
    assert mine.held
    leader = others.leader()
    assert (leader.value, leader.token) == ("10.0.0.1:80", mine.token)
    assert (leader.holder.session, leader.holder.meta) == (mine.session_id, {"build": "7"})
    assert leader.token == room.operator.index(room.key)
    assert not leader.holder.foreign
    mine.resign()
    assert others.leader() is None
    assert not mine.is_leader


def test_the_next_candidate_leads_at_once_with_its_own_value(room: Room) -> None:
    """In the order in which they came, and none says the value of another."""
    elections = [room.lock(), *(room.others_lock() for _ in range(3))]
    elections[0].campaign("0")
    waiting = []
    for number, election in enumerate(elections[1:], 1):
        waiting.append(election.start("campaign", str(number)))
        room.in_line(number)
    assert [c.value for c in elections[0].waiters()] == ["1", "2", "3"]
    for number, campaigning in enumerate(waiting, 1):
        elections[number - 1].resign()
        assert elections[0].leader().value == str(number)
        assert campaigning.result(120) is None
        assert elections[0].leader().token == elections[number].token
    elections[-1].resign()


def test_two_candidates_of_one_client_say_each_its_own_value(room: Room) -> None:
    """The lead is passed on inside the process, the value of the first is not."""
    client = room.client()
    first, second = room.lock(client), room.lock(client).by(room.actor())
    first.campaign("first")
    waiting = second.start("campaign", "second")
    rooms = client.thing._core.local_queues._queues
    eventually(lambda: any(room.waiting for room in rooms.values()))
    first.resign()
    assert waiting.result(120) is None
    assert first.leader().value == "second"
    second.resign()


def test_a_campaign_without_success_in_time_is_an_error(room: Room) -> None:
    """LockTimeout, with the leader; nobody campaigns afterwards."""
    leader, other = room.lock(), room.others_lock()
    leader.campaign("first")
    for timeout in (0, 0.3):
        with pytest.raises(LockTimeout) as caught:
            other.campaign("second", timeout=timeout)
        assert caught.value.holder.value == "first"
    assert leader.waiters() == []
    with pytest.raises(ConfigError, match="timeout="):
        other.campaign("second", timeout=-3)
    leader.resign()


def test_a_leader_does_not_campaign_again(room: Room) -> None:
    """Neither by the same thread or task nor by another one that shares the object."""
    election = room.lock()
    election.campaign("first")
    for user in (election, election.by(room.actor())):
        with pytest.raises(AlreadyHeld):
            user.campaign("second")
    assert election.leader().value == "first"
    election.resign()
    election.campaign("second")
    assert election.leader().value == "second"
    election.resign()


def test_with_leads_in_the_block(room: Room) -> None:
    """As with every lock; a value can be proclaimed there."""
    with room.lock() as election:
        assert election.is_leader
        assert election.leader().value == ""
        election.proclaim("here")
        assert election.leader().value == "here"
    assert election.leader() is None


@pytest.mark.parametrize("value", [7, "x" * 2048, "\ud800"], ids=["number", "long", "broken"])
def test_a_value_that_cannot_be_kept_is_refused(room: Room, value: Any) -> None:
    """ConfigError, and the old one stays."""
    election = room.lock()
    with pytest.raises(ConfigError, match="value"):
        election.campaign(value)
    assert not election.is_leader
    election.campaign("first")
    with pytest.raises(ConfigError, match="value"):
        election.proclaim(value)
    assert election.leader().value == "first"
    election.resign()


def test_an_election_is_always_watched(room: Room) -> None:
    """To ask for anything else is refused."""
    with pytest.raises(ConfigError, match="watch=False"):
        room.lock(watch=False)


# -- proclaiming


def test_a_proclamation_changes_the_value_and_nothing_else(room: Room) -> None:
    """Flags, session, LockIndex, since when it leads, and the token, as others see it."""
    election, other = room.lock(), room.others_lock()
    before = time.time() - 1
    election.campaign("first")
    (there,) = room.operator.keys(room.name).values()
    elected, token = other.leader(), election.token
    for value in ("second", "", "third \u263a"):
        election.proclaim(value)
        (now,) = room.operator.keys(room.name).values()
        for field in ("Flags", "Session", "LockIndex", "CreateIndex"):
            assert now[field] == there[field]
        leader = other.leader()
        assert (leader.value, leader.token) == (value, token)
        assert leader.holder.since == elected.holder.since >= before
        assert election.is_leader
        assert election.token == token
    assert now["Flags"] == LOCK_FLAG
    assert now["ModifyIndex"] > token
    assert other.holder().token == token
    election.resign()
    assert room.operator.keys(room.name) == {}


def test_only_the_leader_proclaims_and_resigns(room: Room) -> None:
    """NotHeld, before the campaign and after the resignation."""
    election, other = room.lock(), room.others_lock()
    other.campaign("other")
    for _ in range(2):
        with pytest.raises(NotHeld):
            election.proclaim("mine")
        with pytest.raises(NotHeld):
            election.resign()
    assert other.leader().value == "other"
    other.resign()


@pytest.mark.parametrize("noticed", [True, False])
def test_a_deposed_leader_proclaims_nothing(room: Room, noticed: bool) -> None:
    """LockLost, also if it is the proclamation that finds it out."""
    told = Told()
    election, other = room.lock(on_lost=told), room.others_lock()
    election.campaign("first")
    room.operator.delete(room.key)
    other.campaign("other")
    if noticed:
        eventually(election.lost.is_set)
    with pytest.raises(LockLost):
        election.proclaim("late")
    assert not election.is_leader
    assert other.leader().value == "other"
    with pytest.raises(LockLost):
        election.resign()
    eventually(lambda: told.reasons)
    assert len(told.reasons) == 1
    other.resign()


def test_a_loss_is_noticed_before_the_next_look(room: Room) -> None:
    """The keeper looks again in three minutes or later; an election is watched."""
    told = Told()
    election = room.lock(on_lost=told, **SELDOM)
    election.campaign("first")
    room.operator.delete(room.key)
    eventually(lambda: told.reasons == [LossReason.KEY_DELETED])
    assert not election.is_leader


def test_an_election_can_share_a_session(room: Room) -> None:
    """It ends with it."""
    client = room.client()
    session = client.actor.do(room.api.Session, client.thing, lock_delay=3.6)
    made = client.actor.do(room.api.Election, room.name, session=session)
    election = type(client)(made, client.actor)
    election.campaign("first")
    assert election.session_id == session.id
    client.actor.do(session.close)
    assert not election.is_leader


# -- other clients


def test_a_foreign_leader_is_one(room: Room) -> None:
    """Its session is known, its value is text; the candidates wait for it."""
    session = room.operator.take(room.key)
    room.operator.ask("PUT", f"/v1/kv/{room.key}?acquire={session}&flags={LOCK_FLAG}", b"node \xff")
    election = room.lock()
    leader = election.leader()
    assert (leader.value, leader.holder.foreign) == ("node \ufffd", True)
    assert (leader.holder.session, leader.token) == (session, room.operator.index(room.key))
    with pytest.raises(LockTimeout):
        election.campaign("mine", timeout=0.1)
    room.operator.destroy(session)
    election.campaign("mine", timeout=30)
    election.resign()


def test_a_lock_of_the_same_name_leads_and_says_nothing(room: Room) -> None:
    """It is the same key: they exclude each other, and a value is only an election's."""
    lock, election = room.others_lock(), room.lock()
    plain = type(lock)(
        lock.actor.do(room.api.Lock, room.name, client=lock.thing._client), lock.actor
    )
    assert plain.acquire()
    leader = election.leader()
    assert (leader.value, leader.holder.foreign, leader.token) == ("", False, plain.token)
    waiting = election.start("campaign", "mine")
    room.in_line(1)
    plain.release()
    assert waiting.result(120) is None
    assert plain.acquire(timeout=0) is False
    election.resign()
