"""Whether a lock is held too long, or waited for by too many, for a monitoring plugin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.text import shown
from consul_lock_cli.check.plugin_line import Metric
from consul_lock_cli.check.state import Problem, State, Verdict, worst_first
from consul_lock_cli.output.holder_text import short_identity

if TYPE_CHECKING:
    from consul_lock import Holder, Status

# Characters of why a key is no lock.
_WHY_MAX = 200


class LockLimits(NamedTuple):
    """What is allowed; None: anything."""

    max_age: float | None = None
    """Seconds that somebody may hold it."""
    max_waiters: int | None = None


def judge_lock(status: Status, now: float, limits: LockLimits) -> Verdict:
    """What is wrong with one lock."""
    problems = worst_first(_problems(status, now, limits))
    return Verdict(shown(status.name, 512), problems, _note(status, now))


def _problems(status: Status, now: float, limits: LockLimits) -> Iterator[Problem]:
    if status.hidden:
        yield Problem(State.UNKNOWN, "some of its keys are hidden from this token")
    if status.kind == "foreign":
        yield Problem(State.UNKNOWN, f"not a lock: {shown(status.problem, _WHY_MAX)}")
        return
    yield from _ages(status, now, limits.max_age)
    waiters = len(status.waiters)
    if limits.max_waiters is not None and waiters > limits.max_waiters:
        yield Problem(State.CRITICAL, f"{_waiting(waiters)} (more than {limits.max_waiters})")
    if dead := len(status.vanished):
        text = "a holder is dead" if dead == 1 else f"{dead} holders are dead"
        yield Problem(State.WARNING, f"{text}, and keeps its slot until another takes it")
    if not status.holders and status.last_holder is not None:
        who = short_identity(status.last_holder)
        yield Problem(State.WARNING, f"free, and its last holder died or lost it: {who}")


def _ages(status: Status, now: float, most: float | None) -> Iterator[Problem]:
    if most is None:
        return
    held = _alive(status)
    unknown = [holder for holder in held if not holder.since]
    oldest = _oldest(status)
    age = None if oldest is None else now - oldest.since
    if oldest is not None and age is not None and age > most:
        text = f"held for {show_duration(age)} by {short_identity(oldest)}"
        yield Problem(State.CRITICAL, f"{text} (more than {show_duration(most)})")
    elif unknown:
        who = short_identity(unknown[0])
        yield Problem(State.UNKNOWN, f"{who} does not say since when it holds it")


def _alive(status: Status) -> list[Holder]:
    return [holder for holder in status.holders if holder.session not in status.vanished]


def _oldest(status: Status) -> Holder | None:
    """Of the holders that are alive, and say since when they hold it."""
    told = [holder for holder in _alive(status) if holder.since]
    return min(told, key=lambda holder: holder.since, default=None)


def _waiting(number: int) -> str:
    return "1 waiter" if number == 1 else f"{number} waiters"


def _note(status: Status, now: float) -> str:
    oldest = _oldest(status)
    alive = _alive(status)
    if not alive:
        text = "free"
    elif oldest is None:
        text = f"held by {short_identity(alive[0])}"
    else:
        age = show_duration(max(0.0, now - oldest.since))
        text = f"held by {short_identity(oldest)} for {age}"
    more = f" and {len(alive) - 1} more" if len(alive) > 1 else ""
    return f"{text}{more}, {_waiting(len(status.waiters))}"


def lock_metrics(status: Status, now: float, limits: LockLimits) -> list[Metric]:
    """Its numbers."""
    oldest = _oldest(status)
    age = max(0.0, now - oldest.since) if oldest is not None else None
    return [
        Metric("age", age if _alive(status) else 0.0, "s", critical=limits.max_age),
        Metric("holders", len(_alive(status)), maximum=status.limit),
        Metric("waiters", len(status.waiters), critical=limits.max_waiters),
        Metric("dead", len(status.vanished), warning=0),
    ]
