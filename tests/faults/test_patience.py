"""How long calls go on while Consul fails, on real agents: no longer than asked for, nor less."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from consul_lock import ConfigError, Refused, Unavailable
from tests.cli.command import COMMAND, PATIENCE, environment
from tests.support.actions import PASS, Action
from tests.support.agent import Agent
from tests.support.apis import Face
from tests.support.http_messages import Answer
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

# Seconds by which a busy machine may be late, and what a request without a limit of its call takes.
LATE, ENDLESS = 15.0, 60.0


def took(call: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[float, Any]:
    """Seconds, and what came of it."""
    begun = time.monotonic()
    try:
        result = call(*arguments, **options)
    except Exception as error:  # noqa: BLE001 - whatever it is
        result = type(error)
    return time.monotonic() - begun, result


def test_calls_to_a_frozen_agent_end_in_time(face: Face, own_agent: Agent) -> None:
    """With a timeout, without waiting, and by ``retry_for``, which a release has, too."""
    patient = {"request_timeout": ENDLESS}
    clients = [face.client(own_agent.address, retry_for=ENDLESS, **patient) for _ in range(2)]
    clients += [face.client(own_agent.address, retry_for=4.0, **patient) for _ in range(2)]
    locks = [face.lock(f"frozen/{n}", client) for n, client in enumerate(clients)]
    assert all(lock.acquire() for lock in locks[2:])
    own_agent.freeze()
    try:
        calls = [
            (lambda: locks[0].acquire(timeout=1), 1.0, 2.0),
            (lambda: locks[1].acquire(blocking=False), 3.0, 4.0),
            (lambda: face.lock("frozen/x", clients[2]).acquire(), 4.0, 6.0),
            (locks[3].release, 4.0, 6.0),
        ]
        with ThreadPoolExecutor(len(calls)) as threads:
            results = list(threads.map(lambda call: took(call[0]), calls))
    finally:
        own_agent.thaw()
    for (seconds, end), (_, least, most) in zip(results, calls, strict=True):
        assert end is Unavailable
        assert least - 0.1 <= seconds <= most + LATE, results
    for client in clients:
        client.close()
    eventually(lambda: own_agent.sessions() == [])


def test_a_call_does_not_wait_for_the_clean_up_of_the_one_before(
    face: Face, own_agent: Agent
) -> None:
    """That goes on behind."""
    client = face.client(own_agent.address)
    own_agent.freeze()
    try:
        calls = [took(face.lock(f"x/{n}", client).acquire, timeout=1) for n in range(4)]
    finally:
        own_agent.thaw()
    assert [end for _, end in calls] == [Unavailable] * 4
    # Each has two seconds of its own, and a clean-up two more; a busy machine holds up some.
    assert min(seconds for seconds, _ in calls[1:]) < 3.5, calls


def test_threads_of_one_client_end_together(face: Face, own_agent: Agent) -> None:
    """They failed one after the other, each after its own time."""
    client = face.client(own_agent.address, retry_for=3.0, request_timeout=ENDLESS)
    own_agent.freeze()
    try:
        with ThreadPoolExecutor(20) as threads:
            lock = face.lock("frozen", client)
            results = [f.result() for f in [threads.submit(took, lock.acquire) for _ in range(20)]]
    finally:
        own_agent.thaw()
    assert {end for _, end in results} == {Unavailable}
    # A third of what they would take one after the other.
    assert max(seconds for seconds, _ in results) <= 2 * 3.0 + LATE


# -- something in front of Consul

STRANGE = [
    Answer(404, {"Content-Type": "text/html"}, b"<html>no such page</html>"),
    Answer(200, {"Content-Type": "text/html"}, b"<html>Sign in</html>"),
    Answer(302, {"Location": "/login"}, b""),
    Answer(401, {}, b"who are you?"),
    Answer(408, {}, b"<html>Request Timeout</html>"),
]

each_strange = pytest.mark.parametrize("answer", STRANGE, ids=lambda a: str(a.status))


@each_strange
def test_an_answer_of_no_agent_is_an_outage_once_consul_has_answered(
    face: Face, agent: Agent, answer: Answer
) -> None:
    """An acquire and a release retry; before first contact it is a wrong address."""
    failing = True

    def rule(method: str, path: str, body: bytes, n: int) -> Action:
        return answer if failing else PASS

    with Proxy(agent.address, rule) as proxy:
        client = face.client(proxy.address)
        lock = face.lock(f"strange/{face.name}/{answer.status}", client)
        with pytest.raises(ConfigError):
            lock.acquire()
        failing = False
        assert lock.acquire()
        for call in (lock.release, lock.acquire, lock.release):
            proxy.reset()
            failing = True
            with ThreadPoolExecutor(1) as threads:
                future = threads.submit(call)
                eventually(lambda: proxy.count() >= 3)
                failing = False
                assert future.result(120) in (True, None)
        client.close()
    assert agent.keys(f"strange/{face.name}/{answer.status}") == []


# -- an agent that is restarted, and health checks


def restart_gracefully(agent: Agent) -> None:
    """As an upgrade does it: it leaves, so its node and the sessions on it are gone."""
    agent.request("PUT", "/v1/agent/leave")
    eventually(lambda: not agent.running)
    agent.launch()
    assert agent.wait_ready()


@pytest.mark.slow
def test_waiters_survive_a_graceful_restart_of_their_agent(
    face: Face, server: Agent, local: Agent
) -> None:
    """All of them: of the library, and of the command."""
    holding = face.client(server.address)
    holder = face.lock("restart", holding)
    assert holder.acquire()
    clients = [face.client(local.address) for _ in range(3)]
    command = subprocess.Popen(
        [*COMMAND, "run", "-k", "restart", "--", "true"],
        env=environment(local.address),
        stderr=subprocess.PIPE,
        text=True,
    )
    with ThreadPoolExecutor(3) as threads:
        locks = [face.lock("restart", client) for client in clients]

        def work(lock: Any) -> bool:
            had = lock.acquire()
            lock.release()
            return bool(had)

        waiting = [threads.submit(work, lock) for lock in locks]
        eventually(lambda: len(server.keys("restart/.queue/")) == 4)
        restart_gracefully(local)
        holder.release()
        assert [future.result(120) for future in waiting] == [True] * 3
    _, said = command.communicate(timeout=PATIENCE)
    assert command.returncode == 0, said
    for client in (*clients, holding):
        client.close()


def critical(agent: Agent, check: str) -> None:
    """Register a check that fails until somebody passes it."""
    agent.request("PUT", "/v1/agent/check/register", {"ID": check, "Name": check, "TTL": "60s"})


def test_a_health_check_is_waited_for(face: Face, own_agent: Agent) -> None:
    """One that is critical, and one that is not registered yet; it is named in the error."""
    critical(own_agent, "web")
    client = face.client(own_agent.address, retry_for=1.0)
    for check in ("web", "late"):
        lock = face.lock("checked", client, checks=[check])
        with pytest.raises(Refused, match=f"'{check}'") as caught:
            lock.acquire()
        assert caught.value.temporary
        with ThreadPoolExecutor(1) as threads:
            acquiring = threads.submit(lock.acquire, timeout=60)
            if check == "late":
                critical(own_agent, check)
            own_agent.request("PUT", f"/v1/agent/check/pass/{check}")
            assert acquiring.result(120) is True
        lock.release()
    client.close()
