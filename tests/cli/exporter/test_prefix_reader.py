"""A prefix is followed whatever happens, and what is known of it is said as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from consul_lock import Overview, Unavailable
from consul_lock_cli.base.console import Console
from consul_lock_cli.exporter.prefix_reader import PrefixReader, Reading
from tests.cli.output.examples import holder, status

ONE = Overview([status(holder())], [])
NONE = Overview([], [])


class Enough(BaseException):
    """The test has seen what it wanted: no error that a reader survives."""


class Script:
    """What each attempt to follow the prefix comes to: overviews, and then an error or an end."""

    def __init__(self, *attempts: Iterable[Overview | Exception]) -> None:
        self._attempts = iter(attempts)
        self.seen: list[Reading] = []
        """What is known after each attempt."""
        self.pauses: list[float] = []
        self.reader = PrefixReader("jobs/", self._follow, Console(), self._pause)

    def _follow(self) -> Iterator[Overview]:
        for each in next(self._attempts):
            if isinstance(each, Exception):
                raise each
            yield each

    def _pause(self, seconds: float) -> None:
        self.seen.append(self.reader.reading)
        self.pauses.append(seconds)

    def play(self) -> None:
        """All attempts."""
        self._attempts = iter([*self._attempts, _Ending()])
        with pytest.raises(Enough):
            self.reader.run()


class _Ending:
    def __iter__(self) -> Iterator[Overview]:
        raise Enough


def test_each_read_counts_and_the_last_one_is_what_is_known() -> None:
    """Also one that shows the same as the one before."""
    script = Script([ONE, ONE, NONE])
    script.play()
    (seen,) = script.seen
    assert (seen.up, seen.reads, seen.errors) == (True, 3, 0)
    assert seen.figures is not None
    assert seen.figures.locks == ()


def test_what_was_known_stays_while_nothing_can_be_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """But it is not said to be up; the failure and its end are each reported once."""
    down = Unavailable("refused", kind="refused", problem="cannot reach Consul")
    script = Script([ONE, down], [down], [down], [ONE])
    script.play()
    assert [seen.up for seen in script.seen] == [False, False, False, True]
    assert [seen.errors for seen in script.seen] == [1, 2, 3, 3]
    assert len({seen.read_at for seen in script.seen[:3]}) == 1
    assert all(seen.figures and seen.figures.locks for seen in script.seen)
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[2] for line in said] == [
        'warning: cannot read what is below "jobs/", and tries on: cannot reach Consul',
        'what is below "jobs/" can be read again',
    ]


def test_before_the_first_read_nothing_is_known() -> None:
    """No figures at all, which differ from figures of nothing."""
    script = Script([OSError("odd")])
    script.play()
    assert script.seen == [Reading(up=False, figures=None, errors=1)]


def test_the_pauses_after_failures_grow_to_ten_seconds() -> None:
    """Never less than a second, so it is one read a second at most."""
    script = Script(*[[OSError()]] * 6, [ONE], [OSError()])
    script.play()
    assert script.pauses == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 1.0, 1.0]


def test_a_bug_is_survived_and_has_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    """A monitor that ends, or stays as it was in silence, is worse than one that is down."""
    script = Script([KeyError("what")], [ONE])
    script.play()
    assert [seen.up for seen in script.seen] == [False, True]
    assert "tries on: KeyError: 'what'" in capsys.readouterr().err
