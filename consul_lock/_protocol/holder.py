"""Who holds a lock: what is written into its value, for people and for the next holder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from consul_lock._protocol.consul.models import SessionOptions
from consul_lock.errors import ConfigError

VALUE_MAX = 4096
"""Bytes of a lock's value at most, so that watching and listing locks stays cheap."""

# Seconds since the epoch: the last year that Python's calendar has.
_YEAR_9999 = 253370764800


# Levels of what consul-lock writes: 3.
_LEVELS_MAX = 32

CRON_VALUE = "cron: "
"""How the value of a cron job's run lock begins: no leader wrote it."""

# What one waiter may say of itself: ten and more of them fit into a lock's value.
_ABOUT_MAX = 2048


@dataclass(frozen=True)
class Holder:
    """Who holds a lock, or waits for it, by its own account."""

    session: str
    """Id of the Consul session: the only true identity."""
    host: str = ""
    pid: int = 0
    user: str = ""
    command: str = ""
    since: float = 0.0
    """Seconds since the epoch, by the clock of the host that wrote it."""
    meta: Mapping[str, str] = field(default_factory=dict)
    token: int | None = None
    """The fencing token; None for a waiter."""
    foreign: bool = False
    """True if consul-lock did not write the value: `consul lock`, or another tool, holds it."""
    value: str = ""
    """The value that a leader or candidate has set; the whole value, if it is foreign."""
    confirmed: bool = True
    """False for the few seconds after a hand-over in which the new holder has not shown that it
    is still there; what is not confirmed in time, the next waiter takes over."""
    candidate: bool = False
    """True if it is, or wants to be, the leader of an election."""

    def __str__(self) -> str:
        if self.foreign:
            return f"session {self.session} (a client that says nothing of itself)"
        who = f"{self.host} pid {self.pid}"
        return f"{who} ({self.user})" if self.user else who


def parse_holder(session: str, value: str | bytes, token: int | None = None) -> Holder:
    """The holder, or waiter, in a value; whatever is in it, nothing is raised.

    ``token`` is the key's ModifyIndex.  A leader that has written a new value since it was
    elected says itself what its token was.
    """
    about = read_object(value)
    meta = about.get("meta")
    try:
        return Holder(
            session,
            str(about["host"]),
            int(about["pid"]),
            str(about.get("user", "")),
            str(about.get("command", "")),
            moment(about.get("since", 0.0)),
            {str(k): str(v) for k, v in meta.items()} if isinstance(meta, dict) else {},
            _token(token, about.get("token")),
            value=str(about.get("value", "")),
            confirmed=about.get("handed") is not True,
            candidate=_of_an_election(about),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        text = value if isinstance(value, str) else value.decode("utf-8", "replace")
        return Holder(session, token=token, foreign=True, value=text)


def _of_an_election(about: Mapping[str, Any]) -> bool:
    """An election always writes a value, and of the locks only the run lock of a cron job does."""
    return "value" in about and not str(about["value"]).startswith(CRON_VALUE)


def _token(index: int | None, told: Any) -> int | None:
    return told if index is not None and type(told) is int and 0 < told < index else index


def read_object(value: str | bytes) -> dict[str, Any]:
    """The JSON object in a value; {}: there is none, or one that is nested too deeply.

    Python writes and prints what it has read, but only if that is nested no deeper than its
    stack has room for, which may be less there.
    """
    try:
        text = value if isinstance(value, str) else value.decode()
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    brackets = text.count("{") + text.count("[")
    return {} if brackets > _LEVELS_MAX and _deeper(found, _LEVELS_MAX) else found


def _deeper(found: dict[str, Any], levels: int) -> bool:
    layer: list[Any] = [found]
    for _ in range(levels):
        below = [item for item in layer if isinstance(item, (dict, list))]
        layer = [i for item in below for i in (item.values() if isinstance(item, dict) else item)]
    return bool(layer)


def moment(value: Any) -> float:
    """Seconds since the epoch that a calendar has; else 0.0, whatever somebody wrote there."""
    seconds = float(value)
    return seconds if 0 <= seconds < _YEAR_9999 else 0.0


Meta: TypeAlias = Mapping[str, str] | Callable[[], Mapping[str, str]] | None
"""What an owner says of itself: strings by names, or a function that returns them."""


def merged_meta(*sources: Meta, asks: bool) -> dict[str, str] | None:
    """All that they say; later ones count more.  ``asks``: functions are called, else left out."""
    found: dict[str, str] | None = None
    for source in sources:
        given = source if not callable(source) else source() if asks else None
        if given is not None:
            found = {**(found or {}), **given}
    return found


class OwnerInfo:
    """How this process describes itself, serialised once."""

    def __init__(
        self,
        identity: Mapping[str, Any],
        terms: SessionOptions,
        meta: Mapping[str, str] | None,
        command: str | None,
        value: str | None = None,
    ) -> None:
        self.identity = identity
        self._terms, self._command, self._value = terms, command, value
        self.meta = words = {str(k): str(v) for k, v in (meta or {}).items()}
        if meta is not None and words != dict(meta):
            raise ConfigError(
                f"meta={dict(meta)!r} must map strings to strings", kind="value", settings=("meta",)
            )
        fixed = {
            **identity,
            "command": identity.get("command", "") if command is None else command,
            "ttl": terms.ttl,
            "lock_delay": terms.lock_delay,
            "meta": words,
            **({} if value is None else {"value": value}),
        }
        self._tail = json.dumps(fixed)[1:]
        if len(self._tail) > _ABOUT_MAX:
            what = "meta and command" if value is None else "meta, command and value"
            raise ConfigError(
                f"{what} take {len(self._tail)} bytes; at most {_ABOUT_MAX} are kept"
                " with a lock, so store less there",
                kind="value",
            )

    def of(self, identity: Mapping[str, Any]) -> OwnerInfo:
        """The same, of this process: in a forked child it is another one."""
        if self.identity is identity:
            return self
        return OwnerInfo(identity, self._terms, self.meta, self._command, self._value)

    def saying(self, meta: Mapping[str, str] | None) -> OwnerInfo:
        """The same with other metadata.  Raises `ConfigError`."""
        return OwnerInfo(self.identity, self._terms, meta, self._command, self._value)

    def valued(self, value: str) -> OwnerInfo:
        """The same with another value.  Raises `ConfigError`."""
        return OwnerInfo(self.identity, self._terms, self.meta, self._command, value)

    def holder(self, session: str) -> Holder:
        """The same as others see it."""
        about = self.identity
        return Holder(
            session,
            str(about.get("host", "")),
            int(about.get("pid", 0)),
            str(about.get("user", "")),
            str(about.get("command", "") if self._command is None else self._command),
            meta=self.meta,
            value=self._value or "",
            candidate=self._value is not None and not self._value.startswith(CRON_VALUE),
        )

    def value(self, since: float, token: int = 0) -> bytes:
        """The value of the lock, or of a waiter's entry; with a ``token`` other than its index."""
        other = f'"token": {token}, ' if token else ""
        return f'{{"v": 1, "since": {since:.3f}, {other}{self._tail}'.encode()
