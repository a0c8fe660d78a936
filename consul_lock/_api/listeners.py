"""The option ``on_event``: who listens to events, and what can listen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from consul_lock._drivers.reporter import is_async
from consul_lock.errors import ConfigError

if TYPE_CHECKING:
    from consul_lock.events import Event

    Listener: TypeAlias = Callable[[Event], Any]
else:
    Listener = Callable[[Any], Any]  # a program that does not listen need not load the events

OnEvent: TypeAlias = Listener | Iterable[Listener] | None


def listeners_of(on_event: OnEvent, *, in_tasks: bool) -> tuple[Listener, ...]:
    """One listener or several, checked; ``in_tasks``: a coroutine function may listen.

    Raises `ConfigError`.
    """
    if on_event is None:
        return ()
    several = not callable(on_event) and hasattr(on_event, "__iter__")
    given: tuple[Any, ...] = (on_event,)
    if several and not isinstance(on_event, str):
        given = tuple(on_event)  # type: ignore[arg-type] # it is iterable, as was seen
    for each in given:
        if not callable(each):
            raise ConfigError(
                f"on_event={each!r} is not callable", kind="value", settings=("on_event",)
            )
        if is_async(each) and not in_tasks:
            raise ConfigError(
                f"on_event={each!r} is a coroutine function, which only consul_lock.aio awaits",
                kind="value",
                settings=("on_event",),
            )
    return given
