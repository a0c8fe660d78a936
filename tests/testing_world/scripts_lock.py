"""Scripts about keys that sessions hold, and about lock-delay."""

from __future__ import annotations

from tests.testing_world.transcript import Said, Talk

UNKNOWN = "6fcb0e4d-0000-0000-0000-000000000000"


def one_session_holds_a_key(say: Talk) -> None:
    """LockIndex and ModifyIndex of Consul's rules."""
    one, other = say.session(), say.session()
    say("PUT", f"a?acquire={one}&flags=7", "1")
    say("GET", "a")
    say("PUT", f"a?acquire={other}&flags=8", "2")
    say("PUT", f"a?acquire={one}&flags=7", "1")
    say("GET", "a")
    say("PUT", f"a?acquire={one}&flags=7", "new")
    say("GET", "a")
    say("PUT", f"a?release={other}")
    say("PUT", f"a?release={one}", "left")
    say("GET", "a")
    say("PUT", f"a?release={one}")
    say("PUT", f"a?acquire={other}", "2")
    say("GET", "a")


def a_release_without_value_wipes_value_and_flags(say: Talk) -> None:
    """As the API has it."""
    session = say.session()
    say("PUT", f"a?acquire={session}&flags=7", "1")
    say("PUT", f"a?release={session}")
    say("GET", "a")
    say("PUT", f"none?release={session}")
    say("GET", "none")


def plain_writes_go_through_a_held_key(say: Talk) -> None:
    """They keep the session, and reset LockIndex."""
    one, other = say.session(), say.session()
    say("PUT", f"a?acquire={one}", "1")
    say("PUT", "a", "1")
    index = say("GET", "a").index
    say("PUT", f"a?cas={index}", "2")
    say("GET", "a")
    say("PUT", f"a?release={one}", "3")
    say("GET", "a")
    say("PUT", f"a?acquire={other}", "3")
    say("GET", "a")
    say("DELETE", "a")
    say("PUT", f"a?acquire={one}", "4")
    say("GET", "a")


def a_dead_session_acquires_nothing(say: Talk) -> None:
    """500 with the session's id."""
    session = say.session()
    say("PUT", f"/v1/session/destroy/{session}")
    say("PUT", f"a?acquire={session}", "1")
    say("PUT", f"a?acquire={UNKNOWN}", "1")
    say("GET", "a")


def destroying_releases_what_is_held(say: Talk) -> None:
    """All keys, in one entry; with lock-delay 0 they are free at once."""
    session, other = say.session(), say.session()
    for key in ("a", "b/c", "d"):
        say("PUT", f"{key}?acquire={session}&flags=5", key)
    say("PUT", f"d?release={session}", "d")
    say("PUT", f"/v1/session/destroy/{session}")
    say("GET", "?recurse")
    say("PUT", f"a?acquire={other}", "2")
    say("GET", "a")


def behaviour_delete_deletes_what_is_held(say: Talk) -> None:
    """With tombstones."""
    session = say.session(Behavior="delete")
    for key in ("a", "b", "c"):
        say("PUT", f"{key}?acquire={session}", "x")
    say("PUT", f"b?release={session}", "x")
    say("PUT", f"/v1/session/destroy/{session}")
    say("GET", "?recurse")
    say("GET", "a?recurse")


def _true(said: Said) -> bool:
    return said.body.strip() == b"true"


def lock_delay_closes_a_key_for_a_while(say: Talk) -> None:
    """For acquire only, and without a Raft entry for the refusal."""
    session, other = say.session(lock_delay="1s"), say.session()
    say("PUT", f"a?acquire={session}", "1")
    say("PUT", f"/v1/session/destroy/{session}")
    for _ in range(3):
        say("PUT", f"a?acquire={other}", "2")
    say("PUT", "a", "plain")
    say("GET", "a")
    say("DELETE", "a")
    say("PUT", f"a?acquire={other}", "2")
    took = say.until(_true, "PUT", f"a?acquire={other}", "2")
    say.log.append(("a second or more", 0.6 < took < 30))
    say("GET", "a")


def lock_delay_closes_a_deleted_key_too(say: Talk) -> None:
    """Behaviour delete does not open it; other keys stay open."""
    session, other = say.session(lock_delay="1s", Behavior="delete"), say.session()
    say("PUT", f"a?acquire={session}", "1")
    say("PUT", f"/v1/session/destroy/{session}")
    say("GET", "a")
    say("PUT", f"a?acquire={other}", "2")
    say("PUT", f"b?acquire={other}", "2")
    took = say.until(_true, "PUT", f"a?acquire={other}", "2")
    say.log.append(("a second or more", 0.6 < took < 30))


def no_lock_delay_after_release_or_delete(say: Talk) -> None:
    """The session must still hold the key when it dies."""
    session, other = say.session(lock_delay="5s"), say.session()
    say("PUT", f"a?acquire={session}", "1")
    say("PUT", f"b?acquire={session}", "1")
    say("PUT", f"a?release={session}", "1")
    say("DELETE", "b")
    say("PUT", f"/v1/session/destroy/{session}")
    say("PUT", f"a?acquire={other}", "2")
    say("PUT", f"b?acquire={other}", "2")


SCRIPTS = [
    one_session_holds_a_key,
    a_release_without_value_wipes_value_and_flags,
    plain_writes_go_through_a_held_key,
    a_dead_session_acquires_nothing,
    destroying_releases_what_is_held,
    behaviour_delete_deletes_what_is_held,
    lock_delay_closes_a_key_for_a_while,
    lock_delay_closes_a_deleted_key_too,
    no_lock_delay_after_release_or_delete,
]
