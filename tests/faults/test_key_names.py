"""Servers that refuse some names of keys: what consul-lock adds to a name is none of these, and a
name that is one of them is an error that says so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consul_lock import Client, CronGuard, CronRecords, Lock, Refused, Semaphore, Survey
from consul_lock.testing import ServedWorld, World, serve
from tests.cli.doctor.doctor_fixture import doctor
from tests.contract.fixture import Room
from tests.contract.lock_kinds import KINDS, Kind
from tests.contract.operator import Operator
from tests.support.apis import Face

NAME = "Team_1/web-app.v2/x,y=z"
"""All that a name may have in the strictest of them."""


@pytest.fixture(params=["1.21.5", "1.22"])
def strict(request: pytest.FixtureRequest) -> Iterator[ServedWorld]:
    """Takes few characters, or nothing that leads up."""
    with serve(World(consul=request.param)) as served:
        yield served


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_of_lock_is_held_waited_for_and_handed_over(
    strict: ServedWorld, face: Face, kind: Kind
) -> None:
    """With its queue, its document, its slots: none of its keys is refused, and none is left."""
    room = Room(face, Operator(strict.address), kind, NAME)
    lock, theirs = room.holding(), room.others_lock()
    waiting = theirs.start("acquire", timeout=60)
    room.in_line(1)
    assert lock.locked()
    assert lock.holder().session == lock.session_id
    lock.release()
    assert waiting.result(60)
    theirs.release()
    room.close()


def test_slots_records_breaks_and_looks_use_no_other_names(strict: ServedWorld) -> None:
    """And the doctor's trial is good on such a server."""
    with Client(strict.address) as client:
        with Semaphore(f"{NAME}/s", 2, client=client)(n=2) as semaphore:
            assert len(semaphore.slots()) == 2
        with CronGuard(f"{NAME}/job", client=client, every="1h").claim(3600.0) as run:
            assert run
        records = CronRecords(client)
        records.pause(f"{NAME}/job", 60.0, reason="x")
        assert [record.name for record in records.below(f"{NAME}/")] == [f"{NAME}/job"]
        records.forget(f"{NAME}/job")
        survey = Survey(client)
        lock = Lock(f"{NAME}/l", client=client, lock_delay=5.0)
        assert lock.acquire()
        session = lock.session_id
        assert session is not None
        assert survey.break_hold(f"{NAME}/l", session, "a test") is not None
        assert lock.lost.wait(60)
        assert survey.break_of(f"{NAME}/l", session) is not None
        survey.leftovers(f"{NAME}/")
        survey.overview(f"{NAME}/")
    found = doctor(strict.address, "--key", NAME).items
    assert [found[check]["verdict"] for check in ("trial", "long-poll")] == ["ok", "ok"], found


@pytest.mark.parametrize("name", ["a b", "a:b", "\u00e9", "a..b"])
def test_a_name_that_is_refused_is_an_error_and_leaves_nothing(name: str) -> None:
    """Reads are refused there, and transactions are not: what reads first is refused at once, and
    a plain lock when somebody else has it."""
    with (
        serve(World(consul="1.21.5")) as served,
        Client(served.address) as client,
        Client(served.address) as other,
    ):
        with pytest.raises(Refused, match="invalid key name"):
            Semaphore(name, 2, client=client).acquire(timeout=30)
        with (
            Lock(name, client=client) as lock,
            pytest.raises(Refused, match="invalid key name"),
        ):
            Lock(name, client=other).acquire(timeout=30)
        assert lock.lost_reason is None
        assert Operator(served.address).ask("GET", "/v1/kv/?keys") in ([], None)
