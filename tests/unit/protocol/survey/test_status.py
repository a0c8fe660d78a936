"""Keys made sense of: locks, semaphores, read/write locks, and what is none of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.keys import LOCK_FLAG, READ_WRITE_FLAG, SEMAPHORE_FLAG
from consul_lock._protocol.survey.status import status_of_name, statuses_in
from tests.unit.protocol.survey.survey_driver import about, pair

DEAD = "00000000-0000-0000-0000-00000000dead"


def claim(session: str, mode: str = "slot", n: int = 1, places: int = 1) -> dict[str, Any]:
    return {"claim": {"mode": mode, "places": places, "of": session, "n": n}}


def hosts(holders: Any) -> list[str]:
    return [holder.host or holder.session for holder in holders]


def test_a_lock_with_its_queue() -> None:
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


def test_a_holder_that_is_still_queued_does_not_wait_for_itself() -> None:
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
    """The sessions in its document hold it, and its other contenders wait."""
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
    """One of them: it is held, and they come last.  All: it is not, and a newcomer gets in."""
    (status,) = statuses_in(semaphore_keys("s2"))
    assert (status.state, hosts(status.holders), status.vanished) == (
        "held", ["host-s2", "s1"], ("s1",),
    )  # fmt: skip
    (status,) = statuses_in(semaphore_keys())
    assert (status.state, status.held, status.vanished) == ("vanished", False, ("s1", "s2"))
    (status,) = statuses_in(semaphore_keys(inside=()))
    assert (status.state, status.holders, status.limit) == ("free", (), 3)


def test_a_dead_holder_is_still_named() -> None:
    """By its key, which Consul keeps without the session; it waits for nothing any more."""
    key = pair(f"a/{DEAD}", {**about("web3"), **claim(DEAD)}, SEMAPHORE_FLAG)
    (status,) = statuses_in([*semaphore_keys("s2", inside=("s2", DEAD)), key])
    assert (hosts(status.holders), status.vanished) == (["host-s2", "web3"], (DEAD,))
    (status,) = statuses_in([*semaphore_keys("s2", inside=("s2",)), key])
    assert (hosts(status.holders), status.waiters, status.vanished) == (["host-s2"], (), ())


def test_nobody_has_vanished_from_a_list_that_hides_keys() -> None:
    """They are holders of which the token may not know more."""
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


@pytest.mark.parametrize(
    "name, holders, tree",
    [
        ("a", {"s1": ("read", 2)}, True),
        ("a", {"s1": ("read", 1), "s2": ("read", 3)}, True),
        ("a/b", {"s1": ("write", 2)}, True),
        ("a", {"s1": ("read", 1)}, False),
        ("a/b", {"s1": ("write", 1)}, False),
        # A tree lock on one element is in one document, as a writer is.
        ("a", {"s1": ("write", 1)}, None),
        ("a", {}, None),
        # Its key is hidden, or gone.
        ("a/b", {"s1": ("read", 0)}, None),
        (f"a/{DEAD}/b", {DEAD: ("write", 2)}, True),
    ],
)
def test_a_tree_lock_is_known_by_its_places(
    name: str, holders: dict[str, tuple[str, int]], tree: bool | None
) -> None:
    """It is in the documents of all nodes of its path, and a read/write lock in one."""
    document = {"Holders": {s: {"mode": mode} for s, (mode, _) in holders.items()}}
    keys = [
        pair(
            f"{name}/.lock/{s}",
            {**about(s), **claim(s, mode, places=places)},
            READ_WRITE_FLAG,
            "" if s == DEAD else s,
        )
        for s, (mode, places) in holders.items()
        if places
    ]
    status = status_of_name(name, [pair(f"{name}/.lock", document, READ_WRITE_FLAG), *keys])
    assert (status.kind, status.tree) == ("read-write", tree)


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
def test_a_key_that_is_not_a_lock_is_shown_as_it_is(found: Pair) -> None:
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
