"""What the dead leave, and how it is taken away: in virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock._protocol.survey.leftovers import Cleaned, Leftover
from consul_lock._protocol.survey.survey import SurveyCore
from tests.simulation.foreign_lock_client import operator
from tests.unit.protocol.weighted_driver import Rooms

NAME = "jobs/nightly"


class Cleaner(Rooms):
    """Makes the dead, and cleans up after them."""

    def __init__(self) -> None:
        super().__init__()
        self.survey = SurveyCore(self.client())

    def kill(self) -> None:
        """Everybody who is there dies, with a lock-delay that begins now."""
        for session in self.sessions():
            operator(self.world, f"/v1/session/destroy/{session}")

    def found(self, prefix: str = "") -> list[Leftover]:
        left: list[Leftover] = self.run(self.survey.leftovers(prefix))
        return left

    def whats(self, prefix: str = "") -> list[tuple[str, str]]:
        return [(each.name, each.what) for each in self.found(prefix)]

    def clean(self, chosen: list[Leftover]) -> list[str]:
        cleaned: list[Cleaned] = self.run(self.survey.clean(chosen))
        return [each.outcome for each in cleaned]


def test_the_key_of_a_dead_holder_goes_when_its_lock_delay_is_over() -> None:
    """Not a moment sooner: `[check-index, lock, delete]` is refused until then."""
    cleaner = Cleaner()
    lock = cleaner.lock(name=NAME)
    cleaner.acquire(lock)
    assert cleaner.found() == []
    cleaner.kill()
    (left,) = cleaner.found()
    assert (left.name, left.key, left.what) == (NAME, f"{NAME}/.lock", "lock")
    assert left.holder is not None
    assert left.holder.host == "a"
    delay = lock.terms.lock_delay
    assert cleaner.clean([left]) == ["delayed"]
    cleaner.world.advance(delay - 0.1)
    assert cleaner.clean([left]) == ["delayed"]
    cleaner.world.advance(0.2)
    assert cleaner.clean([left]) == ["deleted"]
    assert (cleaner.held(), cleaner.sessions()) == ({}, set())
    assert cleaner.clean([left]) == ["deleted"]


def test_what_somebody_has_come_to_is_left_alone() -> None:
    """It is as it was seen, or it is not touched."""
    cleaner = Cleaner()
    cleaner.acquire(cleaner.lock(name=NAME))
    cleaner.kill()
    found = cleaner.found()
    cleaner.world.advance(61.0)
    cleaner.acquire(cleaner.lock(cleaner.client(), NAME))
    assert cleaner.clean(found) == ["changed"]
    assert cleaner.found() == []


def test_a_key_without_a_session_that_others_wrote_is_none() -> None:
    """Go's clients leave theirs when they let go; what is in it may be of use."""
    cleaner = Cleaner()
    flags = 3304740253564472344
    operator(cleaner.world, f"/v1/kv/go/.lock?flags={flags}", body=b"the address of a leader")
    operator(cleaner.world, "/v1/kv/a/plain?flags=0", body=b"x")
    assert cleaner.found() == []
    operator(cleaner.world, f"/v1/kv/go/.lock?flags={flags}", body=b"")
    assert cleaner.whats() == [("go", "lock")]


def test_dead_waiters_and_the_sign_of_their_queue_go_at_once() -> None:
    """They protect nothing.  The sign stays while anybody waits."""
    cleaner = Cleaner()
    lock = cleaner.lock(name=NAME)
    cleaner.acquire(lock)
    assert lock.hold is not None
    for client in (cleaner.client(), cleaner.client()):
        cleaner.queue_up(cleaner.lock(client, NAME))
    waiters = sorted(cleaner.sessions() - {lock.hold.session.id})
    operator(cleaner.world, f"/v1/session/destroy/{waiters[0]}")
    (dead,) = cleaner.found()
    assert (dead.what, dead.key) == ("waiter", f"{NAME}/.queue/{waiters[0]}")
    assert cleaner.clean([dead]) == ["deleted"]
    operator(cleaner.world, f"/v1/session/destroy/{waiters[1]}")
    assert cleaner.whats() == [(NAME, "waiter"), (NAME, "sign")]
    assert cleaner.clean(cleaner.found()) == ["deleted"] * 2
    assert list(cleaner.held()) == [f"{NAME}/.lock"]


@pytest.mark.parametrize("make, holders", [("semaphore", 2), ("writer", 1)])
def test_dead_holders_leave_a_document_when_their_lock_delay_is_over(
    make: str, holders: int
) -> None:
    """Then the document goes, too, as nobody is in it."""
    cleaner = Cleaner()
    thing: Any = getattr(cleaner, make)()
    cleaner.get(thing)
    cleaner.kill()
    found = cleaner.found()
    assert [each.what for each in found] == ["holder"] * holders + ["document"]
    assert cleaner.clean(found) == ["delayed"] * holders + ["changed"]
    cleaner.world.advance(thing.terms.lock_delay + 0.1)
    assert cleaner.clean(found) == ["deleted"] * (holders + 1)
    assert (cleaner.held(), cleaner.sessions()) == ({}, set())


def test_a_prefix_is_not_left_and_what_it_cuts_apart_is_not_judged() -> None:
    """A name counts as a whole or not at all."""
    cleaner = Cleaner()
    cleaner.acquire(cleaner.lock(name=NAME))
    cleaner.acquire(cleaner.lock(cleaner.client(), "other"))
    cleaner.kill()
    assert cleaner.whats("jobs/") == [(NAME, "lock")]
    assert cleaner.whats(NAME) == [(NAME, "lock")]
    assert cleaner.whats(f"{NAME}/.l") == []


def test_records_of_cron_jobs_and_notes_of_breaks_are_none() -> None:
    """They are kept on purpose."""
    cleaner = Cleaner()
    operator(cleaner.world, f"/v1/kv/{NAME}/.cron?flags=1", body=b"{}")
    cleaner.acquire(cleaner.lock(name=NAME))
    (session,) = cleaner.sessions()
    cleaner.run(cleaner.survey.break_hold(NAME, session, "disk full"))
    assert cleaner.whats() == [(NAME, "lock")]
