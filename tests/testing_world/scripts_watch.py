"""Scripts about blocking queries: what wakes them, and what they answer."""

from __future__ import annotations

from tests.testing_world.transcript import Talk, op

SHORT = "wait=300ms"
# Seconds: a read that ends by itself has ended by then, on a slow machine, too.
LONG = 1.0


def a_change_of_the_key_wakes(say: Talk) -> None:
    """And an index that is over answers at once."""
    say("PUT", "a", "1")
    index = say("GET", "a").index
    say("GET", f"a?index={index - 1}&{SHORT}")
    with say.while_asking(f"a?index={index}&wait=20s") as answer:
        say("PUT", "a", "2")
        answer()


def a_query_ends_after_its_wait_with_the_old_index(say: Talk) -> None:
    """Also one with an index that was never reached."""
    say("PUT", "a", "1")
    index = say("GET", "a").index
    say.unanswered(f"a?index={index}&{SHORT}")
    say.unanswered(f"a?index={index + 1000}&{SHORT}")
    say.unanswered(f"?recurse&index={index + 1000}&{SHORT}")


def other_keys_do_not_wake_an_existing_one(say: Talk) -> None:
    """Nor does writing the same again, or a refused transaction."""
    say("PUT", "a/b", "1")
    index = say("GET", "a/b").index
    with say.while_asking(f"a/b?index={index}&{SHORT}") as answer:
        say("PUT", "a/c", "2")
        say("PUT", "a/bb", "2")
        say("PUT", "a/b", "1")
        say.txn(op("set", "a/b", Value=""), op("get", "none"))
        answer()


def acquire_release_and_destroy_wake(say: Talk) -> None:
    """All that changes the key does."""
    session = say.session()
    say("PUT", f"a?acquire={session}", "1")
    for method, path in (
        ("PUT", f"a?release={session}"),
        ("PUT", f"a?acquire={session}"),
        ("PUT", f"/v1/session/destroy/{session}"),
    ):
        index = say("GET", "a").index
        with say.while_asking(f"a?index={index}&wait=20s") as answer:
            say(method, path, "1")
            answer()


def deleting_wakes_with_404(say: Talk) -> None:
    """And the index of the table."""
    say("PUT", "a", "1")
    index = say("GET", "a").index
    with say.while_asking(f"a?index={index}&wait=20s") as answer:
        say("DELETE", "a")
        answer()
    say("PUT", "t/a", "1")
    index = say("GET", "t/a").index
    with say.while_asking(f"t/a?index={index}&wait=20s") as answer:
        say("DELETE", "t?recurse")
        answer()


def creating_wakes_the_waiters_for_it(say: Talk) -> None:
    """By a plain write and by a transaction."""
    say("PUT", "other", "1")
    index = say("GET", "none").index
    with say.while_asking(f"none?index={index}&wait=20s") as answer:
        say("PUT", "none", "1")
        answer()
    index = say("GET", "new").index
    with say.while_asking(f"new?index={index}&wait=20s") as answer:
        say.txn(op("set", "x/y"), op("set", "new"))
        answer()


def a_neighbour_may_wake_a_waiter_for_a_missing_key(say: Talk) -> None:
    """On 1.8, as both share a node of the radix tree; on newer ones nothing does but the key."""
    say("PUT", "miss/x", "1")
    say("PUT", "zzz", "1")
    index = say("GET", "miss/a").index
    with say.ends_or_not(f"miss/a?index={index}", LONG):
        say("PUT", "miss/b", "1")
    index = say("GET", "miss/a").index
    with say.ends_or_not(f"miss/a?index={index}", LONG):
        say("DELETE", "miss/b")


def another_node_does_not_wake_a_waiter_for_a_missing_key(say: Talk) -> None:
    """Its node is another one; the answer at the end still has the old index."""
    say("PUT", "near/x", "1")
    say("PUT", "near/y", "1")
    say("PUT", "far/x", "1")
    say("PUT", "far/y", "1")
    index = say("GET", "near/a").index
    with say.while_asking(f"near/a?index={index}&{SHORT}") as answer:
        say("PUT", "far/x", "2")
        say("PUT", "far/z", "2")
        answer()


def splitting_or_merging_a_node_may_wake(say: Talk) -> None:
    """The tree changes its shape around the missing key, which ends a read on 1.8 alone."""
    say("PUT", "long/path/x", "1")
    say("PUT", "long/path/y", "1")
    say("PUT", "other", "1")
    index = say("GET", "long/path/a").index
    with say.ends_or_not(f"long/path/a?index={index}", LONG):
        say("PUT", "long/pure", "1")
    index = say("GET", "long/path/a").index
    with say.ends_or_not(f"long/path/a?index={index}", LONG):
        say("DELETE", "long/pure")


def a_missing_key_that_splits_a_node_wakes_its_waiter(say: Talk) -> None:
    """The waiter watches the node of another key, from which the new one branches off."""
    say("PUT", "split/.cron", "1")
    index = say("GET", "split/.lock").index
    with say.while_asking(f"split/.lock?index={index}&wait=20s") as answer:
        say("PUT", "split/.lock", "1")
        answer()


def a_list_wakes_for_what_is_below_it(say: Talk) -> None:
    """New, changed and deleted keys; not for others."""
    say("PUT", "l/a", "1")
    say("PUT", "m", "1")
    for method, path, body in (
        ("PUT", "l/b", "1"),
        ("PUT", "l/a", "2"),
        ("DELETE", "l/b", None),
        ("DELETE", "l/?recurse", None),
    ):
        index = say("GET", "l/?recurse").index
        with say.while_asking(f"l/?recurse&index={index}&wait=5s") as answer:
            say("PUT", "m", path)
            say(method, path, body)
            answer()


def deleting_a_tree_from_above_wakes_no_list_with_tombstones(say: Talk) -> None:
    """Its only tombstone is above the list, whose own older one still counts."""
    say("PUT", "l/a", "1")
    say("PUT", "l/b", "1")
    say("DELETE", "l/b")
    index = say("GET", "l/?recurse").index
    with say.while_asking(f"l/?recurse&index={index}&{SHORT}") as answer:
        say("DELETE", "l?recurse")
        answer()


def lists_of_keys_block_too(say: Talk) -> None:
    """With the index of the whole list, whatever the separator leaves out."""
    say("PUT", "l/a/b", "1")
    index = say("GET", "l/?keys&separator=/").index
    with say.while_asking(f"l/?keys&separator=/&index={index}&wait=20s") as answer:
        say("PUT", "l/a/c", "1")
        answer()


def an_empty_list_may_wake_for_other_keys(say: Talk) -> None:
    """As long as nothing at all is known below it; a tombstone ends that."""
    say("PUT", "z", "1")
    index = say("GET", "none/?recurse").index
    with say.while_asking(f"none/?recurse&index={index}&wait=20s") as answer:
        say("PUT", "y", "1")
        answer()
    say("PUT", "none/a", "1")
    say("DELETE", "none/a")
    index = say("GET", "none/?recurse").index
    with say.while_asking(f"none/?recurse&index={index}&{SHORT}") as answer:
        say("PUT", "y", "2")
        answer()


def an_empty_list_wakes_for_its_first_key(say: Talk) -> None:
    """Also after everything below it was deleted."""
    say("PUT", "z", "1")
    index = say("GET", "q/?recurse").index
    for _ in range(2):
        with say.while_asking(f"q/?recurse&index={index}&wait=20s") as answer:
            say("PUT", "q/1", "1")
            answer()
        say("DELETE", "q/1")
        index = say("GET", "q/?recurse").index


def sessions_can_be_watched(say: Talk) -> None:
    """By id and as a list."""
    session = say.session()
    index = say("GET", f"/v1/session/info/{session}").index
    with say.while_asking(f"/v1/session/list?index={index}&wait=20s") as answer:
        say.session()
        answer()
    with say.while_asking(f"/v1/session/info/{session}?index={index + 1}&wait=20s") as answer:
        say("PUT", f"/v1/session/destroy/{session}")
        answer()


def consistency_changes_nothing_for_a_blocking_query(say: Talk) -> None:
    """With one server all of them see the same."""
    say("PUT", "a", "1")
    for mode in ("consistent", "stale"):
        index = say("GET", f"a?{mode}").index
        with say.while_asking(f"a?{mode}&index={index}&wait=20s") as answer:
            say("PUT", "a", mode)
            answer()


SCRIPTS = [
    a_change_of_the_key_wakes,
    a_query_ends_after_its_wait_with_the_old_index,
    other_keys_do_not_wake_an_existing_one,
    acquire_release_and_destroy_wake,
    deleting_wakes_with_404,
    creating_wakes_the_waiters_for_it,
    a_neighbour_may_wake_a_waiter_for_a_missing_key,
    another_node_does_not_wake_a_waiter_for_a_missing_key,
    splitting_or_merging_a_node_may_wake,
    a_missing_key_that_splits_a_node_wakes_its_waiter,
    a_list_wakes_for_what_is_below_it,
    deleting_a_tree_from_above_wakes_no_list_with_tombstones,
    lists_of_keys_block_too,
    an_empty_list_may_wake_for_other_keys,
    an_empty_list_wakes_for_its_first_key,
    sessions_can_be_watched,
    consistency_changes_nothing_for_a_blocking_query,
]
