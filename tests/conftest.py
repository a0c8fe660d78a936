"""Fixtures of all tests: a real Consul, a name of its own, a check that nothing is left."""

from __future__ import annotations

import os
import re
import signal
import uuid
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from consul_lock._protocol.consul import error_budget
from consul_lock._protocol.primitive import lockable
from tests.support.agent import Agent, version_of
from tests.support.apis import Face, open_face
from tests.support.binary import BINARY, NONE, find_consul
from tests.support.callers import Callers, Tasks, Threads
from tests.support.cluster import Cluster
from tests.support.effort import scaled
from tests.support.promised import missing, promised
from tests.support.waiting import eventually

# The same examples every time, or new ones.  Time passes only inside the simulation, so a slow
# machine makes no example wrong.
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    max_examples=scaled(100),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("search", parent=settings.get_profile("ci"), derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


# Seconds for what a test leaves to be gone: a client closes its sessions at once.
_GONE_WITHIN = 15.0


def pytest_configure(config: pytest.Config) -> None:
    # Of the fresh plans of tests/simulation; processes that run tests for this one inherit it.
    os.environ.setdefault("SIMULATION_SEED", str(int.from_bytes(os.urandom(4))))
    config.stash[BINARY] = find_consul()
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        _yield_to_what_waits(int(worker["workerid"].removeprefix("gw")), worker["workercount"])
    main = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        # Like Ctrl-C, so that the agents of this run are stopped and not left behind.
        if os.getpid() == main:
            raise KeyboardInterrupt
        os._exit(128 + number)  # a child that a test has forked

    signal.signal(signal.SIGTERM, end)


def pytest_report_header(config: pytest.Config) -> list[str]:
    seed = f"simulation: SIMULATION_SEED={os.environ['SIMULATION_SEED']}"
    binary = config.stash[BINARY]
    if binary is None:
        what = "fail (CI=true)" if promised() else "are skipped"
        return [f"consul: none, tests marked real {what}; {NONE}", seed]
    return [f"consul: {version_of(binary)}, {binary}", seed]


def _yield_to_what_waits(number: int, processes: int) -> None:
    from tests.support.scheduler import NICE, begins_in_front

    if not begins_in_front(number, processes):
        os.nice(NICE)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if config.getoption("dist") != "load":
        return None
    from tests.support.scheduler import BothEnds

    return BothEnds(config, log)


# Files and folders of tests that wait for most of their time: the longest first, and then one file
# of each folder in turn, as three clusters of servers at once are more than the cores can serve.
_WAITS = (
    "test_torture.py",
    "test_crontab.py",
    "torture",
    "cluster",
    "stress",
    "faults",
    "interop",
    "drivers",
)


def _put_first_what_waits(items: list[pytest.Item]) -> None:
    """For the scheduler in ``tests/support``, which lets it run beside what computes."""
    order = dict[Path, tuple[int, int]]()
    files = Counter[int]()
    for item in items:
        parts = item.path.parts
        place = next((n for n, part in enumerate(_WAITS) if part in parts), None)
        if place is not None and item.path not in order:
            order[item.path] = files[place], place
            files[place] += 1
    last = len(items), 0
    items.sort(key=lambda item: order.get(item.path, last))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    _put_first_what_waits(items)
    # Who takes a real Consul is marked by that, so that -m "not real" needs no discipline.
    for item in items:
        names = getattr(item, "fixturenames", ())
        if "consul_binary" in names:
            item.add_marker("real")
        if "cluster" in names:
            item.add_marker("cluster")
            item.add_marker("slow")
        if "simulation" in item.path.parts:
            item.add_marker("slow")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            for agent in _agents(value):
                report.sections.append((f"log of {name} {agent.name}", agent.log[-6000:]))
    return report


def _agents(value: object) -> list[Agent]:
    if isinstance(value, Agent):
        return [value]
    return value.agents if isinstance(value, Cluster) else []


@pytest.fixture
def busy_servers_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls with a short timeout wait for the answer of a busy server: they grant it a second after
    their deadline, which may not be enough for it."""
    for module in (error_budget, lockable):
        monkeypatch.setattr(module, "GRACE", 30.0)


@pytest.fixture(scope="session")
def consul_binary(pytestconfig: pytest.Config) -> Path:
    """A real consul.  Without one, the test is skipped on a desk and fails where CI=true."""
    binary = pytestconfig.stash[BINARY]
    if binary is None:
        missing(NONE)
    return binary


@pytest.fixture(scope="session")
def agent(consul_binary: Path) -> Iterator[Agent]:
    """One real agent in memory for all tests, with Consul's own limits.

    Leave it running and as it is; a test that freezes, kills or configures makes its own
    with ``Agent(consul_binary, ...)``.
    """
    with Agent(consul_binary) as started:
        yield started


@pytest.fixture
def own_agent(consul_binary: Path) -> Iterator[Agent]:
    """An agent of this test alone, which may be frozen."""
    with Agent(consul_binary) as started:
        yield started


@pytest.fixture(params=["threads", "asyncio"])
def face(request: pytest.FixtureRequest) -> Iterator[Face]:
    """Each API in its turn."""
    with open_face(request.param) as opened:
        yield opened


@pytest.fixture
def tasks() -> Iterator[Tasks]:
    """Callers with a task each."""
    made = Tasks()
    yield made
    made.close()


@pytest.fixture(params=["threads", "asyncio"])
def callers(request: pytest.FixtureRequest) -> Callers:
    """Callers with a thread each, then with a task each."""
    made: Callers = Threads() if request.param == "threads" else request.getfixturevalue("tasks")
    return made


@pytest.fixture
def fresh_name(request: pytest.FixtureRequest) -> str:
    """The name of a lock that nobody else uses."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", request.node.name).strip("-")[:60]
    return f"test/{readable}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def nothing_left(agent: Agent, fresh_name: str) -> Iterator[None]:
    """Afterwards, no key is left under ``fresh_name`` and no session that was not there before."""
    before = {session["ID"] for session in agent.sessions()}
    yield

    def gone() -> bool:
        left = [session for session in agent.sessions() if session["ID"] not in before]
        keys = agent.living(fresh_name)
        assert not keys, f"keys left: {keys}"
        assert not left, f"sessions left: {left}"
        return True

    eventually(gone, _GONE_WITHIN, message="nothing is left in Consul")
