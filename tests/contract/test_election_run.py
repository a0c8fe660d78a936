"""`Election.run`: a function that runs while this candidate leads."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from consul_lock import AlreadyHeld, LockLost, LossReason, NotHeld
from tests.contract.fixture import Room
from tests.contract.test_election import ELECTION
from tests.support.apis import Asyncio, Threads
from tests.support.waiting import eventually

pytestmark = pytest.mark.parametrize("kind", [ELECTION], indirect=True, ids=["election"])

in_threads = pytest.mark.parametrize("face", [Threads], indirect=True, ids=["threads"])
in_asyncio = pytest.mark.parametrize("face", [Asyncio], indirect=True, ids=["asyncio"])


# -- in both faces


def test_it_leads_while_the_function_runs_and_returns_its_result(room: Room) -> None:
    """With the value, if one is given; afterwards nobody leads."""
    election, seen = room.lock(), list[Any]()

    def work(own: Any) -> str:
        seen.append((own, own.is_leader, room.operator.owner(room.key) == own.session_id))
        seen.append(b'"value": "mine"' in room.operator.keys(room.name)[room.key]["Value"])
        return "done"

    assert election.run(room.face.function(work), value="mine") == "done"
    assert seen == [(election.thing, True, True), True]
    assert election.leader() is None


def test_it_waits_for_its_turn_and_hands_over(room: Room) -> None:
    """It campaigns as others do, in the queue."""
    first, second, third = room.lock(), room.others_lock(), room.others_lock()
    first.campaign("first")
    running = second.start("run", room.face.function(lambda own: own.token))
    room.in_line(1)
    waiting = third.start("campaign", "third")
    room.in_line(2)
    first.resign()
    assert first.token < running.result(120)
    assert waiting.result(120) is None
    assert first.leader().value == "third"
    assert running.result() < third.token
    third.resign()


def test_an_error_of_the_function_resigns_and_is_raised(room: Room) -> None:
    """It is not tried again: the error may come every time."""
    election, calls = room.lock(), list[Any]()

    def fail(own: Any) -> None:
        calls.append(own.token)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        election.run(room.face.function(fail))
    assert len(calls) == 1
    assert not election.is_leader
    assert room.operator.keys(room.name) == {}


def test_an_error_after_a_loss_is_raised_too(room: Room) -> None:
    """The error is not hidden, though the lead is lost as well."""
    election = room.lock()

    def fail(own: Any) -> None:
        room.operator.delete(room.key)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        election.run(room.face.function(fail))
    assert election.lost_reason is LossReason.KEY_DELETED


def test_a_lead_that_was_lost_when_the_function_returned_is_campaigned_for_again(
    room: Room,
) -> None:
    """Its result does not count; the function is called once more, as the leader."""
    election, tokens = room.lock(), list[int]()

    def work(own: Any) -> int:
        tokens.append(own.token)
        if len(tokens) == 1:
            room.operator.delete(room.key)
        return len(tokens)

    assert election.run(room.face.function(work)) == 2
    assert tokens[0] < tokens[1]
    assert room.operator.keys(room.name) == {}


def test_the_loss_of_another_lock_is_the_functions_own_error(room: Room) -> None:
    """This one still leads: to call it again would hide the error."""
    election, calls = room.lock(), list[Any]()

    def fail(own: Any) -> None:
        calls.append(own)
        raise LockLost("another one", key="another/.lock")

    with pytest.raises(LockLost, match="another one"):
        election.run(room.face.function(fail))
    assert len(calls) == 1
    assert room.operator.keys(room.name) == {}


def test_a_leader_does_not_run_a_second_function(room: Room) -> None:
    """AlreadyHeld, and it goes on leading: the function was not called."""
    election, calls = room.lock(), list[Any]()
    election.campaign("first")
    with pytest.raises(AlreadyHeld):
        election.run(room.face.function(calls.append))
    assert calls == []
    assert election.is_leader
    election.resign()


# -- in threads: the function looks itself


@in_threads
def test_a_function_that_passes_the_loss_on_is_called_again(room: Room) -> None:
    """As often as it takes; the losses are nobody's error."""
    election, tokens = room.lock(), list[int]()

    def work(own: Any) -> str:
        tokens.append(own.token)
        if len(tokens) == 3:
            return "done"
        room.operator.delete(room.key)
        assert own.lost.wait(120)
        own.ensure_held()
        raise AssertionError("it is held")

    assert election.run(work) == "done"
    assert tokens == sorted(set(tokens))
    assert room.operator.keys(room.name) == {}


@in_threads
def test_a_function_may_resign_itself(room: Room) -> None:
    """Its result counts; if its resignation found the loss, it is called again."""
    election, calls = room.lock(), list[Any]()

    def work(own: Any) -> int:
        calls.append(own)
        if len(calls) == 1:
            room.operator.delete(room.key)
            with pytest.raises(LockLost):
                own.resign()
        else:
            own.resign()
        with pytest.raises(NotHeld):
            own.resign()
        return len(calls)

    assert election.run(work) == 2


@in_threads
def test_ctrl_c_in_the_function_resigns(room: Room) -> None:
    """Like any exception of it."""
    election = room.lock().thing

    def work(own: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        election.run(work)
    assert room.operator.keys(room.name) == {}


# -- in asyncio: the function is a task


@in_asyncio
def test_a_task_is_cancelled_when_the_lead_is_lost_and_called_again(room: Room) -> None:
    """It need not look; it has ended before the next campaign begins."""
    election, story = room.lock(), list[str]()

    async def work(own: Any) -> str:
        story.append("begins")
        try:
            if story.count("begins") == 1:
                room.operator.delete(room.key)
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            assert not own.is_leader
            await asyncio.sleep(0)
            story.append("cancelled")
            raise
        return "done"

    assert election.run(work) == "done"
    assert story == ["begins", "cancelled", "begins"]
    assert room.operator.keys(room.name) == {}


@in_asyncio
@pytest.mark.parametrize("resigns", [True, False], ids=["resigns", "does not resign"])
def test_a_task_that_ends_well_though_cancelled_is_called_again(room: Room, resigns: bool) -> None:
    """It has not led to its end; also if it has found that out itself."""
    election, calls = room.lock(), list[Any]()

    async def work(own: Any) -> int:
        calls.append(own)
        if len(calls) == 1:
            room.operator.delete(room.key)
            with pytest.raises(asyncio.CancelledError):
                await asyncio.Event().wait()
            if resigns:
                with pytest.raises(LockLost):
                    await own.resign()
        return len(calls)

    assert election.run(work) == 2


@in_asyncio
def test_an_error_of_a_task_that_is_cancelled_by_the_loss_is_raised(room: Room) -> None:
    """A clean-up that fails is not swallowed."""
    election = room.lock()

    async def work(own: Any) -> None:
        room.operator.delete(room.key)
        try:
            await asyncio.Event().wait()
        finally:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        election.run(work)


@in_asyncio
def test_to_cancel_run_cancels_the_task_and_resigns(room: Room) -> None:
    """The task ends first, then the lead; and the cancellation is not taken for a loss."""
    election, story, begun = room.lock().thing, list[bool](), asyncio.Event()

    async def work(own: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            story.append(own.is_leader)

    async def scenario() -> None:
        running = asyncio.create_task(election.run(work))
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    room.main.do(scenario)
    assert story == [True]
    assert room.operator.keys(room.name) == {}


@in_asyncio
def test_to_cancel_run_after_the_loss_is_not_taken_for_the_loss(room: Room) -> None:
    """The task takes its time to end; a caller that is cancelled then does not campaign again."""
    election, calls, ending = room.lock().thing, list[Any](), asyncio.Event()

    async def work(own: Any) -> None:
        calls.append(own)
        room.operator.delete(room.key)
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            await asyncio.Event().wait()

    async def scenario() -> None:
        running = asyncio.create_task(election.run(work))
        await ending.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    room.main.do(scenario)
    assert len(calls) == 1
    assert room.operator.keys(room.name) == {}


@in_asyncio
def test_a_task_that_cancels_itself_ends_run(room: Room) -> None:
    """That is its own affair, and no loss."""
    election, calls = room.lock().thing, list[Any]()

    async def work(own: Any) -> None:
        calls.append(own)
        raise asyncio.CancelledError

    async def scenario() -> None:
        with pytest.raises(asyncio.CancelledError):
            await election.run(work)

    room.main.do(scenario)
    assert len(calls) == 1
    assert room.operator.keys(room.name) == {}


@in_asyncio
def test_a_function_that_is_no_coroutine_is_an_error_and_resigns(room: Room) -> None:
    """TypeError; nothing goes on leading."""
    election = room.lock()
    with pytest.raises(TypeError):
        election.run(lambda own: 7)
    assert room.operator.keys(room.name) == {}


@in_asyncio
def test_nothing_goes_on_running_after_run(room: Room) -> None:
    """Neither the task nor what watched over it."""
    election = room.lock()

    async def work(own: Any) -> None:
        await asyncio.sleep(0)

    election.run(work)
    kept = {"consul-lock-keeper", "consul-lock-watchdog"}
    eventually(lambda: room.helpers() <= kept)
