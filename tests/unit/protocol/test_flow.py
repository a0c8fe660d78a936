"""What effects know of themselves: a request that must not wait, the grace of a job."""

from __future__ import annotations

import pytest

from consul_lock._protocol.flow import Job, Request
from consul_lock.errors import LockTimeout, Unavailable


def test_a_question_that_is_to_be_answered_at_once_waits_for_no_change() -> None:
    """All else about it stays, as does the original."""
    params = (("recurse", ""), ("index", "7"), ("dc", "x"), ("wait", "10000ms"))
    asked = Request("GET", "/v1/kv/a", params, None, lambda reply: reply, 3.0, 10.0, True)
    now = asked.immediate()
    assert now == asked._replace(params=(("recurse", ""), ("dc", "x")), wait=0.0)
    assert asked.wait == 10.0


@pytest.mark.parametrize(
    "error, limit, seconds",
    [
        (KeyboardInterrupt(), None, 5.0),
        (KeyboardInterrupt(), 100.5, 5.0),
        (LockTimeout("late"), 90.0, 5.0),
        (Unavailable("gone"), None, 1.0),
        (Unavailable("gone"), 100.5, 0.5),
        (Unavailable("gone"), 99.0, 0.0),
    ],
)
def test_the_caller_waits_for_a_clean_up_as_long_as_it_makes_sense(
    error: BaseException, limit: float | None, seconds: float
) -> None:
    """Where Consul has failed no longer than for anything else, as it will hardly be done soon."""
    job = Job((_ for _ in ()), limit=lambda: limit)
    assert job.grace(error, 100.0) == seconds
