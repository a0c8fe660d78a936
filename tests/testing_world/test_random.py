"""Random operations, few enough keys to collide: World and a real agent must agree on all."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consul_lock.testing import World, serve
from tests.support.effort import scaled
from tests.testing_world.servers import HttpLine, WorldLine
from tests.testing_world.test_world import agree
from tests.testing_world.transcript import Talk, op

KEYS = ("k/a", "k/ab", "m")
SESSIONS = 3

keys = st.sampled_from(KEYS)
sessions = st.integers(0, SESSIONS - 1)
values = st.sampled_from(("", "x", "y"))
flags = st.sampled_from((0, 7))
expected = st.sampled_from(("none", "last", "wrong"))
prefixes = st.sampled_from(("", "k", "k/a", "m", "none"))

ops = st.one_of(
    st.tuples(st.just("set"), keys, values, flags),
    st.tuples(st.sampled_from(("cas", "delete-cas", "check-index")), keys, values, expected),
    st.tuples(st.sampled_from(("lock", "unlock", "check-session")), keys, values, sessions),
    st.tuples(st.sampled_from(("get", "delete", "check-not-exists")), keys),
    st.tuples(st.sampled_from(("get-tree", "delete-tree")), prefixes),
)

steps = st.one_of(
    st.tuples(st.just("put"), keys, values, flags),
    st.tuples(st.just("cas"), keys, values, expected),
    st.tuples(st.sampled_from(("acquire", "release")), keys, values, sessions),
    st.tuples(st.sampled_from(("get", "delete")), keys),
    st.tuples(st.just("delete-cas"), keys, expected),
    st.tuples(st.sampled_from(("list", "keys", "delete-tree")), prefixes),
    st.tuples(st.sampled_from(("renew", "destroy", "info")), sessions),
    st.tuples(st.just("create"), sessions, st.sampled_from(("release", "delete"))),
    st.tuples(st.just("txn"), st.lists(ops, min_size=1, max_size=5)),
)


class Player:
    """Plays random steps as a script."""

    def __init__(self, say: Talk) -> None:
        self.say = say
        self.sessions = [say.session() for _ in range(SESSIONS)]

    def play(self, step: tuple[Any, ...]) -> None:
        name, *rest = step
        getattr(self, name.replace("-", "_"))(*rest)

    def put(self, key: str, value: str, flags: int) -> None:
        self.say("PUT", f"{key}?flags={flags}", value)

    def cas(self, key: str, value: str, which: str) -> None:
        self.say("PUT", f"{key}?cas={self._index(key, which)}", value)

    def acquire(self, key: str, value: str, session: int) -> None:
        self.say("PUT", f"{key}?acquire={self.sessions[session]}&flags=5", value)

    def release(self, key: str, value: str, session: int) -> None:
        self.say("PUT", f"{key}?release={self.sessions[session]}&flags=5", value)

    def get(self, key: str) -> None:
        self.say("GET", key)

    def delete(self, key: str) -> None:
        self.say("DELETE", key)

    def delete_cas(self, key: str, which: str) -> None:
        self.say("DELETE", f"{key}?cas={self._index(key, which)}")

    def list(self, prefix: str) -> None:
        self.say("GET", f"{prefix}?recurse")

    def keys(self, prefix: str) -> None:
        self.say("GET", f"{prefix}?keys&separator=/")

    def delete_tree(self, prefix: str) -> None:
        self.say("DELETE", f"{prefix}?recurse")

    def renew(self, session: int) -> None:
        self.say("PUT", f"/v1/session/renew/{self.sessions[session]}")

    def destroy(self, session: int) -> None:
        self.say("PUT", f"/v1/session/destroy/{self.sessions[session]}")

    def info(self, session: int) -> None:
        self.say("GET", f"/v1/session/info/{self.sessions[session]}")

    def create(self, session: int, behavior: str) -> None:
        self.sessions[session] = self.say.session(Behavior=behavior)

    def txn(self, steps: Any) -> None:
        self.say.txn(*[self._op(*step) for step in steps])

    def _op(self, verb: str, key: str, value: str = "", more: Any = None) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if verb in ("set", "cas", "lock", "unlock"):
            fields["Value"] = b64encode(value.encode()).decode()
        if verb == "set":
            fields["Flags"] = more
        elif verb in ("cas", "delete-cas", "check-index"):
            fields["Index"] = self._index(key, more)
        elif verb in ("lock", "unlock", "check-session"):
            fields["Session"] = self.sessions[more]
        return op(verb, key, **fields)

    def _index(self, key: str, which: str) -> int:
        if which != "last":
            return 0 if which == "none" else 1  # No key was ever written at 1.
        said = self.say.line.ask("GET", f"/v1/kv/{self.say.prefix}/{key}", None)
        return int(said.json[0]["ModifyIndex"]) if said.status == 200 else 0


def play_all(say: Talk, script: list[tuple[Any, ...]]) -> None:
    """Play the steps, and look at everything at the end."""
    player = Player(say)
    for step in script:
        player.play(step)
    say("GET", "?recurse")
    say("GET", "/v1/session/list", loose=True)


scripts = st.lists(steps, min_size=5, max_size=25)
relaxed = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.mark.real
@settings(max_examples=scaled(25), deadline=None, suppress_health_check=relaxed)
@given(script=scripts)
def test_a_world_follows_a_real_agent_through_random_operations(
    script: list[tuple[Any, ...]], agent_line: HttpLine
) -> None:
    """A few hundred operations over three keys and three sessions."""
    agree(lambda say: play_all(say, script), agent_line)


@settings(max_examples=scaled(10), deadline=None)
@given(script=scripts)
def test_a_served_world_follows_one_in_virtual_time(script: list[tuple[Any, ...]]) -> None:
    """The same, without a real agent."""
    with serve(World(seed=3)) as world:
        line = HttpLine(world.address, world.world.consul)
        agree(lambda say: play_all(say, script), line)
        line.close()


def test_a_random_script_can_be_played() -> None:
    """The player knows every step that is drawn."""
    say = Talk(WorldLine(World()), "p")
    player = Player(say)
    for step in (("put", "m", "x", 7), ("txn", [("get", "m"), ("lock", "m", "y", 0)])):
        player.play(step)
    assert say.log[-1][0] == 200
