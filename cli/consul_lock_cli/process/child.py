"""The command's process: forked before any thread exists, held back until it may start.

A process that has threads cannot fork safely, and the library has threads.  So the fork comes
first; the child then waits at a pipe for its environment (`consul_lock_cli.process.launch`).

The obvious order, to fork when the lock is held, has the child begin as a copy of a process whose
other threads are gone: a lock that one of them held just then, of malloc or of an import, is held
for ever in the child, which hangs before its exec, under the lock.  `subprocess` avoids that in C
code, but runs none of what has to happen in between here: a group of its own, the signal at the
death of the parent, signals given back.  It would also report only after the acquire that there
are no more processes left, and there would be a moment in which the lock is held and a
SIGKILL leaves a command that no guardian knows.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar

from consul_lock_cli.process.command_tree import CommandTree
from consul_lock_cli.process.descendants import children_of
from consul_lock_cli.process.guardian import Guardian
from consul_lock_cli.process.launch import Launch
from consul_lock_cli.process.parent import DirectParent, Event
from consul_lock_cli.process.signals import Signals
from consul_lock_cli.spec.process import ProcessPolicy


def no_guardian(pid: int, until: float) -> None:
    """Nobody else has to know of a hook."""


class Child:
    """A process that will become ``command``, as the leader of a group of its own.

    ``output`` is a file descriptor for its stdout and stderr; None: those of this process.
    ``policy`` says how it is run; ``release`` is for its `Guardian`.  Raises OSError if the system
    refuses a process or a pipe; then nothing of it is left.
    """

    _guardians: ClassVar[set[int]] = set()

    def __init__(
        self,
        command: Sequence[str],
        signals: Signals,
        *,
        policy: ProcessPolicy,
        output: int | None = None,
        release: Callable[[Sequence[str]], None] | None = None,
    ) -> None:
        self.guardian: Guardian | None = None
        self._events: list[Event] = []
        # What this process had before: the program that became consul-lock may have had children.
        self._helpers = children_of(os.getpid())
        with _refusal():
            self._launch = Launch(command, signals, policy, output)
            try:
                if policy.guardian:
                    self.guardian = Guardian(self._launch, policy, release)
                    self.pid = self.guardian.command
                    self._guardians.add(self.guardian.pid)
                else:
                    self.pid = self._launch.fork()
            except BaseException:
                self._launch.close()
                raise
        self._launch.enter()
        parent = self.guardian or DirectParent(self.pid, self._helpers)
        self.tree = CommandTree(self.pid, parent, policy)
        """Everything that the command starts."""
        if self.guardian is not None:
            _keep_to_ourselves()

    @property
    def orphaned(self) -> bool:
        """The guardian was killed: this process is the parent of the command."""
        return self.guardian is not None and self.guardian.died

    def poll(self) -> Iterator[Event]:
        """What has happened to it since the last time."""
        while self._events:
            yield self._events.pop(0)
        yield from self.tree.parent.poll()
        if self.orphaned and self.tree.parent is self.guardian:
            assert self.guardian is not None
            self._guardians.discard(self.guardian.pid)
            self.tree.parent = DirectParent(self.pid, self._helpers | self._guardians)
            yield from self.tree.parent.poll()

    def holds(self, session: str) -> None:
        """This session is to be ended in order if consul-lock is killed."""
        if self.guardian is not None:
            self.guardian.session(session)

    @contextlib.contextmanager
    def hook(self) -> Iterator[Callable[[int, float], None]]:
        """Consul-lock runs something else under what it holds: to be called with its pid, which
        leads a group, and with the moment at which it must be dead, again when that is later."""
        if self.guardian is None:
            yield no_guardian
            return
        tell = self.guardian.hook
        tell(1)
        try:
            yield tell
        finally:
            tell(0)

    def go(self, changes: Mapping[str, str | None]) -> None:
        """Run the command, with these changes of the environment; None removes a variable.

        Raises OSError if the guardian has been killed: then it will not run.
        """
        self._events = list(self.poll())
        if self.orphaned:
            raise OSError("the guardian of the command was killed")
        if self.guardian is not None:
            self.guardian.go()
        self._launch.go(changes)

    def dismiss(self) -> None:
        """The command has ended, and what was held is released: `abandon` does the rest."""
        if self.guardian is not None and not self._launch.pending:
            self.guardian.dismiss()

    def abandon(self) -> None:
        """Never run the command, if it does not run yet; and see the guardian out."""
        if self._launch.pending:
            if self.guardian is not None:
                self.guardian.dismiss()
            self._launch.forbid()
            if self.guardian is None or self.orphaned:
                # It has nothing to lose yet, and might be stopped: then it would not see the pipe.
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(self.pid, signal.SIGKILL)
                    os.waitpid(self.pid, 0)
        if self.guardian is not None:
            self.guardian.dismiss()
            self.guardian.reap()
            self._guardians.discard(self.guardian.pid)

    def failure(self) -> OSError | None:
        """Why the command could not be run; None if it was.  To be asked when it has ended."""
        return self._launch.failure()


@contextlib.contextmanager
def _refusal() -> Iterator[None]:
    """Say in words what the system refuses; pipes that are open by then end with the process."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"cannot start a process: {error.strerror}") from error


def _keep_to_ourselves() -> None:
    """No further program gets what consul-lock was started with, such as the lock of a flock(1).

    The command has it by now.
    """
    try:
        opened = [int(name) for name in os.listdir("/dev/fd")]  # noqa: PTH208 - names are all
    except OSError:
        opened = list(range(256))
    for descriptor in opened:
        if descriptor > 2:
            # The one that listed them is closed already.
            with contextlib.suppress(OSError):
                os.set_inheritable(descriptor, False)
