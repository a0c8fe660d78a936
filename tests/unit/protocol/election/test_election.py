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
from tests.simulation.foreign_lock_client import operator
from tests.unit.protocol.fake_driver import NAME, Hand, verbs
from tests.unit.protocol.primitive.test_undo import Scene, cuts

KEY, BASE = f"{NAME}/.lock", f"{NAME}/.queue"


def election(hand: Hand, client: ClientCore | None = None, **settings: Any) -> ElectionCore:
    asked = Settings(terms.session_options(), **{"watch": True, **settings})
    return ElectionCore(client or hand.client(), names.keys_of_name(NAME), asked)


def campaign(hand: Hand, core: ElectionCore, value: str, timeout: float | None = None) -> None:
    hand.run(core.campaign(value, timeout, "me"))


def proclaim(hand: Hand, core: ElectionCore, value: str) -> None:
    hand.run(core.proclaim(value, hand.world.now, "me"))


def leading(value: str = "first") -> tuple[Hand, ElectionCore]:
    """Somebody who leads; what was sent is forgotten."""
    hand = Hand()
    core = election(hand)
    campaign(hand, core, value)
    hand.requests()
    return hand, core


def entry(hand: Hand) -> Any:
    return hand.world._server.kv.entries[KEY]


def said(hand: Hand) -> Any:
    """What the key says of the leader."""
    return json.loads(entry(hand).value)


def leader(hand: Hand, core: ElectionCore) -> Leader:
    found: Leader | None = hand.run(core.leader())
    assert found is not None
    return found


# -- the value


def test_whoever_takes_the_lead_says_its_value_in_that_very_write() -> None:
    """It is no lock without a value for any moment."""
    hand, core = leading("10.0.0.1:80")
    assert core.hold is not None
    found = leader(hand, core)
    assert (found.value, found.token) == ("10.0.0.1:80", core.hold.token)
    assert (found.holder.session, found.holder.host) == (core.hold.session.id, "a")


def test_whoever_is_handed_the_lead_says_its_own_value_from_the_first_moment() -> None:
    """The one before writes it, by the candidate's entry in line."""
    hand, core = leading()
    other = election(hand, hand.client("b"))
    flow = other.campaign("second", None, "me").flow
    watching = hand.until(flow, lambda request: request.wait > 0)
    assert [(c.host, c.value) for c in hand.run(core.waiters())] == [("b", "second")]
    hand.release(core)
    assert leader(hand, core).value == "second"
    hand.run_after(flow, watching)
    assert other.hold is not None
    assert leader(hand, core).token == other.hold.token


def test_the_next_candidate_of_this_process_says_its_own_value() -> None:
    """It is passed on with the session, in one write, and another object's value with it."""
    hand, core = leading()
    other = election(hand, core.client)
    job = other.campaign("second", None, "you")
    effect, _ = hand.drive(job.flow, 0)
    assert isinstance(effect, Wait)
    hand.release(core)
    assert leader(hand, core).value == "second"
    hand.run_after(job.flow, effect)
    assert other.hold is not None


def test_campaigns_of_one_object_say_each_its_own_value() -> None:
    """The value is the campaign's, not the object's: an acquire without one says nothing."""
    hand, core = leading("first")
    hand.release(core)
    hand.acquire(core)
    assert leader(hand, core).value == ""
    hand.release(core)
    campaign(hand, core, "second")
    assert leader(hand, core).value == "second"


@pytest.mark.parametrize("value", [7, None, b"bytes", "\ud800", "x" * 2048])
def test_a_value_that_cannot_be_kept_is_refused(value: Any) -> None:
    """Before anything is sent."""
    hand, core = leading()
    with pytest.raises(ConfigError, match="value"):
        core.campaign(value, None, "me")
    with pytest.raises(ConfigError, match="value"):
        core.proclaim(value, hand.world.now, "me")
    assert hand.requests() == []


def test_value_and_meta_share_the_room() -> None:
    """As they travel together in the hints of a hand-over."""
    hand = Hand()
    core = election(hand, meta={"build": "x" * 1500})
    campaign(hand, core, "y" * 200)
    with pytest.raises(ConfigError, match="meta, command and value"):
        proclaim(hand, core, "y" * 500)


def test_an_election_is_always_watched() -> None:
    """So that a leader steps back within milliseconds; anything else would be a surprise."""
    hand, _ = leading()
    names = [flow.__name__ for flow in hand.spawned]
    assert names.count("watch") == 1
    with pytest.raises(ConfigError, match="watch=False"):
        election(hand, watch=False)


def test_who_leads_already_does_not_campaign() -> None:
    """Not even from another thread, as it would wait for this very object."""
    hand, core = leading()
    for owner in ("me", "you"):
        with pytest.raises(AlreadyHeld):
            hand.run(core.campaign("again", None, owner))
    assert hand.requests() == []
    assert leader(hand, core).value == "first"


def test_a_campaign_that_takes_too_long_names_the_leader() -> None:
    """LockTimeout, and no place in line is left."""
    hand, core = leading()
    other = election(hand, hand.client("b"))
    with pytest.raises(LockTimeout) as caught:
        campaign(hand, other, "second", timeout=3.0)
    assert caught.value.holder.value == "first"
    assert hand.run(core.waiters()) == []


# -- proclaiming


def test_a_proclamation_changes_the_value_and_nothing_else() -> None:
    """Flags, session, LockIndex, the time of the election, and the token, for all to see."""
    hand, core = leading()
    before, elected = entry(hand), said(hand)
    proclaim(hand, core, "second")
    after = entry(hand)
    assert (after.flags, after.session) == (before.flags, before.session)
    assert (after.create_index, after.lock_index) == (before.create_index, before.lock_index)
    assert after.modify_index > before.modify_index
    assert core.hold is not None
    assert said(hand) == {**elected, "value": "second", "token": core.hold.token}
    assert leader(hand, core).token == core.hold.token == before.modify_index
    holder = hand.run(core.holder())
    assert (holder.token, holder.value) == (core.hold.token, "second")


def test_a_proclamation_is_one_transaction() -> None:
    """The first one of a leader reads what is there before."""
    hand, core = leading()
    proclaim(hand, core, "second")
    assert hand.requests() == [f"GET kv/{KEY}", "PUT txn"]
    for value in ("third", "third", "fourth"):
        proclaim(hand, core, value)
        assert hand.requests() == ["PUT txn"]
        assert leader(hand, core).value == value
        hand.requests()
    hand.release(core)
    campaign(hand, core, "first")
    hand.requests()
    proclaim(hand, core, "second")
    assert hand.requests() == [f"GET kv/{KEY}", "PUT txn"]


def test_the_next_leader_has_a_token_of_its_own() -> None:
    """What the last one said of its token is not handed down."""
    hand, core = leading()
    proclaim(hand, core, "second")
    first = core.hold
    other = election(hand, hand.client("b"))
    hand.when_blocked = lambda: hand.release(core)
    campaign(hand, other, "third")
    assert first is not None
    assert other.hold is not None
    assert leader(hand, core).token == other.hold.token > first.token
    # The confirmation of the hand-over has written the key once more.
    assert entry(hand).modify_index > other.hold.token


def test_only_the_leader_proclaims() -> None:
    """NotHeld before and after."""
    hand = Hand()
    core = election(hand)
    with pytest.raises(NotHeld):
        proclaim(hand, core, "x")
    campaign(hand, core, "first")
    hand.release(core)
    with pytest.raises(NotHeld):
        proclaim(hand, core, "x")


@pytest.mark.parametrize("known", [False, True], ids=["first", "second"])
def test_who_was_deposed_proclaims_nothing(known: bool) -> None:
    """LockLost, told by Consul if nobody else has found it out; the new leader's value stays."""
    hand, core = leading()
    if known:
        proclaim(hand, core, "second")
    told: list[LossReason] = []
    assert core.hold is not None
    core.hold.on_lost = told.append
    operator(hand.world, f"/v1/kv/{KEY}", "DELETE")
    other = election(hand, hand.client("b"))
    campaign(hand, other, "other")
    with pytest.raises(LockLost) as caught:
        proclaim(hand, core, "late")
    assert caught.value.reason is LossReason.STOLEN
    assert told == [LossReason.STOLEN]
    assert leader(hand, core).value == "other"


def test_an_index_that_comes_again_does_not_make_a_leader() -> None:
    """As after the restore of a snapshot: the lead is free, and a proclamation does not take it."""
    hand, core = leading()
    proclaim(hand, core, "second")
    assert core.hold is not None
    assert core._written is not None
    operator(hand.world, f"/v1/kv/{KEY}?release={core.hold.session.id}")
    core._written = core._written._replace(modify_index=entry(hand).modify_index)
    with pytest.raises(LockLost) as caught:
        proclaim(hand, core, "third")
    assert caught.value.reason is LossReason.REVOKED
    assert entry(hand).session == ""


def test_a_proclamation_during_a_resignation_is_not_held() -> None:
    """It was no loss: another thread has resigned."""
    hand, core = leading()
    proclaim(hand, core, "second")
    flow = core.proclaim("third", hand.world.now, "me").flow
    writing = hand.until(flow, lambda request: "lock" in verbs(request))
    hand.release(core)
    with pytest.raises(NotHeld):
        hand.run_after(flow, writing)


def test_a_proclamation_without_an_answer_does_not_come_true_after_a_later_one() -> None:
    """It was cut off, and is carried out when the value is another one already."""
    hand, core = leading()
    flow = core.proclaim("ghost", hand.world.now, "me").flow
    ghost = hand.until(flow, lambda request: "lock" in verbs(request))
    flow.close()
    proclaim(hand, core, "second")
    hand.world.submit(ghost)
    assert leader(hand, core).value == "second"
    proclaim(hand, core, "third")
    assert leader(hand, core).value == "third"


@pytest.mark.parametrize("carried_out", [False, True], ids=["before", "after"])
def test_an_error_while_proclaiming_is_ridden_out(carried_out: bool) -> None:
    """Whether the write came before the error or not; the session is in doubt from then on."""
    hand, core = leading()
    flow = core.proclaim("second", hand.world.now, "me").flow
    writing = hand.until(flow, lambda request: "lock" in verbs(request))
    if carried_out:
        hand.world.submit(writing)
    hand.run_from(flow, Unavailable("no answer came"))
    assert leader(hand, core).value == "second"
    assert core.hold is not None
    session = core.hold.session
    hand.release(core)
    assert session.gone


def test_two_proclamations_at_once_are_both_made() -> None:
    """One after the other: whoever comes second looks again."""
    hand, core = leading()
    proclaim(hand, core, "first")
    flow = core.proclaim("by a thread", hand.world.now, "me").flow
    writing = hand.until(flow, lambda request: "lock" in verbs(request))
    proclaim(hand, core, "by another thread")
    hand.run_after(flow, writing)
    assert leader(hand, core).value == "by a thread"


def test_a_value_that_somebody_else_has_written_is_replaced() -> None:
    """The session still leads; an operator's note is no loss."""
    hand, core = leading()
    operator(hand.world, f"/v1/kv/{KEY}?flags={entry(hand).flags}", body=b"a note")
    assert leader(hand, core).value == "a note"
    proclaim(hand, core, "second")
    found = leader(hand, core)
    assert (found.value, found.token) == ("second", core.hold.token if core.hold else 0)


# -- the end of a term


def test_a_term_that_ends_well_is_resigned() -> None:
    """True: it was not lost."""
    hand, core = leading()
    assert hand.run(core.conclude("me")) is True
    assert hand.held() == {}


@pytest.mark.parametrize("told", [False, True], ids=["found by the end", "told before"])
def test_a_term_that_was_lost_says_so(told: bool) -> None:
    """Also if whoever worked has tried to resign, and kept the error for itself."""
    hand, core = leading()
    operator(hand.world, f"/v1/kv/{KEY}", "DELETE")
    if told:
        with pytest.raises(LockLost):
            hand.release(core)
    assert hand.run(core.conclude("me")) is False


def test_a_term_that_was_resigned_already_has_ended_well() -> None:
    """By whoever worked."""
    hand, core = leading()
    hand.release(core)
    assert hand.run(core.conclude("me")) is True


def test_only_the_loss_of_this_election_is_one() -> None:
    """Another lock that was lost in the meantime is the business of whoever worked."""
    _, core = leading()
    assert core.hold is not None
    assert core.lost_by(core.lost_error(core.hold))
    assert not core.lost_by(LockLost("another", key="another/.lock"))
    assert not core.lost_by(NotHeld("not held", key=KEY))


# -- cut off


def campaigning() -> Scene:
    hand = Hand()
    core = election(hand)
    return Scene(hand, core, core.campaign("first", None, "me"))


def campaigning_in_line() -> Scene:
    hand, before = leading("before")
    core = election(hand, hand.client("b"))
    hand.when_blocked = lambda: hand.release(before)
    return Scene(hand, core, core.campaign("first", 15.0, "me"))


def concluding() -> Scene:
    hand, core = leading()
    return Scene(hand, core, core.conclude("me"))


def proclaiming() -> Scene:
    hand, core = leading()
    return Scene(hand, core, core.proclaim("second", hand.world.now, "me"))


def proclaiming_in_trouble() -> Scene:
    scene = proclaiming()
    scene.hand.failures.extend([None, Unavailable("no answer came")])
    return scene


def observing() -> Scene:
    hand, core = leading()
    observer = core.observer()
    hand.run(observer.next())
    hand.failures.append(Unavailable("no answer came"))
    hand.when_blocked = lambda: proclaim(hand, core, "second")
    return Scene(hand, core, Job(observer.next().flow))


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
@pytest.mark.parametrize("carried_out", [False, True])
def test_whoever_is_cut_off_does_not_lead(build: Callable[[], Scene], carried_out: bool) -> None:
    """After the undo it holds nothing, and waits for nothing."""
    for scene, effect in cuts(build):
        if isinstance(effect, Request) and carried_out:
            scene.hand.world.submit(effect)
        scene.job.flow.close()
        client = scene.lock.client
        mine = set(client.pool.live)
        assert scene.job.undo is not None
        scene.hand.run(scene.job.undo())
        assert not mine & set(scene.hand.held().values()), f"cut off at {effect}"
        assert not client.local_queues._queues, f"cut off at {effect}"


def test_a_proclamation_that_is_cut_off_leaves_a_leader() -> None:
    """It leads on, can proclaim again, and its session is used by nobody afterwards."""
    for scene, effect in cuts(proclaiming):
        hand, core = scene.hand, scene.lock
        assert isinstance(core, ElectionCore)
        scene.job.flow.close()
        proclaim(hand, core, "third")
        if isinstance(effect, Request):
            hand.world.submit(effect)
        assert leader(hand, core).value == "third"
        hand.release(core)
        assert hand.held() == {}
