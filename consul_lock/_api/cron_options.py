"""What a cron guard is asked to do: checked, once for both faces."""

from __future__ import annotations

from typing import Any, Literal

from consul_lock._api.options import Options
from consul_lock._protocol.arguments import number
from consul_lock._protocol.cron.decision import CronPlan
from consul_lock._protocol.cron.slot import Every, Once, Rhythm
from consul_lock.errors import ConfigError
from consul_lock.limits import HISTORY_MAX, RETRIES_MAX

Overlap = Literal["skip", "wait", "allow"]

_WAIT_MAX = 7 * 86400.0

_OF_LOCK = Options.__annotations__.keys()


class CronOptions(Options, total=False):
    """What a `CronGuard` is asked to do, by keyword; see there."""

    every: float | str | None
    offset: float | str
    schedule: str | None
    timezone: str | None
    slot: str | None
    early: float | None
    max_lateness: float | None
    splay: float
    overlap: Overlap
    wait: float | None
    retry_crashed: int
    retry_failed: int
    standby: float
    max_skew: float | None
    history: int


def split(options: CronOptions) -> tuple[CronPlan, Options]:
    """A checked plan, and what is left for the run lock.  Raises `ConfigError`."""
    of_lock: Any = {what: value for what, value in options.items() if what in _OF_LOCK}
    unknown = options.keys() - _OF_LOCK - CronOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"a cron guard has no option {', '.join(sorted(unknown))}")
    of_plan: Any = {what: value for what, value in options.items() if what not in _OF_LOCK}
    return _plan(**of_plan), of_lock


def _plan(
    *,
    every: float | str | None = None,
    offset: float | str = 0.0,
    schedule: str | None = None,
    timezone: str | None = None,
    slot: str | None = None,
    early: float | None = None,
    **rest: Any,
) -> CronPlan:
    """A checked plan.  Raises `ConfigError`."""
    wanted = {"every": every, "schedule": schedule, "slot": slot}
    given = [f"{what}={value!r}" for what, value in wanted.items() if value is not None]
    if len(given) != 1:
        what = " and ".join(given) or "none of them"
        raise ConfigError(
            f"give one of every=, schedule= and slot=, not {what}",
            kind="contradiction",
            settings=("every", "schedule", "slot"),
        )
    if timezone is not None and schedule is None:
        raise ConfigError(
            f"timezone={timezone!r} needs schedule=: the slots of {given[0]} are UTC",
            kind="contradiction",
            settings=("timezone", "schedule"),
        )
    if offset != 0 and every is None:
        raise ConfigError(
            f"offset={offset!r} needs every=", kind="contradiction", settings=("offset", "every")
        )
    if early is not None and slot is not None:
        raise ConfigError(
            f"early={early!r} needs a time, and slot={slot!r} has none",
            kind="contradiction",
            settings=("early", "slot"),
        )
    return _checked(CronPlan(_rhythm(every, offset, schedule, timezone, slot, early), **rest))


def _rhythm(
    every: float | str | None,
    offset: float | str,
    schedule: str | None,
    timezone: str | None,
    slot: str | None,
    early: float | None,
) -> Rhythm:
    if every is not None:
        return Every(every, offset, early)
    if slot is not None:
        return Once(slot)
    from consul_lock._api.cron_schedule import Schedule

    assert schedule is not None
    return Schedule(schedule, "UTC" if timezone is None else timezone, early)


def _checked(asked: CronPlan) -> CronPlan:
    for what in ("max_lateness", "splay", "wait", "standby", "max_skew"):
        value = getattr(asked, what)
        if value is not None and not 0 <= number(what, value) <= _WAIT_MAX:
            raise ConfigError(
                f"{what}={value!r} is out of range: 0 to {_WAIT_MAX:g} s",
                kind="value",
                settings=(what,),
            )
    for what, most in (
        ("retry_crashed", RETRIES_MAX),
        ("retry_failed", RETRIES_MAX),
        ("history", HISTORY_MAX),
    ):
        value = getattr(asked, what)
        if type(value) is not int or not 0 <= value <= most:
            raise ConfigError(
                f"{what}={value!r} is not a whole number from 0 to {most}",
                kind="value",
                settings=(what,),
            )
    if asked.overlap not in ("skip", "wait", "allow"):
        raise ConfigError(
            f"overlap={asked.overlap!r} is not one of 'skip', 'wait', 'allow'",
            kind="value",
            settings=("overlap",),
        )
    if asked.wait is not None and asked.overlap != "wait":
        raise ConfigError(
            f"wait={asked.wait!r} needs overlap='wait', to be waited for at all",
            kind="contradiction",
            settings=("wait", "overlap"),
        )
    if asked.retry_crashed and asked.overlap == "allow":
        raise ConfigError(
            f"retry_crashed={asked.retry_crashed!r} and overlap='allow': without a run lock nobody"
            " can know that a run is dead",
            kind="contradiction",
            settings=("retry_crashed", "overlap"),
        )
    return asked
