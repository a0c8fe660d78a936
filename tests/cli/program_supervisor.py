"""A program: supervise a command under a lease that is made up.

`python supervised.py --left S --lost-when FILE [OPTIONS] -- COMMAND...`: the lease has so many
seconds, is never renewed, and is known to be lost once there is that file.  What the guardian
would release goes to the file of `--release-to`.  The other options
are those of `consul-lock run` for the command.  The last line of stderr says how it ended.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.options.process import command_options
from consul_lock_cli.process.child import Child
from consul_lock_cli.process.descendants import descendants
from consul_lock_cli.process.signals import WAKE, take_over
from consul_lock_cli.process.supervisor import Supervisor
from consul_lock_cli.run.progress import Progress
from consul_lock_cli.run.result import pass_on
from consul_lock_cli.spec.process import ProcessPolicy

PROGRAM = (sys.executable, str(Path(__file__).resolve()))
"""How to run it."""


class MadeUp:
    """A lease that ends on demand."""

    def __init__(self, left: float, lost_when: Path | None) -> None:
        self._end = time.monotonic() + left
        self._lost = False
        if lost_when is not None:
            main = threading.get_ident()
            threading.Thread(target=self._lose, args=(lost_when, main), daemon=True).start()

    def remaining(self) -> float:
        return max(0.0, self._end - time.monotonic())

    def lost(self) -> bool:
        return self._lost

    def _lose(self, when: Path, main: int) -> None:
        while not when.exists():
            threading.Event().wait(0.01)
        self._lost = True
        signal.pthread_kill(main, WAKE)


class Story(Progress):
    """What is said of it, in short."""

    def lost(self, grace: float) -> None:
        _say(f"lost: {self._policy.after_loss(self._pid, grace)}")

    def overtime(self, grace: float) -> None:
        _say(f"overtime: {self._policy.stopping(self._pid, grace)}")

    def killed(self) -> None:
        _say("killed")


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--left", type=float, default=1000.0)
@click.option("--lost-when", type=click.Path(path_type=Path))
@click.option("--release-to", type=click.Path(path_type=Path), help="Sessions to be released.")
@click.option("--never-go", is_flag=True, help="Hold the command back until killed.")
@command_options
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def main(
    left: float,
    lost_when: Path | None,
    release_to: Path | None,
    never_go: bool,
    policy: ProcessPolicy,
    command: tuple[str, ...],
) -> int:
    """Supervise, tell, and pass on."""
    ours = take_over()
    release = None if release_to is None else partial(_release, release_to)
    child = Child(command, ours, policy=policy, release=release)
    child.holds("a-session")
    if never_go:
        print("held back", flush=True)  # noqa: T201 - a program
        signal.pause()
    supervisor = Supervisor(
        child,
        MadeUp(left, lost_when),
        ours,
        policy=policy,
        observer=Story(Console(), "made up", command[0], child.pid, policy),
    )
    try:
        ended = supervisor.run({"SUPERVISED": "yes"})
    finally:
        child.abandon()
    _say(f"{ended.code} lost={ended.lost}")
    return pass_on(ended, command[0], Console())


def _release(to: Path, sessions: Sequence[str]) -> None:
    """In the guardian: these, and which processes of the command are left."""
    left = descendants(os.getpid())
    to.with_suffix(".new").write_text(f"{' '.join(sessions)} {len(left)}")
    to.with_suffix(".new").rename(to)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - a program


if __name__ == "__main__":
    try:
        sys.exit(main(standalone_mode=False))
    except click.ClickException as error:
        _say(error.format_message())
        sys.exit(64)
