"""Whatever a face has, by the name of its class."""

from __future__ import annotations

from typing import Any

import consul_lock
from consul_lock import aio
from tests.support.apis import Asyncio, Face, OnLoop


class Asked(OnLoop):
    """Something of asyncio: what it says is asked on its loop, too, as "mine" is a task's."""

    def __getattr__(self, name: str) -> Any:
        if callable(getattr(type(self.inner), name, None)):
            return super().__getattr__(name)
        return self._blocking(lambda: getattr(self.inner, name))()


def primitive(face: Face, kind: str, *arguments: Any, client: Any, **options: Any) -> Any:
    """One of this face: ``primitive(face, "MultiLock", ["a", "b"], client=client)``."""
    if isinstance(face, Asyncio):
        made = getattr(aio, kind)(*arguments, client=client.inner, **options)
        return Asked(made, face.loop)
    return getattr(consul_lock, kind)(*arguments, client=client, **options)


def writer(face: Face, name: str, client: Any) -> Any:
    """The writers' side of a read/write lock."""
    side = primitive(face, "ReadWriteLock", name, client=client).write()
    return Asked(side, face.loop) if isinstance(face, Asyncio) else side
