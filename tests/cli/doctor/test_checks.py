"""All checks, one after the other: what is made, what is skipped, and the exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consul_lock import ConfigError, Conflict, LockTimeout, PermissionDenied, Unavailable
from consul_lock_cli.base.errors import BadSetting, Misuse
from consul_lock_cli.doctor.checks import CHECKS, Check, Result, examine, exit_code, failed
from consul_lock_cli.doctor.context import DoctorContext
from consul_lock_cli.doctor.finding import Finding, Trouble, Verdict, ok, skip, warn

_NOBODY: Any = None
_BAD = Trouble("it is broken", "repair it", 77)


def _look(what: Finding | Exception) -> Callable[[DoctorContext], Finding]:
    def look(context: DoctorContext) -> Finding:
        if isinstance(what, Exception):
            raise what
        return what

    return look


def _verdicts(*checks: Check) -> dict[str, str]:
    return {name: finding.verdict.value for name, finding in examine(_NOBODY, checks)}


def test_a_check_comes_after_what_it_needs() -> None:
    """And what it needs is one of all."""
    made: set[str] = set()
    for check in CHECKS:
        assert made.issuperset(check.needs), check.name
        made.add(check.name)
    assert len(made) == len(CHECKS)


@pytest.mark.parametrize(
    "found, verdict, next_one",
    [
        (ok("fine"), "ok", "ok"),
        (warn("odd", "do so"), "warn", "ok"),
        (skip("nothing to see"), "skip", "ok"),
        (_BAD, "fail", "skip"),
        (Finding(Verdict.FAIL, "bad", code=78), "fail", "skip"),
    ],
    ids=["ok", "warn", "skip", "raised", "returned"],
)
def test_only_a_failure_stops_those_that_need_it(
    found: Finding | Exception, verdict: str, next_one: str
) -> None:
    """One that found nothing to look at does not; others are made all the same."""
    first = Check("a", _look(found))
    needing, other = Check("b", _look(ok("")), ("a",)), Check("c", _look(ok("")))
    assert _verdicts(first, needing, other) == {"a": verdict, "b": next_one, "c": "ok"}


def test_what_needs_a_check_that_was_not_made_is_not_made_either() -> None:
    """It names the one next to it, as that one names the next."""
    checks = [Check("a", _look(_BAD)), Check("b", _look(ok("")), ("a",)),
              Check("c", _look(ok("")), ("x", "b"))]  # fmt: skip
    found = dict(examine(_NOBODY, checks))
    assert (found["b"], found["c"]) == (skip("skipped: needs a"), skip("skipped: needs b"))


def test_the_checks_are_made_one_by_one() -> None:
    """So that somebody who watches sees the first while the second is made."""
    made: list[str] = []

    def note(context: DoctorContext) -> Finding:
        made.append("second")
        return ok("")

    results = examine(_NOBODY, [Check("a", _look(ok(""))), Check("b", note)])
    assert next(results).name == "a"
    assert made == []
    assert [result.name for result in results] == ["b"]


@pytest.mark.parametrize(
    "error, code, text, hint",
    [
        (_BAD, 77, "it is broken", "repair it"),
        (Misuse("--ttl 5s: no", "use more"), 78, "--ttl 5s: no", "use more"),
        (BadSetting("x.toml: no"), 78, "x.toml: no", "consul-lock config"),
        (Unavailable("away"), 69, "away", "--http-addr"),
        (PermissionDenied("no"), 77, "permission denied", "where the token comes from"),
        (ConfigError("no"), 78, "no", "takes precedence"),
        (OSError(24, "Too many open files"), 78, "Too many open files", "ulimit"),
        (Conflict("taken"), 78, "taken", "--key"),
        (LockTimeout("held"), 78, "held", "-w"),
        (KeyError("x"), 70, "KeyError: 'x'", "bug"),
    ],
    ids=repr,
)
def test_whatever_a_check_raises_is_what_was_found(
    error: Exception, code: int, text: str, hint: str
) -> None:
    """With a code that the doctor may end with: what it does not know is a setting of this host."""
    finding = failed(error)
    assert (finding.verdict, finding.code) == (Verdict.FAIL, code)
    assert text in finding.text
    assert hint in finding.hint
    (result,) = examine(_NOBODY, [Check("a", _look(error))])
    assert result == Result("a", finding)


_FAIL = Finding(Verdict.FAIL, "bad", code=69)


@pytest.mark.parametrize(
    "findings, lenient, strict",
    [
        ([], 0, 0),
        ([ok(""), skip("")], 0, 0),
        ([ok(""), warn("", "")], 0, 1),
        ([warn("", ""), _FAIL, Finding(Verdict.FAIL, "", code=77)], 69, 69),
    ],
)
def test_the_exit_code_is_that_of_the_first_failure(
    findings: list[Finding], lenient: int, strict: int
) -> None:
    """A warning counts only with --strict."""
    results = [Result("x", finding) for finding in findings]
    assert exit_code(results, strict=False) == lenient
    assert exit_code(results, strict=True) == strict
