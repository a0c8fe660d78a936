"""`consul-lock check` with the real thing: what a monitoring system gets of a lock."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from tests.cli.check.plugin_line_reader import read
from tests.cli.command import consul, environment
from tests.cli.in_process import in_process
from tests.cli.inspect_fixture import (
    LOCK_FLAG,
    Hand,
    hand_fixture,  # noqa: F401 - a fixture, used by its name
)
from tests.cli.output.json_page import FIELDS, LOCK


@pytest.fixture(name="check")
def check_fixture(address: str) -> Any:
    """``check(key, "--max-age", "1h")``: exit code, status, text and numbers."""

    def check(key: str, *options: str) -> tuple[int, str, str, list[str]]:
        result = in_process("check", key, *options, env=environment(address))
        assert result.stderr == ""
        return result.returncode, *read(result.stdout.removesuffix("\n"))

    return check


def test_a_lock_that_is_free_held_and_held_too_long(hand: Hand, key: str, check: Any) -> None:
    """Its age is counted from what its holder says."""
    assert check(key)[:3] == (0, "OK", f"{key}: free, 0 waiters")
    about = {"host": "web|3", "pid": 7, "since": time.time() - 600}
    hand.hold(key, about)
    assert check(key, "--max-age", "1h", "--max-waiters", "20")[0] == 0
    code, status, text, numbers = check(key, "--max-age", "5m")
    assert (code, status) == (2, "CRITICAL")
    # A minute later at most, however slow the machine is.
    pattern = rf"{re.escape(key)}: held for 10m\d\ds by web\\x7c3:7 \(more than 5m00s\)"
    assert re.fullmatch(pattern, text)
    assert re.fullmatch(r"'age'=6\d\d\.\d+s;;300;0", numbers[0])
    assert numbers[1:] == ["'holders'=1;;;0;1", "'waiters'=0;;;0", "'dead'=0;0;;0"]


def test_dead_holders_foreign_keys_and_holders_that_say_nothing(
    hand: Hand, key: str, check: Any
) -> None:
    """A warning, and twice unknown."""
    first, _ = hand.slots(key, 3, 2)
    assert check(key)[0] == 0
    hand.destroy(first)
    assert check(key)[:2] == (1, "WARNING")
    hand.put(f"{key}/plain", "x")
    assert check(f"{key}/plain")[:2] == (3, "UNKNOWN")
    hand.hold(f"{key}/silent")
    assert check(f"{key}/silent")[0] == 0
    assert check(f"{key}/silent", "--max-age", "1h")[:2] == (3, "UNKNOWN")


def test_too_many_waiters(hand: Hand, address: str, key: str, check: Any) -> None:
    """Those of the queue."""
    hand.hold(key, {"host": "a", "pid": 1})
    session = hand.session()
    path = f"/v1/kv/{key}/.queue/{session}?acquire={session}&flags={LOCK_FLAG}"
    assert consul(address, "PUT", path, json.dumps({"host": "b", "pid": 2}))
    assert check(key, "--max-waiters", "1")[0] == 0
    code, _, text, _ = check(key, "--max-waiters", "0")
    assert (code, text) == (2, f"{key}: 1 waiter (more than 0)")


def test_json_has_the_documented_fields(hand: Hand, address: str, key: str) -> None:
    """Those of `status` and what was found."""
    hand.hold(key, {"host": "a", "pid": 1, "since": 1.0})
    words = ("check", key, "--max-age", "1h", "--json")
    result = in_process(*words, env=environment(address))
    document = json.loads(result.stdout)
    (item,) = document["items"]
    assert set(item) == LOCK | FIELDS["checked"]
    assert result.returncode == document["code"] == item["code"] == 2
    assert set(document) - {"v", "items"} == FIELDS["check"]
