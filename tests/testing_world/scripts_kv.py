"""Scripts about keys."""

from __future__ import annotations

from tests.testing_world.transcript import Talk


def a_key_is_written_and_read(say: Talk) -> None:
    """Flags, values, null for an empty value, and the three indexes."""
    say("PUT", "a", "x")
    say("GET", "a")
    say("PUT", "a?flags=16210313421097356768", "y")
    say("GET", "a")
    say("PUT", "b")
    say("GET", "b")
    say("GET", "b?raw")
    say("GET", "a?raw")


def a_missing_key_answers_with_the_index_of_the_table(say: Talk) -> None:
    """404 carries the index of the last write to any key."""
    say("GET", "none")
    say("PUT", "other", "x")
    say("GET", "none")
    say("DELETE", "other")
    say("GET", "none")
    say("GET", "other")


def writing_the_same_again_writes_nothing(say: Talk) -> None:
    """ModifyIndex stays; the next real write shows that a Raft index was used all the same."""
    say("PUT", "a?flags=3", "x")
    say("PUT", "a?flags=3", "x")
    say("GET", "a")
    say("GET", "none")
    say("PUT", "a?flags=4", "x")
    say("GET", "a")


def cas_writes_only_at_the_last_index(say: Talk) -> None:
    """0 means: is not there."""
    say("PUT", "a?cas=5", "x")
    say("PUT", "a?cas=0", "x")
    say("PUT", "a?cas=0", "y")
    index = say("GET", "a").index
    say("PUT", f"a?cas={index - 1}", "y")
    say("PUT", f"a?cas={index}&flags=9", "y")
    say("GET", "a")


def delete_cas_deletes_only_at_the_last_index(say: Talk) -> None:
    """A key that is not there counts as deleted."""
    say("PUT", "a", "x")
    index = say("GET", "a").index
    say("DELETE", "a?cas=1")
    say("DELETE", "a?cas=0")
    say("DELETE", f"a?cas={index}")
    say("DELETE", f"a?cas={index}")
    say("GET", "a")


def a_list_answers_with_the_newest_index_below_it(say: Talk) -> None:
    """A deleted key keeps it from going backwards."""
    say("GET", "?recurse")
    say("PUT", "l/a", "1")
    say("PUT", "l/b", "2")
    say("PUT", "z", "3")
    say("GET", "l/?recurse")
    say("GET", "?recurse")
    say("GET", "nothing/?recurse")
    say("DELETE", "l/b")
    say("PUT", "z", "4")
    say("GET", "l/?recurse")
    say("DELETE", "l/a")
    say("GET", "l/?recurse")
    say("GET", "l?recurse&raw")


def deleting_a_tree_leaves_one_tombstone(say: Talk) -> None:
    """Lists of folders inside the tree lose their index; nothing deleted leaves none at all."""
    for key in ("t/a", "t/b/c", "t/b/d", "u"):
        say("PUT", key, "x")
    say("DELETE", "none?recurse")
    say("GET", "none?recurse")
    say("DELETE", "t?recurse")
    say("PUT", "u", "y")
    say("GET", "t?recurse")
    say("GET", "t/b?recurse")
    say("GET", "t/b/c")
    say("GET", "?recurse")


def keys_are_listed_with_and_without_separator(say: Talk) -> None:
    """Folders appear once; the old spelling of the parameter works too."""
    for key in ("k/a", "k/b/c", "k/b/d", "k/c/", "kk"):
        say("PUT", key, "x")
    say("GET", "k?keys")
    say("GET", "k/?keys&separator=/")
    say("GET", "k/?keys&seperator=/")
    say("GET", "k?keys&separator=")
    say("GET", "k/?keys&separator=b/")
    say("GET", "none?keys")


def the_root_can_be_listed_and_deleted(say: Talk) -> None:
    """An empty prefix answers with the index of the table, and with [] for keys."""
    say("PUT", "a", "x")
    say("GET", "/v1/kv/?recurse")
    say("GET", "/v1/kv/?keys")
    say("DELETE", "/v1/kv/?recurse")
    say("GET", "/v1/kv/?keys")
    say("GET", "/v1/kv/?recurse")
    say("GET", "a?recurse")


def keys_are_percent_decoded(say: Talk) -> None:
    """Also a slash; a plus is a plus."""
    for key in ("a%20b", "a%2Fb", "%C3%A9", "a+b", "a%3Fb", "a%25b", "<&>", "a=b&c"):
        say("PUT", key, "x")
    say("GET", "?recurse")
    say("GET", "?keys")
    say("GET", "a/b")


def unclean_paths_are_redirected(say: Talk) -> None:
    """Nothing is written."""
    for key in ("a//b", "a/./b", "a/../b", "/a", "a%2F%2Fb", "a/..", "a/.", "a//"):
        say("PUT", key, "x")
        say("GET", f"{key}?recurse")
    say("GET", "/v1/kv")
    say("GET", "/v1/session/info")
    say("GET", "?recurse")


def paths_that_are_no_text_are_refused(say: Talk) -> None:
    """Control characters, and broken escapes."""
    say("PUT", "%0Aq", "x")
    say("PUT", "%00q", "x")
    say("GET", "%E2%80%8Bq")


def values_are_limited(say: Talk) -> None:
    """512 KiB, and not a byte more."""
    say("PUT", "a", b"x" * 524_288)
    say("PUT", "a", b"x" * 524_289)


def parameters_of_a_write_are_checked(say: Talk) -> None:
    """Exclusive ones, and numbers."""
    for query in (
        "acquire=x&release=y",
        "cas=0&acquire=x",
        "cas=0&acquire=x&release=y",
        "cas=abc",
        "cas=",
        "flags=abc",
        "flags=-1",
        "cas=99999999999999999999",
        "wait=5",
        "index=abc",
        "stale&consistent",
        "acquire=",
        "release=",
        "acquire=abc",
        "release=abc",
        "acquire=6fcb0e4d-0000-0000-0000-00000000000g",
    ):
        say("PUT", f"a?{query}", "x")
    say("DELETE", "a?recurse&cas=0")
    say("DELETE", "a?cas=x")
    say("PUT", "/v1/kv/", "x")
    say("GET", "/v1/kv/")
    say("DELETE", "/v1/kv/")


def parameters_of_a_read_are_checked(say: Talk) -> None:
    """Durations want units; stale and consistent exclude each other."""
    say("PUT", "a", "x")
    for query in (
        "wait=5",
        "wait=abc",
        "wait=1d",
        "index=abc",
        "index=-1",
        "stale&consistent",
        "cached&consistent",
        "stale",
        "consistent",
        "index=0&wait=1s",
        "index=&wait=",
        "dc=dc1",
        "dc=other",
        "ns=default",
        "wait=-5s&index=1",
        "recurse=false",
        "keys=false",
        "unheard=of",
    ):
        say("GET", f"a?{query}")


SCRIPTS = [
    a_key_is_written_and_read,
    a_missing_key_answers_with_the_index_of_the_table,
    writing_the_same_again_writes_nothing,
    cas_writes_only_at_the_last_index,
    delete_cas_deletes_only_at_the_last_index,
    a_list_answers_with_the_newest_index_below_it,
    deleting_a_tree_leaves_one_tombstone,
    keys_are_listed_with_and_without_separator,
    the_root_can_be_listed_and_deleted,
    keys_are_percent_decoded,
    unclean_paths_are_redirected,
    paths_that_are_no_text_are_refused,
    values_are_limited,
    parameters_of_a_write_are_checked,
    parameters_of_a_read_are_checked,
]
