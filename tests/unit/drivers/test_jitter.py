"""Random numbers: the program's own generator has nothing to do with those of the library."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from consul_lock._drivers.asyncio import AsyncioDriver
from consul_lock._drivers.jitter import between, fraction
from consul_lock._drivers.threads import ThreadDriver
from consul_lock._protocol.flow import Flow, Job, Sleep
from consul_lock.config import Config


@pytest.fixture(autouse=True)
def _own_generator() -> Iterator[None]:
    """The tests seed the generator of this process, and leave it as it was."""
    state = random.getstate()
    yield
    random.setstate(state)


def _pause() -> Flow[None]:
    yield Sleep(0.0, 0.001)


def _use_threads() -> list[float]:
    driver = ThreadDriver(Config())
    driver.run(Job(_pause(), None))
    return [driver.random() for _ in range(3)]


def _use_tasks() -> list[float]:
    async def use() -> list[float]:
        driver = AsyncioDriver(Config())
        await driver.run(Job(_pause(), None))
        return [driver.random() for _ in range(3)]

    return asyncio.run(use())


def _use_directly() -> list[float]:
    return [fraction(), between(2.0, 5.0)]


_USES = pytest.mark.parametrize("use", [_use_threads, _use_tasks, _use_directly])


@_USES
def test_the_generator_of_the_program_is_left_alone(use: Callable[[], list[float]]) -> None:
    """A program that seeds it draws the same numbers whether it uses locks or not."""
    random.seed(0)
    before = random.getstate()
    use()
    assert random.getstate() == before


@_USES
def test_hosts_that_seed_it_alike_do_not_pause_alike(use: Callable[[], list[float]]) -> None:
    """They would meet again at each try."""
    random.seed(0)
    one = use()
    random.seed(0)
    assert use() != one


def test_numbers_are_between_the_bounds() -> None:
    """And differ."""
    assert all(0.0 <= fraction() < 1.0 for _ in range(100))
    assert all(2.0 <= between(2.0, 5.0) <= 5.0 for _ in range(100))
    assert len({between(0.0, 1.0) for _ in range(100)}) > 90


_FORKS = """
import os
from consul_lock._drivers.jitter import fraction
fraction()
if os.fork() == 0:
    print(fraction(), flush=True)
    os._exit(0)
os.wait()
print(fraction(), flush=True)
"""


def test_a_forked_child_draws_other_numbers_than_its_parent() -> None:
    """It needs no seed for that."""
    forks = [sys.executable, "-c", _FORKS]
    said = subprocess.run(forks, stdout=subprocess.PIPE, text=True, check=True).stdout
    child, parent = said.split()
    assert child != parent
