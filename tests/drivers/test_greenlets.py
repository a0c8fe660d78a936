"""Processes that gevent or eventlet have monkey-patched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from consul_lock.testing import ServedWorld
from tests.contract.operator import Operator
from tests.drivers import program_greenlets
from tests.support.agent import Agent

ROOT = Path(__file__).parents[2]

PATIENCE = 90

_PATCHED = ("-m", "gevent.monkey", "--module", program_greenlets.__name__)


@contextmanager
def _process(*command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _said(process: subprocess.Popen[str], *, warned: str = "") -> dict[str, Any]:
    """Its output; it has logged nothing, or only lines that begin with this."""
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert err.startswith(warned) if warned else err == ""
    document: dict[str, Any] = json.loads(out)
    return document


def test_greenlets_take_turns(served: ServedWorld, operator: Operator) -> None:
    """Of one client and of several: 48 rounds, one inside at a time, and nothing is left."""
    with _process(*_PATCHED, "together", served.address) as process:
        assert _said(process) == {"most": 1, "rounds": 48}
    assert operator.keys(program_greenlets.NAME) == {}
    assert operator.sessions() == set()


@pytest.fixture
def own_agent(consul_binary: Path) -> Iterator[Agent]:
    """An agent that may be frozen, with TLS."""
    with Agent(consul_binary, tls=True) as started:
        yield started


def test_greenlets_speak_tls(own_agent: Agent) -> None:
    """The same over https."""
    assert own_agent.certificates is not None
    ca = str(own_agent.certificates.ca)
    scene = (*_PATCHED, "together", own_agent.https_address)
    with _process(*scene, CONSUL_CACERT=ca) as process:
        assert _said(process) == {"most": 1, "rounds": 48}
    assert own_agent.sessions() == []


def _next_line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()


def _go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_a_frozen_agent_freezes_no_greenlet(own_agent: Agent) -> None:
    """A request ends with its timeout, others run meanwhile, the loss is reported at the deadline,
    and what was lost is not held again after the thaw."""
    with _process(*_PATCHED, "frozen", own_agent.address) as process:
        assert _next_line(process.stdout) == "freeze\n"
        own_agent.freeze()
        _go_on(process)
        assert _next_line(process.stdout) == "thaw\n"
        own_agent.thaw()
        _go_on(process)
        saw = _said(process, warned="renewing sessions fails")
    assert "no answer within 1.0 s" in saw["error"]
    assert 0.9 < saw["took"] < 10
    assert saw["late"] is not None
    # It is reported at the deadline: not before, and by no more than a busy machine is late.
    assert -0.1 < saw["late"] < 10
    assert (saw["held"], saw["again"]) == (False, False)
    # A hundred of them, or few on a busy machine; in a process that stands still, one at most.
    assert saw["turns"] > 5


_EVENTLET = """
import eventlet
eventlet.monkey_patch({what})
import consul_lock
try:
    consul_lock.Client("127.0.0.1:1")
except consul_lock.ConfigError as error:
    print(error)
"""


def test_eventlet_is_refused_with_a_sentence() -> None:
    """It replaces the sockets, and takes away what waits for them with a time limit."""
    with _process("-W", "ignore", "-c", _EVENTLET.format(what="")) as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert err == ""
    assert "eventlet" in out
    assert "gevent" in out


def test_eventlet_that_patches_no_sockets_is_not_refused() -> None:
    """It makes no difference then."""
    with _process("-W", "ignore", "-c", _EVENTLET.format(what="time=True")) as process:
        assert process.communicate(timeout=PATIENCE) == ("", "")
