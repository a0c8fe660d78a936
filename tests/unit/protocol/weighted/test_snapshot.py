"""Who waits in which order, who may enter, who gets what becomes free: as pure functions."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock._protocol.weighted.document import (
    ALL,
    READ_WRITE,
    SEMAPHORE,
    Document,
    Kind,
    encode_document,
)
from consul_lock._protocol.weighted.layout import Contender
from consul_lock._protocol.weighted.snapshot import (
    Snapshot,
    add_holders,
    admit_waiters,
    admits,
    parse_snapshot,
    remove_holders,
)
from consul_lock.errors import Conflict
from tests.support.effort import scaled

NAME = "svc/web"
NOBODY: frozenset[str] = frozenset()
EVERYBODY = 10**6

kinds = pytest.mark.parametrize("kind", [SEMAPHORE, READ_WRITE], ids=lambda kind: kind.name)


class Group(NamedTuple):
    """Contenders that joined in one transaction, as the tests draw them."""

    sessions: tuple[str, ...]
    mode: str = "read"
    n: int = 0
    """What they say their number is; 0: the truth."""
    places: int = 1
    ours: bool = True

    def value(self) -> bytes:
        if not self.ours:
            return b""
        n = self.n or len(self.sessions)
        claim = {"mode": self.mode, "places": self.places, "of": self.sessions[0], "n": n}
        return json.dumps({"v": 1, "claim": claim}).encode()


def entry(kind: Kind, session: str, created: int, value: bytes = b"") -> Pair:
    key = kind.contender_key(NAME, session)
    return Pair(key, value, kind.flags, session, created, created)


def written(kind: Kind, document: Document) -> Pair:
    return Pair(f"{NAME}/.lock", encode_document(kind, document), kind.flags, "", 5, 9)


def picture(kind: Kind, groups: list[Group], inside: dict[str, int], limit: int = ALL) -> Snapshot:
    """The place where these have joined, in this order, and those are inside with a weight."""
    pairs = [written(kind, Document(limit, inside, 9))]
    for number, group in enumerate(groups):
        pairs += [entry(kind, s, 10 + number, group.value()) for s in group.sessions]
    return parse_snapshot(kind, NAME, pairs, limit, 99)


def slots(*groups: str, inside: str = "", limit: int) -> Snapshot:
    """A semaphore; every letter is a session, every word a group."""
    named = [Group(tuple(word)) for word in groups]
    return picture(SEMAPHORE, named, dict.fromkeys(inside, 1), limit)


def shared(*groups: str, inside: str = "") -> Snapshot:
    """A read/write lock: capital letters write, small ones read."""
    named = [Group((letter,), "write" if letter.isupper() else "read") for letter in groups]
    return picture(READ_WRITE, named, {c: ALL if c.isupper() else 1 for c in inside})


def granted(place: Snapshot, leaving: str = "", most: int = EVERYBODY) -> str:
    """Who gets in when these leave."""
    document = remove_holders(place, leaving)
    after, who = admit_waiters(place, document, frozenset(leaving), most)
    assert dict(after.holders) == {
        **document.holders,
        **{c.session: after.holders[c.session] for c in who},
    }
    return "".join(contender.session for contender in who)


# -- what is read


def test_a_contender_says_who_it_is_and_what_it_wants() -> None:
    """It is parsed from the value of its key."""
    told = Group(("a", "b"), mode="write", places=2).value()
    place = parse_snapshot(READ_WRITE, NAME, [entry(READ_WRITE, "a", 10, told)], ALL, 99)
    assert place.contenders == (Contender("a", 10, 10, True, "a", 2, ALL, 2, told.decode()),)
    assert place.document == Document(ALL, {}, 0)
    assert (place.raft_index, place.filtered, place.sessions) == (99, False, {"a"})


@kinds
def test_a_contender_of_another_client_is_there_and_does_not_wait(kind: Kind) -> None:
    """It has no place: it just tries."""
    place = parse_snapshot(kind, NAME, [entry(kind, "s", 10, b"Go")], 3, 99)
    assert [contender.ours for contender in place.contenders] == [False]
    assert place.contends("s")
    assert place.waiting() == ()
    assert place.sessions == {"s"}


@kinds
def test_only_a_locked_key_of_its_own_session_is_a_contender(kind: Kind) -> None:
    """Everything else below the prefix is of somebody else, or of nobody."""
    good = entry(kind, "good", 10)
    key = good.key
    foreign = [
        good._replace(key=key.replace("good", "free"), session=""),
        good._replace(key=key.removesuffix("good"), session=""),
        good._replace(key=key.replace("good", "other")),
        good._replace(key=key.replace("good", "deep/good")),
        good._replace(key=key.replace("good", "lock"), session="lock", flags=LOCK_FLAG),
        Pair(f"{NAME}/.queue/waiter", b"", LOCK_FLAG, "waiter", 4, 4),
        Pair(f"{NAME}/sub/.lock", b"", LOCK_FLAG, "nested", 4, 4),
        Pair(f"{NAME}/sub/.lock/x", b"", kind.flags, "x", 4, 4),
        Pair(f"{NAME}/sub/x", b"", kind.flags, "x", 4, 4),
        Pair(f"{NAME}2/x", b"", kind.flags, "outside", 4, 4),
    ]
    place = parse_snapshot(kind, NAME, [*foreign, good], 3, 99)
    assert [contender.session for contender in place.contenders] == ["good"]
    assert not place.contends("waiter")
    assert place.document.modify_index == 0
    below = {"waiter", "nested", "x"} if kind is SEMAPHORE else set()
    assert place.sessions == {"good", "lock"} | below


def test_the_two_kinds_do_not_see_each_others_contenders() -> None:
    """A semaphore below the key of a read/write lock has other flags."""
    odd = Pair(f"{NAME}/.lock/a", b"", SEMAPHORE.flags, "a", 4, 4)
    place = parse_snapshot(READ_WRITE, NAME, [odd], ALL, 99)
    assert place.contenders == ()


@kinds
def test_a_name_that_is_used_for_something_else_is_a_conflict(kind: Kind) -> None:
    """As `decode` says."""
    lock = Pair(f"{NAME}/.lock", b"", LOCK_FLAG, "holder", 4, 4)
    with pytest.raises(Conflict, match="a lock, not a"):
        parse_snapshot(kind, NAME, [lock], 3, 99)


@kinds
def test_of_two_answers_for_a_key_the_later_one_counts(kind: Kind) -> None:
    """A transaction answers with what it wrote, without the value, and then with what it read."""
    full = entry(kind, "a", 10, Group(("a",)).value())
    document = written(kind, Document(ALL, {"h": 1}, 0))
    bare = [pair._replace(value=b"", modify_index=1) for pair in (full, document)]
    place = parse_snapshot(kind, NAME, [*bare, document, full], ALL, 99)
    assert [contender.ours for contender in place.contenders] == [True]
    assert (place.holds("h"), place.document.modify_index) == (True, 9)
    taken_over = parse_snapshot(kind, NAME, [document, full, full._replace(session="")], ALL, 99)
    assert taken_over.contenders == ()
    assert taken_over.sessions == NOBODY


@given(order=st.permutations(range(6)))
def test_contenders_stand_in_the_order_of_their_coming(order: list[int]) -> None:
    """Whatever the order of the keys; of one transaction, in that of their sessions."""
    came = {"f": 3, "b": 5, "d": 7, "c": 7, "e": 9, "a": 12}
    made = [
        entry(SEMAPHORE, session, created)._replace(modify_index=100 - created)
        for session, created in came.items()
    ]
    place = parse_snapshot(SEMAPHORE, NAME, [made[number] for number in order], 3, 99)
    assert "".join(contender.session for contender in place.contenders) == "fbcdea"


# -- who has vanished


@kinds
@pytest.mark.parametrize("filtered", [False, True])
def test_a_holder_without_any_key_has_vanished(kind: Kind, filtered: bool) -> None:
    """By Go's rule any key of its session will do; in a filtered list everybody would look dead."""
    inside = dict.fromkeys(["alive", "dead", "elsewhere"], 1)
    pairs = [
        written(kind, Document(3, inside, 0)),
        entry(kind, "alive", 10),
        entry(kind, "waits", 11),
        Pair(f"{NAME}/.lock/deep/key", b"", 0, "elsewhere", 4, 4),
        Pair(f"{NAME}2/.lock", b"", 0, "dead", 4, 4),
    ]
    place = parse_snapshot(kind, NAME, pairs, 3, 99, filtered)
    assert place.filtered is filtered
    assert place.vanished() == (NOBODY if filtered else {"dead"})
    assert place.holds("dead")
    assert not place.holds("waits")
    assert (place.contends("alive"), place.contends("dead")) == (True, False)
    assert not place.contends("elsewhere")


DEAD = "0b1d3c1e-55c1-7a39-3e12-5a4a5e0f7f11"
WAITED = "ff651299-6001-f5eb-e2fb-b4eb5c974b9e"


@kinds
def test_a_dead_contender_waits_no_more_and_is_known_by_the_name_of_its_key(kind: Kind) -> None:
    """Consul keeps the key, without its session; in the document it stays for now."""
    about = b'{"host": "web3", "pid": 811}'
    keys = [entry(kind, session, 10, about)._replace(session="") for session in (DEAD, WAITED)]
    foreign = [
        keys[1]._replace(key=keys[1].key.replace(WAITED, "no-session")),
        keys[1]._replace(key=f"{NAME}/deep/{WAITED}"),
        keys[1]._replace(key=keys[1].key.replace("ff", "aa"), flags=LOCK_FLAG),
    ]
    document = written(kind, Document(ALL, {DEAD: 1}, 0))
    place = parse_snapshot(
        kind, NAME, [document, *keys, *foreign, entry(kind, "alive", 12)], ALL, 99
    )
    assert (place.vanished(), place.left.keys()) == ({DEAD}, {DEAD, WAITED})
    assert [contender.session for contender in place.contenders] == ["alive"]
    assert not place.contends(DEAD)
    assert place.holder(DEAD).host == "web3"
    assert place.holder("somebody").foreign
    assert place.ahead("new") is None


def test_the_slot_number_of_a_dead_holder_can_be_taken_and_a_foreign_key_cannot() -> None:
    """Both are keys without a session; the flags tell."""
    pairs = [
        Pair(f"{NAME}/.slot/0", b"", SEMAPHORE.flags, "alive", 4, 4),
        Pair(f"{NAME}/.slot/1", b"", SEMAPHORE.flags, "", 4, 7),
        Pair(f"{NAME}/.slot/2", b"", 0, "", 4, 4),
        Pair(f"{NAME}/.slot/x", b"", SEMAPHORE.flags, "", 4, 4),
    ]
    place = parse_snapshot(SEMAPHORE, NAME, pairs, 3, 99)
    assert (place.slots, place.left_slots) == ({0: "alive", 2: ""}, {1: 7})
    assert parse_snapshot(READ_WRITE, NAME, pairs, 3, 99).left_slots == {}


# -- order


def test_waiting_are_the_known_contenders_that_are_not_in() -> None:
    """In order; the first has nobody ahead, and a newcomer has everybody."""
    groups = [Group(("a",)), Group(("g",), ours=False), Group(("b", "c")), Group(("d",))]
    place = picture(SEMAPHORE, groups, {"a": 1}, 2)
    assert "".join(contender.session for contender in place.waiting()) == "bcd"

    def ahead(leader: str) -> str | None:
        found = place.ahead(leader)
        return found and found.session

    assert ahead("b") is None
    assert ahead("d") == "c"
    assert ahead("new") == "d"


def test_a_holder_is_not_ahead() -> None:
    """A group that got in has nobody before it but those who waited when it came."""
    assert slots("a", "b", inside="a", limit=1).ahead("b") is None
    place = slots("a", "b", "c", inside="b", limit=1)
    assert place.ahead("b") == place.waiting()[0]


def test_groups_of_one_index_do_not_mix() -> None:
    """It cannot be, but if it were, all would still see the same order."""
    value = {word: Group(tuple(word)).value() for word in ("ad", "b")}
    pairs = [entry(SEMAPHORE, session, 10, value[word]) for word in ("b", "ad") for session in word]
    place = parse_snapshot(SEMAPHORE, NAME, pairs, 2, 99)
    assert place.ahead("a") is None
    assert place.ahead("b") is not None
    assert granted(place) == "ad"
    assert not admits(place, "b", 1, 1)


# -- the rule


def test_the_rule_counts_holders_and_earlier_waiters() -> None:
    """And not those who wait behind, or clients of other tools."""
    groups = [Group(("g",), ours=False), Group(("a",)), Group(("b", "c")), Group(("d",))]

    def there_is_room(leader: str, n: int, limit: int, inside: str = "xy", **more: bool) -> bool:
        place = picture(SEMAPHORE, groups, dict.fromkeys(inside, 1), limit)
        return admits(place, leader, n, 1, **more)

    assert there_is_room("a", 1, 3)
    assert not there_is_room("a", 1, 2)
    assert there_is_room("a", 1, 2, "y")
    assert there_is_room("b", 2, 5)
    assert not there_is_room("b", 2, 4)
    assert there_is_room("b", 2, 3, "")
    assert not there_is_room("new", 1, 6)
    assert there_is_room("new", 1, 7)
    assert there_is_room("new", 1, 3, overtaking=True)
    assert not there_is_room("new", 1, 2, overtaking=True)


def test_a_group_larger_than_the_limit_holds_nobody_up() -> None:
    """It came with another limit in mind, and could not enter if nobody else were there."""
    place = slots("abc", "d", limit=2)
    assert not admits(place, "a", 3, 1)
    assert admits(place, "d", 1, 1)
    assert place.ahead("d") is None
    assert granted(place) == "d"
    two_writers = picture(READ_WRITE, [Group(("v", "w"), "write"), Group(("r",))], {})
    assert granted(two_writers) == "r"
    raised = slots("abc", "d", limit=3)
    assert not admits(raised, "d", 1, 1)
    assert granted(raised) == "abc"


def test_readers_read_together_and_a_writer_is_alone() -> None:
    """The one rule, with other weights."""
    assert admits(shared(inside="abc"), "d", 1, 1)
    assert not admits(shared(inside="abc"), "W", 1, ALL)
    assert not admits(shared(inside="W"), "a", 1, 1)
    assert not admits(shared(inside="W"), "V", 1, ALL)
    assert admits(shared(), "W", 1, ALL)
    assert not admits(shared("W", inside="a"), "b", 1, 1)
    assert admits(shared("b", "W", inside="a"), "b", 1, 1)
    assert admits(shared("W"), "W", 1, ALL)


# -- changes of the document


def test_to_enter_and_to_leave_change_nothing_else() -> None:
    """The limit and the index to check against stay; what was read is left as it is."""
    place = slots(inside="ab", limit=3)
    assert remove_holders(place, iter("ax")) == Document(3, {"b": 1}, 9)
    assert place.holds("a")
    more = add_holders(place.document, iter("cd"), 1)
    assert (set(more.holders), more.limit, more.modify_index) == (set("abcd"), 3, 9)
    assert not place.holds("c")
    writing = add_holders(shared().document, ["w"], ALL)
    assert add_holders(writing, ["w"], 1).holders == {"w": 1}


# -- who gets what becomes free


@pytest.mark.parametrize(
    "place, leaving, who",
    [
        (slots("b", "c", inside="a", limit=1), "a", "b"),
        (slots("b", "c", inside="a", limit=2), "", "b"),
        (slots("b", "c", inside="a", limit=3), "", "bc"),
        (slots("bc", "d", inside="a", limit=2), "", ""),
        (slots("bc", "d", inside="a", limit=2), "a", "bc"),
        (slots("bc", "d", inside="ax", limit=3), "a", "bc"),
        (slots("b", "cd", "e", inside="a", limit=3), "", "b"),
        (slots("a", "b", inside="a", limit=1), "a", "b"),
        (slots("a", "b", limit=1), "a", "b"),
        (slots("ab", "c", limit=2), "b", "c"),
        (slots("b", inside="axyz", limit=2), "a", ""),
        (slots(inside="a", limit=1), "a", ""),
        (shared("b", "c", "W", "d", inside="A"), "A", "bc"),
        (shared("W", "b", inside="A"), "A", "W"),
        (shared("W", "b", inside="a"), "", ""),
        (shared("W", "b", inside="ac"), "a", ""),
        (shared("W", "b", inside="a"), "a", "W"),
        (shared("b", "W", inside="a"), "", "b"),
    ],
)
def test_the_next_waiters_get_the_slots_that_become_free(
    place: Snapshot, leaving: str, who: str
) -> None:
    """In order, groups whole, nobody past one who does not fit, none of those who leave."""
    assert granted(place, leaving) == who


@pytest.mark.parametrize(
    "first",
    [Group(("a",), n=2), Group(("a",), places=2), Group(("a", "b"), n=3)],
    ids=["incomplete", "in other documents too", "two of three"],
)
def test_a_waiter_that_cannot_be_admitted_here_keeps_its_slots(first: Group) -> None:
    """Those behind it pass only if they fit beside it."""
    size = len(first.sessions)
    behind = [first, Group(("x",)), Group(("y",))]
    assert granted(picture(SEMAPHORE, behind, {}, size + 1 if size > 1 else 2)) == "x"
    assert granted(picture(SEMAPHORE, behind, {}, size + 2)) == "xy"
    assert granted(picture(SEMAPHORE, behind, {"h": 1}, size + 2)) == "x"


@pytest.mark.parametrize("change", [{"n": 1}, {"n": 3}, {"n": 9}, {"places": 2}])
@pytest.mark.parametrize("odd", [0, 1])
def test_a_group_that_is_not_of_one_mind_is_not_let_in(change: dict[str, int], odd: int) -> None:
    """No client of consul-lock writes that, and half a group would not help the one that did."""
    place = slots("ab", "c", limit=3)
    contenders = list(place.contenders)
    contenders[odd] = contenders[odd]._replace(**change)
    assert granted(place._replace(contenders=tuple(contenders))) == "c"
    if change == {"n": 9}:  # more than there is, ever: no room is kept for it
        full = add_holders(place.document, ["h"], 1)
        assert granted(place._replace(contenders=tuple(contenders), document=full)) == "c"


def test_a_tree_lock_that_waits_to_write_keeps_readers_behind_it() -> None:
    """It has to enter above as well, in one transaction of its own."""
    groups = [Group(("w",), "write", places=3), Group(("r",), "read")]
    assert granted(picture(READ_WRITE, groups, {})) == ""


def test_no_more_are_let_in_than_fit_into_a_transaction() -> None:
    """And a group never in part, nor the next one instead of it."""
    place = slots("a", "bc", "d", limit=9)
    got = [granted(place, most=most) for most in range(6)]
    assert got == ["", "a", "a", "abc", "abcd", "abcd"]


def test_a_contender_in_the_document_is_not_let_in_again() -> None:
    """A writer that reads on lets the readers behind it in, and itself stays."""
    place = shared("W", "r", "V", "q", inside="W")
    reading = add_holders(place.document, ["W"], 1)
    after, who = admit_waiters(place, reading, NOBODY, EVERYBODY)
    assert [contender.session for contender in who] == ["r"]
    assert after.holders == {"W": 1, "r": 1}


def test_a_holder_in_the_document_does_not_wait() -> None:
    """Taken out of the document without leaving, it is not put in again at once."""
    place = slots("a", "b", inside="a", limit=2)
    _, who = admit_waiters(place, remove_holders(place, "a"), NOBODY, EVERYBODY)
    assert [contender.session for contender in who] == ["b"]


# -- properties


class Scene(NamedTuple):
    """A place as it may be, and who leaves it."""

    place: Snapshot
    groups: list[Group]
    leaving: frozenset[str]

    @property
    def start(self) -> Document:
        return remove_holders(self.place, self.leaving)


@st.composite
def scenes(draw: st.DrawFn, kinds: tuple[Kind, ...] = (SEMAPHORE, READ_WRITE)) -> Scene:
    """Groups of every sort, some of them in, and holders that have vanished."""
    kind = draw(st.sampled_from(kinds))
    limit = ALL if kind is READ_WRITE else draw(st.integers(1, 6))
    names = iter(f"s{number}" for number in range(100))
    groups, inside = [], {}
    for _ in range(draw(st.integers(0, 7))):
        size = draw(st.integers(1, 3 if kind is SEMAPHORE else 2))
        group = Group(
            tuple(next(names) for _ in range(size)),
            draw(st.sampled_from(["read", "read", "write"])),
            draw(st.sampled_from([0, 0, 0, 1, size + 1])),
            draw(st.sampled_from([1, 1, 1, 2])),
            draw(st.sampled_from([True, True, True, False])),
        )
        weight = ALL if kind is READ_WRITE and group.mode == "write" else 1
        here = draw(st.sampled_from(["waits", "waits", "is in", "partly"]))
        if here != "waits":
            some = group.sessions if here == "is in" else group.sessions[1:]
            inside.update(dict.fromkeys(some, weight))
        groups.append(group)
    for _ in range(draw(st.integers(0, 2))):
        inside[next(names)] = draw(st.sampled_from([1, ALL])) if kind is READ_WRITE else 1
    if draw(st.integers(0, 3)):  # in most scenes nobody has broken the limit before
        while sum(inside.values()) > limit:
            inside.popitem()
    everybody = [s for group in groups for s in group.sessions] + list(inside)
    leaving = draw(st.frozensets(st.sampled_from(everybody), max_size=3)) if everybody else NOBODY
    return Scene(picture(kind, groups, inside, limit), groups, leaving)


def rivals(scene: Scene) -> list[tuple[list[str], int, bool, bool]]:
    """Who waits, by the words of the rule: sessions, weight, may be let in here, may ever fit."""
    found = []
    for group in scene.groups:
        rest = [s for s in group.sessions if not scene.place.holds(s) and s not in scene.leaving]
        if not group.ours or not rest:
            continue
        write = scene.place.kind is READ_WRITE and group.mode == "write"
        weight = ALL if write else 1
        n = group.n or len(group.sessions)
        ready = len(rest) == n and group.places == 1
        ever = n * weight <= scene.place.document.limit
        found.append((rest, weight * len(rest), ready, ever))
    return found


@settings(max_examples=scaled(200))
@given(scene=scenes(), most=st.integers(0, 8))
def test_the_limit_is_never_exceeded_by_letting_in(scene: Scene, most: int) -> None:
    """Nor the number of sessions; nobody who is in loses its share, nobody comes in twice."""
    after, who = admit_waiters(scene.place, scene.start, scene.leaving, most)
    sessions = [contender.session for contender in who]
    assert after.used <= max(after.limit, scene.start.used)
    if who:
        assert after.used <= after.limit
    assert len(sessions) == len(set(sessions)) <= most
    assert not set(sessions) & (scene.leaving | set(scene.place.document.holders))
    assert after.holders.keys() == scene.start.holders.keys() | set(sessions)
    assert scene.start.holders.items() <= after.holders.items()
    assert (after.limit, after.modify_index) == (scene.start.limit, scene.start.modify_index)


@settings(max_examples=scaled(200))
@given(scene=scenes(), most=st.just(EVERYBODY) | st.integers(0, 8))
def test_nobody_is_let_in_past_a_waiter_that_would_fit(scene: Scene, most: int) -> None:
    """The rule, written again: each in turn, and what it was not given is kept for it."""
    _, who = admit_waiters(scene.place, scene.start, scene.leaving, most)
    expected: list[str] = []
    free = scene.start.limit - scene.start.used
    for rest, weight, ready, ever in rivals(scene):
        if not ever:
            continue
        fits = weight <= free
        free -= weight
        if fits and ready:
            if len(expected) + len(rest) > most:
                break
            expected += rest
    assert [contender.session for contender in who] == expected


@settings(max_examples=scaled(200))
@given(scene=scenes(), pruned=st.booleans())
def test_to_be_let_in_and_to_let_oneself_in_are_one_rule(scene: Scene, pruned: bool) -> None:
    """A releaser gives exactly what a waiter would take."""
    place = scene.place
    if pruned:
        place = place._replace(document=remove_holders(place, place.vanished()))
    _, who = admit_waiters(place, place.document, NOBODY, EVERYBODY)
    given_to = {contender.session for contender in who}
    for rest, weight, ready, _ in rivals(scene._replace(leaving=NOBODY)):
        contender = next(c for c in place.contenders if c.session == rest[0])
        if ready:
            each = weight // len(rest)
            mine = admits(place, contender.leader, len(rest), each)
            assert mine is (rest[0] in given_to)


@settings(max_examples=scaled(200))
@given(scene=scenes((READ_WRITE,)), newcomer=st.sampled_from([1, ALL]))
def test_a_writer_is_alone_and_no_reader_passes_a_waiting_one(scene: Scene, newcomer: int) -> None:
    """Whether it is let in, or lets itself in."""
    place, start = scene.place, scene.start
    assume(start.used <= ALL)
    after, who = admit_waiters(place, start, scene.leaving, EVERYBODY)
    writers = [session for session, weight in after.holders.items() if weight == ALL]
    assert not writers or len(after.holders) == 1
    waiting_writers = [
        c.create_index
        for c in place.waiting()
        if c.weight == ALL and c.n == 1 and c.session not in {*scene.leaving, *after.holders}
    ]
    first = min(waiting_writers, default=EVERYBODY)
    assert all(contender.create_index < first for contender in who)
    if any(c.weight == ALL and c.n == 1 for c in place.waiting()):
        assert not admits(place, "new", 1, newcomer)


@settings(max_examples=scaled(200))
@given(scene=scenes())
def test_admitting_again_admits_nobody(scene: Scene) -> None:
    """All that fits has been given; and ten turns of one are as good as one turn of ten."""
    place, document = scene.place, scene.start
    after, who = admit_waiters(place, document, scene.leaving, EVERYBODY)
    assert admit_waiters(place, after, scene.leaving, EVERYBODY) == (after, ())
    for _ in who:
        document, some = admit_waiters(place, document, scene.leaving, 3)
        if not some:
            break
    assert document == after


@settings(max_examples=scaled(200))
@given(scene=scenes())
def test_pruning_is_for_those_without_a_key(scene: Scene) -> None:
    """A vanished holder is in and does not contend; all other holders contend, too."""
    place = scene.place
    vanished = place.vanished()
    assert all(place.holds(session) and not place.contends(session) for session in vanished)
    assert all(place.contends(session) for session in remove_holders(place, vanished).holders)
    assert place._replace(filtered=True).vanished() == NOBODY
    blind: Any = place._replace(contenders=(), sessions=NOBODY)
    assert blind.vanished() == set(place.document.holders)
