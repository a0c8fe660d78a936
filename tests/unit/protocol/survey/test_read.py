"""What a look at names reads, and which of it is left out."""

from __future__ import annotations

from consul_lock._protocol.keys import SEMAPHORE_FLAG
from tests.simulation.foreign_lock_client import operator
from tests.unit.protocol.fake_driver import NAME, Hand
from tests.unit.protocol.survey.survey_driver import KEY, survey


def test_one_name_is_read_without_what_is_below_it() -> None:
    """There may be many names below: only a semaphore makes it necessary."""
    hand = Hand()
    hand.acquire(hand.lock())
    operator(hand.world, f"/v1/kv/{NAME}/below", body=b"x")
    hand.requests()
    status = hand.run(survey(hand).status(NAME))
    assert (status.state, status.holders[0].host) == ("held", "a")
    assert hand.requests() == ["PUT txn"]
    assert hand.run(survey(hand).status(KEY)) == status
    assert hand.run(survey(hand).status("jobs")).kind == "none"
    assert hand.run(survey(hand).status(f"{NAME}/below")).kind == "foreign"


def test_names_that_the_prefix_cuts_apart_are_left_out() -> None:
    """Their holders would look dead, as the keys of those are not read."""
    hand = Hand()
    document = b'{"Limit":1,"Holders":{"s1":true}}'
    operator(hand.world, f"/v1/kv/{KEY}?flags={SEMAPHORE_FLAG}", body=document)
    for prefix in ("", "jobs", "jobs/", NAME, f"{NAME}/"):
        assert [s.name for s in hand.run(survey(hand).below(prefix))] == [NAME]
    assert hand.run(survey(hand).below(f"{NAME}/.lo")) == []
    assert hand.run(survey(hand).below("job/")) == []
