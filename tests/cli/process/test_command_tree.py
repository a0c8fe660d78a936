"""Which part of what a command has started has to be gone before its end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from consul_lock_cli.process import command_tree
from consul_lock_cli.process.command_tree import CommandTree
from consul_lock_cli.process.descendants import Process
from consul_lock_cli.process.parent import Event
from consul_lock_cli.spec.process import Daemons, ProcessPolicy

_COMMAND = 10
_HERE = os.getsid(0)

_LEADER = Process(_COMMAND, "S", 1, _COMMAND, _HERE)
_MEMBER = Process(11, "S", 10, _COMMAND, _HERE)
_GROUP = Process(12, "S", 10, 12, _HERE)
_SESSION = Process(13, "S", 1, 13, 13)
_HIDDEN = Process(14, "")
_IN_CALLERS_GROUP = Process(15, "S", 1, os.getpgrp(), _HERE)


class _Parent:
    pid, helpers, childless = 1, (), False

    def poll(self) -> Iterator[Event]:
        return iter(())


class _First:
    def __init__(self) -> None:
        self.sent: list[int] = []
        self.is_empty = False

    def signal(self, signum: int) -> None:
        self.sent.append(signum)

    def empty(self) -> bool:
        return self.is_empty


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> list[Process]:
    """What is below the command's parent."""
    found = [_MEMBER, _GROUP, _SESSION, _HIDDEN]
    monkeypatch.setattr(command_tree, "descendants", lambda root, without: list(found))
    monkeypatch.setattr(command_tree, "children_of", lambda pid: frozenset(p.pid for p in found))
    return found


def _tree(stopped: bool = False, **policy: Any) -> CommandTree:
    tree = CommandTree(_COMMAND, _Parent(), ProcessPolicy(**policy))
    tree.first, tree.stopped = _First(), stopped
    return tree


_ALL = {11, 12, 13, 14}


@pytest.mark.parametrize(
    "stopped, policy, left",
    [
        (False, {}, {11, 12, 14}),
        (False, {"keep_leftovers": True}, {12, 14}),
        (False, {"daemons": Daemons.KEEP}, {11, 12, 14}),
        (False, {"daemons": Daemons.STOP}, _ALL),
        (True, {}, _ALL),
        (True, {"keep_leftovers": True}, _ALL),
        (True, {"daemons": Daemons.KEEP}, {11, 12, 14}),
        (True, {"daemons": Daemons.STOP}, _ALL),
    ],
)
def test_what_has_to_be_gone(
    there: list[Process], stopped: bool, policy: dict[str, Any], left: set[int]
) -> None:
    """After a command that ended by itself, and after a stop.  What is hidden may be anything."""
    tree = _tree(stopped, **policy)
    assert {process.pid for process in tree.left()} == left
    assert not tree.gone()
    there[:] = [process for process in there if process.pid not in left]
    # If nothing is to go on, only the kernel says that nobody is left.
    assert tree.gone() == (left != _ALL)
    assert tree.spared == (left != _ALL)


@pytest.mark.parametrize(
    "stopped, daemons, named",
    [
        (False, Daemons.WARN, [13]),
        (False, Daemons.KEEP, [13]),
        (False, Daemons.STOP, []),
        (True, Daemons.WARN, []),
        (True, Daemons.KEEP, [13]),
    ],
)
def test_daemons_are_those_with_a_session_of_their_own_that_go_on(
    there: list[Process], stopped: bool, daemons: Daemons, named: list[int]
) -> None:
    """For the warning."""
    assert [process.pid for process in _tree(stopped, daemons=daemons).daemons()] == named


def test_what_a_look_has_missed_is_there(
    there: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that forks and ends in turn is another one by then, but always adopted."""
    there[:] = [_SESSION]
    tree = _tree()
    assert tree.gone()
    monkeypatch.setattr(command_tree, "children_of", lambda pid: frozenset({_SESSION.pid, 16}))
    assert not tree.gone()
    monkeypatch.setattr(
        command_tree, "process_of", {16: _MEMBER._replace(pid=16), _SESSION.pid: _SESSION}.get
    )
    assert tree.fleeing() == [_MEMBER._replace(pid=16)]


@pytest.mark.parametrize("foreground, beside", [(False, {12, 13, 14}), (True, {11, 12, 13, 14})])
def test_beside_the_first_are_those_whom_its_signal_does_not_reach(
    there: list[Process], foreground: bool, beside: set[int]
) -> None:
    """The command's group, or in the foreground the command alone."""
    there.append(_LEADER)
    tree = _tree(stopped=True, foreground=foreground)
    assert {process.pid for process in tree.beside()} == beside


def test_a_command_that_makes_a_session_in_the_foreground_is_no_daemon(
    there: list[Process],
) -> None:
    """It leads no group there, so it can: neither it nor its children go on without the lock."""
    command, child = Process(_COMMAND, "S", 1, 10, 10), Process(11, "S", 10, 11, _COMMAND)
    there[:] = [command, child, _SESSION]
    tree = _tree(stopped=True, foreground=True, daemons=Daemons.KEEP)
    assert tree.left() == [command, child]
    assert not tree.gone()
    assert tree.daemons() == [_SESSION]


@pytest.mark.parametrize("works", [True, False])
def test_what_was_put_aside_works_if_one_of_it_does(
    there: list[Process], monkeypatch: pytest.MonkeyPatch, works: bool
) -> None:
    """A daemon that is kept was never stopped."""
    there[:] = [_MEMBER, _SESSION]
    monkeypatch.setattr(Process, "works", lambda self: works if self == _MEMBER else True)
    assert _tree(daemons=Daemons.KEEP).works() == works


def test_in_the_foreground_leftovers_are_those_of_the_callers_group(there: list[Process]) -> None:
    """The command has none of its own."""
    there[:] = [_IN_CALLERS_GROUP, _GROUP]
    tree = _tree(foreground=True, keep_leftovers=True)
    assert tree.left() == [_GROUP]


def test_the_command_itself_never_goes_on(there: list[Process]) -> None:
    """It is in its group, but nothing that it has left."""
    there[:] = [_LEADER, _MEMBER]
    assert _tree(keep_leftovers=True).left() == [_LEADER]


def test_the_guardian_knows_the_callers_group(there: list[Process]) -> None:
    """Its own is another."""
    there[:] = [_GROUP, _MEMBER]
    policy = ProcessPolicy(foreground=True, keep_leftovers=True)
    assert CommandTree(_COMMAND, _Parent(), policy, caller=12).left() == [_MEMBER]


def test_when_the_parent_has_no_child_all_are_gone(there: list[Process]) -> None:
    """Whatever /proc shows."""
    tree = _tree(stopped=True)
    assert not tree.gone()
    tree.parent.childless = True  # type: ignore[misc] # it is the fake one
    assert tree.gone()


def test_a_group_that_is_kept_gets_no_signal(there: list[Process]) -> None:
    """Until the command is stopped."""
    tree = _tree(keep_leftovers=True)
    first: Any = tree.first
    tree.signal_first(15)
    tree.stopped = True
    tree.signal_first(9)
    assert first.sent == [9]


def test_elsewhere_than_on_linux_it_is_the_group(
    there: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else can be found."""
    monkeypatch.setattr(command_tree, "LINUX", False)
    tree = _tree()
    first: Any = tree.first
    assert (tree.left(), tree.gone()) == ([], False)
    first.is_empty = True
    assert tree.gone()
    assert _tree(keep_leftovers=True).gone()


def test_who_cannot_be_seen_may_be_anybody(there: list[Process]) -> None:
    """The kernel says that there is a child, and /proc shows nobody."""
    there.clear()
    assert not _tree().gone()


@pytest.mark.parametrize("daemons, kept", [(Daemons.WARN, set()), (Daemons.KEEP, {13})])
def test_all_that_works_can_be_put_aside(
    there: list[Process], monkeypatch: pytest.MonkeyPatch, daemons: Daemons, kept: set[int]
) -> None:
    """What was stopped already is left alone, and so is what may not be signalled."""
    sent: list[tuple[int, int]] = []

    def note(process: Process, signum: int) -> bool:
        sent.append((process.pid, signum))
        return not process.hidden

    monkeypatch.setattr(command_tree, "send", note)
    there.append(Process(16, "T", 10, 16, _HERE))
    aside = {process.pid for process in _tree(daemons=daemons).put_aside()}
    assert aside == {11, 12, 13} - kept
    assert {pid for pid, _ in sent} == aside | {14}
    assert {signum for _, signum in sent} == {signal.SIGSTOP}
