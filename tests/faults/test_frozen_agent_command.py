"""`consul-lock run` behind a frozen agent: its command is dead before anybody else has the lock.

This is what `consul lock` gets wrong: there, two commands run for as long as the agent is stuck.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from consul_lock._drivers.clock import clock
from tests.support.agent import Agent
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
HEARTBEAT = Path(__file__).parent / "heartbeat.py"
LOCK_FLAG = 3304740253564472344
LOST = 76

TTL, LOCK_DELAY = 10.0, 6.0


@pytest.fixture
def beats(tmp_path: Path, local: Agent) -> Iterator[Path]:
    """The file into which a command beats that `consul-lock run` has started."""
    file = tmp_path / "beats"
    paths = [str(ROOT), str(ROOT / "cli"), os.environ.get("PYTHONPATH", "")]
    command = [sys.executable, "-m", "consul_lock_cli", "run", "--http-addr", local.address]
    options = ["--key", "beat", "--lock-delay", f"{LOCK_DELAY:g}s", "--kill-after", "1s"]
    run = subprocess.Popen(
        [*command, *options, "--", sys.executable, str(HEARTBEAT), str(file)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        eventually(file.exists)
        yield file
        _, said = run.communicate(timeout=120)
        assert (run.returncode, "LOST beat" in said) == (LOST, True), said
    finally:
        run.kill()
        run.communicate()


def last_beat(file: Path) -> float:
    """When the command was alive for the last time, as far as is known; 0 before the first beat."""
    written = file.read_bytes()
    return float(struct.unpack("d", written)[0]) if written else 0.0


def acquired(server: Agent) -> float:
    """Acquire with bare requests as soon as the server allows it; the time of sending that one."""
    made = server.request("PUT", "/v1/session/create", {"TTL": "60s", "NodeChecks": []}).json()
    where = f"/v1/kv/beat/.lock?acquire={made['ID']}&flags={LOCK_FLAG}"

    def try_once() -> float | None:
        sent = clock()
        return sent if server.request("PUT", where).json() else None

    return eventually(try_once, 2 * TTL + LOCK_DELAY + 60.0, message="the other one has it")


@pytest.mark.slow
@pytest.mark.parametrize("end", ["destroyed at once", "expired"])
def test_the_command_is_dead_before_somebody_else_has_the_lock(
    server: Agent, local: Agent, beats: Path, end: str
) -> None:
    """Also if its session is destroyed at the worst time, and it takes a KILL to end it."""
    eventually(lambda: last_beat(beats) > 0)
    entry = server.entry("beat/.lock")
    assert entry is not None
    local.freeze()
    frozen = clock()
    if end == "destroyed at once":
        server.request("PUT", f"/v1/session/destroy/{entry['Session']}")
    when = acquired(server)
    last = last_beat(beats)
    assert frozen < last < when
    # It is gone, and not only slow: nothing moves any more.
    eventually(lambda: clock() > when + 0.5)
    assert last_beat(beats) == last
    assert when - frozen >= LOCK_DELAY - 0.5
