"""What a look at names reads, and which of it is left out."""

from __future__ import annotations

from consul_lock._protocol.keys import SEMAPHORE_FLAG
from tests.simulation.foreign_lock_client import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver
from tests.unit.protocol.survey.survey_driver import KEY, survey


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
