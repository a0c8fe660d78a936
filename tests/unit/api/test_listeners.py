"""The option ``on_event``: one listener, several, or none."""

from __future__ import annotations

from typing import Any

import pytest

import consul_lock
from consul_lock import aio
from consul_lock._api.listeners import listeners_of
from consul_lock.errors import ConfigError

ADDRESS = "http://127.0.0.1:9"
"""Nothing is sent there."""


async def _listen(event: object) -> None:
    """A coroutine function."""


def test_one_several_or_none() -> None:
    """A function, any iterable of functions, or None."""
    seen: list[Any] = []
    assert listeners_of(None, in_tasks=False) == ()
    assert listeners_of(seen.append, in_tasks=False) == (seen.append,)
    assert listeners_of([seen.append, print], in_tasks=False) == (seen.append, print)
    assert listeners_of(iter([print]), in_tasks=False) == (print,)
    assert listeners_of(_listen, in_tasks=True) == (_listen,)


@pytest.mark.parametrize("given", ["print", 3, [print, None], [[print]]])
def test_what_cannot_be_called_is_refused(given: Any) -> None:
    """Where it is given, and not when the first event comes."""
    with pytest.raises(ConfigError, match="is not callable") as caught:
        consul_lock.Client(ADDRESS, on_event=given)
    assert caught.value.settings == ("on_event",)
    with pytest.raises(ConfigError, match="is not callable"):
        consul_lock.Lock("a", client=consul_lock.Client(ADDRESS), on_event=given)
    with pytest.raises(ConfigError, match="is not callable"):
        consul_lock.CronGuard(
            "a", client=consul_lock.Client(ADDRESS), every="1h", overlap="allow", on_event=given
        )


def test_a_coroutine_function_is_for_asyncio_alone() -> None:
    """In the other API nobody would await it."""
    aio.Client(ADDRESS, on_event=_listen)
    with pytest.raises(ConfigError, match=r"which only consul_lock\.aio awaits"):
        consul_lock.Client(ADDRESS, on_event=_listen)
    with pytest.raises(ConfigError, match=r"which only consul_lock\.aio awaits"):
        consul_lock.Lock("a", client=consul_lock.Client(ADDRESS), on_event=[print, _listen])
