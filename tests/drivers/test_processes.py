"""What a process does to its locks: forks, and Ctrl-C."""

from __future__ import annotations

import gc
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from consul_lock import Client, Lock, Session
from consul_lock.testing import ServedWorld, serve
from tests.contract.operator import Operator
from tests.drivers import (
    program_drop,
    program_fork,
    program_forked_sockets,
    program_interrupt,
    program_multiprocessing,
)
from tests.support.agent import Agent
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]

each_api = pytest.mark.parametrize("api", ["threads", "asyncio"])


@contextmanager
def _process(module: Any, *arguments: str, dev: bool = False) -> Iterator[subprocess.Popen[str]]:
    """A process that runs a module, ended in any case."""
    strict = ["-X", "dev", "-W", "error"] if dev else []
    process = subprocess.Popen(
        [sys.executable, *strict, "-m", module.__name__, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("heard", [(), ("unheard",)], ids=["heard of", "unheard of"])
def test_a_forked_child_has_none_of_its_parents_locks(
    served: ServedWorld, operator: Operator, heard: tuple[str, ...]
) -> None:
    """There it reads as lost (FORKED), releasing it does nothing, and its own locks work, also an
    object that was made before; a child that asks for nothing ends without touching them, too.
    All of that if it does not hear of the fork, as under uWSGI."""
    with _process(program_fork, served.address, *heard) as process:
        out, err = process.communicate(timeout=120)
    assert err == ""
    said = json.loads(out)
    child = said["child"]
    assert (child["held"], child["remaining"], child["lost"]) == (False, 0.0, True)
    assert (child["reason"], child["ensure_held"]) == ("FORKED", "LockLost")
    assert child["threads"] == 1
    [(category, file, text)] = child["warnings"]
    assert category == "RuntimeWarning"
    assert file.endswith("program_fork.py")
    assert program_fork.NAME in text
    assert child["own"] == [True, True]
    assert child["parents"] is False
    assert said["parent"] == {"held": True, "holder": True, "locked": False}
    assert operator.keys(program_fork.NAME) == {}
    assert operator.sessions() == set()


@pytest.mark.parametrize("way", ["line", "process"])
def test_ctrl_c_while_waiting_leaves_nothing(
    served: ServedWorld, operator: Operator, way: str
) -> None:
    """It ends the wait at once, in Consul's line and behind another thread of the process."""
    with (
        Client(served.address) as client,
        _process(program_interrupt, served.address, way) as process,
    ):
        lock = Lock(program_interrupt.NAME, client=client)
        if way == "line":
            assert lock.acquire(timeout=0)
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        if way == "line":
            eventually(lock.waiters)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted held=False\n"
        assert lock.waiters() == []
        if way == "line":
            assert set(operator.keys(program_interrupt.NAME)) == {lock.key}
            lock.release()
        _, err = process.communicate("go on\n", timeout=120)
        assert (process.returncode, err) == (0, "")
    assert operator.keys(program_interrupt.NAME) == {}
    assert operator.sessions() == set()


def test_a_forked_child_does_not_use_a_shared_session_of_its_parent() -> None:
    """Both would find the session on the key, and both would believe that they hold the lock."""
    with serve() as served, Client(served.address) as client:
        shared = Session(client)
        shared.open()
        client._core.forked(client._driver, client._core.identity)
        assert shared.id is None


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
@each_api
def test_children_of_multiprocessing_have_locks_of_their_own(
    served: ServedWorld, operator: Operator, api: str, method: str
) -> None:
    """Processes and pools, however they begin: nothing of the parent's is held there or inherited,
    and the parent holds its lock all the while; nothing is left, and nobody says a word."""
    with _process(program_multiprocessing, api, method, served.address) as process:
        out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    *children, last = json.loads(out)["children"]
    assert last == {"code": 0}
    for child in children:
        assert (child["held"], child["own"], child["inherited"]) == (False, True, 0)
    tokens = [child["token"] for child in children]
    assert len(set(tokens)) == len(tokens) == 8
    assert operator.keys(program_multiprocessing.NAME) == {}
    left = operator.sessions()
    assert left == set()


def test_a_fork_while_another_thread_makes_the_default_client_does_not_hang_the_child() -> None:
    """That thread holds the mutex, and does not exist in the child to release it."""
    with _process(program_fork, "default") as process:
        out, err = process.communicate(timeout=120)
    assert (json.loads(out), err) == ({"child": "made its own"}, "")


def test_a_forked_child_drops_the_descriptors_of_its_parent_without_a_word(
    served: ServedWorld,
) -> None:
    """Nor does the parent notice, whose connections are open."""
    with _process(program_fork, served.address, dev=True) as process:
        out, err = process.communicate(timeout=120)
    assert err == ""
    assert json.loads(out)["parent"]["held"]


def _forks_without_a_trace(*arguments: str) -> None:
    with _process(program_forked_sockets, *arguments, dev=True) as process:
        out, err = process.communicate(timeout=120)
    # asyncio itself complains of a loop that ends unclosed, of its two sockets, and of its tasks.
    assert not re.findall(r"unclosed transport|family=(?!1\b)", err), err
    if arguments[0] == "threads":
        assert err == ""
    assert json.loads(out) == {"left": [], "status": 0, "parent": [[True, True], True]}


@each_api
def test_a_forked_child_closes_its_copies_of_all_sockets(served: ServedWorld, api: str) -> None:
    """Also of one that is being connected: else the parent could close none while it lives."""
    _forks_without_a_trace(api, served.address)


@each_api
def test_a_forked_child_says_nothing_on_tls_connections_of_its_parent(
    consul_binary: Path, api: str
) -> None:
    """The end of a TLS session, sent by the child, would end the one of its parent."""
    with Agent(consul_binary, tls=True) as agent:
        assert agent.certificates is not None
        _forks_without_a_trace(api, agent.https_address, str(agent.certificates.ca))


def test_clients_that_are_dropped_keep_no_thread(served: ServedWorld, operator: Operator) -> None:
    """Each gets a warning, and destroys its idle session; there is nobody to close it any more."""

    def threads() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if "consul-lock" in thread.name}

    def drop() -> None:
        for number in range(20):
            with Lock(f"dropped/{number}", client=Client(served.address)):
                pass
        gc.collect()

    before = threads()
    with pytest.warns(ResourceWarning, match="dropped without close") as told:
        drop()
    assert len([w for w in told if "dropped without close" in str(w.message)]) == 20
    keepers = "consul-lock-keeper"
    eventually(lambda: not any(t.name == keepers for t in threads() - before))
    assert operator.sessions() == set()


def test_a_client_dropped_while_it_holds_keeps_the_lock_until_the_program_ends(
    served: ServedWorld, operator: Operator
) -> None:
    """Somebody may be at work under it; the end of the interpreter releases it in order."""
    with _process(program_drop, served.address) as process:
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "held\n")
    assert "ResourceWarning" not in err
    assert operator.keys(program_drop.NAME) == {}
    assert operator.sessions() == set()


def test_closing_the_client_in_a_signal_handler_ends_the_wait_beneath_it(
    served: ServedWorld, operator: Operator
) -> None:
    """A handler of SIGTERM that closes and leaves: nothing waits for what it has interrupted."""
    with Client(served.address) as client, Lock(program_interrupt.NAME, client=client):
        before = operator.sessions()
        with _process(program_interrupt, served.address, "handler") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "waiting\n"
            eventually(lambda: operator.keys(f"{program_interrupt.NAME}/.queue/"))
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=120)
            assert (process.returncode, out, err) == (7, "closed\n", "")
        assert operator.sessions() == before
