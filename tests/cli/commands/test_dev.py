"""`consul-lock dev`: a private Consul that ends with the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, Running, alive, children, consul, environment, is_guardian
from tests.support.agent import Agent
from tests.support.waiting import eventually

_TEN = 10

_RUN = [*COMMAND, "run", "-k", "k", "--"]


@pytest.fixture(params=["real", "model"])
def surroundings(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """An environment in which the real binary is found, and one in which none is."""
    # Whatever dev leaves behind is seen here.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if request.param == "real":
        binary = request.getfixturevalue("consul_binary")
        yield environment(CONSUL_BIN=str(binary), TMPDIR=str(tmp_path))
        return
    empty = environment(TMPDIR=str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "cache"))
    empty.pop("CONSUL_BIN", None)
    folders = empty["PATH"].split(os.pathsep)
    empty["PATH"] = os.pathsep.join(each for each in folders if not Path(each, "consul").exists())
    yield empty


def test_the_command_has_a_consul_of_its_own(surroundings: dict[str, str], tmp_path: Path) -> None:
    """Its exit code is passed on, stderr says what runs, and nothing is left behind."""
    surroundings |= {"CONSUL_HTTP_SSL": "true", "CONSUL_HTTP_ADDR": "nowhere"}
    script = 'env | grep CONSUL_HTTP; "$@"'
    inner = [*_RUN, "sh", "-c", "exit 5"]
    with Running(["dev", "--", "sh", "-c", script, "sh", *inner], surroundings) as dev:
        address = dev.line().removeprefix("CONSUL_HTTP_ADDR=")
        assert dev.wait() == 5
        assert dev.line() == ""
        kind = "a real Consul agent" if "CONSUL_BIN" in surroundings else "a model of Consul"
        said, shells = dev.said()
        assert kind in said
        assert said.endswith(f"runs at {address}")
        assert shells.endswith(f"other shells reach it after: export CONSUL_HTTP_ADDR={address}")
    assert list(tmp_path.iterdir()) == []


def test_without_a_command_it_runs_until_a_signal(
    surroundings: dict[str, str], tmp_path: Path
) -> None:
    """And prints the line for other shells, and how it is ended."""
    with Running(["dev"], surroundings) as dev:
        address = dev.line().removeprefix("export CONSUL_HTTP_ADDR=")
        assert dev.said()[-1].endswith("until Ctrl-C, other shells reach it after this line:")
        assert consul(address, "GET", "/v1/status/leader")
        real = "CONSUL_BIN" in surroundings
        agents, guardians = _told_apart(dev, real)
        assert len(agents) == real
        dev.send(signal.SIGINT)
        assert dev.wait() == 0
        assert not any(map(alive, agents))
        eventually(lambda: not any(map(alive, guardians)))
    assert list(tmp_path.iterdir()) == []


def _told_apart(dev: Running, count: int) -> tuple[list[int], list[int]]:
    """Those who work, and their parents: so many guardians, and no other child of dev."""

    def find() -> tuple[list[int], list[int]]:
        guardians = children(dev.pid)
        assert len(guardians) == count
        assert all(map(is_guardian, guardians))
        return [each for guardian in guardians for each in children(guardian)], guardians

    return eventually(find)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_command_and_then_the_agent(
    surroundings: dict[str, str], tmp_path: Path, signum: int
) -> None:
    """The command gets it first; `dev` dies as it does."""
    with Running(["dev", "--", "sh", "-c", "echo ready; exec sleep 600"], surroundings) as dev:
        assert dev.line() == "ready"
        real = "CONSUL_BIN" in surroundings
        workers, guardians = _told_apart(dev, 1 + real)
        assert len(workers) == 1 + real
        dev.send(signum)
        assert dev.wait() == -signum
        assert not any(map(alive, workers))
        eventually(lambda: not any(map(alive, guardians)))
    assert list(tmp_path.iterdir()) == []


def _behind_a_script(binary: str, pids: Path) -> str:
    """A program that runs the binary, and enters the agent's pid in that file."""
    script = pids.with_name("consul")
    script.write_text(
        f'#!/bin/sh\n[ "$1" = agent ] || exec \'{binary}\' "$@"\n'
        f"'{binary}' \"$@\" & echo $! >>'{pids}'; wait\n"
    )
    script.chmod(0o755)
    return str(script)


def test_an_agent_behind_a_script_ends_with_consul_lock(
    consul_binary: Path, tmp_path: Path
) -> None:
    """The script does not pass on that it is to end."""
    pids = tmp_path / "pids"
    env = environment(CONSUL_BIN=_behind_a_script(str(consul_binary), pids), TMPDIR=str(tmp_path))
    with Running(["dev", "--", "true"], env) as dev:
        assert dev.wait() == 0
    assert not alive(int(pids.read_text()))


def test_if_consul_lock_is_killed_nothing_is_left(
    surroundings: dict[str, str], tmp_path: Path
) -> None:
    """Neither of the command nor of the agent, be it behind a script: no kernel tells it then."""
    pids = tmp_path / "pids"
    pids.touch()
    if "CONSUL_BIN" in surroundings:
        surroundings["CONSUL_BIN"] = _behind_a_script(surroundings["CONSUL_BIN"], pids)
    with Running(["dev", "--", "sh", "-c", "sleep 600 & echo $!; wait"], surroundings) as dev:
        workers, guardians = _told_apart(dev, 1 + ("CONSUL_BIN" in surroundings))
        everybody = [int(dev.line()), *map(int, pids.read_text().split()), *workers, *guardians]
        assert len(everybody) == (6 if "CONSUL_BIN" in surroundings else 3)
        dev.send(signal.SIGKILL)
        dev.wait()
        eventually(lambda: not any(map(alive, everybody)))


def test_ten_agents_run_on_one_host_at_once(consul_binary: Path, tmp_path: Path) -> None:
    """Five of `dev` and five of the tests' own, whatever the version: each has only its own key."""
    env = environment(CONSUL_BIN=str(consul_binary), TMPDIR=str(tmp_path))
    with ExitStack() as stack, ThreadPoolExecutor(_TEN) as pool:
        devs = [stack.enter_context(Running(["dev"], env)) for _ in range(_TEN // 2)]
        agents = [Agent(consul_binary) for _ in range(_TEN // 2)]
        for agent in agents:
            stack.callback(agent.stop)
        started = [pool.submit(agent.start) for agent in agents]
        addresses = [dev.line().removeprefix("export CONSUL_HTTP_ADDR=") for dev in devs]
        addresses += [future.result().address for future in started]
        assert len(set(addresses)) == _TEN
        for at, address in enumerate(addresses):
            consul(address, "PUT", f"/v1/kv/{at}", b"")
        found = [consul(address, "GET", "/v1/kv/?keys") for address in addresses]
        assert found == [[str(at)] for at in range(_TEN)]
        for dev in devs:
            dev.send(signal.SIGINT)
        assert [dev.wait() for dev in devs] == [0] * len(devs)


def test_a_binary_that_is_not_consul_is_reported(tmp_path: Path) -> None:
    """With the end of its output, and the command is not started."""
    result = subprocess.run(
        [*COMMAND, "dev", "--", "echo", "started"],
        env=environment(CONSUL_BIN=sys.executable, TMPDIR=str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 69
    assert result.stdout == ""
    assert "agent did not start" in result.stderr
    assert list(tmp_path.iterdir()) == []
