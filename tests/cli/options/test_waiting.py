"""The options that say how long to wait, and what to do without the lock."""

from __future__ import annotations

import click
import pytest

from consul_lock_cli.options.waiting import wait_options
from consul_lock_cli.spec.run import WaitPolicy


@click.command
@wait_options
def given(wait_policy: WaitPolicy) -> WaitPolicy:
    """Give back what arrives."""
    return wait_policy


@pytest.mark.parametrize(
    "arguments, changes",
    [
        ([], {}),
        (["-n"], {"wait": 0.0}),
        (["-w", "1m"], {"wait": 60.0}),
        (["-n", "-w", "1m"], {"wait": 0.0}),
        (["-E", "3"], {"conflict_code": 3}),
        (["-E", "255"], {"conflict_code": 255}),
        (["--fail-open"], {"fail_open": True}),
        (["--fail-open", "--fail-closed"], {"fail_open": False}),
        (["--unavailable-exit-code", "0"], {"unavailable_code": 0}),
        (["--splay", "2s"], {"splay": 2.0}),
        (["--min-hold", "1h"], {"min_hold": 3600.0}),
    ],
    ids=" ".join,
)
def test_an_option_changes_what_it_is_about(
    arguments: list[str], changes: dict[str, object]
) -> None:
    """And nothing else: without options it is the policy without arguments."""
    found = given.main(arguments, standalone_mode=False)
    assert found._asdict() == WaitPolicy()._asdict() | changes


@pytest.mark.parametrize(
    "arguments",
    [["-w", "-1"], ["-w", "soon"], ["-E", "256"], ["-E", "-1"], ["--splay", "-1"],
     ["--unavailable-exit-code", "256"], ["--min-hold", "nan"]],
    ids=" ".join,
)  # fmt: skip
def test_arguments_that_make_no_sense_are_refused(arguments: list[str]) -> None:
    """Before anything waits."""
    with pytest.raises(click.UsageError):
        given.main(arguments, standalone_mode=False)
