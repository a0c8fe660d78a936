"""A flow that is cut off at each of its effects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from consul_lock.errors import LockLost

S = TypeVar("S", bound=Any)

# Effects: of a flow that has more, the end is never seen.
_MAX = 150
# Of one that is endless: it has long begun to do the same again.
_ENDLESS_MAX = 60


def cuts(
    build: Callable[[], S], *, endless: bool = False, clocks: bool = True
) -> Iterator[tuple[S, Any]]:
    """The scene (a ``driver`` and a ``job``) at its first effect, at its second, ... each in a new
    world.  One that is ``endless`` is seen for a while.  Looks at the clock count if ``clocks``
    says so: what becomes of a request makes no difference to a flow that is cut off at one.
    """
    for place in range(_ENDLESS_MAX if endless else _MAX):
        scene = build()
        try:
            effect, _ = scene.driver.drive(scene.job.flow, place, clocks=clocks)
        except LockLost:
            effect = None
        if effect is None:
            assert place > 0
            return
        yield scene, effect
    assert endless, "it goes on and on"
