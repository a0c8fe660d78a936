"""Times that leave room to stop the command before somebody else has the lock."""

from __future__ import annotations

import pytest

from consul_lock.limits import renew_interval, safety_margin
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.spec.timing import check_timing


@pytest.mark.parametrize(
    "ttl, lock_delay, said",
    [
        (9.9, 15, "--ttl 9.9s: Consul takes 10s to 24h"),
        (86401, 15, "--ttl 1d0h: Consul takes"),
        (10, 60.1, "--lock-delay 1m00s: Consul enforces at most 60s"),
    ],
)
@pytest.mark.parametrize("unsafe", [False, True])
def test_times_that_consul_would_refuse_are_refused(
    ttl: float, lock_delay: float, said: str, unsafe: bool
) -> None:
    """Even if unsafe times are asked for."""
    with pytest.raises(Misuse, match=said):
        check_timing(ttl, lock_delay, 0, unsafe=unsafe)


@pytest.mark.parametrize("ttl, lock_delay", [(10, 0), (10, 60), (86400, 30)])
def test_the_limits_of_consul_are_taken(ttl: float, lock_delay: float) -> None:
    """Both ends."""
    check_timing(ttl, lock_delay, 0)


@pytest.mark.parametrize("ttl, lock_delay, span", [(10, 30, 30), (10, 15, 15), (30, 0, 30)])
def test_two_renewals_and_the_stop_fit_before_the_lock_is_free(
    ttl: float, lock_delay: float, span: float
) -> None:
    """Measured by the lock-delay; without one, by the TTL.  It may take just that long."""
    room = span - 2 * renew_interval(ttl, lock_delay) - safety_margin(ttl, lock_delay)
    check_timing(ttl, lock_delay, room - 0.001)
    with pytest.raises(Misuse) as refused:
        check_timing(ttl, lock_delay, room + 0.001)
    assert f"too long for {'--lock-delay' if lock_delay else '--ttl'} {span}s" in str(refused.value)
    assert "--unsafe-timing" in refused.value.hint
    check_timing(ttl, lock_delay, room + 0.001, unsafe=True)


def test_the_message_has_all_times_that_contradict_each_other() -> None:
    """And what they add up to."""
    with pytest.raises(Misuse, match=r"--kill-after 1m00s is too long for --lock-delay 15s: two"):
        check_timing(10, 15, 60)
