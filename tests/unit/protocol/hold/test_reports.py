"""What is reported of an acquire and of a hold, by flows that are played by hand."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock._protocol.client.close import close_client
from consul_lock._protocol.flow import Job
from consul_lock._protocol.primitive.undo import undo_acquire
from consul_lock._protocol.reporter import DEBUG, INFO, WARNING
from consul_lock.errors import AlreadyHeld, LockLost, LossReason, Unavailable
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver, hold_of
from tests.unit.protocol.heard_reports import HeardReports

KEY = f"{NAME}/.lock"


def scene(**options: Any) -> tuple[FakeDriver, HeardReports, Any]:
    """A driver, what is heard, and a lock of a client to which somebody listens."""
    driver, heard = FakeDriver(), HeardReports(**options)
    return driver, heard, driver.lock(driver.client("a", reporter=heard))


def test_acquired_and_released_have_one_number_and_their_durations() -> None:
    """By the number the two can be matched; another acquire has another one."""
    driver, heard, lock = scene()
    assert driver.acquire(lock)
    driver.world.advance(5)
    driver.release(lock)
    driver.acquire(lock)
    assert heard.events == ["acquired", "released", "acquired"]
    first, ended, second = (each.about for each in heard.reports)
    hold = hold_of(lock)
    assert (first["name"], first["kind"], first["key"]) == (NAME, "lock", KEY)
    assert (second["session"], second["token"]) == (hold.session.id, hold.token)
    assert first["attempt"] == ended["attempt"] != second["attempt"]
    assert first["waited"] >= 0
    assert ended["held"] >= 5
    assert not first["handed_over"]
    assert [each.level for each in heard.reports] == [INFO] * 3


def test_nothing_is_made_if_nobody_wants_to_hear() -> None:
    """The log has warnings alone, and nobody listens."""
    driver, heard, lock = scene(listens=False, level=WARNING)
    driver.acquire(lock)
    driver.release(lock)
    assert heard.events == []
    assert hold_of(lock).attempt._number == 0


def test_the_listener_of_a_lock_hears_of_that_lock_alone() -> None:
    """Of no other lock of the same client."""
    driver, heard = FakeDriver(), HeardReports(listens=False, level=WARNING)
    client = driver.client("a", reporter=heard)
    seen: list[Any] = []
    mine = driver.lock(client, listeners=(seen.append,))
    driver.acquire(mine)
    driver.acquire(driver.lock(client, name="other"))
    assert heard.events == ["acquired"]
    assert heard.reports[0].listeners == (seen.append,)


def test_one_that_waits_says_so_once_and_who_holds_it() -> None:
    """Then that it has waited for long, for the log alone; and who has handed it over."""
    driver, heard, lock = scene()
    holder = driver.lock(driver.client("b", meta={"who": "b"}))
    driver.acquire(holder)

    def blocked() -> None:
        if not heard.records:
            driver.world.advance(1)
            driver.when_blocked = blocked
        else:
            driver.release(holder)

    driver.when_blocked = blocked
    assert driver.acquire(lock)
    assert heard.events == ["waiting", "acquired"]
    waiting, acquired = (each.about for each in heard.reports)
    assert waiting["holder"].host == "b"
    assert waiting["holder"].meta == {"who": "b"}
    assert waiting["attempt"] == acquired["attempt"]
    assert acquired["holder"].token == waiting["holder"].token == hold_of(holder).token
    assert acquired["handed_over"]
    assert acquired["waited"] >= 1
    (long,) = heard.records
    assert (long.event, long.level) == ("waiting", INFO)
    assert long.about["waited"] >= 1


def test_a_hand_over_names_the_next_holder() -> None:
    """Just before the release, which is about this lock alone."""
    driver, heard, lock = scene()
    driver.acquire(lock)
    other = driver.lock(driver.client("b", meta={"who": "b"}))

    def blocked() -> None:
        if lock.current("me") is not None and lock.current("me").state.value == "held":
            driver.release(lock)

    driver.when_blocked = blocked
    assert driver.acquire(other)
    assert heard.events == ["acquired", "handed-over", "released"]
    handed = heard.only("handed-over")
    assert handed["holder"].meta == {"who": "b"}
    assert heard.only("released")["holder"] is None


def test_one_that_gets_nothing_says_why() -> None:
    """And who holds it."""
    driver, heard, lock = scene()
    driver.acquire(driver.lock(driver.client("b")))
    assert not driver.acquire(lock, timeout=0)
    gave_up = heard.only("gave-up")
    assert (gave_up["why"], gave_up["error"]) == ("timeout", None)
    assert gave_up["holder"].host == "b"
    assert heard.reports[0].level == DEBUG


def test_an_error_is_said_by_the_clean_up_and_once() -> None:
    """Which may be run twice."""
    driver, heard, lock = scene()
    driver.acquire(lock)
    attempt = lock.attempt("me", True)
    with pytest.raises(AlreadyHeld):
        driver.run(lock.acquiring(attempt, None))
    for _ in range(2):
        driver.run(undo_acquire(lock, attempt))
    gave_up = heard.only("gave-up")
    assert gave_up["why"] == "error"
    assert isinstance(gave_up["error"], AlreadyHeld)
    assert gave_up["error"].__traceback__ is None


def test_one_that_is_cut_off_says_so() -> None:
    """By Ctrl-C, say: the flow ends where it is, and its clean-up runs."""
    driver, heard, lock = scene()
    job: Job[bool] = lock.acquire(True, None, "me")
    next(job.flow)
    job.flow.close()
    assert job.undo is not None
    driver.run(job.undo())
    assert heard.only("gave-up")["why"] == "cut-off"


def test_a_release_that_is_cut_off_anywhere_is_reported_once() -> None:
    """Also after Consul has confirmed it, before it was reported: whatever was acquired has an end.

    As a driver does it, the flow takes in the answer to what it has sent, and ends there.
    """
    counts: list[int] = []
    for effects in range(50):
        driver, heard, lock = scene()
        driver.acquire(lock)
        job: Job[None] = lock.release("me")
        try:
            effect = next(job.flow)
            for _ in range(effects):
                effect = job.flow.send(driver.perform(effect))
        except StopIteration:
            break  # the release is over
        job.flow.close()
        assert job.undo is not None
        driver.run(job.undo())
        counts.append(heard.events.count("released"))
        assert driver.held() == {}
    assert len(counts) > 2
    assert set(counts) == {1}


def test_what_was_acquired_by_a_call_that_is_cut_off_is_released() -> None:
    """Each `Acquired` has one end."""
    driver, heard, lock = scene()
    job: Job[bool] = lock.acquire(True, None, "me")
    driver.run(job)
    assert job.undo is not None
    for _ in range(2):
        driver.run(job.undo())
    assert heard.events == ["acquired", "released"]


def test_a_loss_is_said_once_with_its_reason() -> None:
    """With how long it was held; the release that finds it raises as ever."""
    driver, heard, lock = scene()
    driver.acquire(lock)
    driver.world.advance(2)
    operator(driver.world, f"/v1/session/destroy/{hold_of(lock).session.id}")
    with pytest.raises(LockLost):
        driver.release(lock)
    assert heard.events == ["acquired", "lost"]
    lost = heard.only("lost")
    assert (lost["reason"], lost["error"]) == (LossReason.SESSION_INVALID, None)
    assert lost["held"] >= 2
    assert heard.reports[-1].level == WARNING


def test_what_is_held_when_the_client_closes_is_lost() -> None:
    """No release of it is said after that; it is no warning, as programs end so."""
    driver, heard, lock = scene()
    driver.acquire(lock)
    driver.run(close_client(lock.client))
    assert heard.events == ["acquired", "lost"]
    assert heard.only("lost")["reason"] is LossReason.REVOKED
    assert heard.reports[-1].level == INFO


def test_a_retry_is_a_warning_the_first_time_of_a_trouble() -> None:
    """One for all calls of a client; those who listen hear of each."""
    driver, heard, lock = scene()
    away = Unavailable("connection refused", uncertain=False)
    driver.failures.extend([away, away])
    assert driver.acquire(lock)
    driver.release(lock)
    driver.failures.append(away)
    assert driver.acquire(lock)
    retries = [each for each in heard.reports if each.event == "retrying"]
    assert [each.level for each in retries] == [WARNING, DEBUG, WARNING]
    about = retries[0].about
    assert str(about["error"]) == "connection refused"
    assert about["error"].__traceback__ is None  # whose frames would keep the client alive
    assert about["pause"] > 0
    assert retries[1].about["failing"] > 0


def test_metadata_of_the_client_and_of_the_lock_is_asked_for_at_each_acquire() -> None:
    """The lock's own counts more; what was said is in the events and in Consul."""
    driver, heard = FakeDriver(), HeardReports()
    asked: list[int] = []

    def trace() -> dict[str, str]:
        asked.append(1)
        return {"traceparent": f"00-{len(asked)}", "team": "web"}

    client = driver.client("a", reporter=heard, meta=trace)
    lock = driver.lock(client, meta={"team": "shop"})
    assert asked == []
    for number in (1, 2):
        driver.acquire(lock)
        said = {"traceparent": f"00-{number}", "team": "shop"}
        assert heard.reports[-1].about["meta"] == said
        assert driver.run(lock.holder()).meta == said
        driver.release(lock)
    assert len(asked) == 2
