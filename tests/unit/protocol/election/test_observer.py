"""Observing an election, played by hand: every leader once, none after a newer one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consul_lock._protocol.consul.models import Pair, ReadResult
from consul_lock._protocol.election.observer import Leader, Observer
from consul_lock._protocol.flow import Flow, Now, Request, Sleep
from consul_lock._protocol.holder import OwnerInfo
from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock._protocol.session.timing import session_options
from consul_lock.errors import PermissionDenied, Unavailable
from tests.support.world_operator import operator
from tests.unit.protocol.election.test_election import KEY, campaign, election, leading, proclaim
from tests.unit.protocol.fake_driver import FakeDriver


def following(driver: FakeDriver) -> Callable[[], Leader | None]:
    """Each call is the next step of an observer."""
    observer = Observer(driver.client("observer"), KEY)
    return lambda: driver.run(observer.next())


def shown(leader: Leader | None) -> Any:
    return leader and leader.value


# -- what is shown


def test_every_change_is_shown() -> None:
    """Nobody, a leader, its next value, nobody, and a leader again."""
    driver = FakeDriver()
    core = election(driver)
    step = following(driver)
    assert step() is None
    driver.when_blocked = lambda: campaign(driver, core, "first")
    assert shown(step()) == "first"
    driver.when_blocked = lambda: proclaim(driver, core, "second")
    assert shown(step()) == "second"
    driver.when_blocked = lambda: driver.release(core)
    assert step() is None
    driver.when_blocked = lambda: campaign(driver, core, "third")
    assert shown(step()) == "third"


def test_the_present_leader_is_shown_at_once() -> None:
    """The first look does not wait; it needs no session, and makes none."""
    driver, core = leading()
    before = driver.sessions()
    step = following(driver)
    assert shown(step()) == "first"
    assert driver.requests() == [f"GET kv/{KEY}"]
    assert driver.sessions() == before
    assert core.hold is not None


def test_an_unchanged_state_is_not_shown_twice() -> None:
    """The same words proclaimed again, and a poll that ends without news."""
    driver, core = leading()
    step = following(driver)
    step()
    operator(driver.world, f"/v1/kv/{KEY}?flags={LOCK_FLAG}", body=b"a note")
    proclaim(driver, core, "first")

    def in_the_next_poll() -> None:
        driver.when_blocked = lambda: proclaim(driver, core, "second")

    driver.when_blocked = in_the_next_poll
    begun = driver.world.now
    assert shown(step()) == "second"
    assert driver.world.now >= begun + 10


def test_a_leader_that_was_elected_again_is_shown_again() -> None:
    """With the same session and the same value it is another term of office: another token."""
    driver, core = leading()
    step = following(driver)
    first = step()
    assert core.hold is not None
    session = core.hold.session
    driver.release(core)
    campaign(driver, core, "first")
    second = step()
    assert first is not None
    assert second is not None
    assert core.hold.session is session
    assert (second.value, second.holder.session) == (first.value, first.holder.session)
    assert second.token == core.hold.token > first.token


def test_a_foreign_leader_is_shown_with_all_that_it_says() -> None:
    """As Go's clients write it: the value is text, or bytes; writing it again is no change."""
    driver = FakeDriver()
    step = following(driver)
    session = driver.acquire(other := driver.lock(name="another")) and other.hold
    assert session
    take = f"/v1/kv/{KEY}?acquire={session.session.id}&flags={LOCK_FLAG}"
    operator(driver.world, take, body=b"node-1 \xff")
    leader = step()
    assert leader is not None
    assert (leader.value, leader.holder.foreign) == ("node-1 \ufffd", True)
    assert (leader.holder.session, leader.holder.host) == (session.session.id, "")
    assert leader.token == driver.world._server.kv.entries[KEY].modify_index
    operator(driver.world, take, body=b"")
    operator(driver.world, take, body=b"node-1 \xff")
    driver.when_blocked = lambda: operator(driver.world, take, body=b"node-2")
    assert shown(step()) == "node-2"


def test_another_leader_with_the_same_value_is_shown() -> None:
    """Two without a value are distinguished by their sessions."""
    driver = FakeDriver()
    step, sessions = following(driver), list[str]()
    for name in ("one", "two"):
        driver.acquire(lock := driver.lock(name=name))
        assert lock.hold is not None
        operator(driver.world, f"/v1/kv/{KEY}", "DELETE")
        operator(driver.world, f"/v1/kv/{KEY}?acquire={lock.hold.session.id}&flags={LOCK_FLAG}")
        leader = step()
        assert leader is not None
        sessions.append(leader.holder.session)
    assert sessions[0] != sessions[1]


def test_a_key_that_nobody_holds_is_no_leader() -> None:
    """Go leaves it behind when it lets go; others may use it for something else."""
    driver = FakeDriver()
    operator(driver.world, f"/v1/kv/{KEY}?flags=7", body=b"precious")
    assert following(driver)() is None
    assert driver.run(election(driver).leader()) is None


@pytest.mark.parametrize(
    "value",
    [
        b'{"host": "a", "pid": 1, "value": 7, "token": "x"}',
        b'{"host": "a", "pid": 1, "token": true}',
        b'{"host": "a", "pid": 1, "token": 999999}',
        b'{"host": "a", "pid": 1, "token": -5}',
        b'{"host": "a", "pid": 1e999}',
        b'{"value": ["deep"]}',
        b"[" * 100_000,
        b"\xff\xfe",
        b"",
    ],
    ids=range(9),
)
def test_nonsense_in_the_key_is_shown_and_raises_nothing(value: bytes) -> None:
    """A value that is not a token is not taken for one."""
    driver, core = leading()
    assert core.hold is not None
    operator(driver.world, f"/v1/kv/{KEY}?acquire={core.hold.session.id}", body=value)
    leader = following(driver)()
    assert leader is not None
    assert leader.token == driver.world._server.kv.entries[KEY].modify_index
    assert isinstance(leader.value, str)


# -- stale reads


class Answers:
    """An observer that gets Consul's answers."""

    def __init__(self) -> None:
        self.driver = FakeDriver()
        self.about = OwnerInfo({"host": "a", "pid": 1}, session_options(), None, None, "")
        self.observer = Observer(self.driver.client(), KEY)
        self.now = 0.0
        self.flow: Flow[Leader | None] = self.observer.next().flow
        self.request = self._asked(next(self.flow))

    def found(self, index: int, session: str | None) -> ReadResult:
        """A read of the key; None: there is none."""
        value = self.about.value(0.0)
        pair = Pair(KEY, value, LOCK_FLAG, session or "", 1, index)
        return ReadResult(self.now, index, (pair,) if session else ())

    def answer(self, found: ReadResult | Exception) -> str:
        """What comes of an answer: the session that is shown, or what is asked next."""
        try:
            effect = self._after(found)
        except StopIteration as end:
            self.flow = self.observer.next().flow
            self.request = self._asked(next(self.flow))
            return end.value.holder.session if end.value else "nobody"
        self.request = self._asked(effect)
        return self.asked()

    def _after(self, found: ReadResult | Exception) -> Any:
        if isinstance(found, Exception):
            return self.flow.throw(found)
        return self.flow.send(found)

    def asked(self) -> str:
        params = dict(self.request.params)
        if "consistent" in params:
            return "certain"
        return f"from {params['index']}" if "index" in params else "at once"

    def _asked(self, effect: Any) -> Request:
        while not isinstance(effect, Request):
            if isinstance(effect, Sleep):
                self.now += effect.high
            effect = self.flow.send(self.now if isinstance(effect, Now) else None)
        return effect


def test_the_next_look_waits_from_the_last_answer() -> None:
    """That is the index which Consul said, and the wait ends in good time."""
    answers = Answers()
    assert answers.asked() == "at once"
    assert answers.answer(answers.found(7, "a")) == "a"
    assert answers.asked() == "from 7"
    assert answers.request.wait == 10.0


@pytest.mark.parametrize("old", ["a", None])
def test_an_old_picture_is_not_shown_after_a_newer_one(old: str | None) -> None:
    """A deposed leader of the servers answers; a read that it cannot answer tells the truth."""
    answers = Answers()
    assert answers.answer(answers.found(7, "a")) == "a"
    assert answers.answer(answers.found(12, "b")) == "b"
    assert answers.answer(answers.found(9, old)) == "certain"
    assert answers.answer(answers.found(12, "b")) == "from 12"
    assert answers.answer(answers.found(13, None)) == "nobody"


def test_an_old_picture_is_not_shown_after_an_error_either() -> None:
    """The look after an error does not wait, but what was seen is not forgotten."""
    answers = Answers()
    answers.answer(answers.found(12, "b"))
    assert answers.answer(Unavailable("no answer came")) == "at once"
    assert answers.answer(answers.found(7, "a")) == "certain"
    assert answers.answer(answers.found(12, "b")) == "from 12"


def test_a_restored_snapshot_is_believed() -> None:
    """Its indexes are lower for good: the certain read says so, and the next look goes by it."""
    answers = Answers()
    answers.answer(answers.found(700, "a"))
    assert answers.answer(answers.found(30, "b")) == "certain"
    assert answers.answer(answers.found(31, "b")) == "b"
    assert answers.asked() == "from 31"
    assert answers.answer(answers.found(32, None)) == "nobody"


# -- errors


def test_errors_are_no_change_and_are_ridden_out() -> None:
    """For so long as the client says, counted anew after each good answer."""
    driver, _ = leading()
    step = following(driver)
    driver.failures.extend([Unavailable("no leader")] * 3)
    begun = driver.world.now
    assert shown(step()) == "first"
    assert driver.world.now > begun
    driver.failures.extend([Unavailable("no leader")] * 100)
    begun = driver.world.now
    with pytest.raises(Unavailable, match="no leader"):
        step()
    assert begun + 30 <= driver.world.now < begun + 31


def test_a_good_answer_ends_the_count() -> None:
    """Troubles that are far apart do not add up."""
    answers = Answers()
    answers.answer(answers.found(7, "a"))
    for _ in range(5):
        assert answers.answer(Unavailable("no leader")) == "at once"
        answers.now += 15
        assert answers.answer(answers.found(7, "a")) == "from 7"


def test_other_errors_are_raised_at_once() -> None:
    """The token may not read: no patience helps."""
    answers = Answers()
    with pytest.raises(PermissionDenied):
        answers.answer(PermissionDenied("no"))


def test_a_closed_client_ends_the_observer() -> None:
    """It does not wait for one that never comes back."""
    answers = Answers()
    answers.observer._client.begin_to_close()
    with pytest.raises(Unavailable):
        answers.answer(Unavailable("the client is closed"))


def test_answers_without_news_that_come_at_once_are_not_asked_for_in_a_tight_loop() -> None:
    """A proxy may cut long polls short; Consul may answer without news."""
    answers = Answers()
    answers.answer(answers.found(7, "a"))
    for _ in range(100):
        assert answers.answer(answers.found(7, "a")) == "from 7"
    assert answers.now >= 5
