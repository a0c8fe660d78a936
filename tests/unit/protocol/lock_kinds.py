"""Every kind of lock, for what has to hold for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consul_lock._protocol import keys as names
from consul_lock._protocol.multilock.base import keys_of_names
from consul_lock._protocol.multilock.multilock import MultiLockCore
from consul_lock._protocol.primitive.lockable import Lockable
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session import timing as terms
from consul_lock._protocol.weighted.rwlock import ReadWriteCore
from consul_lock._protocol.weighted.semaphore import SemaphoreCore
from consul_lock._protocol.weighted.tree import TreeCore
from tests.unit.protocol.fake_driver import NAME, FakeDriver

# Requests that an acquire of any kind has at most, in these tests.
REQUESTS_MAX = 40


def settings(**more: Any) -> Settings:
    return Settings(terms.session_options(), **more)


KINDS: dict[str, Callable[[FakeDriver], Lockable]] = {
    "lock": lambda driver: driver.lock(),
    "watched": lambda driver: driver.lock(watch=True),
    "fair": lambda driver: driver.lock(fair=True),
    "multilock": lambda driver: MultiLockCore(
        driver.client(), keys_of_names([NAME, "other"]), settings()
    ),
    "semaphore": lambda driver: SemaphoreCore(driver.client(), "slots", 1, settings()),
    "writer": lambda driver: ReadWriteCore(driver.client(), "a/b", settings()).writer,
    "tree": lambda driver: TreeCore(driver.client(), names.keys_of_name("a/b"), settings()),
}


each_kind = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())


# As in an outage of all servers, after which the times of all sessions begin anew.
LASTING = Settings(terms.session_options(ttl=86400.0))
