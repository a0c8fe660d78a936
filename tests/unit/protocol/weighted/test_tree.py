"""A tree lock: which documents a node of a path enters, and how."""

from __future__ import annotations

import pytest

from consul_lock._protocol import keys as names
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session import timing as terms
from consul_lock._protocol.weighted.tree import DEPTH_MAX, TreeCore, path
from consul_lock.errors import ConfigError, LockTimeout
from tests.unit.protocol.weighted_driver import WeightedDriver


def tree(driver: WeightedDriver, name: str) -> TreeCore:
    settings = Settings(terms.session_options())
    return TreeCore(driver.client(), names.keys_of_name(name), settings)


@pytest.mark.parametrize(
    "name, targets",
    [
        ("a", [("a", "write")]),
        ("a/b/c", [("a", "read"), ("a/b", "read"), ("a/b/c", "write")]),
    ],
)
def test_a_node_reads_what_is_above_it_and_writes_itself(
    name: str, targets: list[tuple[str, str]]
) -> None:
    """So readers and writers of a node see it, too; the rule covers all of the path."""
    lock = tree(WeightedDriver(), name)
    assert [(target.name, target.mode) for target in lock.targets()] == targets
    assert 'key_prefix "a/"' in lock.rule


@pytest.mark.parametrize(
    "held, wanted, free",
    [
        ("a/b", "a/b", False),
        ("a/b", "a", False),
        ("a", "a/b/c", False),
        ("a/b", "a/c", True),
        ("a/b", "a/bc", True),
        ("a", "b/a", True),
    ],
)
def test_a_node_excludes_what_is_above_and_below_it(held: str, wanted: str, free: bool) -> None:
    """And nothing beside it."""
    driver = WeightedDriver()
    holder = tree(driver, held)
    assert driver.acquire(holder)
    assert driver.acquire(tree(driver, wanted), timeout=0, owner="other") is free
    driver.release(holder)
    assert driver.acquire(tree(driver, wanted), timeout=0, owner="third") is not free


def test_who_is_below_a_node_that_is_held_is_not_said_to_wait_for_a_free_lock() -> None:
    """Its own node has no holder."""
    driver = WeightedDriver()
    assert driver.acquire(tree(driver, "a"))
    with pytest.raises(LockTimeout, match="within 1 s: a tree lock above it is held, or") as caught:
        driver.run(tree(driver, "a/b").enter(1.0, "other"))
    assert caught.value.holder is None


@pytest.mark.parametrize("depth", [DEPTH_MAX, DEPTH_MAX + 1])
def test_a_path_is_as_deep_as_one_transaction_has_room_for(depth: int) -> None:
    """The deepest one can be acquired, with somebody behind it, and released."""
    name = "/".join(["x"] * depth)
    if depth > DEPTH_MAX:
        with pytest.raises(ConfigError, match=f"{depth} deep"):
            path(name)
        return
    driver = WeightedDriver()
    lock, other = tree(driver, name), tree(driver, name)
    assert driver.acquire(lock)
    driver.when_blocked = lambda: driver.release(lock)
    assert driver.acquire(other)
    driver.release(other)
    assert driver.held() == {}
