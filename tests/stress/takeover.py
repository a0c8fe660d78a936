"""How long it takes from the crash of a holder until the one who waits has what it held."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from consul_lock import Client
from tests.interop.go_command import environment
from tests.stress.kinds import make
from tests.support.agent import Agent
from tests.support.waiting import eventually

_ROOT = Path(__file__).resolve().parents[2]

# Seconds: ends a measurement that has failed, and nothing else.
PATIENCE = 180.0


@contextmanager
def _holder(
    agent: Agent, kind: str, name: str, options: dict[str, Any]
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that holds it, and its session."""
    command = [sys.executable, "-m", "tests.stress.holder", agent.address, kind, name]
    with subprocess.Popen(
        [*command, json.dumps(options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def takeover(agent: Agent, kind: str, name: str, options: dict[str, Any]) -> float:
    """Seconds from SIGKILL to the waiter's acquire, both with the same options."""
    with (
        _holder(agent, kind, name, options) as (holder, session),
        Client(agent.address) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        before = _sessions(agent)
        waiter = make(kind, name, client, options)
        had: Future[float] = threads.submit(_had, waiter)
        if kind == "multilock":  # which waits in no line
            eventually(lambda: _sessions(agent) - before, message=f"another wants {name}")
        else:
            eventually(lambda: _contends(agent, name, session), message=f"one waits for {name}")
        assert not had.done()
        killed = time.monotonic()
        holder.kill()
        seconds = had.result(PATIENCE) - killed
        waiter.release()
    return seconds


def _had(waiter: Any) -> float:
    assert waiter.acquire(timeout=PATIENCE)
    return time.monotonic()


def _sessions(agent: Agent) -> set[str]:
    return {session["ID"] for session in agent.sessions()}


def _contends(agent: Agent, name: str, holder: str) -> bool:
    """Whether a session besides the holder's has locked a key of it, as that of a waiter does."""
    answer = agent.request("GET", f"/v1/kv/{name}/?recurse")
    entries = [] if answer.status == 404 else answer.json()
    return bool({entry.get("Session", holder) for entry in entries} - {holder})
