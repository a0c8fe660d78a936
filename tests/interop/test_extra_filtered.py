"""A token that hides other contenders: Consul 1.8 leaves them out silently, so they look dead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consul_lock import PermissionDenied
from tests.interop.go_command import run_go
from tests.interop.semaphores import Slots, document, semaphore
from tests.support.agent import Agent
from tests.support.agent_config import MASTER_TOKEN
from tests.support.apis import Face

# What a waiter for slots of "hidden/NAME" needs; Go asks about the agent besides.
RULES = """
session_prefix "" { policy = "write" }
agent_prefix "" { policy = "read" }
key_prefix "hidden/" { policy = "write" }
"""


@pytest.fixture(scope="module")
def agent(consul_binary: Path) -> Iterator[Agent]:
    """An agent that denies what is not allowed."""
    with Agent(consul_binary, acl=True) as started:
        yield started


@pytest.fixture
def client(face: Face, agent: Agent) -> Iterator[Any]:
    """A client that may do everything."""
    opened = face.client(agent.address, token=MASTER_TOKEN)
    yield opened
    opened.close()


def hiding(slots: Slots) -> str:
    """A token for these slots which cannot see who contends for them now."""
    denied = (f'key "{slots.name}/{one}" {{ policy = "deny" }}' for one in slots.contenders)
    return slots.agent.token_for("\n".join([RULES, *denied]))


def test_go_takes_a_slot_of_holders_it_cannot_see(agent: Agent) -> None:
    """It runs its command beside both of them: three of two."""
    slots = Slots(agent, "hidden/go")
    living = [slots.other_contender(), slots.other_contender()]
    slots.write(document(2, living))
    token = hiding(slots)
    run = run_go(agent, f"-token={token}", "-n=2", "-timeout=30s", slots.name, "true")
    assert run.returncode == 0
    assert slots.contenders == set(living)
    assert slots.document is None


def test_consul_lock_never_prunes_holders_it_cannot_see(
    face: Face, client: Any, agent: Agent
) -> None:
    """The lock that would prove their death is refused, and the document stays as it is."""
    slots = Slots(agent, f"hidden/us-{face.name}")
    held = semaphore(face, slots.name, 2, client)
    assert held.acquire(n=2)
    before = slots.state
    limited = face.client(agent.address, token=hiding(slots))
    waiting = semaphore(face, slots.name, 2, limited, lock_delay=1)
    with pytest.raises(PermissionDenied) as caught:
        waiting.acquire(timeout=15)
    assert "key_prefix" in str(caught.value)
    limited.close()
    assert slots.state == before
    held.ensure_held()
    held.release()


def test_one_hidden_among_others_is_not_pruned_either(
    face: Face, client: Any, agent: Agent
) -> None:
    """Its slot is not taken, even if others can be seen."""
    slots = Slots(agent, f"hidden/one-{face.name}")
    held = semaphore(face, slots.name, 2, client)
    assert held.acquire()
    token = hiding(slots)
    assert held.acquire()
    before = slots.state
    limited = face.client(agent.address, token=token)
    waiting = semaphore(face, slots.name, 2, limited, lock_delay=1)
    with pytest.raises(PermissionDenied):
        waiting.acquire(timeout=15)
    limited.close()
    assert slots.state == before
    held.release()
    held.release()


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(
            'key "hidden/denied/.lock" { policy = "write" }', id="no contender may be made"
        ),
        pytest.param('key_prefix "hidden/" { policy = "read" }', id="nothing may be written"),
        pytest.param('key_prefix "other/" { policy = "write" }', id="nothing may be seen"),
    ],
)
@pytest.mark.parametrize("blocking", [True, False])
def test_a_token_that_may_not_contend_gets_the_rule_in_the_error(
    face: Face, client: Any, agent: Agent, rules: str, blocking: bool
) -> None:
    """At once, and nothing in the document has changed."""
    slots = Slots(agent, "hidden/denied")
    held = semaphore(face, slots.name, 3, client)
    assert held.acquire()
    token = agent.token_for(f'session_prefix "" {{ policy = "write" }}\n{rules}')
    limited = face.client(agent.address, token=token)
    with pytest.raises(PermissionDenied) as caught:
        semaphore(face, slots.name, 3, limited).acquire(blocking=blocking)
    assert 'key_prefix "hidden/denied' in str(caught.value)
    limited.close()
    assert slots.document == document(3, [held.session_id])
    assert slots.contenders == {held.session_id}
    held.release()
