"""How hard a limit of requests is, and what a client makes of it."""

from __future__ import annotations

import pytest

from consul_lock._protocol.consul.request_limit import RequestLimit, is_limit
from consul_lock.errors import ConfigError, Unavailable


def after(*refusals: float) -> RequestLimit:
    """A limit that refused requests at these times."""
    limit = RequestLimit()
    for sent in refusals:
        limit.refused(sent)
    return limit


@pytest.mark.parametrize(
    "error, limited",
    [
        (Unavailable("x", kind="rate-limit", status=503), True),
        (Unavailable("x", kind="rate-limit"), True),
        (Unavailable("x", status=429), True),
        (Unavailable("x", kind="server-error", status=503, retry_after=0.0), True),
        (Unavailable("x", kind="server-error", status=503), False),
        (Unavailable("x", kind="no-leader", status=500), False),
        (Unavailable("x"), False),
        (ConfigError("x"), False),
        (None, False),
    ],
)
def test_what_a_limit_is(error: object, limited: bool) -> None:
    """A server that says so, with 429 or 503; a 503 of anything else is an outage."""
    assert is_limit(error) is limited


def test_without_a_refusal_nothing_is_different() -> None:
    """Renewals come as usual, and calls begin at once."""
    limit = RequestLimit()
    assert not limit.known
    assert limit.stretch(100.0) == 1.0
    assert [limit.before_call(100.0) for _ in range(3)] == [0.0, 0.0, 0.0]


def test_each_refusal_stretches_the_times_between_renewals_up_to_three_times() -> None:
    """The TTL is three of the usual times."""
    stretched = [after(*range(0, 2 * count, 2)).stretch(2.0 * count) for count in range(1, 9)]
    assert stretched == sorted(stretched)
    assert stretched[0] == pytest.approx(1.5, abs=0.05)
    assert 2.9 < stretched[-1] <= 3.0


def test_refusals_side_by_side_count_as_one() -> None:
    """A batch, or threads that ask at the same moment, are no proof of a harder limit."""
    assert after(5.0, 5.0, 5.2, 5.9).level(5.9) == pytest.approx(after(5.0).level(5.9))
    assert after(5.0, 7.0).level(7.0) > 1.5


def test_half_a_minute_without_a_refusal_is_a_level_less() -> None:
    """Until it is as if there had been none."""
    limit = after(0.0, 2.0)
    levels = [limit.level(float(now)) for now in range(2, 60)]
    assert levels == sorted(levels, reverse=True)
    assert limit.level(32.0) == pytest.approx(levels[0] - 1.0)
    assert limit.known
    assert limit.level(90.0) == 0.0
    assert not limit.known


def test_calls_of_one_client_keep_a_distance_that_doubles() -> None:
    """Waiters and newcomers lose time only."""
    for count, seconds in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (9, 8.0)):
        limit = after(*(2.0 * number for number in range(count)))
        now = 2.0 * count
        assert limit.before_call(now) == 0.0
        assert limit.before_call(now) == pytest.approx(seconds, rel=0.2)
        assert limit.before_call(now + seconds) == 0.0


def test_it_stays_known_while_renewals_wait() -> None:
    """However long ago the last refusal was."""
    limit = after(0.0)
    limit.renewals_wait = True
    assert limit.level(1000.0) == 0.0
    assert limit.known


def test_a_request_that_gives_way_was_certainly_not_carried_out() -> None:
    """Its session is in no doubt."""
    error = RequestLimit().give_way()
    assert is_limit(error)
    assert not error.uncertain
