"""Scripts about transactions."""

from __future__ import annotations

from base64 import b64encode

from tests.testing_world.transcript import Said, Talk, op

UNKNOWN = "6fcb0e4d-0000-0000-0000-000000000000"
X = b64encode(b"x").decode()
Y = b64encode(b"y").decode()


def acquire_and_read_in_one_transaction(say: Talk) -> None:
    """Writes answer without their value, get with it; the indexes are those of this entry."""
    session = say.session()
    say.txn(op("lock", "a", Session=session, Value=X, Flags=7), op("get", "a"))
    say.txn(op("lock", "a", Session=session, Value=X, Flags=7), op("get", "a"))
    say.txn(op("lock", "a", Session=session, Value=Y), op("get-tree", "a"))
    say("GET", "a")


def every_verb_that_succeeds(say: Talk) -> None:
    """Deletes and check-not-exists answer with nothing."""
    session = say.session()
    say("PUT", "t/1", "1")
    say("PUT", "t/2", "2")
    say("PUT", "gone", "3")
    index = say("GET", "gone").index
    say.txn(
        op("set", "b", Value=Y, Flags=16210313421097356768),
        op("cas", "c", Index=0),
        op("lock", "a", Session=session, Value=X),
        op("check-session", "a", Session=session),
        op("check-index", "gone", Index=index),
        op("check-not-exists", "none"),
        op("get-tree", "t/"),
        op("get-tree", "none/"),
        op("delete", "t/1"),
        op("get-tree", "t/"),
        op("delete-tree", "t"),
        op("delete-cas", "gone", Index=index),
        op("delete", "none"),
        op("unlock", "a", Session=session, Value=Y),
        op("get", "a"),
    )
    say("GET", "?recurse")


def every_verb_that_fails(say: Talk) -> None:
    """All errors are listed, and nothing is done."""
    holder, other = say.session(), say.session()
    say("PUT", f"a?acquire={holder}", "1")
    say("PUT", "free", "1")
    say.txn(
        op("set", "new", Value=X),
        op("get", "none"),
        op("lock", "a", Session=other),
        op("unlock", "a", Session=other),
        op("unlock", "none", Session=other),
        op("cas", "a", Index=0),
        op("cas", "none", Index=3),
        op("delete-cas", "a", Index=1),
        op("check-index", "a", Index=1),
        op("check-index", "none", Index=1),
        op("check-session", "none", Session=holder),
        op("check-session", "a", Session=other),
        op("check-session", "a"),
        op("check-session", "free", Session=other),
        op("check-not-exists", "a"),
        op("lock", "a"),
        op("unlock", "a"),
        op("lock", "a", Session=UNKNOWN),
        op("lock", "a", Session="abc"),
        op("delete", "a"),
    )
    say("GET", "?recurse")


def unknown_verbs_are_refused(say: Talk) -> None:
    """Newer servers do so before they look at anything else; `get-or-empty` is one of theirs."""
    say("PUT", "a", "1")
    say.txn(op("set", "new", Value=X), op("get", "none"), op("bogus", "a"), op("", "a"))
    say.txn(op("get-or-empty", "a"), op("get-or-empty", "none", Flags=3))
    say.txn(op("get-or-empty", "none"), op("set", "new", Value=X))
    say("GET", "?recurse")


def a_refused_transaction_uses_up_an_index_but_leaves_no_trace(say: Talk) -> None:
    """The table's index and the tombstones are as before."""
    say("PUT", "a", "1")
    say("PUT", "t/a", "1")
    say.txn(op("delete-tree", "t"), op("delete", "a"), op("set", "n"), op("get", "none"))
    say("GET", "none")
    say("GET", "?recurse")
    say("GET", "none/?recurse")
    say("PUT", "b", "1")
    say("GET", "b")


def a_transaction_without_writes_uses_no_index(say: Talk) -> None:
    """It is a read, and says so in its answer."""
    say("PUT", "a", "1")
    say.txn(op("get", "a"), op("get-tree", ""), op("check-not-exists", "none"))
    say.txn(op("get", "none"))
    say.txn(op("check-session", "a", Session=UNKNOWN))
    say.txn(op("bogus", "a"))
    say("PUT", "b", "1")
    say("GET", "b")


def an_operation_sees_what_those_before_it_did(say: Talk) -> None:
    """Also if one of them was refused."""
    one, other = say.session(), say.session()
    say.txn(op("lock", "a", Session=one, Value=X))
    say.txn(
        op("check-session", "a", Session=one),
        op("unlock", "a", Session=one, Value=X),
        op("lock", "a", Session=other, Value=Y),
        op("get", "a"),
    )
    say("GET", "a")
    say.txn(op("delete", "a"), op("check-not-exists", "a"), op("set", "a"), op("cas", "a", Index=0))
    say.txn(op("delete", "a"), op("lock", "a", Session=one), op("get", "a"))
    say("GET", "?recurse")


def a_key_is_handed_to_another_session(say: Talk) -> None:
    """The hand-over of a lock: one entry, all or nothing."""
    one, head, dead = say.session(), say.session(), say.session(TTL="10s")
    say.txn(op("lock", "l", Session=one, Value=X))
    say.txn(op("lock", "q/1", Session=head, Value=X), op("set", "q", Value=X))
    say("PUT", f"/v1/session/destroy/{dead}")
    say.txn(op("unlock", "l", Session=one), op("lock", "l", Session=dead), op("delete", "q/1"))
    say.txn(
        op("check-session", "q/1", Session=head),
        op("unlock", "l", Session=one),
        op("lock", "l", Session=head, Value=Y),
        op("delete", "q/1"),
    )
    say("GET", "?recurse")
    say.txn(op("check-not-exists", "q"), op("unlock", "l", Session=head), op("delete", "l"))


def _succeeds(said: Said) -> bool:
    return said.status == 200


def lock_delay_refuses_before_anything_else(say: Talk) -> None:
    """Only the operations in lock-delay are listed, and no index is used up."""
    session, other = say.session(lock_delay="1s"), say.session()
    say("PUT", f"a?acquire={session}", "1")
    say("PUT", f"b?acquire={session}", "1")
    say("PUT", f"/v1/session/destroy/{session}")
    say.txn(
        op("get", "none"),
        op("lock", "a", Session=other),
        op("set", "c"),
        op("lock", "b", Session=UNKNOWN),
        op("lock", "c", Session=other),
    )
    say.txn(op("set", "a", Value=X), op("get", "a"))
    ops = [{"KV": {"Verb": "lock", "Key": f"{say.prefix}/a", "Session": other}}]
    took = say.until(_succeeds, "PUT", "/v1/txn", ops)
    say.log.append(("a second or more", 0.6 < took < 30))


def a_transaction_needs_keys(say: Talk) -> None:
    """Except to delete everything."""
    say("PUT", "a", "1")
    say("PUT", "/v1/txn", [op("get", ""), op("set", ""), op("set", "fine")])
    say("PUT", "/v1/txn", [op("get-tree", "")])
    say("PUT", "/v1/txn", [op("delete-tree", "")])
    say("GET", "?recurse")


def bodies_that_are_no_transaction(say: Talk) -> None:
    """400 with what Go's decoder says."""
    for body in (
        "{}",
        "",
        '[{"KV":{"Verb":"set","Key":"q","Value":"!!"}}]',
        '[{"KV":{"Verb":"set","Key":"q","Value":"eA"}}]',
        '[{"KV":{"Verb":"set","Key":"q","Flags":"abc"}}]',
        '[{"KV":{"Verb":"set","Key":"q","Flags":-1}}]',
        '[{"KV":{"Verb":"set","Key":5}}]',
        '[{"KV":{"Verb":"set","Key":"q","Bogus":1}}]',
        '[{"Bogus":{}}]',
        '[{"KV":5}]',
        "[5]",
    ):
        say("PUT", "/v1/txn", body)
    say("PUT", "/v1/txn", "[", loose=True)
    for body in ("[]", "[{}]", '[{"KV":null}]', "null"):
        say("PUT", "/v1/txn", body)
    say("GET", "/v1/txn")


def names_of_fields_ignore_case(say: Talk) -> None:
    """As Go's JSON decoder does; null is nothing."""
    for fields in (
        {"verb": "set", "key": f"{say.prefix}/a", "value": X, "FLAGS": 4},
        {"Verb": "set", "Key": f"{say.prefix}/a", "Value": None, "Flags": None},
        {"Verb": "get", "Key": f"{say.prefix}/a", "Session": "", "Namespace": ""},
    ):
        say("PUT", "/v1/txn", [{"kv": fields}])


def transactions_are_limited(say: Talk) -> None:
    """64 operations, of newer servers 128, and 512 KiB of body."""
    for count in (64, 65, 128, 129):
        say.txn(*[op("check-not-exists", "none")] * count)
    say("PUT", "/v1/txn", " " * 524_289)


SCRIPTS = [
    acquire_and_read_in_one_transaction,
    every_verb_that_succeeds,
    every_verb_that_fails,
    unknown_verbs_are_refused,
    a_refused_transaction_uses_up_an_index_but_leaves_no_trace,
    a_transaction_without_writes_uses_no_index,
    an_operation_sees_what_those_before_it_did,
    a_key_is_handed_to_another_session,
    lock_delay_refuses_before_anything_else,
    a_transaction_needs_keys,
    bodies_that_are_no_transaction,
    names_of_fields_ignore_case,
    transactions_are_limited,
]
