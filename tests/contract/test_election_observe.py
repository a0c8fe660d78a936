"""Observing an election: who leads, now and from now on."""

from __future__ import annotations

import pytest

from consul_lock import Unavailable
from tests.contract.fixture import Room
from tests.contract.steps import Steps
from tests.contract.test_election import ELECTION
from tests.support.apis import Sync
from tests.support.waiting import eventually

pytestmark = pytest.mark.parametrize("kind", [ELECTION], indirect=True, ids=["election"])


class Observer(Steps):
    """Somebody who observes, on an actor and with a client of its own."""

    def __init__(self, room: Room) -> None:
        election = room.others_lock()
        self.client = Sync(election.thing._client, election.actor)
        super().__init__(election, "observe")


def test_every_leader_is_seen(room: Room) -> None:
    """Taking the lead, proclaiming, handing over, resigning: each is seen once."""
    first, second, observer = room.lock(), room.others_lock(), Observer(room)
    assert observer.next() is None
    seeing = observer.start()
    first.campaign("one")
    leader = seeing.result(120)
    assert (leader.value, leader.token) == ("one", first.token)
    assert leader.holder.session == first.session_id
    seeing = observer.start()
    first.proclaim("uno")
    assert (seeing.result(120).value, seeing.result().token) == ("uno", first.token)
    waiting = second.start("campaign", "two")
    room.in_line(1)
    seeing = observer.start()
    first.resign()
    assert waiting.result(120) is None
    assert (seeing.result(120).value, seeing.result().token) == ("two", second.token)
    seeing = observer.start()
    second.resign()
    assert seeing.result(120) is None
    observer.close()


def test_events_that_change_nothing_are_not_seen(room: Room) -> None:
    """The same words again, candidates that come and go, keys beside it."""
    first, second, observer = room.lock(), room.others_lock(), Observer(room)
    first.campaign("one")
    assert observer.next().value == "one"
    seeing = observer.start()
    first.proclaim("one")
    assert second.acquire(timeout=0.2) is False
    room.operator.put(f"{room.name}/other", "x")
    room.left.add(f"{room.name}/other")
    first.proclaim("one")
    assert not seeing.done()
    first.proclaim("two")
    assert seeing.result(120).value == "two"
    first.resign()
    observer.close()


def test_an_election_of_nobody_is_seen_at_once_and_costs_no_session(room: Room) -> None:
    """To look on needs no candidate."""
    observer = Observer(room)
    assert observer.next() is None
    assert room.sessions() == set()
    seeing = observer.start()
    room.operator.put(f"{room.name}/.locker", "beside it")
    room.operator.delete(f"{room.name}/.locker")
    assert not seeing.done()
    session = room.operator.take(room.key)
    assert seeing.result(120).holder.session == session
    room.operator.destroy(session)
    eventually(lambda: observer.next() is None)
    observer.close()


def test_a_leader_that_is_lost_is_seen_to_go(room: Room) -> None:
    """By an end of its session that nobody has asked it about."""
    election, observer = room.lock(), Observer(room)
    election.campaign("one")
    assert observer.next().value == "one"
    seeing = observer.start()
    room.operator.destroy(election.session_id)
    assert seeing.result(120) is None
    observer.close()
    eventually(election.lost.is_set)


def test_only_the_latest_of_quick_changes_is_seen_for_certain(room: Room) -> None:
    """An observer that looks away sees the present state when it looks again."""
    election, observer = room.lock(), Observer(room)
    assert observer.next() is None
    for value in ("one", "two", "three"):
        election.campaign(value)
        election.resign()
    election.campaign("four")
    assert observer.next().value == "four"
    election.resign()
    assert observer.next() is None
    observer.close()


def test_two_observers_of_one_object_see_the_same(room: Room) -> None:
    """Each has its own memory of what it has seen."""
    election = room.lock()
    election.campaign("one")
    observers = [Observer(room), Observer(room)]
    assert [observer.next().value for observer in observers] == ["one", "one"]
    seeing = [observer.start() for observer in observers]
    election.proclaim("two")
    assert [future.result(120).value for future in seeing] == ["two", "two"]
    election.resign()
    for observer in observers:
        observer.close()


def test_the_end_of_the_client_ends_the_observer(room: Room) -> None:
    """In the middle of its wait, with an error that says so, and not only later."""
    observer = Observer(room)
    assert observer.next() is None
    seeing = observer.start()
    observer.client.by(room.actor()).close()
    with pytest.raises(Unavailable):
        seeing.result(8)
