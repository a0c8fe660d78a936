"""The reads of a survey, and the keys that it leaves out."""

from __future__ import annotations

import pytest

from consul_lock._protocol.cron.record import CronProblem
from consul_lock._protocol.flow import Request
from consul_lock._protocol.keys import CRON_FLAG, CRON_SUFFIX, LOCK_FLAG, SEMAPHORE_FLAG
from consul_lock._protocol.session.timing import session_options
from consul_lock._protocol.survey.read import overview, read_name
from consul_lock.errors import PermissionDenied
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver
from tests.unit.protocol.survey.survey_driver import KEY, survey
from tests.unit.protocol.weighted_driver import WeightedDriver


def test_one_name_is_read_without_what_is_below_it() -> None:
    """There may be many names below: only a semaphore makes it necessary."""
    driver = FakeDriver()
    driver.acquire(driver.lock())
    operator(driver.world, f"/v1/kv/{NAME}/below", body=b"x")
    driver.requests()
    status = driver.run(survey(driver).status(NAME))
    assert (status.state, status.holders[0].host) == ("held", "a")
    assert driver.requests() == ["PUT txn"]
    assert driver.run(survey(driver).status(KEY)) == status
    assert driver.run(survey(driver).status("jobs")).kind == "none"
    assert driver.run(survey(driver).status(f"{NAME}/below")).kind == "foreign"


def test_names_that_the_prefix_cuts_apart_are_left_out() -> None:
    """Their holders would look dead, as the keys of those are not read."""
    driver = FakeDriver()
    document = b'{"Limit":1,"Holders":{"s1":true}}'
    operator(driver.world, f"/v1/kv/{KEY}?flags={SEMAPHORE_FLAG}", body=document)
    for prefix in ("", "jobs", "jobs/", NAME, f"{NAME}/"):
        assert [s.name for s in driver.run(survey(driver).below(prefix))] == [NAME]
    assert driver.run(survey(driver).below(f"{NAME}/.lo")) == []
    assert driver.run(survey(driver).below("job/")) == []


def test_a_semaphore_is_read_with_the_keys_of_its_contenders() -> None:
    """They are directly below the name, with those of other names."""
    driver = WeightedDriver()
    slots = driver.semaphore()
    driver.run(slots.acquire(True, None, "me"))
    driver.requests()
    status = driver.run(read_name(driver.client("b"), "slots"))
    assert (status.kind, len(status.holders)) == ("semaphore", 1)
    assert driver.requests() == ["PUT txn", "GET kv/slots/"]


def test_a_lock_on_exactly_the_name_is_found() -> None:
    """As another tool makes it, whose key is the name itself."""
    driver = FakeDriver()
    session = driver.run(driver.client().borrow(session_options(), "me")).id
    operator(driver.world, f"/v1/kv/{NAME}?acquire={session}&flags={LOCK_FLAG}", body=b"theirs")
    driver.requests()
    status = driver.run(read_name(driver.client("b"), NAME))
    assert [holder.session for holder in status.holders] == [session]
    assert driver.requests() == ["PUT txn", f"GET kv/{NAME}"]


@pytest.mark.parametrize("flags", [CRON_FLAG, 0])
def test_an_overview_has_records_of_cron_jobs_apart_from_locks(flags: int) -> None:
    """Those that make no sense, too."""
    driver = FakeDriver()
    driver.acquire(driver.lock())
    operator(driver.world, f"/v1/kv/{NAME}{CRON_SUFFIX}?flags={flags}", body=b"no JSON")
    found = driver.run(overview(driver.client("b"), "jobs/"))
    assert [status.key for status in found.locks] == [KEY]
    (problem,) = found.crons
    assert isinstance(problem, CronProblem)
    assert problem.key == f"{NAME}{CRON_SUFFIX}"


@pytest.mark.parametrize("allowed", [True, False])
def test_a_token_for_what_is_below_a_name_is_enough_to_see_that_nothing_is_there(
    allowed: bool,
) -> None:
    """The key of the name itself is none of a lock's; where it may read nothing at all, the rule
    that is named is that for the lock."""
    driver = FakeDriver()

    def denies(request: Request) -> tuple[int, bytes] | None:
        exactly = request.path == f"/v1/kv/{NAME}"
        denied = exactly or (not allowed and request.path == f"/v1/kv/{NAME}/.lock")
        return (403, b"Permission denied") if denied else None

    driver.instead = denies
    flow = read_name(driver.client("b"), NAME)
    if allowed:
        assert driver.run(flow).kind == "none"
        return
    with pytest.raises(PermissionDenied) as caught:
        driver.run(flow)
    assert caught.value.rule == f'key_prefix "{NAME}/" {{ policy = "read" }}'
    assert caught.value.rule in caught.value.hint


def test_a_token_that_nobody_knows_is_an_error_for_a_name_that_is_not_there() -> None:
    """It is not taken for one that may see a part."""
    driver = FakeDriver()
    driver.instead = lambda request: (
        (403, b"ACL not found") if request.path == f"/v1/kv/{NAME}" else None
    )
    with pytest.raises(PermissionDenied) as caught:
        driver.run(read_name(driver.client("b"), NAME))
    assert caught.value.kind == "unknown-token"
