"""`consul-lock exporter`: what it serves of a real Consul; nothing ends it but a signal."""

from __future__ import annotations

import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from consul_lock import Client, Election
from tests.cli.command import Running, environment
from tests.cli.exporter.series import address_of, scrape, series_of
from tests.cli.inspect_fixture import (
    Hand,
    ask,
    hand_fixture,  # noqa: F401 - a fixture, used by its name
)
from tests.support.actions import DROP_BEFORE, PASS, Action
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

Export = Callable[..., Running]


@pytest.fixture
def export(address: str) -> Iterator[Export]:
    """``export("jobs/")`` in the background, at a free port; it ends with the test."""
    with ExitStack() as stack:

        def start(*arguments: str, at: str = address, **more: str) -> Running:
            words = ["exporter", "--listen", "127.0.0.1:0", *arguments]
            return stack.enter_context(Running(words, environment(at, **more)))

        yield start


def about(host: str, ago: float) -> dict[str, object]:
    return {"v": 1, "host": host, "pid": 7, "since": time.time() - ago}


def test_what_is_held_and_waited_for_is_served_and_follows_what_happens(
    export: Export, hand: Hand, address: str, key: str, start: Callable[..., Running]
) -> None:
    """A lock with a waiter, an election, a semaphore with a slot of the dead, what is no lock."""
    session = hand.hold(key, about("web1", 3600))
    waiting = start("--", "true")
    slots = hand.slots(f"{key}/sem", 3, 2)
    hand.destroy(slots[0])
    hand.put(f"{key}/plain", "hello")
    served = address_of(export(key))
    lock = f'kind="lock",name="{key}"'
    with Client(address) as client, Election(f"{key}/lead", client=client):
        found = eventually(
            lambda: (
                (now := scrape(served)).get(f"consul_lock_waiters{{{lock}}}") == 1
                and now.get(f'consul_lock_holders{{kind="election",name="{key}/lead"}}') == 1
                and now
            )
        )
    assert found[f"consul_lock_holders{{{lock}}}"] == 1
    assert 3600 <= found[f"consul_lock_oldest_hold_seconds{{{lock}}}"] < 7000
    assert 0 <= found[f"consul_lock_oldest_wait_seconds{{{lock}}}"] < 3600
    assert found[f'consul_lock_semaphore_slots_used{{name="{key}/sem"}}'] == 2
    assert found[f'consul_lock_semaphore_slots_limit{{name="{key}/sem"}}'] == 3
    assert found[f'consul_lock_dead_holders{{kind="semaphore",name="{key}/sem"}}'] == 1
    assert found[f'consul_lock_up{{name="{key}"}}'] == 1
    assert [found[f'consul_lock_names{{kind="{k}"}}'] for k in ("lock", "foreign")] == [1, 1]
    hand.let_go(key, session)
    assert waiting.wait() == 0
    eventually(lambda: f"consul_lock_waiters{{{lock}}}" not in scrape(served))


def test_consul_is_read_as_a_whole_and_once_a_second_at_most(
    export: Export, hand: Hand, address: str, key: str
) -> None:
    """However many names there are, and however often one of them changes."""
    times: list[float] = []

    def seen(method: str, path: str, body: bytes, number: int) -> Action:
        times.append(time.monotonic())
        return PASS

    stop = threading.Event()

    def change_all_the_time() -> None:
        while not stop.wait(0.02):
            hand.put(f"{key}/job", str(time.monotonic()))

    with Proxy(address, seen) as proxy:
        writer = threading.Thread(target=change_all_the_time)
        writer.start()
        try:
            served = address_of(export(f"{key}/", at=proxy.address))
            eventually(lambda: len(times) >= 4)
            reads = len(times)
        finally:
            stop.set()
            writer.join()
        assert reads - 1 <= times[reads - 1] - times[0] + 2
        kinds = {re.sub(r"index=\d+", "index=N", each.path) for each in proxy.log}
        assert all(path.startswith(f"/v1/kv/{key}/?") and "recurse" in path for path in kinds)
        # What asks for metrics asks Consul for nothing.
        before = len(proxy.log)
        for _ in range(20):
            scrape(served)
        assert len(proxy.log) - before <= 2


def test_while_consul_is_away_it_says_so_and_what_it_knew(
    export: Export, hand: Hand, address: str, key: str
) -> None:
    """Then it comes back; no traceback, one line for each."""
    hand.hold(f"{key}/job", about("web1", 60))
    away = threading.Event()
    with Proxy(address, lambda *_: DROP_BEFORE if away.is_set() else PASS) as proxy:
        running = export(f"{key}/", "--retry-for", "1", at=proxy.address)
        served, up = address_of(running), f'consul_lock_up{{name="{key}/"}}'
        eventually(lambda: scrape(served)[up] == 1)
        away.set()
        hand.put(f"{key}/news", "ends the blocking read")
        down = eventually(lambda: (now := scrape(served))[up] == 0 and now)
        assert down[f'consul_lock_holders{{kind="lock",name="{key}/job"}}'] == 1
        errors = f'consul_lock_read_errors_total{{name="{key}/"}}'
        older = eventually(lambda: (now := scrape(served))[errors] >= 2 and now)
        age = f'consul_lock_last_read_age_seconds{{name="{key}/"}}'
        assert older[age] > down[age]
        away.clear()
        eventually(lambda: scrape(served)[up] == 1)
        eventually(lambda: "again" in running.errors())
    first, lost, back = running.errors().splitlines()
    assert "metrics are at" in first
    assert lost.startswith("consul-lock: warning: cannot read what is below")
    assert back == f'consul-lock: what is below "{key}/" can be read again'


def test_without_consul_from_the_start_it_serves_that(export: Export) -> None:
    """As a monitor it must not depend on the order in which things start."""
    running = export("jobs/", at="127.0.0.1:1")
    found = scrape(address_of(running))
    assert found['consul_lock_up{name="jobs/"}'] == 0
    assert 'consul_lock_last_read_age_seconds{name="jobs/"}' not in found
    assert running.running()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_with_success(
    export: Export, hand: Hand, address: str, key: str, signum: signal.Signals
) -> None:
    """In the middle of its blocking query, which would take ten seconds more."""
    # Where there are no keys, what happens elsewhere may end the query.
    hand.put(f"{key}/plain", "x")
    with Proxy(address) as proxy:
        running = export(f"{key}/", at=proxy.address)
        address_of(running)
        eventually(lambda: any("wait=10" in seen.path for seen in proxy.log))
        asked = proxy.log[-1]
        running.send(signum)
        assert running.wait() == 0
        assert asked.status is None, "the query had its answer before the end"
    assert len(running.errors().splitlines()) == 1


def test_once_prints_them_and_serves_nothing(address: str, hand: Hand, key: str) -> None:
    """Several prefixes, of which no name is twice; a prefix without keys is mentioned."""
    hand.hold(f"{key}/a", about("web1", 60))
    result = ask(address, "exporter", "--once", f"{key}/a", f"{key}/b")
    assert result.returncode == 0
    found = series_of(result.stdout)
    assert found[f'consul_lock_up{{name="{key}/a"}}'] == 1
    assert found[f'consul_lock_up{{name="{key}/b"}}'] == 1
    assert found[f'consul_lock_holders{{kind="lock",name="{key}/a"}}'] == 1
    assert result.stderr.splitlines() == [
        f'consul-lock: there are no keys below "{key}/b", or none that the token may read'
    ]
    dead = ask("127.0.0.1:1", "exporter", "--once", "--retry-for", "0")
    assert (dead.returncode, dead.stdout) == (69, "")


def test_prefixes_that_overlap_are_refused(address: str) -> None:
    """A name below both would be there twice, and Prometheus refuses that."""
    for prefixes in (["jobs/a", "jobs/"], ["jobs", "jobs"], ["", "jobs"]):
        result = ask(address, "exporter", *prefixes)
        assert result.returncode == 64
        assert "is below" in result.stderr


def test_an_address_that_is_taken_is_named(address: str) -> None:
    """With a code of its own among those of the command."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = ask(address, "exporter", "--listen", f"127.0.0.1:{port}")
    assert result.returncode == 71
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use (71)" in result.stderr


def test_without_prometheus_client_it_says_what_to_install(address: str, tmp_path: Path) -> None:
    """It is an extra: most hosts only lock."""
    package = tmp_path / "prometheus_client"
    package.mkdir()
    absent = "raise ModuleNotFoundError('no module', name='prometheus_client')\n"
    (package / "__init__.py").write_text(absent)
    result = ask(address, "exporter", PYTHONPATH=str(tmp_path))
    assert (result.returncode, result.stdout) == (78, "")
    assert result.stderr.splitlines() == [
        "consul-lock: the exporter needs prometheus-client",
        "hint: pip install '.[prometheus]' in a checkout of consul-lock has it",
    ]
