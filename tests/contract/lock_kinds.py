"""Everything that is a lock, and must therefore behave like one.

A further lock-like class becomes one more entry of `KINDS`, and all of the contract holds for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from tests.contract.key_layouts import SEMAPHORE_OF_ONE, WRITE_LOCK, KeyLayout, Layout

Options = Mapping[str, Any]


class Kind(NamedTuple):
    """One way to have a lock: ``make(api, name, client, options)`` makes it."""

    name: str
    make: Callable[[ModuleType, str, Any, Options], Any]
    layout: Layout = KeyLayout()
    own_session: bool = True
    """Nobody else uses its session, so that is destroyed after a loss."""
    reentrant: bool = False
    """Its holder may enter again, and nobody else may release it."""


def _plain(api: ModuleType, name: str, client: Any, options: Options) -> Any:
    return api.Lock(name, client=client, **options)


def _on_key(api: ModuleType, name: str, client: Any, options: Options) -> Any:
    return api.Lock.on_key(f"{name}/exactly", client=client, **options)


def _shared(api: ModuleType, name: str, client: Any, options: Options) -> Any:
    of_session = {o: options[o] for o in ("ttl", "lock_delay") if o in options}
    of_lock = {o: value for o, value in options.items() if o not in of_session}
    return api.Lock(name, session=api.Session(client, **of_session), **of_lock)


def _fair(api: ModuleType, name: str, client: Any, options: Options) -> Any:
    return api.Lock(name, client=client, fair=True, **options)


def _watch(api: ModuleType, name: str, client: Any, options: Options) -> Any:
    return api.Lock(name, client=client, **{**options, "watch": True})


def _semaphore(api: ModuleType, name: str, client: Any, options: Options) -> Any:
    return api.Semaphore(name, 1, client=client, **options)


def _write_lock(api: ModuleType, name: str, client: Any, options: Options) -> Any:
    return api.ReadWriteLock(name, client=client, **options).write()


def _tree(api: ModuleType, name: str, client: Any, options: Options) -> Any:
    return api.Lock(name, client=client, tree=True, **options)


def _multi(api: ModuleType, name: str, client: Any, options: Options) -> Any:
    return api.MultiLock([name, f"{name}-too"], client=client, **options)


def _rlock(api: ModuleType, name: str, client: Any, options: Options) -> Any:
    return api.RLock(name, client=client, **options)


def _election(api: ModuleType, name: str, client: Any, options: Options) -> Any:
    return api.Election(name, client=client, **{**options, "watch": True})


KINDS = [
    Kind("lock", _plain),
    Kind("on-key", _on_key, KeyLayout("{name}/exactly")),
    Kind("shared-session", _shared, own_session=False),
    Kind("fair", _fair),
    Kind("watch", _watch),
    Kind("semaphore", _semaphore, SEMAPHORE_OF_ONE),
    Kind("write-lock", _write_lock, WRITE_LOCK),
    Kind("tree", _tree, WRITE_LOCK),
    Kind("multi", _multi, KeyLayout(has_line=False)),
    Kind("rlock", _rlock, reentrant=True),
    Kind("election", _election),
]

each_kind_with_a_line = pytest.mark.parametrize(
    "kind",
    [kind for kind in KINDS if kind.layout.has_line],
    indirect=True,
    ids=lambda kind: kind.name,
)
"""A waiter for one of these has a place in a queue, and is not overtaken."""

each_kind = pytest.mark.parametrize("kind", KINDS, indirect=True, ids=lambda kind: kind.name)
"""For a test, or as ``pytestmark`` of a module: run it for every kind."""
