"""Fixtures of the interoperation with `consul lock`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.cli.command import Running, environment
from tests.interop.go_command import Peer
from tests.support.agent import Agent
from tests.support.apis import Face


@pytest.fixture(autouse=True)
def _short_timeouts(busy_servers_answer: None) -> None:
    """They are about locks that others hold, not about servers that do not answer."""


@pytest.fixture
def client(face: Face, agent: Agent) -> Iterator[Any]:
    """A client of this face."""
    opened = face.client(agent.address)
    yield opened
    opened.close()


@pytest.fixture
def go(agent: Agent, tmp_path: Path) -> Iterator[Callable[..., Peer]]:
    """Start a `consul lock NAME`, with options; it is ended with the test."""
    with ExitStack() as started:

        def start(name: str, *options: str, address: str | None = None) -> Peer:
            folder = tmp_path / f"go-{len(list(tmp_path.iterdir()))}"
            peer = Peer(agent, folder, name, options=options, address=address)
            started.callback(peer.close)
            return peer

        yield start


@pytest.fixture
def command(agent: Agent) -> Iterator[Callable[..., Running]]:
    """Start a `consul-lock run`, with arguments; it is ended with the test."""
    with ExitStack() as started:

        def start(*arguments: str, address: str | None = None) -> Running:
            env = environment(address or agent.address)
            return started.enter_context(Running(["run", *arguments], env))

        yield start


@pytest.fixture
def acquiring() -> Iterator[Callable[[Any], Future[float]]]:
    """Acquire a lock in a thread; the future has the time at which it was acquired."""
    with ThreadPoolExecutor(8) as threads:

        def acquire(lock: Any) -> float:
            assert lock.acquire(timeout=60)
            return monotonic()

        yield lambda lock: threads.submit(acquire, lock)
