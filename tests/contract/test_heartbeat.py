"""Heartbeats: a session that dies with its process, in seconds; nothing is left of them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from consul_lock import ConfigError, LockLost, LossReason, PermissionDenied
from tests.contract import program_crash
from tests.contract.fixture import QUICK, Room, Told
from tests.contract.health import Health
from tests.contract.lock_kinds import KINDS
from tests.support.actions import PASS, Action
from tests.support.agent import Agent
from tests.support.apis import Sync
from tests.support.http_messages import Answer
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]

# Seconds in which neither Consul nor a test machine under load ends a session: for tests in
# which nothing is to die.
CALM = 10.0

# The TTL of sessions of a process that is to die.  Consul ends none by it before that time.
TTL = 60.0

# Seconds of the heartbeat of a process that is to die: a busy machine does not end its session.
BEAT = "2"

# What the documents say that a token needs.
SESSION_RULE = 'session_prefix "" { policy = "write" }'
SERVICE_RULE = 'service "consul-lock" { policy = "write" }'


@pytest.fixture
def health(room: Room) -> Health:
    """The agent's services and checks; at the end no heartbeat is left."""
    found = Health(room.operator)
    room.at_end(lambda: none_left(found))
    return found


def none_left(health: Health) -> None:
    assert (health.services(), health.hearts()) == (set(), {})


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a lock, ended in any case."""
    started = subprocess.Popen(
        [sys.executable, "-m", program_crash.__name__, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


def said(started: subprocess.Popen[str]) -> str:
    assert started.stdout is not None
    return started.stdout.readline().strip()


@pytest.mark.slow
def test_a_held_lock_outlives_many_lengths_of_its_heartbeat(room: Room, health: Health) -> None:
    """Its check is passed in time: without that it would be critical after the first."""
    # A check that is not passed for so long on a busy machine is critical, and rightly so.
    heartbeat = 6.0
    told = Told()
    lock = room.holding(heartbeat=heartbeat, on_lost=told)
    session = lock.session_id
    begun, seen = time.monotonic(), set()

    def over() -> bool:
        seen.update(health.hearts().values())
        return time.monotonic() > begun + 2.2 * heartbeat

    eventually(over)
    assert seen == {"passing"}
    assert (lock.held, lock.session_id, told.reasons) == (True, session, [])
    assert session in room.operator.sessions()
    lock.release()


@pytest.mark.parametrize(
    "kind", [k for k in KINDS if k.own_session], indirect=True, ids=lambda kind: kind.name
)
def test_everything_that_can_be_held_has_a_heartbeat(room: Room, health: Health) -> None:
    """Its session is bound to the check, and to nothing else."""
    client = room.client()
    lock = room.lock(client, heartbeat=CALM)
    assert lock.acquire(timeout=30)
    [check] = health.hearts()
    bound = health.bound(lock.session_id)
    assert bound == {"NodeChecks": [], "ServiceChecks": [check]}
    lock.release()
    assert health.hearts() == {check: "passing"}  # it beats for the session that may be used again
    client.close()
    none_left(health)


@pytest.mark.slow
def test_an_agent_that_was_cut_off_from_its_servers_ends_no_wait(
    room: Room, health: Health
) -> None:
    """For longer than news of a check take as a rule, the servers do not know of it."""
    begun = time.monotonic()

    def rule(method: str, path: str, body: bytes, n: int) -> Action:
        if not path.startswith("/v1/session/create") or time.monotonic() > begun + 7.0:
            return PASS
        (check,) = json.loads(body)["ServiceChecks"]
        return Answer(500, {}, f"rpc error: Missing check '{check['ID']}' registration".encode())

    with Proxy(room.operator.address, rule) as proxy:
        client = room.client(address=proxy.address, retry_for=120.0)
        lock = room.lock(client, heartbeat=CALM)
        assert lock.acquire() is True
        assert time.monotonic() > begun + 5.0
        lock.release()
        client.close()


def test_locks_of_one_client_share_a_heart(room: Room, health: Health) -> None:
    """Those with the same length do; another client has its own."""
    client = room.client()
    locks = [room.lock(client, f"{room.name}/{n}", heartbeat=CALM) for n in range(3)]
    locks.append(room.lock(client, f"{room.name}/other", heartbeat=2 * CALM))
    for lock in locks:
        assert lock.acquire()
    assert len(health.services()) == 2
    other = room.lock(room.client(), f"{room.name}/more", heartbeat=CALM)
    assert other.acquire()
    assert len(health.services()) == 3
    client.close()
    assert len(health.services()) == 1
    other.release()


def test_a_shared_session_has_one_as_well(room: Room, health: Health) -> None:
    """It is a setting of the session; for the lock too, it is a contradiction."""
    client = room.client()
    session = Sync(client.actor.do(room.api.Session, client.thing, heartbeat=CALM), client.actor)
    session.open()
    assert list(health.hearts()) == health.bound(session.id)["ServiceChecks"]
    with pytest.raises(ConfigError, match="session="):
        room.api.Lock(room.name, session=session.thing, heartbeat=CALM)
    session.close()


def test_a_length_that_cannot_work_is_refused(room: Room) -> None:
    """By every constructor, before anything is sent."""
    client = room.client()
    for made in (room.api.Lock, room.api.Session):
        first = (room.name,) if made is room.api.Lock else ()
        with pytest.raises(ConfigError, match="heartbeat="):
            client.actor.do(made, *first, client=client.thing, heartbeat=0.1)


@pytest.mark.parametrize("verb", ["fail", "deregister"])
def test_a_heart_that_was_stopped_by_hand_is_a_loss_and_beats_again(
    room: Room, health: Health, verb: str
) -> None:
    """The session is dead at once; the next one is bound to a check that is passed again."""
    told = Told()
    lock = room.holding(heartbeat=CALM, on_lost=told, **QUICK)
    session = lock.session_id
    [check] = health.hearts()
    if verb == "fail":
        health.tell(check, verb)
    else:
        health.deregister(check.removeprefix("service:"))
    eventually(lambda: told.reasons)
    assert (told.reasons, lock.held) == ([LossReason.SESSION_INVALID], False)
    assert session not in room.operator.sessions()
    with pytest.raises(LockLost):
        lock.release()
    assert lock.acquire(timeout=30)
    assert health.hearts() == {check: "passing"}
    assert health.bound(lock.session_id)["ServiceChecks"] == [check]
    lock.release()


def test_a_crashed_holder_is_replaced_long_before_its_ttl(room: Room, health: Health) -> None:
    """After the heartbeat and the lock-delay; the TTL could not end its session that soon."""
    other = room.lock()
    with process(room.operator.address, room.name, room.face.name, BEAT, "2", f"{TTL}") as holder:
        session = said(holder)
        assert session in room.operator.sessions()
        [service] = health.services()
        killed = time.monotonic()
        holder.kill()
        waiting = other.start("acquire")
        eventually(lambda: session not in room.operator.sessions())
        assert time.monotonic() - killed < TTL
        assert waiting.result(120)
        assert time.monotonic() - killed < TTL
    other.release()
    health.deregister(service)  # the agent would do so after a minute or two


def test_a_paused_holder_knows_that_it_has_lost(room: Room, health: Health) -> None:
    """Its session died in the pause; its heart beats on for others."""
    with process(room.operator.address, room.name, room.face.name, BEAT, "30", f"{TTL}") as holder:
        session = said(holder)
        stopped = time.monotonic()
        holder.send_signal(signal.SIGSTOP)
        eventually(lambda: session not in room.operator.sessions())
        assert time.monotonic() - stopped < TTL
        holder.send_signal(signal.SIGCONT)
        assert said(holder) == "SESSION_INVALID"
        assert holder.wait(120) == 0
    eventually(lambda: not health.services())


@pytest.mark.slow
@pytest.mark.parametrize("operator", [pytest.param("agent", marks=pytest.mark.real)], indirect=True)
def test_an_agent_with_acls_wants_one_rule_more(room: Room, consul_binary: Path) -> None:
    """The one that the error names; nothing else is needed for a heartbeat."""
    rules = f'key_prefix "{room.name}" {{ policy = "write" }} {SESSION_RULE}'
    with Agent(consul_binary, acl=True) as agent:
        poor = agent.token_for(rules)
        rich = agent.token_for(f"{rules} {SERVICE_RULE}")

        def lock(token: str) -> tuple[Sync, Sync]:
            client: Any = Sync(room.main.do(room.api.Client, agent.address, token=token), room.main)
            made = room.api.Lock(room.name, client=client.thing, heartbeat=CALM)
            return client, Sync(made, room.main)

        client, refused = lock(poor)
        with pytest.raises(PermissionDenied, match=re.escape(SERVICE_RULE)):
            refused.acquire(timeout=10)
        client.close()
        client, granted = lock(rich)
        assert granted.acquire(timeout=20)
        assert len(agent.request("GET", "/v1/agent/services").json()) == 1
        granted.release()
        client.close()
        assert agent.request("GET", "/v1/agent/services").json() == {}
