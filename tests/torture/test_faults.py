"""Each kind of fault bites, and is healed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.raw_http import exchange
from tests.support.waiting import eventually
from tests.torture.faults import (
    DELAY,
    FAULTS,
    OVERWRITTEN,
    Effect,
    Scene,
    faults_active,
    possible,
    set_clock,
)
from tests.torture.plan import KINDS, Fault
from tests.torture.stage import CLIENTS, PROXIED, SERVERS, Stage

_KEY = "torture/lock"

_TARGETS = {
    "kill": "leader",
    "stop": "follower",
    "leave": "leader",
    "partition": CLIENTS[0],
    "cannot send": CLIENTS[1],
    "cannot receive": "leader",
    "disk full": "follower",
    "maintenance": CLIENTS[0],
}
"""Of each kind that has targets one; the others differ by the agent alone."""

# Seconds for a question that a cut network does not answer.
_SHORT = 2.0


@pytest.fixture(scope="module")
def scene(
    namespaces: None, consul_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """One for all tests of this file."""
    clock = tmp_path_factory.mktemp("clock") / "clock"
    set_clock(clock, 0)
    with Stage(consul_binary) as stage:
        yield Scene(stage, "torture/", clock)


@pytest.fixture
def session(scene: Scene) -> Iterator[str]:
    """The session that holds the key, with a value; the only one there is."""
    made = scene.ask("PUT", "/v1/session/create", {"LockDelay": "0s", "TTL": "600s"})
    session = str(made.json()["ID"])
    taken = scene.ask("PUT", f"/v1/kv/{_KEY}?acquire={session}", b"before")
    assert taken.body.strip() == b"true"
    yield session
    scene.ask("DELETE", f"/v1/kv/{_KEY}")
    for left in scene.stage.cluster.client.sessions():
        scene.ask("PUT", f"/v1/session/destroy/{left['ID']}")


def _reached(scene: Scene, host: str) -> bool:
    """Whether an agent reaches a leader."""
    try:
        answer = scene.stage.agent(host).request("GET", f"/v1/kv/{_KEY}?consistent", timeout=_SHORT)
    except OSError:
        return False
    return answer.status in (200, 404)


def _voters(scene: Scene) -> int:
    servers = scene.ask("GET", "/v1/operator/raft/configuration").json()["Servers"]
    return sum(server["Voter"] for server in servers)


def _value(scene: Scene) -> bytes:
    return scene.ask("GET", f"/v1/kv/{_KEY}?raw").body


def _is_dead(scene: Scene, effect: Effect) -> bool:
    return not scene.stage.agent(effect.target).running


def _stands_still(scene: Scene, effect: Effect) -> bool:
    status = Path(f"/proc/{scene.stage.agent(effect.target).pid}/status").read_text()
    return "State:\tT" in status


def _none_leads(scene: Scene, effect: Effect) -> bool:
    return not any(_reached(scene, host) for host in CLIENTS)


def _is_cut_off(scene: Scene, effect: Effect) -> bool:
    if effect.target in CLIENTS:
        return not _reached(scene, effect.target)
    # The others have elected another one.
    other = next(name for name in SERVERS if name != effect.target)
    led = scene.stage.agent(other).request("GET", "/v1/status/leader").json()
    return bool(led) and not str(led).startswith(scene.stage.agent(effect.target).bind + ":")


def _is_late(scene: Scene, effect: Effect) -> bool:
    """A question to the leader and its answer are both delayed."""
    program = (
        "import sys, time, urllib.request as u\nt = time.monotonic()\n"
        "u.urlopen(sys.argv[1]).read()\nprint(time.monotonic() - t)"
    )
    url = f"{scene.stage.agent(CLIENTS[0]).address}/v1/kv/{_KEY}?consistent"
    argv = [sys.executable, "-c", program, url]
    asked = scene.stage.hosts[CLIENTS[0]].popen(argv, stdout=subprocess.PIPE, text=True)
    return float(asked.communicate()[0]) >= 2 * DELAY


def _still_serves(scene: Scene, effect: Effect) -> bool:
    return _reached(scene, CLIENTS[0])


def _says_429(scene: Scene, effect: Effect) -> bool:
    return _status_of_proxy(scene) == 429


def _status_of_proxy(scene: Scene) -> int:
    port = int(scene.stage.address(PROXIED).rpartition(":")[2])
    with scene.stage.hosts[PROXIED].inside():
        return exchange("127.0.0.1", port, "GET", "/v1/status/leader").status


def _has_no_room(scene: Scene, effect: Effect) -> bool:
    agent = scene.stage.agent(effect.target)

    def write() -> int:
        try:
            (agent.data / "more").write_bytes(bytes(100_000))
        except OSError as error:
            return error.errno or 0
        return 0

    return agent.host.do(write) == errno.ENOSPC


def _overwritten(scene: Scene, effect: Effect) -> bool:
    """Here, to see it undone by the restored snapshot."""
    scene.ask("PUT", f"/v1/kv/{_KEY}", b"after the snapshot")
    return effect.names == ("*",)


def _is_maintained(scene: Scene, effect: Effect) -> bool:
    checks = scene.ask("GET", f"/v1/health/node/{effect.target}").json()
    return any(check["CheckID"] == "_node_maintenance" for check in checks)


def _is_without_session(scene: Scene, effect: Effect) -> bool:
    entry = scene.stage.cluster.client.entry(_KEY)
    return entry is not None and "Session" not in entry


def _is_deleted(scene: Scene, effect: Effect) -> bool:
    return scene.stage.cluster.client.entry(_KEY) is None and effect.names == (_KEY,)


def _has_another_value(scene: Scene, effect: Effect) -> bool:
    return _value(scene) == OVERWRITTEN and effect.names == (_KEY,)


def _clock_is_wrong(scene: Scene, effect: Effect) -> bool:
    """By 30 s at least, in a process of the workers' environment; its monotonic clock is right."""
    program = "import time; print(time.time() - time.monotonic())"
    folder = Path(__file__).parents[1] / "support" / "stepped_clock"
    env = {**os.environ, "PYTHONPATH": str(folder), "STEPPED_CLOCK": str(scene.clock)}
    shown = float(subprocess.check_output([sys.executable, "-c", program], env=env))
    return abs(shown - (time.time() - time.monotonic())) > 29


_SHOWN: dict[str, Callable[[Scene, Effect], bool]] = {
    "kill": _is_dead,
    "stop": _stands_still,
    "leave": _is_dead,
    "full restart": _none_leads,
    "no quorum": _none_leads,
    "partition": _is_cut_off,
    "cannot send": _is_cut_off,
    "cannot receive": _is_cut_off,
    "delay": _is_late,
    "loss": _still_serves,
    "429": _says_429,
    "disk full": _has_no_room,
    "snapshot restore": _overwritten,
    "maintenance": _is_maintained,
    "sessions destroyed": _is_without_session,
    "key deleted": _is_deleted,
    "key overwritten": _has_another_value,
    "clock step": _clock_is_wrong,
}


@pytest.mark.parametrize("kind", sorted(_SHOWN))
def test_a_fault_bites_and_is_healed(scene: Scene, session: str, kind: str) -> None:
    """What it does is seen within the block, and after it all serve; kept data is still there."""
    stage = scene.stage
    with faults_active(scene, Fault(0.0, kind, _TARGETS.get(kind, ""), 0.0)) as [effect]:
        eventually(lambda: _SHOWN[kind](scene, effect), message=kind)
    assert all(agent.running for agent in stage.cluster.agents)
    eventually(lambda: all(_reached(scene, host) for host in CLIENTS))
    assert _status_of_proxy(scene) == 200
    if kind not in ("key deleted", "key overwritten"):
        assert _value(scene) == b"before"


def test_what_was_overwritten_is_deleted(scene: Scene) -> None:
    """Nobody may overwrite it, so it would be in the way for ever."""
    scene.ask("PUT", f"/v1/kv/{_KEY}/.lock", b"{}")
    with faults_active(scene, Fault(0.0, "key overwritten", "", 0.0)) as [effect]:
        assert scene.ask("GET", f"/v1/kv/{_KEY}/.lock?raw").body == OVERWRITTEN
    assert effect.names == (_KEY,)
    assert scene.stage.cluster.client.entry(f"{_KEY}/.lock") is None


def test_a_rolling_restart_replaces_each_server(scene: Scene) -> None:
    """One after the other; each is a new process."""
    before = {name: scene.stage.agent(name).pid for name in SERVERS}
    with faults_active(scene, Fault(0.0, "rolling restart", "", 0.0)):
        after = {name: scene.stage.agent(name).pid for name in SERVERS}
    assert all(before[name] != after[name] for name in SERVERS)


def test_two_faults_are_there_together_and_are_healed_together(scene: Scene) -> None:
    """The second begins while the first one is there, and neither is healed before the end."""
    # A server that has left and come back has no vote yet, and is needed for one now.
    eventually(lambda: _voters(scene) == len(SERVERS), message="all servers may vote")
    killed, cut = Fault(0.0, "kill", "leader", 0.0), Fault(0.0, "partition", CLIENTS[1], 0.0)
    with faults_active(scene, killed, cut) as [first, second]:
        assert _is_dead(scene, first)
        assert not _reached(scene, second.target)
        eventually(lambda: _reached(scene, CLIENTS[0]), 120, message="the others elect a leader")
        assert _is_dead(scene, first)
        assert not _reached(scene, second.target)
    assert not _is_dead(scene, first)
    eventually(lambda: _reached(scene, second.target))


def test_workers_are_stopped_and_killed_by_their_own_part_of_the_run(scene: Scene) -> None:
    """A fault that a run has to perform itself is asked of it; `tests.torture.run` has the rest."""
    asked: list[str] = []
    scene.stop_worker = lambda chance: Effect("stopped", lambda: asked.append("continued"))
    scene.kill_worker = lambda chance: Effect("killed")
    with faults_active(scene, Fault(0.0, "worker stopped", "", 0.0)) as [effect]:
        assert (effect.target, asked) == ("stopped", [])
    assert asked == ["continued"]
    with faults_active(scene, Fault(0.0, "worker killed", "", 0.0)) as [effect]:
        assert effect.target == "killed"


def test_every_kind_of_the_plan_can_be_performed() -> None:
    """And is shown here."""
    names = {kind.name for kind in KINDS}
    assert names == set(FAULTS)
    assert names - set(_SHOWN) == {"rolling restart", "worker stopped", "worker killed"}


def test_without_a_network_the_missing_faults_are_known(consul_binary: Path) -> None:
    """Agents on the loopback can be killed and refuse, but not be cut off, but for the proxy."""
    stage = Stage(consul_binary, namespaces=False)
    everything = [Fault(0.0, kind.name, target, 0.0) for kind in KINDS for target in kind.targets]
    missing = {(f.kind, f.target) for f in everything if not possible(stage, f)}
    stage.cluster.stop()
    assert {kind for kind, _ in missing} == {
        "partition", "cannot send", "cannot receive", "loss", "disk full",
    }  # fmt: skip
    assert ("partition", PROXIED) not in missing
