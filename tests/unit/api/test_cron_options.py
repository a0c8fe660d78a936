"""Options of a cron guard: the checks before anything is sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from consul_lock._api.cron_options import CronOptions, split
from consul_lock._protocol.cron.slot import Every, Once
from consul_lock.errors import ConfigError
from consul_lock.limits import HISTORY_MAX, RETRIES_MAX


def _split(**options: Any) -> Any:
    return split(CronOptions(**options))


def test_options_go_to_the_plan_or_to_the_run_lock() -> None:
    """Each to one of the two, and what is not given is left to them."""
    plan, of_lock = _split(
        every=60,
        overlap="wait",
        wait=5,
        retry_failed=2,
        history=3,
        ttl=20,
        lock_delay=0,
        watch=True,
    )
    assert of_lock == {"ttl": 20, "lock_delay": 0, "watch": True}
    assert (plan.overlap, plan.wait, plan.retry_failed, plan.history) == ("wait", 5, 2, 3)
    assert (plan.splay, plan.standby, plan.retry_crashed) == (0.0, 0.0, 0)


@pytest.mark.parametrize(
    "options, kind", [({"every": "5m"}, Every), ({"slot": "2027-01"}, Once)], ids=str
)
def test_the_slots_are_of_the_kind_that_was_asked_for(options: Any, kind: type) -> None:
    """By a rhythm, or by an ID."""
    assert isinstance(_split(**options)[0].rhythm, kind)


def test_a_schedule_is_in_utc_unless_it_has_a_time_zone() -> None:
    """As the slots of ``every=`` are."""
    noon = datetime(2027, 7, 1, 12, 30, tzinfo=UTC).timestamp()
    begun = [
        datetime.fromisoformat(_split(schedule="0 12 * * *", **zone)[0].rhythm.slot(noon).label)
        for zone in ({}, {"timezone": "Europe/Berlin"})
    ]
    assert begun[0] == datetime(2027, 7, 1, 12, tzinfo=UTC)
    assert begun[1] == datetime(2027, 7, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "options, settings",
    [
        ({}, ("every", "schedule", "slot")),
        ({"every": 60, "slot": "x"}, ("every", "schedule", "slot")),
        ({"every": 60, "schedule": "* * * * *"}, ("every", "schedule", "slot")),
        ({"every": 60, "timezone": "UTC"}, ("timezone", "schedule")),
        ({"slot": "x", "timezone": "UTC"}, ("timezone", "schedule")),
        ({"slot": "x", "offset": 3}, ("offset", "every")),
        ({"schedule": "* * * * *", "offset": 3}, ("offset", "every")),
        ({"slot": "x", "early": 3}, ("early", "slot")),
        ({"every": 60, "wait": 5}, ("wait", "overlap")),
        ({"every": 60, "wait": 5, "overlap": "allow"}, ("wait", "overlap")),
        ({"every": 60, "overlap": "allow", "retry_crashed": 1}, ("retry_crashed", "overlap")),
    ],
    ids=str,
)
def test_contradictory_options_are_refused(options: Any, settings: tuple[str, ...]) -> None:
    """With the names of both options, as fields of the error, and in its text what was given."""
    with pytest.raises(ConfigError) as caught:
        _split(**options)
    assert (caught.value.kind, caught.value.settings) == ("contradiction", settings)
    given = [f"{name}={options[name]!r}" for name in settings if name in options]
    assert all(text in str(caught.value) for text in given[:1]), str(caught.value)


@pytest.mark.parametrize(
    "setting, value",
    [
        *(
            (setting, value)
            for setting in ("max_lateness", "splay", "standby", "max_skew")
            for value in (-1, 7 * 86400.0 + 1, float("nan"), 10**400, "1h")
        ),
        ("overlap", "never"),
        ("retry_failed", -1),
        ("retry_failed", 1.5),
        ("retry_failed", True),
        ("retry_failed", RETRIES_MAX + 1),
        ("retry_crashed", -1),
        ("history", HISTORY_MAX + 1),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_value_out_of_range_is_refused(setting: str, value: Any) -> None:
    """With its name, as a field of the error and in the text."""
    with pytest.raises(ConfigError, match=f"^{setting}=") as caught:
        _split(every=60, **{setting: value})
    assert (caught.value.kind, caught.value.settings) == ("value", (setting,))


def test_a_wait_out_of_range_is_refused_where_it_is_waited() -> None:
    """It needs ``overlap="wait"``."""
    with pytest.raises(ConfigError, match="wait=-1 is out of range"):
        _split(every=60, overlap="wait", wait=-1)


@pytest.mark.parametrize(
    "options",
    [
        {"max_lateness": 0, "splay": 0, "standby": 0, "max_skew": 0},
        {"max_lateness": 7 * 86400.0, "splay": 7 * 86400.0},
        {"retry_failed": RETRIES_MAX, "retry_crashed": RETRIES_MAX, "history": HISTORY_MAX},
        {"history": 0, "overlap": "allow"},
        {"overlap": "wait", "wait": 0},
    ],
    ids=str,
)
def test_a_value_at_a_limit_is_allowed(options: Any) -> None:
    """And is in the plan as it was given."""
    plan, _ = _split(every=60, **options)
    assert {name: getattr(plan, name) for name in options} == options


def test_an_option_that_does_not_exist_is_refused_by_its_name() -> None:
    """As any function refuses it."""
    with pytest.raises(TypeError, match="a cron guard has no option tll, ttll"):
        _split(every=60, ttll=3, tll=3)
