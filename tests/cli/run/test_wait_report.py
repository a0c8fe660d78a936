"""What a waiting `run` reports, on a terminal and in a log: no Consul and no waiting."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from consul_lock import Unavailable
from consul_lock_cli.base.console import Console
from consul_lock_cli.run import wait_report
from consul_lock_cli.run.wait_report import LOG_EVERY, OUTAGE_EVERY, WaitReport, waiters_ahead
from consul_lock_cli.spec.lock import LockKind, LockSpec
from tests.cli.output.examples import holder

Capture = pytest.CaptureFixture[str]

_ORIGIN = "http://127.0.0.1:8500"
_AWAY = f"cannot reach Consul at {_ORIGIN}: Connection refused"
_BACK = "Consul answers again"


class Watched:
    """A lock that others hold, or a Consul that does not answer."""

    def __init__(self) -> None:
        self.sessions = ["s1"]
        self.answers = True
        self.now = 1000.0
        self.asked = 0

    def holder(self) -> Any:
        self.asked += 1
        if not self.answers:
            raise Unavailable(f"cannot reach Consul at {_ORIGIN}: Connection refused")
        return holder(session=self.sessions[0]) if self.sessions else None

    def waiters(self) -> list[Any]:
        return []


class Poll:
    """Instead of the thread: it looks when the test says so."""

    def __init__(
        self,
        look: Callable[[], Callable[[], None]],
        first: float,
        every: float,
        close: Callable[[], None],
    ) -> None:
        self.look, self.first, self.every, self.close = look, first, every, close


class Line:
    """Instead of the terminal."""

    def __init__(self) -> None:
        self.texts: tuple[str, ...] = ()

    def show(self, *texts: str) -> None:
        """Keep them."""
        self.texts = texts


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def report(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> WaitReport:
    """Of a wait for that lock, by a clock that the test moves."""
    monkeypatch.setattr(wait_report, "BackgroundPoll", Poll)
    monkeypatch.setattr(wait_report, "time", SimpleNamespace(monotonic=lambda: watched.now))
    monkeypatch.setattr(LockSpec, "make", lambda spec, client, program: watched)
    spec = LockSpec(("backup",), LockKind.LOCK, None)
    config = SimpleNamespace(origin=_ORIGIN)
    client: Any = SimpleNamespace(close=lambda: None, config=config)
    return WaitReport(spec, lambda: client, Console())


def _look(poll: Any) -> None:
    poll.look()()


def test_each_line_of_a_terminal_has_the_verb(report: WaitReport) -> None:
    """However narrow it is: the last text is cut at its end."""
    line: Any = Line()
    poll: Any = report.on_terminal(line)
    _look(poll)
    assert poll.first == 1.0
    assert line.texts[0].startswith("consul-lock: waiting for backup, held by ")
    assert all(text.removeprefix("consul-lock: ").startswith("waiting") for text in line.texts)


def test_a_terminal_shows_why_and_for_how_long_consul_cannot_be_asked(
    report: WaitReport, watched: Watched
) -> None:
    """From the first look that failed, until one succeeds; 80 columns have all of it."""
    line: Any = Line()
    poll = report.on_terminal(line)
    watched.answers = False
    _look(poll)
    watched.now += 12
    _look(poll)
    assert line.texts[0] == f"consul-lock: {_AWAY}; trying again (12 s)"
    assert line.texts[-1] == f"retrying 12 s: {_AWAY}"
    assert len(line.texts[-1]) < 80
    watched.answers = True
    _look(poll)
    assert "waiting for backup" in line.texts[0]
    watched.answers = False
    _look(poll)
    assert line.texts[0] == f"consul-lock: {_AWAY}; trying again"
    assert line.texts[-1] == f"retrying: {_AWAY}"


def _lines_after(poll: Any, watched: Watched, capsys: Capture, looks: int) -> dict[int, str]:
    """What is printed after which of so many looks."""
    lines = {}
    assert (poll.first, poll.every) == (OUTAGE_EVERY, OUTAGE_EVERY)
    for number in range(1, looks + 1):
        watched.now += OUTAGE_EVERY
        _look(poll)
        if said := capsys.readouterr().err:
            lines[number] = said
    return lines


def test_a_log_gets_its_first_line_after_five_minutes_and_then_one_every_five(
    report: WaitReport, watched: Watched, capsys: Capture
) -> None:
    """Cron mails each of them.  In between Consul is not asked."""
    poll: Any = report.in_log()
    lines = _lines_after(poll, watched, capsys, 21)
    assert LOG_EVERY == 300.0
    assert list(lines) == [10, 20]
    assert lines[10].startswith("consul-lock: waiting for backup, held by ")
    assert watched.asked == 2


def test_a_log_has_the_seconds_since_an_outage_began(
    report: WaitReport, watched: Watched, capsys: Capture
) -> None:
    """Not since the look for the line.  One that is over by then is not in the log, and the next
    one begins anew."""
    poll: Any = report.in_log()
    watched.answers = False
    report.trouble("it is tried on", 30.0)
    assert _lines_after(poll, watched, capsys, 8) == {}
    watched.answers = True
    assert _lines_after(poll, watched, capsys, 1) == {}
    watched.answers = False
    watched.now += 1.0
    report.trouble("it is tried on", 30.0)
    assert list(_lines_after(poll, watched, capsys, 1).values()) == [
        f"consul-lock: {_AWAY}; trying again (60 s)\n"
    ]


def test_a_log_has_an_outage_once_and_its_end(
    report: WaitReport, watched: Watched, capsys: Capture
) -> None:
    """However long it is: cron mails each line.  The end is seen at a look, or by the acquire."""
    poll: Any = report.in_log()
    watched.answers = False
    assert list(_lines_after(poll, watched, capsys, 28).values()) == [
        f"consul-lock: {_AWAY}; trying again\n"
    ]
    watched.answers = True
    assert _lines_after(poll, watched, capsys, 1) == {1: f"consul-lock: {_BACK}\n"}
    watched.answers = False
    assert len(_lines_after(poll, watched, capsys, 10)) == 1
    report.over()
    report.over()
    assert capsys.readouterr().err == f"consul-lock: {_BACK}\n"


def test_with_v_each_change_is_a_line_and_nothing_else_is(
    report: WaitReport, watched: Watched, capsys: Capture
) -> None:
    """And the same again every five minutes."""
    report._console.verbosity = 1
    poll: Any = report.in_log()
    assert poll.first == 1.0
    report.held([holder(session="s1")])
    for after in (0.0, 2.0, LOG_EVERY):
        watched.now += after
        _look(poll)
    assert capsys.readouterr().err.count("waiting for backup") == 2
    watched.sessions = ["s2"]
    _look(poll)
    watched.answers = False
    _look(poll)
    _look(poll)
    watched.now += LOG_EVERY
    _look(poll)
    report.trouble("it is tried on", 30.0)
    watched.answers = True
    _look(poll)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "consul-lock: waiting for backup",
        f"consul-lock: {_AWAY}; trying again",
        f"consul-lock: {_BACK}",
        "consul-lock: waiting for backup",
    ]


def test_with_v_an_error_before_the_first_look_is_the_line_of_its_outage(
    report: WaitReport, watched: Watched, capsys: Capture
) -> None:
    """With the address, which an answer of Consul does not name."""
    report._console.verbosity = 1
    poll: Any = report.in_log()
    report.failed(Unavailable("reading 'backup': No cluster leader"))
    watched.answers = False
    _look(poll)
    assert capsys.readouterr().err == (
        f"consul-lock: reading 'backup': No cluster leader ({_ORIGIN}); trying again\n"
    )


def test_who_is_ahead_is_counted_up_to_this_process() -> None:
    """None if it is in no queue."""
    assert waiters_ahead([holder(pid=1), holder(pid=2)]) is None
