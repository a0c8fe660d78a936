"""The test cases C9 to C12 of the command `consul lock`: errors while it watches over its lock."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable

import pytest

from tests.cli.command import Running
from tests.interop.go_command import Peer
from tests.interop.semaphores import semaphore
from tests.support.actions import PASS, Action
from tests.support.agent import Agent
from tests.support.apis import Face
from tests.support.http_messages import Answer
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

Go = Callable[..., Peer]
Command = Callable[..., Running]

FAILURE = Answer(500, {}, b"No cluster leader")


def monitor_fails(times: float) -> Callable[..., Action]:
    """A rule: so many of the reads that watch over a lock fail."""
    count = 0

    def rule(method: str, path: str, body: bytes, n: int) -> Action:
        nonlocal count
        if method == "GET" and "consistent" in path:
            count += 1
            return FAILURE if count <= times else PASS
        return PASS

    return rule


def watched(proxy: Proxy) -> int:
    """How many of those reads there were."""
    return sum(seen.method == "GET" and "consistent" in seen.path for seen in list(proxy.log))


@pytest.mark.slow
@pytest.mark.parametrize(
    "options, retries",
    [
        pytest.param([], 3, id="c9"),
        pytest.param(["-n=3"], 3, id="c10"),
        pytest.param(["-monitor-retry=9"], 9, id="c11"),
        pytest.param(["-n=3", "-monitor-retry=9"], 9, id="c12"),
    ],
)
def test_c9_to_c12_go_tolerates_so_many_errors_and_no_more(
    agent: Agent, go: Go, options: list[str], retries: int
) -> None:
    """One a second; at the next one it kills its command, and says 0."""
    name = f"monitor-{retries}-{len(options)}"
    with Proxy(agent.address) as kind, Proxy(agent.address) as harsh:
        kind.rule, harsh.rule = monitor_fails(retries), monitor_fails(retries + 1)
        kept = go(f"{name}-kept", *options, address=kind.address)
        lost = go(f"{name}-lost", *options, address=harsh.address)
        kept.holds()
        lost.holds()
        # The first read after the errors is answered, and the one after that is on its way.
        eventually(lambda: watched(kind) >= retries + 2)
        assert lost.wait() == 0, lost.output
        assert "Lock lost, killing child" in lost.output
        assert not lost.ended
        assert kept.process.poll() is None
        kept.finish()
        assert kept.wait() == 0, kept.output
        assert kept.ended


@pytest.mark.slow
def test_c9_c11_consul_lock_counts_no_errors(agent: Agent, command: Command) -> None:
    """More of them than Go is set to tolerate, and the command runs on: there is nothing to set."""
    with Proxy(agent.address) as proxy:
        proxy.rule = monitor_fails(math.inf)
        script = 'echo mine; trap "exit 3" TERM; while :; do sleep 0.05; done'
        holder = command("-k", "c9", "--", "sh", "-c", script, address=proxy.address)
        assert holder.line() == "mine"
        eventually(lambda: watched(proxy) >= 11)
        assert holder.running()
        holder.send(signal.SIGTERM)
        assert holder.wait() == 3
        assert holder.said() == []


def test_c10_c12_a_semaphore_of_consul_lock_counts_no_errors(face: Face, agent: Agent) -> None:
    """The same for a slot, by the library."""
    with Proxy(agent.address) as proxy:
        client = face.client(proxy.address)
        held = semaphore(face, "c10", 3, client, watch=True)
        assert held.acquire()
        proxy.reset()
        proxy.rule = lambda method, path, body, n: FAILURE if method == "GET" else PASS
        proxy.cut()
        eventually(lambda: proxy.count("GET") >= 11)
        held.ensure_held()
        assert not held.lost.is_set()
        proxy.rule = None
        held.release()
        client.close()
