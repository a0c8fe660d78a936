"""A verified fake: World, World over HTTP and a real agent answer the same scripts alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from uuid import uuid4

import pytest

from consul_lock.testing import World, serve
from tests.testing_world import (
    scripts_agent,
    scripts_kv,
    scripts_lock,
    scripts_session,
    scripts_txn,
    scripts_watch,
)
from tests.testing_world.servers import HttpLine, WorldLine
from tests.testing_world.transcript import Line, Record, Talk

Script = Callable[[Talk], None]

SCRIPTS: list[Script] = [
    *scripts_kv.SCRIPTS,
    *scripts_session.SCRIPTS,
    *scripts_lock.SCRIPTS,
    *scripts_txn.SCRIPTS,
    *scripts_watch.SCRIPTS,
    *scripts_agent.SCRIPTS,
]

_ATTEMPTS = 10
# Never used before: a real agent that lives on remembers where keys were deleted.
_prefixes = (f"{uuid4().hex[:8]}-{number}" for number in count(1))

each_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)


def run(script: Script, line: Line, prefix: str) -> list[Record]:
    """The log of a script."""
    talk = Talk(line, prefix)
    script(talk)
    return talk.log


def without_indexes(log: list[Record]) -> list[Record]:
    """The log without what counts Raft entries."""

    def strip(value: object) -> object:
        if isinstance(value, dict):
            gone = {"CreateIndex", "ModifyIndex", "x-consul-index"}
            return {name: strip(item) for name, item in value.items() if name not in gone}
        if isinstance(value, list | tuple):
            return [strip(item) for item in value]
        return value

    return [(strip(record),) for record in log]


def agree(script: Script, line: HttpLine, *, indexes: bool = True) -> None:
    """Run a script against ``line`` and against a World of its release, until they agree or it is
    enough.

    A real agent may write something of its own in between, which moves all indexes, or come
    late to a blocking query: then they agree at the next attempt.  A wrong model never does.
    """
    for attempt in range(_ATTEMPTS):
        prefix = next(_prefixes)
        expected = run(script, WorldLine(World(seed=1, consul=line.consul)), prefix)
        found = run(script, line, prefix)
        if not indexes:
            expected, found = without_indexes(expected), without_indexes(found)
        if found == expected or attempt == _ATTEMPTS - 1:
            assert found == expected
            return


@pytest.fixture(params=["1.8", "1.21"])
def served(request: pytest.FixtureRequest) -> Iterator[HttpLine]:
    """A World on HTTP, of each release whose rules differ."""
    with serve(World(seed=2, consul=request.param)) as world:
        line = HttpLine(world.address, request.param)
        yield line
        line.close()


@each_script
def test_a_world_on_http_says_what_it_says_when_asked_directly(
    script: Script, served: HttpLine
) -> None:
    """Real time instead of virtual time changes nothing."""
    agree(script, served)


@pytest.mark.real
@each_script
def test_a_world_says_what_a_real_agent_says(script: Script, agent_line: HttpLine) -> None:
    """Statuses, headers, bodies, texts, and indexes relative to each other."""
    agree(script, agent_line)


@pytest.mark.real
@pytest.mark.parametrize("script", scripts_agent.UNINDEXED, ids=lambda script: script.__name__)
def test_a_world_treats_services_as_a_real_agent_does(script: Script, agent_line: HttpLine) -> None:
    """Heartbeats: sessions that are bound to the TTL check of a service."""
    agree(script, agent_line, indexes=False)


def a_session_expires_at_twice_its_ttl(say: Talk) -> None:
    """And closes what it held."""
    session, other = say.session(TTL="10s", lock_delay="3s"), say.session()
    say("PUT", f"a?acquire={session}", "1")
    took = say.until(lambda said: said.json == [], "GET", f"/v1/session/info/{session}")
    say.log.append(("twice the TTL", 19.5 < took < 60))
    say("GET", "a")
    say("PUT", f"a?acquire={other}", "2")
    say("PUT", f"/v1/session/renew/{session}")


@pytest.mark.real
@pytest.mark.slow
def test_a_session_expires_in_a_world_when_it_does_on_a_real_agent(agent_line: HttpLine) -> None:
    """20 seconds after it was made with a TTL of 10.  In that time an agent writes of its own."""
    agree(a_session_expires_at_twice_its_ttl, agent_line, indexes=False)
