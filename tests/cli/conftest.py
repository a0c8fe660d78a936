"""What the tests of the command share."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from consul_lock_cli.settings.catalogue import SETTINGS
from tests.cli.command import COMMAND, PATIENCE, Running, consul, environment
from tests.cli.in_process import own_messages
from tests.cli.isolated_home import Home
from tests.cli.program_supervisor import PROGRAM
from tests.support.agent import Agent

Result = subprocess.CompletedProcess[str]


@pytest.fixture
def key() -> str:
    """A name that no other test uses, as lock-delay outlives a test."""
    return f"cli/{uuid4().hex[:12]}"


@pytest.fixture
def address(agent: Agent) -> str:
    """Where Consul is."""
    return agent.address


@pytest.fixture
def locked_run(address: str, key: str) -> Callable[..., Result]:
    """``locked_run("-n", "--", "true", env={...})``: `consul-lock run` of this test's key."""

    def run(*arguments: str, **more: str) -> Result:
        return subprocess.run(
            [*COMMAND, "run", "--key", key, *arguments],
            env=environment(address, **more),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    return run


@pytest.fixture
def start(address: str, key: str) -> Iterator[Callable[..., Running]]:
    """The same in the background; it ends with the test."""
    with ExitStack() as stack:

        def run(*arguments: str, **more: str) -> Running:
            everything = ["run", "--key", key, *arguments]
            return stack.enter_context(Running(everything, environment(address, **more)))

        yield run


@pytest.fixture
def holder(start: Callable[..., Running], key: str) -> Running:
    """Somebody who holds this test's key until TERM."""
    running = start("--", "sh", "-c", "echo ready; exec sleep 600")
    assert running.line() == "ready"
    return running


@pytest.fixture
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No variable of Consul; and the messages of this process are its own again afterwards."""
    for setting in SETTINGS.values():
        monkeypatch.delenv(setting.variable or "", raising=False)
    with own_messages():
        yield


@pytest.fixture
def supervise() -> Iterator[Callable[..., Running]]:
    """``supervise("sh", "-c", ..., left=..., kill_after=...)``: a command under a made-up lease.

    What is named is an option, and ``True`` one without a value.
    """
    with ExitStack() as stack:

        def start(*command: str, **options: str | bool) -> Running:
            given: list[str] = []
            for name, value in options.items():
                given += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
            separated = [*given, "--", *command] if command else given
            return stack.enter_context(Running(separated, environment(), prefix=PROGRAM))

        yield start


@pytest.fixture
def sessions(address: str) -> Callable[[int], list[str]]:
    """Ids of the sessions that a wrapper of this pid has in Consul."""

    def find(pid: int) -> list[str]:
        everything = consul(address, "GET", "/v1/session/list")
        return [each["ID"] for each in everything if f":{pid} " in f"{each['Name']} "]

    return find


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """The command with a home of its own."""
    return Home(tmp_path)
