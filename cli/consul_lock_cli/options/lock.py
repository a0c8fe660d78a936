"""The options that say what is locked, and with what session."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.headings import headed
from consul_lock_cli.base.text import shown
from consul_lock_cli.options.types import DURATION, NAME, WholeNumber
from consul_lock_cli.spec.lock import LockKind, LockSpec


class _Pair(click.ParamType):  # type: ignore[type-arg] # not generic in older clicks
    name = "K=V"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        name, equals, text = str(value).partition("=")
        if not name or not equals:
            raise Misuse(f'--meta "{shown(str(value))}" is not of the form K=V')
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Misuse(f'--meta "{shown(name)}": it is not UTF-8') from None
        return name, text


_SESSION = [
    click.option(
        "--ttl",
        type=DURATION,
        default=10.0,
        help="TTL of the session, 10s to 24h [10s]; after a crash Consul frees at twice that.",
    ),
    click.option(
        "--lock-delay",
        type=DURATION,
        default=30.0,
        help="How long Consul keeps a lost lock from others, up to 60s [30s]: the time to stop.",
    ),
    click.option(
        "--heartbeat",
        type=DURATION,
        help="Notice a crash within two of these, by a check at the local agent [off].",
    ),
    click.option(
        "--check",
        "checks",
        multiple=True,
        metavar="NAME",
        help="Lose it if this check of the node fails, such as serfHealth [none].",
    ),
    click.option(
        "--service-check",
        "service_checks",
        multiple=True,
        metavar="ID",
        help="Lose it if this check of a service fails [none].",
    ),
    click.option(
        "--meta",
        type=_Pair(),
        multiple=True,
        help="Shown to others with the lock; may be repeated.",
    ),
    click.option(
        "--publish-command",
        is_flag=True,
        help="Show others the whole command, with its arguments [its first word].",
    ),
]

_KIND = [
    click.option(
        "-k",
        "--key",
        "--name",
        "keys",
        type=NAME,
        multiple=True,
        help="Name of the lock, as in 'consul lock KEY'; several: all of them, or none.",
    ),
    click.option(
        "--limit",
        type=WholeNumber(1),
        default=1,
        metavar="N",
        help="At most N at once: a semaphore, as 'consul lock -n N' [1: a lock].",
    ),
    click.option("-s", "--shared", is_flag=True, help="Take a shared (read) lock."),
    click.option("-x", "--exclusive", is_flag=True, help="Take an exclusive (write) lock."),
    click.option(
        "--tree", is_flag=True, help="Exclude other tree locks on KEY, above it and below it."
    ),
]


def locking_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what is locked; the command gets them as ``spec``."""

    @functools.wraps(command)
    def with_spec(
        keys: tuple[str, ...], limit: int, shared: bool, exclusive: bool, tree: bool, **values: Any
    ) -> Any:
        kinds = {
            "several --key": len(keys) > 1,
            f"--limit {limit}": limit > 1,
            "--shared": shared,
            "--exclusive": exclusive,
            "--tree": tree,
        }
        chosen = [name for name, given in kinds.items() if given]
        if len(chosen) > 1:
            raise Misuse(
                f"{chosen[0]} and {chosen[1]} contradict each other", "each is a kind of lock"
            )
        modes = dict(zip(kinds, _MODES, strict=True))
        mode = modes[chosen[0]] if chosen else LockKind.LOCK
        many = None if mode is LockKind.SHARED else limit
        return command(spec=LockSpec(keys, mode, many, **_session(values)), **values)

    return headed("Lock", _KIND)(headed("Session", _SESSION)(with_spec))


# In the order of the kinds above.
_MODES = (LockKind.MULTI, LockKind.SEMAPHORE, LockKind.SHARED, LockKind.EXCLUSIVE, LockKind.TREE)


def session_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the session alone; the command gets them as ``session``, a dict."""

    @functools.wraps(command)
    def with_session(**values: Any) -> Any:
        return command(session=_session(values), **values)

    return headed("Session", _SESSION)(with_session)


def _session(values: dict[str, Any]) -> dict[str, Any]:
    """Take the session's options out of all."""
    names = (
        "ttl",
        "lock_delay",
        "heartbeat",
        "checks",
        "service_checks",
        "meta",
        "publish_command",
    )
    found = {name: values.pop(name) for name in names}
    return {**found, "meta": dict(found["meta"])}
