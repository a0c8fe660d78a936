"""The end of a process: what can still be done when no thread can be started."""

from __future__ import annotations

import multiprocessing
import multiprocessing.util
import threading
from collections.abc import Callable
from typing import Any

import pytest

from consul_lock import Client, Lock
from consul_lock._drivers import end, threads
from consul_lock._drivers.end import close_with_child, is_at_end
from consul_lock.testing import ServedWorld, serve

AT_END = "can't create new thread at interpreter shutdown"

TOO_MANY = "can't start new thread"


@pytest.mark.parametrize("text, expected", [(AT_END, True), (TOO_MANY, False)])
def test_the_end_is_told_from_too_many_threads(text: str, expected: bool) -> None:
    """By what Python says, as it has no other word for it."""
    assert is_at_end(RuntimeError(text)) is expected


def _no_threads(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError(text)

    monkeypatch.setattr(threads._thread, "start_new_thread", refuse)


@pytest.fixture
def lock() -> Any:
    """One of a client that has no thread yet."""
    served: ServedWorld
    with serve() as served, Client(served.address) as client:
        yield Lock("end", client=client)


def test_a_lock_can_be_had_when_the_interpreter_ends(
    lock: Lock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a keeper: it counts until its first deadline."""
    with monkeypatch.context() as patched:
        _no_threads(patched, AT_END)
        with lock:
            assert 0 < lock.remaining() < 30
        with lock:
            lock.ensure_held()


def test_a_client_is_closed_whose_thread_is_none_of_threading(
    lock: Lock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bare thread could still be started, and the one with a name could not."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("consul-lock"):
            raise RuntimeError(AT_END)
        start(thread)  # those of the server

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        lock.acquire()
        assert lock.held
        lock._client.close()


def test_no_lock_is_had_in_a_process_with_too_many_threads(
    lock: Lock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may live for long, and nobody would renew it."""
    with monkeypatch.context() as patched:
        _no_threads(patched, TOO_MANY)
        with pytest.raises(RuntimeError, match=TOO_MANY):
            lock.acquire()
        assert not lock.held


@pytest.mark.parametrize("child", [True, False])
def test_clients_are_closed_at_the_end_of_a_child_of_multiprocessing(
    monkeypatch: pytest.MonkeyPatch, child: bool
) -> None:
    """In its way, and once: a program has another one."""
    asked = list[tuple[Any, ...]]()

    def finalize(thing: object, call: Callable[[], None], exitpriority: int) -> None:
        asked.append((thing, call, exitpriority < 0))

    monkeypatch.setattr(end, "_arranged_in", 0)
    monkeypatch.setattr(multiprocessing.util, "Finalize", finalize)
    monkeypatch.setattr(
        multiprocessing.process, "parent_process", lambda: object() if child else None
    )

    def close() -> None:
        """What is to be called."""

    for _ in range(2):
        close_with_child(close)
    assert asked == ([(None, close, True)] if child else [])
