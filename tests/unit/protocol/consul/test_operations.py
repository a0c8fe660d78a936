"""Operations of a transaction, as they are sent."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.consul.operations import (
    Op,
    lock_operation,
    unchanged_operation,
    unlock_operation,
)
from consul_lock._protocol.keys import LOCK_FLAG


@pytest.mark.parametrize(
    "operation, sent",
    [
        (Op.set("k", "ü"), {"Verb": "set", "Value": "w7w="}),
        (Op.set("k", b"\xff", 7), {"Verb": "set", "Value": "/w==", "Flags": 7}),
        (Op.set("k", bytearray(b"x")), {"Verb": "set", "Value": "eA=="}),  # type: ignore[arg-type] # any bytes
        (Op.set("k", ""), {"Verb": "set"}),
        (Op.cas("k", "x", 5, 3), {"Verb": "cas", "Value": "eA==", "Index": 5, "Flags": 3}),
        (Op.cas("k", "x", 0), {"Verb": "cas", "Value": "eA==", "Index": 0}),
        (Op.delete("k"), {"Verb": "delete"}),
        (Op.delete_cas("k", 5), {"Verb": "delete-cas", "Index": 5}),
        (Op.delete_cas("k", 0), {"Verb": "delete-cas", "Index": 0}),
        (Op.get("k"), {"Verb": "get"}),
        (Op.check_index("k", 5), {"Verb": "check-index", "Index": 5}),
        (Op.check_index("k", 0), {"Verb": "check-index", "Index": 0}),
        (Op.check_not_exists("k"), {"Verb": "check-not-exists"}),
    ],
)
def test_operations_of_a_user_are_sent_in_the_format_of_consul(
    operation: Op, sent: dict[str, Any]
) -> None:
    """An index of 0 is an index: without it Consul would check nothing."""
    assert operation.wire() == {"Key": "k", **sent}


def test_a_write_requires_the_key_to_be_as_it_was_read() -> None:
    """Also that there was no such key."""
    there = Pair("k", b"", 0, "", 3, 9)
    assert unchanged_operation("k", there) == {"Verb": "check-index", "Key": "k", "Index": 9}
    assert unchanged_operation("k", None) == {"Verb": "check-not-exists", "Key": "k"}


def test_an_unlock_keeps_the_flags_of_the_lock() -> None:
    """With 0, which Consul writes else, every other client would take the key for a foreign one."""
    taken, freed = lock_operation("k", "s", "eA=="), unlock_operation("k", "s")
    assert taken["Flags"] == freed["Flags"] == LOCK_FLAG
    assert "Value" not in freed
