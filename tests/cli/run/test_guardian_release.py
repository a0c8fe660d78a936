"""What the guardian is given, to be done when consul-lock was killed."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import pytest

from consul_lock_cli.run import guardian_release
from consul_lock_cli.run.guardian_release import releasing
from consul_lock_cli.spec.connection import Connection
from consul_lock_cli.spec.lock import LockSpec
from tests.cli.command import Running, consul, environment
from tests.support.waiting import eventually

Start = Callable[..., Running]

# Whatever is free within a test was not freed by the end of a session.
_LASTING = ("--ttl", "10m", "--lock-delay", "60s")

_KINDS = {
    "lock": (),
    "tree": ("--tree",),
    "exclusive": ("--exclusive",),
    "several": ("--key", "cli/another"),
}


def test_the_guardian_has_the_lock_and_the_connection_in_its_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither its arguments nor its environment need a credential; sessions come later."""
    spec, connection = LockSpec(("k",)), Connection({"token": "secret"})
    called: list[tuple[LockSpec, Connection, Sequence[str]]] = []
    monkeypatch.setattr(
        guardian_release, "release_for", lambda *all_of_it: called.append(all_of_it)
    )
    releasing(spec, connection)(["a-session"])
    assert called == [(spec, connection, ["a-session"])]


@pytest.mark.parametrize("kind", _KINDS.values(), ids=_KINDS.keys())
def test_when_a_holder_was_killed_the_next_one_runs_at_once(
    start: Start, kind: tuple[str, ...]
) -> None:
    """As soon as everything that its command has started is dead."""
    holder = start(*kind, *_LASTING, "--", "sh", "-c", "echo ready; exec sleep 600")
    assert holder.line() == "ready"
    holder.send(signal.SIGKILL)
    assert start(*kind, *_LASTING, "--", "echo", "mine").line() == "mine"


def test_a_slot_of_a_semaphore_whose_holder_was_killed_is_free_at_once(start: Start) -> None:
    """The other slot is held by somebody else all the time."""
    semaphore = ("--limit", "2", *_LASTING, "--", "sh", "-c")
    others = [start(*semaphore, "echo ready; exec sleep 600") for _ in range(2)]
    assert [each.line() for each in others] == ["ready", "ready"]
    others[0].send(signal.SIGKILL)
    assert start(*semaphore, "echo mine").line() == "mine"
    assert others[1].running()


@pytest.mark.parametrize("work", [("--", "true"), ("--hold",)], ids=["command", "hold"])
def test_a_waiter_that_was_killed_leaves_the_queue(
    start: Start,
    holder: Running,
    address: str,
    key: str,
    sessions: Callable[[int], list[str]],
    work: tuple[str, ...],
) -> None:
    """Nobody behind it has to wait for the end of its session, which ends at once."""
    waiter = start(*_LASTING, *work)
    queue = f"/v1/kv/{key}/.queue/?keys"
    eventually(lambda: consul(address, "GET", queue))
    assert sessions(waiter.pid)
    waiter.send(signal.SIGKILL)
    eventually(lambda: not sessions(waiter.pid))
    assert not consul(address, "GET", queue)
    assert holder.running()


def test_the_run_lock_of_a_killed_cron_job_is_free_at_once(address: str, key: str) -> None:
    """The record still shows that run, and that it was lost."""
    job = ("cron", "run", "--name", key, "--slot", "one", *_LASTING)
    with ExitStack() as stack:
        command = [*job, "--", "sh", "-c", "echo ready; exec sleep 600"]
        running = stack.enter_context(Running(command, environment(address)))
        assert running.line() == "ready"
        (lock,) = consul(address, "GET", f"/v1/kv/{key}/.lock")
        assert lock["Session"]
        running.send(signal.SIGKILL)
        eventually(lambda: not consul(address, "GET", f"/v1/kv/{key}/.lock"))
        shown = stack.enter_context(Running(["cron", "show", key], environment(address)))
        assert "lost" in shown.line() + shown.line() + shown.line()
