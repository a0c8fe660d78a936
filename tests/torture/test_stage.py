"""Servers and client agents on hosts of their own, and what runs beside them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import eventually
from tests.torture.stage import CLIENTS, SERVERS, Stage

# Takes a lock that its peer on the other host takes, too, and prints the token.
_TAKE = """
import consul_lock
with consul_lock.Lock("shared") as lock:
    print(lock.token)
"""


@pytest.fixture(scope="module")
def stage(namespaces: None, consul_binary: Path) -> Iterator[Stage]:
    """One for all tests of this file.  A test that breaks it ends with ``stage.heal()``."""
    with Stage(consul_binary) as started:
        yield started


def _take(stage: Stage, host: str) -> int:
    """Take the lock on a host, and return the token."""
    env = {**os.environ, "CONSUL_HTTP_ADDR": stage.address(host)}
    argv = [sys.executable, "-c", _TAKE]
    taker = stage.hosts[host].popen(argv, env=env, stdout=subprocess.PIPE, text=True)
    said, _ = taker.communicate()
    assert taker.returncode == 0
    return int(said)


def test_workers_on_each_client_host_take_one_lock(stage: Stage) -> None:
    """Through the agent of their host, on 127.0.0.1; those of one host through a proxy."""
    before = len(stage.proxy.log)
    first = _take(stage, CLIENTS[0])
    assert len(stage.proxy.log) == before
    assert _take(stage, CLIENTS[1]) > first
    assert len(stage.proxy.log) > before


def test_a_leader_that_is_cut_off_is_replaced(stage: Stage) -> None:
    """The others elect one of them, and locks can be taken; the old one comes back."""
    leader = stage.leader()
    assert stage.network is not None
    stage.network.isolate(leader.host)
    fresh = stage.cluster.leader(other_than=leader)
    assert fresh.name in SERVERS
    _take(stage, CLIENTS[0])
    stage.heal()
    assert stage.leader() is not leader


def test_a_client_agent_that_cannot_send_is_reported_dead(stage: Stage) -> None:
    """One direction alone is cut; gossip says so, and takes it back after the heal."""
    cut_off = stage.agent(CLIENTS[0])
    others = [host for host in stage.hosts.values() if host is not cut_off.host]
    assert stage.network is not None

    def status() -> int:
        members = stage.agent(CLIENTS[1]).request("GET", "/v1/agent/members").json()
        return int(next(each["Status"] for each in members if each["Name"] == cut_off.name))

    stage.network.cut([cut_off.host], others)
    eventually(lambda: status() != 1, message="it is not alive, as the others see it")
    stage.heal()
    eventually(lambda: status() == 1, message="it is alive again")


def test_without_namespaces_hosts_share_the_loopback(consul_binary: Path) -> None:
    """The same stage with fewer faults: it says what is missing."""
    with Stage(consul_binary, namespaces=False) as stage:
        assert stage.network is None
        assert stage.missing == "hosts share the loopback"
        assert _take(stage, CLIENTS[1]) > 0
        assert len(stage.proxy.log) > 0
