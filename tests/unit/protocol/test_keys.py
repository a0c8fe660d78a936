"""Keys of names, and names that are refused."""

from __future__ import annotations

import pytest

from consul_lock._protocol import keys as names
from consul_lock.errors import ConfigError


def test_the_keys_of_a_name_are_all_below_it() -> None:
    """So that one rule of an ACL covers them."""
    keys = names.keys_of_name("jobs/nightly")
    assert keys == ("jobs/nightly", "jobs/nightly/.lock", "jobs/nightly/.queue")
    assert names.keys_of_key("some/key")[1:] == ("some/key", "some/key/.queue")


def test_the_key_of_a_named_lock_is_that_lock() -> None:
    """A client that locks ``x/.lock`` as a key waits in the same queue as the lock ``x``."""
    assert names.keys_of_key("x/.lock")[1:] == names.keys_of_name("x")[1:]


@pytest.mark.parametrize(
    "name",
    ["", "/a", "a/", "a//b", "a/./b", "..", "a\n", "a\x7f", " a", "x" * 513, "ä" * 257, "\udc80"],
)
def test_a_name_that_would_be_changed_on_the_way_is_refused(name: str) -> None:
    """Two names must never mean one lock, nor one name two."""
    with pytest.raises(ConfigError):
        names.keys_of_name(name)
