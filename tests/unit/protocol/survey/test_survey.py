"""What is held, seen from outside: keys made sense of, and a watch played by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consul_lock._protocol.consul.durations import parse_duration
from consul_lock._protocol.consul.models import Pair, ReadResult
from consul_lock._protocol.flow import Request
from consul_lock._protocol.keys import LOCK_FLAG, READ_WRITE_FLAG, SEMAPHORE_FLAG
from consul_lock._protocol.survey.sessions import sessions
from consul_lock._protocol.survey.status import Status, status_of_name, statuses_in
from consul_lock._protocol.survey.survey import SurveyCore
from consul_lock.errors import ConfigError, Conflict, PermissionDenied, Unavailable
from tests.simulation.foreign_lock_client import operator
from tests.unit.protocol.fake_driver import NAME, Hand

KEY = f"{NAME}/.lock"
DEAD = "00000000-0000-0000-0000-00000000dead"


def pair(
    key: str, value: Any = b"", flags: int = LOCK_FLAG, session: str = "", at: int = 5
) -> Pair:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Pair(key, text, flags, session, at, at)


def about(host: str, **more: Any) -> dict[str, Any]:
    return {"v": 1, "host": host, "pid": 7, "since": 100.0, **more}


def claim(session: str, mode: str = "slot", n: int = 1) -> dict[str, Any]:
    return {"claim": {"mode": mode, "places": 1, "of": session, "n": n}}


def hosts(holders: Any) -> list[str]:
    return [holder.host or holder.session for holder in holders]


# -- making sense of keys


def test_a_lock_with_its_line() -> None:
    """The holder is the key's, the waiters come in the order of their coming."""
    (status,) = statuses_in(
        [
            pair("a/.lock", about("web1"), session="s1", at=9),
            pair("a/.queue", b"sign"),
            pair("a/.queue/s2", about("web2"), session="s2", at=30),
            pair("a/.queue/s3", about("web3"), session="s3", at=20),
        ]
    )
    assert (status.name, status.key, status.kind) == ("a", "a/.lock", "lock")
    assert (status.state, status.mode, status.limit, status.held) == ("held", "exclusive", 1, True)
    assert hosts(status.holders) == ["web1"]
    assert status.holders[0].token == status.index == 9
    assert hosts(status.waiters) == ["web3", "web2"]


def test_a_lock_that_nobody_holds() -> None:
    """Left behind as Go does it, or with waiters only, or exactly on a key with its line."""
    assert [s.state for s in statuses_in([pair("a/.lock")])] == ["free"]
    (waiting,) = statuses_in([pair("a/.queue"), pair("a/.queue/s2", about("web2"), session="s2")])
    assert (waiting.kind, waiting.state, waiting.index) == ("lock", "free", 0)
    assert hosts(waiting.waiters) == ["web2"]
    exact = [pair("a", b"", session="s1"), pair("a/.queue/s2", about("web2"), session="s2")]
    (status,) = statuses_in(exact)
    assert (status.name, status.key, hosts(status.waiters)) == ("a", "a", ["web2"])
    both = statuses_in([*exact, pair("a/.lock", about("web4"), session="s4")])
    assert [(s.key, hosts(s.holders), hosts(s.waiters)) for s in both] == [
        ("a", ["s1"], []),
        ("a/.lock", ["web4"], ["web2"]),
    ]


def test_a_holder_that_is_in_line_still_does_not_wait_for_itself() -> None:
    """It was handed the lock, and did not know that it had joined."""
    keys = [
        pair("a/.lock", about("x"), session="s1"),
        pair("a/.queue/s1", about("x"), session="s1"),
    ]
    assert statuses_in(keys)[0].waiters == ()


def semaphore_keys(
    *there: str, limit: int = 3, inside: tuple[str, ...] = ("s1", "s2")
) -> list[Pair]:
    document = {"Limit": limit, "Holders": dict.fromkeys(inside, True)}
    return [
        pair("a/.lock", document, SEMAPHORE_FLAG),
        *(
            pair(f"a/{s}", {**about(f"host-{s}"), **claim(s)}, SEMAPHORE_FLAG, s, at=10 + n)
            for n, s in enumerate(there)
        ),
    ]


def test_a_semaphore() -> None:
    """Whoever is in its document holds it, and whoever else contends waits."""
    (status,) = statuses_in(semaphore_keys("s2", "s1", "s9"))
    assert (status.kind, status.state, status.mode, status.limit) == (
        "semaphore", "held", "slot", 3,
    )  # fmt: skip
    assert hosts(status.holders) == ["host-s2", "host-s1"]
    assert hosts(status.waiters) == ["host-s9"]
    assert status.vanished == ()


@pytest.mark.parametrize(
    "flags, beside",
    [
        (SEMAPHORE_FLAG, "a/.slot/0"),
        (SEMAPHORE_FLAG, f"a/{DEAD}"),
        (READ_WRITE_FLAG, f"a/.lock/{DEAD}"),
    ],
)
def test_numbers_of_slots_and_keys_of_the_dead_are_no_names(flags: int, beside: str) -> None:
    """They belong to what they are beside, and change nothing of it."""
    document = {"Limit": 2, "Holders": {}} if flags == SEMAPHORE_FLAG else {"Holders": {}}
    alone = statuses_in([pair("a/.lock", document, flags)])
    assert statuses_in([pair("a/.lock", document, flags), pair(beside, b"", flags)]) == alone
    (left,) = statuses_in([pair(beside, b"", flags)])
    assert (left.name, left.kind, left.state) == ("a", alone[0].kind, "free")


def test_holders_without_a_key_have_vanished() -> None:
    """One of them: it is held, and they come last.  All: it is not, and whoever comes gets in."""
    (status,) = statuses_in(semaphore_keys("s2"))
    assert (status.state, hosts(status.holders), status.vanished) == (
        "held", ["host-s2", "s1"], ("s1",),
    )  # fmt: skip
    (status,) = statuses_in(semaphore_keys())
    assert (status.state, status.held, status.vanished) == ("vanished", False, ("s1", "s2"))
    (status,) = statuses_in(semaphore_keys(inside=()))
    assert (status.state, status.holders, status.limit) == ("free", (), 3)


def test_who_has_died_is_still_named() -> None:
    """By its key, which Consul keeps without the session; it waits for nothing any more."""
    key = pair(f"a/{DEAD}", {**about("web3"), **claim(DEAD)}, SEMAPHORE_FLAG)
    (status,) = statuses_in([*semaphore_keys("s2", inside=("s2", DEAD)), key])
    assert (hosts(status.holders), status.vanished) == (["host-s2", "web3"], (DEAD,))
    (status,) = statuses_in([*semaphore_keys("s2", inside=("s2",)), key])
    assert (hosts(status.holders), status.waiters, status.vanished) == (["host-s2"], (), ())


def test_nobody_has_vanished_from_a_list_that_hides_keys() -> None:
    """They are holders, of whom we may not know more."""
    (status,) = statuses_in(semaphore_keys("s2"), filtered=True)
    assert (status.state, status.vanished) == ("held", ())
    assert hosts(status.holders) == ["host-s2", "s1"]


def test_a_semaphore_without_a_document_has_no_limit_yet() -> None:
    """Contenders only, or an empty document, as Go takes it for one."""
    (status,) = statuses_in(semaphore_keys("s1")[1:])
    assert (status.kind, status.state, status.limit, status.index) == ("semaphore", "free", None, 0)
    assert hosts(status.waiters) == ["host-s1"]
    (status,) = statuses_in([pair("a/.lock", b"", SEMAPHORE_FLAG)])
    assert (status.kind, status.limit, status.index) == ("semaphore", None, 5)


@pytest.mark.parametrize("mode", ["read", "write"])
def test_a_read_write_lock(mode: str) -> None:
    """Its contenders are below its document; what is below the name is something else."""
    ids = ["s1", "s2"] if mode == "read" else ["s1"]
    status, below = statuses_in(
        [
            pair("a/.lock", {"Holders": {s: {"mode": mode} for s in ids}}, READ_WRITE_FLAG),
            *(
                pair(f"a/.lock/{s}", {**about(s), **claim(s, mode)}, READ_WRITE_FLAG, s)
                for s in ids
            ),
            pair("a/.lock/w", {**about("w"), **claim("w", "write")}, READ_WRITE_FLAG, "w", at=90),
            pair("a/b", b"something", 0),
        ]
    )
    assert (status.kind, status.mode, status.limit, status.state) == (
        "read-write", mode, None, "held",
    )  # fmt: skip
    assert hosts(status.holders) == ids
    assert hosts(status.waiters) == ["w"]
    assert (below.name, below.kind) == ("a/b", "foreign")


def test_a_group_that_waits_is_one_waiter() -> None:
    """Its sessions get in together."""
    keys = semaphore_keys()[:1]
    for session in ("s7", "s8"):
        keys.append(
            pair(f"a/{session}", {**about("x"), **claim("s7", n=2)}, SEMAPHORE_FLAG, session)
        )
    (status,) = statuses_in(keys)
    assert [waiter.session for waiter in status.waiters] == ["s7"]


@pytest.mark.parametrize(
    "found",
    [
        pair("a", b"hello", 0),
        pair("a/.lock", b"hello", 0),
        pair("a/.lock", b"hello", 42, "s1"),
        pair("a/.lock", b"not json", SEMAPHORE_FLAG),
        pair("a/.lock", {"Limit": 0, "Holders": {}}, SEMAPHORE_FLAG),
        pair("a/.lock", {"Limit": 3, "Holders": ["s1"]}, SEMAPHORE_FLAG),
        pair("a/.lock", {"Holders": {"s1": {"mode": "unheard of"}}}, READ_WRITE_FLAG),
        pair("a", {"Limit": 3, "Holders": {}}, SEMAPHORE_FLAG),
    ],
    ids=lambda found: f"{found.key} {found.flags} {found.value[:20]}",
)
def test_what_is_no_lock_is_shown_as_it_is(found: Pair) -> None:
    """With the reason, and nothing is invented."""
    (status,) = statuses_in([found])
    assert (status.name, status.key, status.kind, status.state) == (
        "a", found.key, "foreign", "unknown",
    )  # fmt: skip
    assert (status.value, status.flags, status.holders) == (found.value, found.flags, ())
    assert found.key in status.problem


_parts = st.sampled_from(["a", ".lock", ".queue", "s1", "s2", "b"])
_flags = st.sampled_from([0, LOCK_FLAG, SEMAPHORE_FLAG, READ_WRITE_FLAG])
_values = st.sampled_from(
    [b"", b"x", b"{}", b'{"Limit":2,"Holders":{"s1":true}}', b'{"Holders":{"s1":{"mode":"read"}}}',
     b'{"host":1,"pid":"x"}', b'{"host":"h","pid":1,"since":1e999}', b"[" * 2000]
)  # fmt: skip
_pairs = st.builds(
    lambda parts, value, flags, session, at: Pair("/".join(parts), value, flags, session, at, at),
    st.lists(_parts, min_size=1, max_size=4),
    _values,
    _flags,
    st.sampled_from(["", "s1", "s2"]),
    st.integers(1, 9),
)


@given(st.lists(_pairs, max_size=8, unique_by=lambda p: p.key), st.booleans())
def test_whatever_is_there_is_made_sense_of(pairs: list[Pair], filtered: bool) -> None:
    """Nothing is raised; every lock key and every foreign key is one record, under its own key."""
    found = statuses_in(pairs, filtered)
    assert len({status.key for status in found}) == len(found)
    holders = {holder.session for status in found for holder in status.holders}
    for one in pairs:
        if one.key.endswith("/.lock") or one.flags == 0:
            assert one.key in {status.key for status in found}
        if one.key.endswith("/.lock") and one.flags == LOCK_FLAG and one.session:
            assert one.session in holders
    for status in found:
        assert status.held == (len(status.holders) > len(status.vanished))


def test_one_name_among_others() -> None:
    """A lock of the name itself, else one exactly on that key, else nothing."""
    keys = [pair("a/.lock"), pair("a", b"x", 0), pair("b", session="s1"), pair("a/b/.lock")]
    assert [status_of_name(n, keys).key for n in ("a", "b", "c")] == ["a/.lock", "b", "c/.lock"]
    assert (status_of_name("c", keys).kind, status_of_name("c", keys).state) == ("none", "free")


# -- asking


def survey(hand: Hand) -> SurveyCore:
    return SurveyCore(hand.client("survey"))


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


def test_a_lone_string_is_no_list_of_sessions() -> None:
    """It would be taken for one id a letter."""
    with pytest.raises(ConfigError, match="one string"):
        survey(Hand()).sessions("abc")


def test_sessions_without_any_word_on_their_node() -> None:
    """Some Consul, or some token, does not tell: what is known is told all the same."""
    hand = Hand()
    hand.acquire(lock := hand.lock())
    assert lock.hold is not None
    id_ = lock.hold.session.id
    found = hand.run(sessions(hand.client().api, [id_, "another"]))
    assert list(found) == [id_]
    assert (found[id_].ttl, found[id_].node_checks, found[id_].node_health) == (10.0, {}, "")


@pytest.mark.parametrize(
    "text, expected",
    [("", 0), ("10s", 10), ("1m30s", 90), ("24h0m0s", 86400), ("1500ms", 1.5), ("1.5s", 1.5)],
)
def test_durations_as_go_writes_them(text: str, expected: float) -> None:
    """Consul answers with the text that it was given."""
    assert parse_duration(text) == expected


def test_only_what_is_idle_and_unchanged_is_removed() -> None:
    """Held or foreign: `Conflict`.  Changed since it was seen: False, and it stays."""
    hand = Hand()
    core, lock = survey(hand), hand.lock()
    hand.acquire(lock)
    held = hand.run(core.status(NAME))
    with pytest.raises(Conflict, match="is held"):
        core.remove(held, False)
    operator(hand.world, "/v1/kv/plain", body=b"x")
    with pytest.raises(Conflict, match="not a lock"):
        core.remove(hand.run(core.status("plain")), True)
    hand.release(lock)
    assert hand.run(core.remove(hand.run(core.status(NAME)), False)) is False  # nothing is there
    operator(hand.world, f"/v1/kv/{KEY}?flags={LOCK_FLAG}", body=b"left")
    seen = hand.run(core.status(NAME))
    operator(hand.world, f"/v1/kv/{KEY}?flags={LOCK_FLAG}", body=b"changed")
    assert hand.run(core.remove(seen, False)) is False
    seen = hand.run(core.status(NAME))
    assert hand.run(core.remove(seen, False)) is True
    assert KEY not in hand.held()
    assert hand.run(core.remove(seen, False)) is False


def test_force_removes_under_a_holder() -> None:
    """Whose session stays alive."""
    hand = Hand()
    hand.acquire(hand.lock())
    before = hand.sessions()
    assert hand.run(survey(hand).remove(hand.run(survey(hand).status(NAME)), True)) is True
    assert KEY not in hand.held()
    assert hand.sessions() == before


# -- errors, and who broke it


def survey_of(hand: Hand) -> tuple[SurveyCore, str]:
    """Somebody who looks on, and the session that holds the name."""
    lock = hand.lock()
    hand.acquire(lock)
    assert lock.hold is not None
    return survey(hand), lock.hold.session.id


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


def test_a_removal_whose_answer_was_lost_is_no_change_by_others() -> None:
    """Tried again it is refused, as it has been done."""
    hand = Hand()
    operator(hand.world, f"/v1/kv/{KEY}?flags={LOCK_FLAG}", body=b"left")
    core = survey(hand)
    flow = core.remove(hand.run(core.status(NAME)), False).flow
    hand.perform(hand.until(flow, lambda request: True))
    assert hand.run_from(flow, Unavailable("no answer", uncertain=True)) is True
    assert KEY not in hand.held()


def test_a_note_goes_by_itself() -> None:
    """With its session, which nobody renews; then nothing is left of it."""
    hand = Hand()
    core, session = survey_of(hand)
    made = hand.run(core.break_hold(NAME, session, "disk full"))
    status = hand.run(core.status(NAME))
    assert (status.kind, status.state, status.last_break) == ("lock", "free", made)
    assert set(hand.held()) == {KEY, f"{NAME}/.break/{session}"}
    hand.world.advance(3500)
    assert hand.run(core.break_of(NAME, session)) == made
    hand.world.advance(4000)
    assert (hand.held(), hand.sessions()) == ({KEY: ""}, set())
    assert hand.run(core.status(NAME)).last_break is None


def test_who_may_not_write_a_note_breaks_all_the_same() -> None:
    """And leaves no session for a note that is not there."""
    hand = Hand()
    core, session = survey_of(hand)
    hand.failures.extend([None, PermissionDenied("no")])
    assert hand.run(core.break_hold(NAME, session, "disk full")) is None
    assert (hand.held(), hand.sessions()) == ({KEY: ""}, set())


def test_a_breaking_that_fails_leaves_no_note() -> None:
    """The hold is as it was, and nobody says otherwise."""
    hand = Hand()
    core, session = survey_of(hand)
    job = core.break_hold(NAME, session, "disk full")
    hand.failures.extend([None, None, PermissionDenied("no")])
    with pytest.raises(PermissionDenied):
        hand.run(job)
    assert job.undo is not None
    hand.run(job.undo())
    assert (hand.held(), hand.sessions()) == ({KEY: session}, {session})


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b'{"at":"x","host":1,"user":2,"reason":3}'])
def test_a_note_that_makes_no_sense_is_passed_over(value: bytes) -> None:
    """The one before it counts; a key that only looks like a note is a key like any other."""
    good = {"v": 1, "at": 9.0, "host": "web3", "user": "alice", "reason": "r"}
    (status,) = statuses_in(
        [
            pair("a/.break/s1", good, session="n1", at=5),
            pair("a/.break/s2", value, session="n2", at=9),
        ]
    )
    assert (status.kind, status.state, status.index) == ("none", "free", 0)
    assert status.last_break is not None
    assert (status.last_break.session, str(status.last_break)) == ("s1", "alice@web3: r")
    assert [s.kind for s in statuses_in([pair("a/.break/s1", good, flags=0)])] == ["foreign"]
    exact = [pair("a", about("web1"), session="s3"), pair("a/.break/s1", good, session="n1")]
    assert [(s.key, bool(s.last_break), s.held) for s in statuses_in(exact)] == [("a", True, True)]


# -- watching


def following(hand: Hand, timeout: float | None = None) -> Callable[[], Status | None]:
    """Each call is the next step of a watch."""
    lookout = survey(hand).lookout(NAME, timeout)
    return lambda: hand.run(lookout.next())


def events(hand: Hand, name: str = NAME, timeout: float | None = None) -> Callable[[], Any]:
    """Each call is the next step of a watch for changes."""
    lookout = survey(hand).lookout_below(name, timeout)

    def step() -> Any:
        news = hand.run(lookout.news())
        return news and [(change.what, change.status.name, change.status.state) for change in news]

    return step


def test_every_status_is_shown_once() -> None:
    """As it is now, then what differs; a poll without news shows nothing."""
    hand = Hand()
    lock, step = hand.lock(), following(hand)
    assert step().state == "free"
    hand.when_blocked = lambda: hand.acquire(lock)
    assert step().holders[0].host == "a"

    def in_the_next_poll() -> None:
        hand.when_blocked = lambda: hand.release(lock)

    hand.when_blocked = in_the_next_poll
    begun = hand.world.now
    assert step().state == "free"
    assert hand.world.now >= begun + 10


@pytest.mark.parametrize("name", [NAME, "jobs/", ""])
def test_acquired_and_released(name: str) -> None:
    """Of one name, below a prefix, and of all there is."""
    hand = Hand()
    lock = hand.lock()
    hand.acquire(lock)
    step = events(hand, name)
    assert step() == [("held", NAME, "held")]
    hand.when_blocked = lambda: hand.release(lock)
    assert step() == [("released", NAME, "free")]
    assert hand.sent[-1].path.startswith("/v1/session/info/")  # alive: that says it all
    hand.when_blocked = lambda: hand.acquire(lock)
    assert step() == [("acquired", NAME, "held")]

    def again() -> None:
        hand.release(lock)
        hand.acquire(lock)

    hand.when_blocked = again
    news = step()
    if len(news) == 1:
        news += step()  # it was seen in between
    assert [what for what, _, _ in news] == ["released", "acquired"]


def test_a_loss_is_told_from_a_release() -> None:
    """By the session: it has ended with the key, or after it."""
    hand = Hand()
    lock = hand.lock()
    hand.acquire(lock)
    step = events(hand)
    step()

    def session() -> str:
        assert lock.hold is not None
        return lock.hold.session.id

    hand.when_blocked = lambda: operator(hand.world, f"/v1/session/destroy/{session()}")
    assert step() == [("lost", NAME, "free")]
    lock = hand.lock(hand.client("b"))
    hand.world.advance(60)
    hand.when_blocked = lambda: hand.acquire(lock)
    assert step() == [("acquired", NAME, "held")]

    def leave_for_good() -> None:
        ours = session()
        hand.release(lock)
        operator(hand.world, f"/v1/session/destroy/{ours}")

    hand.when_blocked = leave_for_good
    assert step() == [("released", NAME, "free")]


def test_a_slot_that_vanishes_is_lost() -> None:
    """Its holder is in the document still, without a key; its removal later is no news."""
    hand = Hand()
    hand.acquire(other := hand.lock(name="other"))
    assert other.hold is not None
    id_ = other.hold.session.id
    take = f"/v1/kv/{NAME}/{id_}?acquire={id_}&flags={SEMAPHORE_FLAG}"
    operator(hand.world, take, body=b"")

    def write(document: bytes) -> None:
        operator(hand.world, f"/v1/kv/{KEY}?flags={SEMAPHORE_FLAG}", body=document)

    write(f'{{"Limit":2,"Holders":{{"{id_}":true}}}}'.encode())
    step = events(hand, timeout=50)
    assert step() == [("held", NAME, "held")]

    def die() -> None:
        operator(hand.world, f"/v1/session/destroy/{id_}")
        operator(hand.world, "/v1/session/create")  # so its end is not the last of all

    hand.when_blocked = die
    assert step() == [("lost", NAME, "vanished")]
    hand.when_blocked = lambda: write(b'{"Limit":2,"Holders":{}}')
    assert step() is None


def test_an_old_picture_is_not_believed() -> None:
    """A deposed leader of the servers may show one: its index is below what was seen."""
    hand = Hand()
    hand.acquire(hand.lock())
    lookout = survey(hand).lookout_below("jobs/", None)
    hand.run(lookout.news())
    flow = lookout._following()
    blocked = hand.until(flow, lambda request: request.wait > 0)
    assert ("consistent", "1") not in blocked.params
    again = hand.next_of(flow, ReadResult(hand.world.now, 1, ()))
    assert isinstance(again, Request)
    assert ("consistent", "1") in again.params
    assert again.wait == 0


def test_a_watch_ends_in_time() -> None:
    """After one look at least, whatever the time."""
    hand = Hand()
    step = following(hand, timeout=25)
    assert step().state == "free"
    begun = hand.world.now
    assert step() is None
    assert 25 <= hand.world.now - begun < 30
    step = following(hand, timeout=0)
    assert step().state == "free"
    assert step() is None


def test_errors_are_ridden_out_for_a_while() -> None:
    """They are no change; then they are raised, and no later than the time is over."""
    hand = Hand()
    lock, step = hand.lock(), following(hand)
    step()
    hand.failures.extend([Unavailable("one"), Unavailable("two")])
    hand.when_blocked = lambda: hand.acquire(lock)
    assert step().state == "held"
    begun = hand.world.now
    hand.failures.extend([Unavailable("down")] * 1000)
    with pytest.raises(Unavailable, match="down"):
        step()
    assert 30 <= hand.world.now - begun < 31
    step, begun = following(hand, timeout=3), hand.world.now
    with pytest.raises(Unavailable, match="down"):
        step()
    assert 3 <= hand.world.now - begun < 5


def test_what_may_not_be_asked_is_raised_at_once() -> None:
    """An ACL does not change by waiting."""
    hand = Hand()
    hand.failures.append(PermissionDenied("no"))
    with pytest.raises(PermissionDenied):
        following(hand)()


def test_an_end_that_cannot_be_asked_about_is_a_release() -> None:
    """No alarm without proof."""
    hand = Hand()
    lock = hand.lock()
    hand.acquire(lock)
    step = events(hand)
    step()

    def end() -> None:
        assert lock.hold is not None
        operator(hand.world, f"/v1/session/destroy/{lock.hold.session.id}")
        # The read of the picture is answered, the question about the session is not.
        hand.failures.extend([None, PermissionDenied("no")])

    hand.when_blocked = end
    assert step() == [("released", NAME, "free")]
    assert hand.sent[-1].path.startswith("/v1/session/info/")
