"""Questions about what is held, and their arguments, played by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consul_lock._protocol.keys import SEMAPHORE_FLAG
from consul_lock.errors import ConfigError, Unavailable
from tests.simulation.foreign_lock_client import operator
from tests.unit.protocol.fake_driver import NAME, Hand
from tests.unit.protocol.survey.survey_driver import KEY, survey, survey_of


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


@pytest.mark.parametrize("prefix", ["/", "/a", "a//", "a/../b", "a\n", 7])
def test_a_bad_prefix_is_refused(prefix: Any) -> None:
    """An HTTP server would make another one of it."""
    with pytest.raises(ConfigError):
        survey(Hand()).below(prefix)


@pytest.mark.parametrize("session", ["", "../kv/a", "a b", "x" * 36])
def test_only_an_id_is_destroyed(session: str) -> None:
    """It becomes a part of a path."""
    with pytest.raises(ConfigError):
        survey(Hand()).destroy(session)


@pytest.mark.parametrize("question", ["below", "status", "sessions", "destroy", "break_hold"])
def test_a_question_is_asked_again_for_a_while(question: str) -> None:
    """Each question is asked again until ``retry_for`` seconds are over, and then no more."""
    hand = Hand()
    core, session = survey_of(hand)
    ask: Callable[[], Any] = {
        "below": lambda: core.below(""),
        "status": lambda: core.status(NAME),
        "sessions": lambda: core.sessions([session]),
        "destroy": lambda: core.destroy(session),
        "break_hold": lambda: core.break_hold(NAME, session, ""),
    }[question]
    hand.failures.extend([Unavailable("no leader")] * 3)
    hand.run(ask())
    begun = hand.world.now
    hand.failures.extend([Unavailable("no leader")] * 1000)
    with pytest.raises(Unavailable):
        hand.run(ask())
    assert 30 <= hand.world.now - begun < 31
