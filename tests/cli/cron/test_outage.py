"""One message for each host and period about a Consul that cannot be reached."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from consul_lock_cli.cron import outage
from consul_lock_cli.cron.outage import OutageNotice


class _Clock:
    """The calendar clock, which is set by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> _Clock:
    """With a host on which nothing has been said yet."""
    made = _Clock()
    monkeypatch.setattr(outage, "time", made)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return made


def _due(place: str = "web", period: float = 600.0) -> bool:
    return OutageNotice(place, period).due()


def test_it_is_said_once_in_a_period(clock: _Clock) -> None:
    """Each job asks anew; when the period is over it is said again."""
    said = []
    for _ in range(21):
        said.append(_due())
        clock.now += 60
    assert [minute for minute, due in enumerate(said) if due] == [0, 10, 20]


def test_each_consul_has_its_own(clock: _Clock) -> None:
    """Another one may be out of reach for another reason."""
    assert [_due("web"), _due("db"), _due("web"), _due("db")] == [True, True, False, False]


def test_of_jobs_that_start_together_one_says_it(clock: _Clock) -> None:
    """As they do at the full minute."""
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: _due(), range(32))) == 1


def test_a_clock_that_is_set_back_does_not_keep_it_quiet(clock: _Clock) -> None:
    """What was said in the future does not count."""
    assert _due()
    clock.now -= 3600
    assert _due()
    assert not _due()


@pytest.mark.parametrize("text", ["", "junk", "nan"])
def test_what_cannot_be_read_counts_for_nothing(clock: _Clock, tmp_path: Path, text: str) -> None:
    """It is said, and from then on the file is right."""
    assert _due()
    (file,) = tmp_path.glob("*/outage-*")
    file.write_text(text)
    assert [_due(), _due()] == [True, False]


def test_it_is_said_where_nothing_can_be_remembered(clock: _Clock, tmp_path: Path) -> None:
    """A message too many is better than none, be the folder open to others or no folder."""
    assert _due()
    (folder,) = tmp_path.iterdir()
    folder.chmod(0o777)
    assert [_due(), _due()] == [True, True]
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    folder.write_text("")
    assert [_due(), _due()] == [True, True]


def test_a_link_is_not_followed(clock: _Clock, tmp_path: Path) -> None:
    """Nothing outside of the folder is written."""
    assert _due()
    (file,) = tmp_path.glob("*/outage-*")
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    assert _due()
    assert not (tmp_path / "elsewhere").exists()
