"""The time to wait: what is accepted."""

from __future__ import annotations

import pytest

from consul_lock._protocol.arguments import waiting_time
from consul_lock.errors import ConfigError


@pytest.mark.parametrize(
    "blocking, timeout, seconds",
    [(True, None, None), (True, -1, None), (True, 0, 0.0), (True, 2, 2.0), (False, None, 0.0)],
)
def test_the_time_to_wait_is_said_as_to_threading_lock(
    blocking: bool, timeout: float | None, seconds: float | None
) -> None:
    """None and -1 wait for ever."""
    assert waiting_time(blocking, timeout) == seconds


def test_a_wait_that_makes_no_sense_is_not_obeyed() -> None:
    """A time without blocking, and a negative one."""
    for blocking, timeout in [(False, 1.0), (True, -2.0), (True, float("nan"))]:
        with pytest.raises(ConfigError):
            waiting_time(blocking, timeout)
