"""The election, played by hand: what is written, and what of it outlives accidents."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from consul_lock._protocol import keys as names
from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.election.election import ElectionCore
from consul_lock._protocol.election.observer import Leader
from consul_lock._protocol.flow import Job, Request, Wait
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session import timing as terms
from consul_lock.errors import (
    AlreadyHeld,
    ConfigError,
    LockLost,
    LockTimeout,
    LossReason,
    NotHeld,
    Unavailable,
)
from tests.simulation.flow_process import Cancelled
from tests.support.world_operator import operator
from tests.unit.protocol.cut_points import FATES, Scene, cut_off, cuts
from tests.unit.protocol.fake_driver import NAME, FakeDriver, verbs, waits

KEY, BASE = f"{NAME}/.lock", f"{NAME}/.queue"


def election(driver: FakeDriver, client: ClientCore | None = None, **settings: Any) -> ElectionCore:
    asked = Settings(terms.session_options(), **{"watch": True, **settings})
    return ElectionCore(client or driver.client(), names.keys_of_name(NAME), asked)


def campaign(
    driver: FakeDriver, core: ElectionCore, value: str, timeout: float | None = None
) -> None:
    driver.run(core.campaign(value, timeout, "me"))


def proclaim(driver: FakeDriver, core: ElectionCore, value: str) -> None:
    driver.run(core.proclaim(value, driver.world.now, "me"))


def leading(value: str = "first") -> tuple[FakeDriver, ElectionCore]:
    """Somebody who leads; what was sent is forgotten."""
    driver = FakeDriver()
    core = election(driver)
    campaign(driver, core, value)
    driver.requests()
    return driver, core


def entry(driver: FakeDriver) -> Any:
    return driver.world._server.kv.entries[KEY]


def said(driver: FakeDriver) -> Any:
    """What the key says of the leader."""
    return json.loads(entry(driver).value)


def leader(driver: FakeDriver, core: ElectionCore) -> Leader:
    found: Leader | None = driver.run(core.leader())
    assert found is not None
    return found


# -- the value


def test_a_new_leader_writes_its_value_with_the_lead() -> None:
    """It is no lock without a value for any moment."""
    driver, core = leading("10.0.0.1:80")
    assert core.hold is not None
    found = leader(driver, core)
    assert (found.value, found.token) == ("10.0.0.1:80", core.hold.token)
    assert (found.holder.session, found.holder.host) == (core.hold.session.id, "a")


def test_a_leader_by_hand_over_has_its_own_value_from_the_first_moment() -> None:
    """The leader before writes it, from the candidate's entry in the queue."""
    driver, core = leading()
    other = election(driver, driver.client("b"))
    flow = other.campaign("second", None, "me").flow
    watching = driver.until(flow, waits)
    assert [(c.host, c.value) for c in driver.run(core.waiters())] == [("b", "second")]
    driver.release(core)
    assert leader(driver, core).value == "second"
    driver.run_after(flow, watching)
    assert other.hold is not None
    assert leader(driver, core).token == other.hold.token


def test_the_next_candidate_of_this_process_says_its_own_value() -> None:
    """It is passed on with the session, in one write, and another object's value with it."""
    driver, core = leading()
    other = election(driver, core.client)
    job = other.campaign("second", None, "you")
    effect, _ = driver.drive(job.flow, 0)
    assert isinstance(effect, Wait)
    driver.release(core)
    assert leader(driver, core).value == "second"
    driver.run_after(job.flow, effect)
    assert other.hold is not None


def test_campaigns_of_one_object_say_each_its_own_value() -> None:
    """The value is the campaign's, not the object's: an acquire without one says nothing."""
    driver, core = leading("first")
    driver.release(core)
    driver.acquire(core)
    assert leader(driver, core).value == ""
    driver.release(core)
    campaign(driver, core, "second")
    assert leader(driver, core).value == "second"


@pytest.mark.parametrize("value", [7, None, b"bytes", "\ud800", "x" * 2048])
def test_a_value_that_cannot_be_kept_is_refused(value: Any) -> None:
    """Before anything is sent."""
    driver, core = leading()
    with pytest.raises(ConfigError, match="value"):
        core.campaign(value, None, "me")
    with pytest.raises(ConfigError, match="value"):
        core.proclaim(value, driver.world.now, "me")
    assert driver.requests() == []


def test_value_and_meta_share_the_space() -> None:
    """As they travel together in the hints of a hand-over."""
    driver = FakeDriver()
    core = election(driver, meta={"build": "x" * 1500})
    campaign(driver, core, "y" * 200)
    with pytest.raises(ConfigError, match="meta, command and value"):
        proclaim(driver, core, "y" * 500)


def test_an_election_is_always_watched() -> None:
    """So that a leader steps back within milliseconds; anything else would be a surprise."""
    driver, _ = leading()
    names = [flow.__name__ for flow in driver.spawned]
    assert names.count("watch") == 1
    with pytest.raises(ConfigError, match="watch=False"):
        election(driver, watch=False)


def test_a_leader_does_not_campaign_again() -> None:
    """Not even from another thread, as it would wait for this very object."""
    driver, core = leading()
    for owner in ("me", "you"):
        with pytest.raises(AlreadyHeld):
            driver.run(core.campaign("again", None, owner))
    assert driver.requests() == []
    assert leader(driver, core).value == "first"


def test_a_campaign_that_takes_too_long_names_the_leader() -> None:
    """LockTimeout, and no entry in the queue is left."""
    driver, core = leading()
    other = election(driver, driver.client("b"))
    with pytest.raises(LockTimeout) as caught:
        campaign(driver, other, "second", timeout=3.0)
    assert caught.value.holder.value == "first"
    assert driver.run(core.waiters()) == []


# -- proclaiming


def test_a_proclamation_changes_the_value_and_nothing_else() -> None:
    """Flags, session, LockIndex, the time of the election, and the token, for all to see."""
    driver, core = leading()
    before, elected = entry(driver), said(driver)
    proclaim(driver, core, "second")
    after = entry(driver)
    assert (after.flags, after.session) == (before.flags, before.session)
    assert (after.create_index, after.lock_index) == (before.create_index, before.lock_index)
    assert after.modify_index > before.modify_index
    assert core.hold is not None
    assert said(driver) == {**elected, "value": "second", "token": core.hold.token}
    assert leader(driver, core).token == core.hold.token == before.modify_index
    holder = driver.run(core.holder())
    assert (holder.token, holder.value) == (core.hold.token, "second")


def test_a_proclamation_is_one_transaction() -> None:
    """The first one of a leader reads what is there before."""
    driver, core = leading()
    proclaim(driver, core, "second")
    assert driver.requests() == [f"GET kv/{KEY}", "PUT txn"]
    for value in ("third", "third", "fourth"):
        proclaim(driver, core, value)
        assert driver.requests() == ["PUT txn"]
        assert leader(driver, core).value == value
        driver.requests()
    driver.release(core)
    campaign(driver, core, "first")
    driver.requests()
    proclaim(driver, core, "second")
    assert driver.requests() == [f"GET kv/{KEY}", "PUT txn"]


def test_the_next_leader_has_a_token_of_its_own() -> None:
    """The token of the last leader is not handed down."""
    driver, core = leading()
    proclaim(driver, core, "second")
    first = core.hold
    other = election(driver, driver.client("b"))
    driver.when_blocked = lambda: driver.release(core)
    campaign(driver, other, "third")
    assert first is not None
    assert other.hold is not None
    assert leader(driver, core).token == other.hold.token > first.token
    # The confirmation of the hand-over has written the key once more.
    assert entry(driver).modify_index > other.hold.token


def test_only_the_leader_proclaims() -> None:
    """NotHeld before and after."""
    driver = FakeDriver()
    core = election(driver)
    with pytest.raises(NotHeld):
        proclaim(driver, core, "x")
    campaign(driver, core, "first")
    driver.release(core)
    with pytest.raises(NotHeld):
        proclaim(driver, core, "x")


@pytest.mark.parametrize("known", [False, True], ids=["first", "second"])
def test_a_deposed_leader_proclaims_nothing(known: bool) -> None:
    """LockLost, by Consul's answer if it was not found out before; the new leader's value stays."""
    driver, core = leading()
    if known:
        proclaim(driver, core, "second")
    told: list[LossReason] = []
    assert core.hold is not None
    core.hold.on_lost = told.append
    operator(driver.world, f"/v1/kv/{KEY}", "DELETE")
    other = election(driver, driver.client("b"))
    campaign(driver, other, "other")
    with pytest.raises(LockLost) as caught:
        proclaim(driver, core, "late")
    assert caught.value.reason is LossReason.STOLEN
    assert told == [LossReason.STOLEN]
    assert leader(driver, core).value == "other"


def test_an_index_that_comes_again_does_not_make_a_leader() -> None:
    """As after the restore of a snapshot: the lead is free, and a proclamation does not take it."""
    driver, core = leading()
    proclaim(driver, core, "second")
    assert core.hold is not None
    assert core._written is not None
    operator(driver.world, f"/v1/kv/{KEY}?release={core.hold.session.id}")
    core._written = core._written._replace(modify_index=entry(driver).modify_index)
    with pytest.raises(LockLost) as caught:
        proclaim(driver, core, "third")
    assert caught.value.reason is LossReason.REVOKED
    assert entry(driver).session == ""


def test_a_proclamation_during_a_resignation_is_not_held() -> None:
    """It was no loss: another thread has resigned."""
    driver, core = leading()
    proclaim(driver, core, "second")
    flow = core.proclaim("third", driver.world.now, "me").flow
    writing = driver.until(flow, lambda request: "lock" in verbs(request))
    driver.release(core)
    with pytest.raises(NotHeld):
        driver.run_after(flow, writing)


def test_a_proclamation_without_an_answer_does_not_come_true_after_a_later_one() -> None:
    """It was cut off, and is carried out when the value is another one already."""
    driver, core = leading()
    flow = core.proclaim("ghost", driver.world.now, "me").flow
    ghost = driver.until(flow, lambda request: "lock" in verbs(request))
    flow.close()
    proclaim(driver, core, "second")
    driver.world.submit(ghost)
    assert leader(driver, core).value == "second"
    proclaim(driver, core, "third")
    assert leader(driver, core).value == "third"


@pytest.mark.parametrize("carried_out", [False, True], ids=["before", "after"])
def test_an_error_while_proclaiming_is_ridden_out(carried_out: bool) -> None:
    """Whether the write came before the error or not; the session is in doubt from then on."""
    driver, core = leading()
    flow = core.proclaim("second", driver.world.now, "me").flow
    writing = driver.until(flow, lambda request: "lock" in verbs(request))
    if carried_out:
        driver.world.submit(writing)
    driver.run_from(flow, Unavailable("no answer came"))
    assert leader(driver, core).value == "second"
    assert core.hold is not None
    session = core.hold.session
    driver.release(core)
    assert session.gone


def test_two_proclamations_at_once_are_both_made() -> None:
    """One after the other: the second one reads again."""
    driver, core = leading()
    proclaim(driver, core, "first")
    flow = core.proclaim("by a thread", driver.world.now, "me").flow
    writing = driver.until(flow, lambda request: "lock" in verbs(request))
    proclaim(driver, core, "by another thread")
    driver.run_after(flow, writing)
    assert leader(driver, core).value == "by a thread"


def test_a_value_that_somebody_else_has_written_is_replaced() -> None:
    """The session still leads; an operator's note is no loss."""
    driver, core = leading()
    operator(driver.world, f"/v1/kv/{KEY}?flags={entry(driver).flags}", body=b"a note")
    assert leader(driver, core).value == "a note"
    proclaim(driver, core, "second")
    found = leader(driver, core)
    assert (found.value, found.token) == ("second", core.hold.token if core.hold else 0)


# -- the end of a term


def test_a_term_that_ends_well_is_resigned() -> None:
    """True: it was not lost."""
    driver, core = leading()
    assert driver.run(core.conclude("me")) is True
    assert driver.held() == {}


@pytest.mark.parametrize("known", [False, True], ids=["found by the end", "known before"])
def test_a_term_that_was_lost_raises(known: bool) -> None:
    """Also if the leader has tried to resign, and kept the error for itself."""
    driver, core = leading()
    operator(driver.world, f"/v1/kv/{KEY}", "DELETE")
    if known:
        with pytest.raises(LockLost):
            driver.release(core)
    assert driver.run(core.conclude("me")) is False


def test_a_term_that_was_resigned_already_has_ended_well() -> None:
    """By the leader itself."""
    driver, core = leading()
    driver.release(core)
    assert driver.run(core.conclude("me")) is True


def test_only_the_loss_of_this_election_is_one() -> None:
    """Another lock that was lost in the meantime concerns only the function that worked."""
    _, core = leading()
    assert core.hold is not None
    assert core.lost_by(core.lost_error(core.hold))
    assert not core.lost_by(LockLost("another", key="another/.lock"))
    assert not core.lost_by(NotHeld("not held", key=KEY))


# -- cut off


def campaigning() -> Scene:
    driver = FakeDriver()
    core = election(driver)
    return Scene(driver, core, core.campaign("first", None, "me"))


def campaigning_in_line() -> Scene:
    driver, before = leading("before")
    core = election(driver, driver.client("b"))
    driver.when_blocked = lambda: driver.release(before)
    return Scene(driver, core, core.campaign("first", 15.0, "me"))


def concluding() -> Scene:
    driver, core = leading()
    return Scene(driver, core, core.conclude("me"))


def proclaiming() -> Scene:
    driver, core = leading()
    return Scene(driver, core, core.proclaim("second", driver.world.now, "me"))


def proclaiming_in_trouble() -> Scene:
    scene = proclaiming()
    scene.driver.failures.extend([None, Unavailable("no answer came")])
    return scene


def observing() -> Scene:
    driver, core = leading()
    observer = core.observer()
    driver.run(observer.next())
    driver.failures.append(Unavailable("no answer came"))
    driver.when_blocked = lambda: proclaim(driver, core, "second")
    return Scene(driver, core, Job(observer.next().flow))


UNDONE = (campaigning, campaigning_in_line, concluding)


@pytest.mark.parametrize(
    "build", [*UNDONE, proclaiming, proclaiming_in_trouble, observing], ids=lambda b: b.__name__
)
@pytest.mark.parametrize("error", [GeneratorExit, Cancelled])
def test_a_flow_that_is_cut_off_yields_nothing_more(
    build: Callable[[], Scene], error: type[BaseException]
) -> None:
    """The driver may have stopped listening; so a flow never yields while it unwinds."""
    for scene, _ in cuts(build):
        with pytest.raises(error):
            scene.job.flow.throw(error())


@pytest.mark.parametrize("build", UNDONE, ids=lambda b: b.__name__)
@pytest.mark.parametrize("fate", FATES[:2])
def test_a_candidate_that_is_cut_off_does_not_lead(build: Callable[[], Scene], fate: str) -> None:
    """After the undo it holds nothing, and waits for nothing."""
    for scene, effect in cuts(build):
        client = scene.lock.client
        mine = set(client.pool.live)
        cut_off(scene, effect, fate)
        assert not mine & set(scene.driver.held().values()), f"cut off at {effect}"
        assert not client.local_queues._queues, f"cut off at {effect}"


def test_a_proclamation_that_is_cut_off_leaves_a_leader() -> None:
    """It leads on, can proclaim again, and its session is used by nobody afterwards."""
    for scene, effect in cuts(proclaiming):
        driver, core = scene.driver, scene.lock
        assert isinstance(core, ElectionCore)
        scene.job.flow.close()
        proclaim(driver, core, "third")
        if isinstance(effect, Request):
            driver.world.submit(effect)
        assert leader(driver, core).value == "third"
        driver.release(core)
        assert driver.held() == {}
