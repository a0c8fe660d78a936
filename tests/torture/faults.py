"""What a torture does to a stage, and how it is undone.

`faults_active` injects faults and heals them: afterwards every agent serves again.  The kinds with
their targets and times are data, in `tests.torture.plan`.
"""

from __future__ import annotations

import base64
import errno
import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.actions import HOLD, Delay
from tests.support.http_messages import Answer
from tests.support.waiting import eventually
from tests.torture.plan import PREFIX, TREES, Fault, needs_network
from tests.torture.stage import PROXIED, SERVERS, Stage, StageAgent

DELAY = 0.2
"""Seconds that each packet is late, in each direction."""

LOSS = 0.2
"""The share of all packets that is lost."""

SETTLES = 30.0
"""Seconds after a restored snapshot: holds and waits of before go on for as long as a session that
nobody renews, and those that read what was restored follow them."""

OVERWRITTEN = b"overwritten by hand"
"""The value of a key that was."""

_STEPS = (-86_400.0, -3_600.0, -30.0, 30.0, 3_600.0, 86_400.0)
"""Seconds by which a clock is wrong."""

_REFUSED = "Your IP is issuing too many concurrent connections, please rate limit your calls\n"

# Bytes that are written at once to a disk that is to be full.
_BLOCK = 1 << 20

# Seconds for an agent to end: ends a run that has failed, and nothing else.
_PATIENCE = 180.0


@dataclass(frozen=True)
class Effect:
    """What a fault has done."""

    target: str = ""
    """The host that it hit."""
    undo: Callable[[], None] = lambda: None
    """What `Stage.heal` does not do, and needs no agent that serves."""
    finish: Callable[[], None] = lambda: None
    """What is asked of the agents in the end, when they serve again."""
    names: tuple[str, ...] = ()
    """The locks that nothing is promised of, ``*`` for all."""
    pids: tuple[int, ...] = ()
    """The workers that it was done to."""
    settles: float = 0.0
    """Seconds after it was healed for which it counts as active."""


@dataclass
class Scene:
    """What faults act on."""

    stage: Stage
    prefix: str
    """Of all keys of the workers."""
    clock: Path
    """The file with the seconds by which the workers' clock is wrong."""
    stop_worker: Callable[[random.Random], Effect] = field(default=lambda chance: Effect())
    kill_worker: Callable[[random.Random], Effect] = field(default=lambda chance: Effect())

    def agent(self, target: str) -> StageAgent:
        """The agent of a host, or of a server by its role."""
        if target == "leader":
            return self.stage.leader()
        if target == "follower":
            return self.stage.follower()
        return self.stage.agent(target)

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        """Ask the first client agent, which is well when a fault begins, but for an election."""

        def asked() -> Answer:
            try:
                answer = self.stage.cluster.client.request(method, path, body)
            except OSError as error:
                raise AssertionError(path) from error
            assert answer.status in (200, 404), answer
            return answer

        return eventually(asked, _PATIENCE, message=path)


@contextmanager
def faults_active(scene: Scene, *faults: Fault) -> Iterator[list[Effect]]:
    """They are there within the block; after it, all is healed and every agent serves."""
    if not all(agent.running for agent in scene.stage.cluster.agents):
        scene.stage.heal()  # one has given up after the fault before
    effects: list[Effect] = []
    try:
        effects.extend(_BEGIN[fault.kind](scene, fault) for fault in faults)
        yield effects
    finally:
        for effect in reversed(effects):
            effect.undo()
        scene.stage.heal()
        for effect in reversed(effects):
            effect.finish()


def possible(stage: Stage, fault: Fault) -> bool:
    """Whether this stage can do that."""
    return stage.network is not None or not needs_network(fault.kind, fault.target)


# Of processes.


def _kill(scene: Scene, fault: Fault) -> Effect:
    agent = scene.agent(fault.target)
    agent.kill()
    return Effect(agent.name)


def _stop(scene: Scene, fault: Fault) -> Effect:
    agent = scene.agent(fault.target)
    agent.freeze()
    return Effect(agent.name)


def _leave(scene: Scene, fault: Fault) -> Effect:
    agent = scene.agent(fault.target)
    with suppress(OSError):  # it may be gone before it has answered
        agent.request("PUT", "/v1/agent/leave")
    eventually(lambda: not agent.running, _PATIENCE, message=f"{agent.name} has left")
    return Effect(agent.name)


def _restart_rolling(scene: Scene, fault: Fault) -> Effect:
    for name in SERVERS:
        agent = scene.stage.agent(name)
        os.kill(agent.pid, signal.SIGTERM)
        eventually(lambda ended=agent: not ended.running, _PATIENCE, message=f"{name} has ended")
        scene.stage.heal()
    return Effect()


def _restart_all(scene: Scene, fault: Fault) -> Effect:
    for name in SERVERS:
        scene.stage.agent(name).kill()
    return Effect()


def _lose_quorum(scene: Scene, fault: Fault) -> Effect:
    leader = scene.agent("leader")
    other = next(name for name in SERVERS if name != leader.name)
    leader.kill()
    scene.stage.agent(other).kill()
    return Effect(f"{leader.name} and {other}")


# Of the network.


def _partition(scene: Scene, fault: Fault) -> Effect:
    agent = scene.agent(fault.target)
    if scene.stage.network is None:
        scene.stage.proxy.rule = lambda *request: HOLD
    else:
        scene.stage.network.isolate(agent.host)
    return Effect(agent.name)


def _cannot_send(scene: Scene, fault: Fault) -> Effect:
    agent = scene.agent(fault.target)
    assert scene.stage.network is not None
    scene.stage.network.cut([agent.host], scene.stage.network.hosts)
    return Effect(agent.name)


def _cannot_receive(scene: Scene, fault: Fault) -> Effect:
    agent = scene.agent(fault.target)
    assert scene.stage.network is not None
    scene.stage.network.cut(scene.stage.network.hosts, [agent.host])
    return Effect(agent.name)


def _delay(scene: Scene, fault: Fault) -> Effect:
    if scene.stage.network is None:
        scene.stage.proxy.rule = lambda *request: Delay(DELAY)
        return Effect(PROXIED)
    scene.stage.network.delay(DELAY)
    return Effect()


def _lose_packets(scene: Scene, fault: Fault) -> Effect:
    assert scene.stage.network is not None
    scene.stage.network.lose(LOSS)
    return Effect()


def _refuse(scene: Scene, fault: Fault) -> Effect:
    headers = _chance(fault).choice([{}, {"retry-after": "1"}])
    answer = Answer(429, headers, _REFUSED.encode())
    scene.stage.proxy.rule = lambda *request: answer
    return Effect(PROXIED)


# Of what servers keep.


def _fill_disk(scene: Scene, fault: Fault) -> Effect:
    agent = scene.agent(fault.target)
    ballast = agent.data / "ballast"
    agent.host.do(lambda: _fill(ballast))

    def undo() -> None:
        # A server whose disk was full may have given up for good.
        agent.host.do(ballast.unlink)
        if agent.running:
            agent.kill()

    return Effect(agent.name, undo)


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        size = _BLOCK
        while size:
            try:
                file.write(bytes(size))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 2


def _restore_snapshot(scene: Scene, fault: Fault) -> Effect:
    saved = scene.ask("GET", "/v1/snapshot").body
    return Effect(finish=lambda: _restore(scene, saved), names=("*",), settles=SETTLES)


def _restore(scene: Scene, saved: bytes) -> None:
    assert scene.ask("PUT", "/v1/snapshot", saved).status == 200


def _maintain(scene: Scene, fault: Fault) -> Effect:
    agent = scene.agent(fault.target)
    path = "/v1/agent/maintenance?reason=torture&enable="
    assert agent.request("PUT", path + "true").status == 200

    def finish() -> None:
        assert agent.request("PUT", path + "false").status == 200

    return Effect(agent.name, finish=finish)


def _destroy_sessions(scene: Scene, fault: Fault) -> Effect:
    """Half of them, one at least: that of a holder, of a waiter, or of both."""
    sessions = sorted(session["ID"] for session in scene.ask("GET", "/v1/session/list").json())
    chance = _chance(fault)
    for session in chance.sample(sessions, (len(sessions) + 1) // 2):
        scene.ask("PUT", f"/v1/session/destroy/{session}")
    return Effect()


def _delete_key(scene: Scene, fault: Fault) -> Effect:
    key = _held_key(scene, fault)
    if not key:
        return Effect()
    scene.ask("DELETE", f"/v1/kv/{key}")
    return Effect(key, names=_names_at(key))


def _overwrite_key(scene: Scene, fault: Fault) -> Effect:
    key = _held_key(scene, fault)
    if not key:
        return Effect()
    scene.ask("PUT", f"/v1/kv/{key}", OVERWRITTEN)

    return Effect(key, finish=lambda: _delete_overwritten(scene, key), names=_names_at(key))


def _delete_overwritten(scene: Scene, key: str) -> None:
    """What is foreign is left alone by all when its holder is done, and is for an operator."""
    entry = scene.stage.cluster.client.entry(key)
    foreign = entry is not None and base64.b64decode(entry["Value"] or "") == OVERWRITTEN
    if entry is not None and foreign:
        scene.ask("DELETE", f"/v1/kv/{key}?cas={entry['ModifyIndex']}")


def _held_key(scene: Scene, fault: Fault) -> str:
    """The key of a lock: one with a session, or a document of holders."""
    answer = scene.ask("GET", f"/v1/kv/{scene.prefix}?recurse")
    entries = [] if answer.status == 404 else answer.json()
    keys = [
        str(entry["Key"])
        for entry in entries
        if entry["Key"].endswith("/.lock") or (entry.get("Session") and "/." not in entry["Key"])
    ]
    return _chance(fault).choice(sorted(keys)) if keys else ""


def _names_at(key: str) -> tuple[str, ...]:
    """The names of the locks that a key is about.  Trees have one document for all of them."""
    name = key.removesuffix("/.lock")
    return TREES if f"{name}/" == PREFIX else (name,)


# Of the workers.


def _step_clock(scene: Scene, fault: Fault) -> Effect:
    set_clock(scene.clock, _chance(fault).choice(_STEPS))
    return Effect(undo=lambda: set_clock(scene.clock, 0))


def set_clock(file: Path, wrong: float) -> None:
    """Let the workers' clock be wrong by so many seconds, from now on."""
    fresh = file.with_suffix(".new")
    fresh.write_text(f"{wrong:+g}\n")
    fresh.replace(file)  # nobody reads half of it


def _stop_worker(scene: Scene, fault: Fault) -> Effect:
    return scene.stop_worker(_chance(fault))


def _kill_worker(scene: Scene, fault: Fault) -> Effect:
    return scene.kill_worker(_chance(fault))


def _chance(fault: Fault) -> random.Random:
    """The choices that a fault leaves open are its own: the same in each run of a plan."""
    return random.Random(repr(fault))


_BEGIN: dict[str, Callable[[Scene, Fault], Effect]] = {
    "kill": _kill,
    "stop": _stop,
    "leave": _leave,
    "rolling restart": _restart_rolling,
    "full restart": _restart_all,
    "no quorum": _lose_quorum,
    "partition": _partition,
    "cannot send": _cannot_send,
    "cannot receive": _cannot_receive,
    "delay": _delay,
    "loss": _lose_packets,
    "429": _refuse,
    "disk full": _fill_disk,
    "snapshot restore": _restore_snapshot,
    "maintenance": _maintain,
    "sessions destroyed": _destroy_sessions,
    "key deleted": _delete_key,
    "key overwritten": _overwrite_key,
    "clock step": _step_clock,
    "worker stopped": _stop_worker,
    "worker killed": _kill_worker,
}

FAULTS = frozenset(_BEGIN)
"""The names of all."""
