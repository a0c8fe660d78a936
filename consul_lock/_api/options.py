"""What both faces share: everything of a lock that neither waits nor talks to Consul."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypedDict

from consul_lock._api.listeners import OnEvent, listeners_of
from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.holder import Meta
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session.timing import session_options
from consul_lock.errors import ConfigError, LossReason


class Options(TypedDict, total=False):
    """What everything that can be held has in common, by keyword.

    Seconds.  See `Session` for ``ttl`` to ``heartbeat``, `Lock` for the others.
    """

    ttl: float
    lock_delay: float
    checks: Iterable[str]
    service_checks: Iterable[str]
    heartbeat: float | None
    watch: bool
    meta: Mapping[str, str] | Callable[[], Mapping[str, str]] | None
    command: str | None
    on_lost: Callable[[LossReason], Any] | None
    on_event: OnEvent


def require(what: str, given: object, wanted: type) -> None:
    """Raise `TypeError` for an argument that is neither None nor of the type wanted.

    The two APIs have the same names, so the likely slip is to mix them: a client of the other one
    would take calls, and answer each with a coroutine, or a result that nobody awaits.
    """
    if given is None or isinstance(given, wanted):
        return
    raise TypeError(f"{what}={given!r} is {_kind(given)}; {_instead(given, wanted)}")


def require_address(address: object) -> None:
    """The same for the address of Consul, where a client of python-consul2 may be taken for one."""
    if address is not None and not isinstance(address, str):
        instead = "use Client.from_consul(...)" if is_python_consul(address) else "give a string"
        raise TypeError(f"address={address!r} is {_kind(address)}; {instead}")


def is_python_consul(given: object) -> bool:
    """Whether it is a client of python-consul2, or of a subclass of one."""
    return any(
        kind.__module__.split(".")[0] == "consul" and kind.__name__ == "Consul"
        for kind in type(given).__mro__
    )


def _api(kind: type) -> str:
    """The public module that a class of the library belongs to; "" if it is another one's."""
    for each in kind.__mro__:
        if each.__module__.startswith("consul_lock._async"):
            return "consul_lock.aio"
        if each.__module__.startswith("consul_lock._blocking"):
            return "consul_lock"
    return ""


def _kind(given: object) -> str:
    kind = type(given)
    if is_python_consul(given):
        return "a Consul of python-consul2"
    api = _api(kind)
    return f"a {api}.{kind.__name__}" if api else f"a {kind.__module__}.{kind.__name__}"


def _instead(given: object, wanted: type) -> str:
    api = _api(wanted)
    if is_python_consul(given):
        return f"give {api}.Client.from_consul(...) of it"
    theirs = _api(type(given))
    if theirs and theirs != api:
        return f"give a {api}.{wanted.__name__}, or use {theirs} for the rest, too"
    return f"give a {api}.{wanted.__name__}"


def known(options: Iterable[str], allowed: Iterable[str], what: str) -> None:
    """Raise `TypeError` for options that are not allowed, naming the ones most likely meant."""
    allowed = list(allowed)
    for option in options:
        if option not in allowed:
            from difflib import get_close_matches  # a start without a mistake need not pay for it

            likely = get_close_matches(option, allowed, 1)
            meant = f"; did you mean {likely[0]!r}?" if likely else ""
            raise TypeError(f"{what} has no option {option!r}{meant}")


def settings(
    client: ClientCore | None,
    shared: SharedSession | None,
    *,
    fair: bool = False,
    watch: bool = False,
    meta: Meta = None,
    command: str | None = None,
    on_lost: Callable[[LossReason], Any] | None = None,
    on_event: OnEvent = None,
    **of_session: Any,
) -> Settings:
    """Checked settings; ``client`` None: it is not known yet.  Raises `ConfigError`."""
    known(of_session, [*Options.__annotations__], "a lock")
    asked = session_options(**of_session)
    if shared is not None:
        if client is not None and not shared.belongs_to(client):
            raise ConfigError(
                "session= is of another client than client=",
                hint="give both the same",
                kind="contradiction",
                settings=("session", "client"),
            )
        if asked != session_options():
            raise ConfigError(
                problem="session= and ttl, lock_delay or checks contradict each other",
                hint="those belong to the session, so give them to Session(...)",
                kind="contradiction",
                settings=("session",),
            )
    if on_lost is not None and not callable(on_lost):
        raise ConfigError(
            f"on_lost={on_lost!r} is not callable", kind="value", settings=("on_lost",)
        )
    check_meta(meta)
    in_tasks = client is None or client.reporter.in_tasks
    listeners = listeners_of(on_event, in_tasks=in_tasks)
    return Settings(asked, shared, fair, watch, meta, command, on_lost, listeners)


def check_meta(meta: object) -> None:
    """Raise `ConfigError` for what is neither strings by names nor a function."""
    if meta is not None and not callable(meta) and not isinstance(meta, Mapping):
        raise ConfigError(
            f"meta={meta!r} must map strings to strings, or be a function that returns such",
            kind="value",
            settings=("meta",),
        )
