"""A candidate outlives any outage of Consul, but a wrong address is reported soon."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from consul_lock.errors import PermissionDenied, Unavailable
from consul_lock_cli.base.console import Console
from consul_lock_cli.run import campaign as module
from consul_lock_cli.run.campaign import campaign
from consul_lock_cli.spec.run import WaitPolicy
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_EVERY", 0.001)


class _Election:
    """Consul, which is there or not, and the campaign, which ends when a test lets it."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.away: Exception | None = None
        self.asked = 0
        self.waited: list[float | None] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def leader(self) -> None:
        self.asked += 1
        if self.failures:
            raise self.failures.pop(0)
        if self.away is not None:
            raise self.away

    def acquire(self, election: Any, wait: float | None) -> bool:
        self.waited.append(wait)
        self.meanwhile()
        return wait is None

    def run(self, wait: float | None = None, console: Console | None = None, **policy: Any) -> bool:
        me: Any = self
        return campaign(me, me, WaitPolicy(**policy), wait, console or Console())

    def answered(self, times: int = 3) -> None:
        """Consul was asked so often."""
        until = self.asked + times
        eventually(lambda: self.asked >= until)


@pytest.mark.parametrize("wait, leads", [(None, True), (5.0, False)])
def test_it_leads_or_the_time_is_over(wait: float | None, leads: bool) -> None:
    """All of the time is for the campaign."""
    election = _Election()
    threads = threading.active_count()
    assert election.run(wait) is leads
    assert election.waited == [wait]
    # Nor does anybody look after Consul any more.
    eventually(lambda: threading.active_count() <= threads)


@pytest.mark.parametrize("wait, retry_for", [(None, 0.02), (0.02, 3600.0), (0.0, 3600.0)])
def test_a_first_contact_that_fails_is_an_error_soon(wait: float | None, retry_for: float) -> None:
    """After --retry-for, or --wait if that is shorter; nothing was campaigned for."""
    election = _Election()
    election.away = Unavailable("nobody there")
    with pytest.raises(Unavailable):
        election.run(wait, retry_for=retry_for)
    assert election.waited == []
    assert election.asked >= 1


def test_a_first_contact_may_succeed_late() -> None:
    """Within that time."""
    election = _Election(Unavailable(), Unavailable())
    assert election.run(retry_for=3600.0)
    assert election.asked == 3


def test_another_error_of_the_first_contact_is_not_retried() -> None:
    """A token without the rights does not get them by waiting."""
    election = _Election(PermissionDenied())
    with pytest.raises(PermissionDenied):
        election.run(retry_for=3600.0)
    assert election.asked == 1


def test_a_leader_that_begins_anew_has_reached_consul_before() -> None:
    """Consul may be away just then: that is no error."""
    election = _Election()
    election.away = Unavailable()
    assert election.run(reached=True, retry_for=3600.0)
    assert election.asked == 0


def test_an_outage_is_reported_once_and_its_end_once(capsys: pytest.CaptureFixture[str]) -> None:
    """However often Consul is asked meanwhile."""
    election = _Election()

    def meanwhile() -> None:
        for _ in range(2):
            election.away = Unavailable("no leader")
            election.answered()
            election.away = None
            election.answered()

    election.meanwhile = meanwhile
    assert election.run(retry_for=0.0)
    assert capsys.readouterr().err.splitlines() == [
        "consul-lock: warning: no leader: campaigning goes on",
        "consul-lock: Consul answers again",
    ] * 2  # fmt: skip


def test_an_outage_that_ends_with_the_lead_is_reported_as_over(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By the campaign itself, as nobody looks any more."""
    election = _Election()

    def meanwhile() -> None:
        election.away = Unavailable("no leader")
        election.answered()

    election.meanwhile = meanwhile
    assert election.run(retry_for=0.0)
    assert capsys.readouterr().err.endswith("consul-lock: Consul answers again\n")


def test_a_short_outage_and_other_errors_are_not_reported(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They are shorter than --retry-for, or the campaign reports them itself."""
    election = _Election()

    def meanwhile() -> None:
        for error in (PermissionDenied(), None):
            election.away = error
            election.answered()

    election.meanwhile = meanwhile
    assert election.run(retry_for=0.0)
    election.meanwhile = lambda: None
    election.away = Unavailable()
    assert election.run(reached=True, retry_for=3600.0)
    assert capsys.readouterr().err == ""
