"""`doctor`: is anybody there?"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from consul_lock_cli.doctor.consul import _TESTED
from tests.cli.doctor.doctor_fixture import doctor
from tests.support.http_messages import Answer
from tests.support.ports import free_port


def test_nobody_listens() -> None:
    """69 of the connection; what needs it is not tried."""
    status_file = doctor(f"127.0.0.1:{free_port()}")
    assert status_file.code == 69
    assert status_file.bad() == {"connect": "fail"}
    assert "Connection refused" in status_file.items["connect"]["text"]
    assert status_file.items["trial"]["verdict"] == "skip"
    first, hint = status_file.stderr.splitlines()
    assert first.startswith("consul-lock: connect: cannot reach Consul at")
    assert hint.startswith("hint: ")


def test_an_unknown_host_name() -> None:
    """69 of the name."""
    status_file = doctor("no-such-host.invalid:8500")
    assert (status_file.code, status_file.bad()) == (69, {"name": "fail"})
    assert "no-such-host.invalid" in status_file.items["name"]["text"]


@pytest.mark.parametrize(
    "version, said",
    [
        ("1.7.9", "is older than the oldest tested version (1.8.7)"),
        ("1.8.0", ", older than the oldest tested version (1.8.7), node"),
        ("1.8.7", ", tested by each run of the tests, node"),
        ("1.12", ", between the tested versions 1.8.7 and 1.21.4, node"),
        ("1.15.4", ", some rules compared by hand on 29 November 2026, node"),
        ("1.21.4", ", tested by hand on 30 November 2026, node"),
        ("1.21.4+ent", ", Enterprise was not tested, node"),
        ("1.21.5", ", newer than the newest tested version (1.21.4); some names of keys are"),
        ("2.0.0-rc1", ", newer than the newest tested version (1.21.4); some names of keys are"),
    ],
)
def test_it_says_what_was_tested_with_a_release_and_what_was_not(
    altered: Callable[[str, Answer], str], version: str, said: str
) -> None:
    """An older one is a warning; of a newer one nothing bad is known."""
    about = json.dumps({"Config": {"Version": version, "NodeName": "n"}}).encode()
    status_file = doctor(altered("agent/self", Answer(200, {}, about)))
    assert said in status_file.items["agent"]["text"]
    assert (status_file.items["agent"]["verdict"] == "warn") is version.startswith("1.7")


def test_what_it_says_was_tested_is_what_the_document_says() -> None:
    """By every change, or by hand, and then at the same date."""
    page = (Path(__file__).parents[3] / "docs" / "support.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| 1.")]
    for release, how in _TESTED.items():
        name = ".".join(map(str, release))
        (row,) = (row for row in rows if re.search(rf"^\| [^|]*\b{re.escape(name)}\b", row))
        by_hand, _, date = how.partition(" by hand on ")
        assert (f"| {date} |" if date else "every change") in row, (by_hand, row)


@pytest.mark.parametrize(
    "kind, answer, check, verdict, code",
    [
        ("status/leader", Answer(200, {}, b'""'), "leader", "fail", 69),
        ("session/create", Answer(500, {}, b"No cluster leader"), "trial", "fail", 69),
        ("session/create", Answer(429, {}, b"Too many requests"), "trial", "fail", 69),
        ("session/renew", Answer(404, {}, b"Session not found"), "trial", "fail", 69),
        ("kv?wait", Answer(200, {}, b"[]"), "long-poll", "warn", 0),
        ("kv?wait", Answer(504, {}, b"Gateway Timeout"), "long-poll", "fail", 69),
        ("agent/self", Answer(200, {}, b"<html>Welcome</html>"), "agent", "fail", 78),
        ("agent/self", Answer(200, {}, b'{"Config": {"Version": "1.2.3"}}'), "agent", "warn", 0),
        ("acl/token", Answer(403, {}, b"ACL not found"), "token", "warn", 0),
    ],
    ids=lambda value: str(value)[:30],
)
def test_network_errors(
    altered: Callable[[str, Answer], str],
    kind: str,
    answer: Answer,
    check: str,
    verdict: str,
    code: int,
) -> None:
    """One answer is another's than Consul's; the check that it concerns sees it."""
    status_file = doctor(altered(kind, answer))
    assert status_file.bad() == {check: verdict}
    assert status_file.code == code
