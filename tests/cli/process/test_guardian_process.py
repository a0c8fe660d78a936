"""The guardian by itself: what it does about each line, and about the end of its pipe."""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from consul_lock_cli.base.clock import now
from consul_lock_cli.process import guardian_process, termination
from consul_lock_cli.process.child import Child
from consul_lock_cli.process.descendants import process_of
from consul_lock_cli.process.guardian import Guardian
from consul_lock_cli.process.parent import Ended
from consul_lock_cli.process.signals import Signals
from consul_lock_cli.process.termination import Termination
from consul_lock_cli.spec.process import ProcessPolicy
from tests.cli.command import alive
from tests.cli.working_script import WORK
from tests.support.waiting import eventually

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


class _Scene:
    """A command under a guardian, and what both say."""

    def __init__(self, folder: Path, script: str, **policy: Any) -> None:
        self.released = folder / "released"
        reader, writer = os.pipe()
        self.child = Child(
            # A shell says which of its children died of a signal.
            ["sh", "-c", f"exec 2>/dev/null; {script}"],
            Signals(frozenset(), frozenset()),
            policy=ProcessPolicy(**policy),
            output=writer,
            release=self._release,
        )
        os.close(writer)
        self.output = os.fdopen(reader)

    def _release(self, sessions: Sequence[str]) -> None:
        new = self.released.with_suffix(".new")
        new.write_text(" ".join(sessions))
        new.rename(self.released)

    @property
    def guardian(self) -> Guardian:
        assert self.child.guardian is not None
        return self.child.guardian

    def line(self) -> str:
        return self.output.readline().rstrip()

    def hang_up(self) -> None:
        """As the kernel does when consul-lock is killed."""
        os.close(self.guardian._orders)
        self.guardian._orders = -1

    def gone(self) -> bool:
        """Whether the guardian has ended."""
        return not alive(self.guardian.pid)

    def close(self) -> None:
        self.child.abandon()
        self.output.close()


Start = Callable[..., _Scene]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """``start(script, kill_after=...)``; it ends with the test."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    with ExitStack() as stack:

        def run(script: str, **policy: Any) -> _Scene:
            scene = _Scene(tmp_path, script, **policy)
            stack.callback(scene.close)
            return scene

        yield run
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def test_while_the_command_is_held_back_the_end_of_the_pipe_releases_at_once(start: Start) -> None:
    """It waited for the lock: it leaves the queue, and the command never runs."""
    scene = start("echo ran")
    scene.child.holds("one")
    scene.child.holds("two")
    scene.hang_up()
    eventually(scene.gone)
    assert scene.line() == ""
    assert scene.released.read_text() == "one two"


def test_a_hook_is_killed_with_its_group(start: Start) -> None:
    """Its time limit was that of consul-lock, which has been killed."""
    scene = start("echo ran")
    reader, writer = os.pipe()
    script = f"sh -c '{WORK}' & echo begun; {WORK}"
    hook = subprocess.Popen(["sh", "-c", script], stdout=writer, process_group=0)
    os.close(writer)
    with scene.child.hook() as begun, os.fdopen(reader) as output:
        begun(hook.pid, math.inf)
        assert output.readline() == "begun\n"
        scene.hang_up()
        assert output.readline() == ""
        eventually(scene.gone)
    assert hook.wait() == -signal.SIGKILL


def test_a_hook_is_killed_when_the_lease_is_over(start: Start) -> None:
    """consul-lock hangs, or is stopped: what it holds may be another's soon.  A later lease calls
    off the earlier one, and the command, which is held back, may still be started."""
    scene = start("echo ran")
    script = f"sh -c '{WORK}' & trap 'echo usr1' USR1; echo begun; {WORK}"
    reader, writer = os.pipe()
    hook = subprocess.Popen(["sh", "-c", script], stdout=writer, process_group=0)
    os.close(writer)
    with scene.child.hook() as tell, os.fdopen(reader) as output:
        moment = now()
        tell(hook.pid, moment + 3)
        tell(hook.pid, moment + 600)
        assert output.readline() == "begun\n"
        eventually(lambda: now() > moment + 3.2)
        hook.send_signal(signal.SIGUSR1)
        assert output.readline() == "usr1\n"
        tell(hook.pid, now())
        assert output.readline() == ""
        assert hook.wait() == -signal.SIGKILL
    scene.child.go({})
    assert scene.line() == "ran"


def test_nothing_is_released_while_a_hook_may_still_run(start: Start) -> None:
    """What has left its group goes on when consul-lock has been killed; when it has ended, all is
    as before."""
    scene = start("echo ran")
    scene.child.holds("one")
    with scene.child.hook():
        scene.hang_up()
        eventually(scene.gone)
    assert scene.line() == ""
    assert not scene.released.exists()
    later = start("echo ran")
    later.child.holds("two")
    with later.child.hook():
        pass
    later.hang_up()
    eventually(later.gone)
    assert later.released.read_text() == "two"


def test_the_end_of_the_pipe_stops_the_command_and_then_releases(start: Start) -> None:
    """With the first signal first."""
    # Long enough for a busy shell to say so.
    scene = start(f"trap 'echo term' TERM; echo $$; {WORK}", kill_after=3.0)
    scene.child.go({})
    command = int(scene.line())
    scene.hang_up()
    assert scene.line() == "term"
    assert not scene.released.exists()
    eventually(scene.released.exists)
    assert not alive(command)
    eventually(scene.gone)


def test_a_fault_of_its_own_stops_the_command_at_once(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Consul-lock has ended, so nobody else would; nothing is released, as nobody knows what is
    left."""

    def begin(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(Termination, "begin", begin)
    scene = start(f"trap '' TERM; setsid sh -c 'echo $$; {WORK}' & echo $$; {WORK}")
    scene.child.go({})
    pids = [int(scene.line()), int(scene.line())]
    scene.hang_up()
    assert scene.line() == ""
    # A process closes its end of the pipe a moment before it is dead.
    eventually(lambda: not any(map(alive, pids)))
    eventually(scene.gone)
    assert not scene.released.exists()


def test_a_goodbye_after_the_end_releases_nothing(start: Start) -> None:
    """consul-lock has done so itself."""
    scene = start("exit 3")
    scene.child.go({})
    eventually(lambda: Ended(3) in list(scene.child.poll()))
    scene.guardian.over()
    scene.guardian.dismiss()
    eventually(scene.gone)
    assert not scene.released.exists()


def test_a_goodbye_before_the_end_stops_the_command(start: Start) -> None:
    """consul-lock has failed, and does not watch it any more; it releases itself."""
    scene = start(f"trap 'echo term; exit' TERM; echo $$; {WORK}")
    scene.child.go({})
    scene.line()
    scene.guardian.dismiss()
    assert scene.line() == "term"
    eventually(scene.gone)
    assert not scene.released.exists()


def test_what_is_to_go_on_goes_on(start: Start, tmp_path: Path) -> None:
    """The command is over, and consul-lock is killed while it releases: only that is left to do."""
    seen = tmp_path / "seen"
    scene = start(f"setsid sh -c 'echo $$; {WORK}' & until [ -e {seen} ]; do sleep 0.05; done")
    scene.child.go({})
    left = int(scene.line())
    seen.touch()
    try:
        eventually(lambda: Ended(0) in list(scene.child.poll()))
        scene.guardian.over()
        scene.hang_up()
        eventually(scene.released.exists)
        eventually(scene.gone)
        assert alive(left)
    finally:
        os.kill(left, signal.SIGKILL)


def test_a_lease_that_ends_stops_the_command_and_releases_nothing(start: Start) -> None:
    """consul-lock hangs: what it holds may be another's by then."""
    scene = start(f"trap 'echo term' TERM; echo $$; {WORK}")
    scene.child.go({})
    command = int(scene.line())
    moment = now()
    scene.guardian.watch(moment + 0.1, moment + 3)
    assert scene.line() == "term"
    eventually(lambda: not alive(command))
    assert now() >= moment + 3
    assert not scene.released.exists()
    assert not scene.gone()
    scene.hang_up()
    eventually(scene.released.exists)


@pytest.mark.parametrize("news", ["later lease", "over"])
def test_news_call_off_a_lease(start: Start, news: str) -> None:
    """The lease before would have acted by then."""
    scene = start(f"trap 'echo term' TERM; trap 'echo usr1' USR1; echo $$; {WORK}")
    scene.child.go({})
    command = int(scene.line())
    moment = now()
    scene.guardian.watch(moment + 6, moment + 60)
    if news == "over":
        scene.guardian.over()
    else:
        scene.guardian.watch(moment + 60, moment + 120)
    eventually(lambda: now() > moment + 6.2)
    os.kill(command, signal.SIGUSR1)
    assert scene.line() == "usr1"
    os.kill(command, signal.SIGKILL)


def test_a_lease_does_not_stop_a_command_that_was_put_aside(start: Start) -> None:
    """It does nothing meanwhile; a signal would wait for it."""
    scene = start(f"trap 'echo term' TERM; echo $$; {WORK}")
    scene.child.go({})
    command = int(scene.line())
    moment = now()
    # On a busy machine the guardian may see the one seconds before the other.
    scene.guardian.watch(moment + 10, moment + 60)
    os.killpg(command, signal.SIGSTOP)
    scene.guardian.suspend()
    eventually(lambda: now() > moment + 11)
    process = process_of(command)
    assert process is not None
    # Between fork and exec it stops only when its child has begun, which is stopped, too.
    eventually(lambda: not process.works())
    status = Path(f"/proc/{command}/status")
    (pending,) = re.findall(r"^ShdPnd:\t(\w+)$", status.read_text(), re.MULTILINE)
    assert not int(pending, 16) & 1 << signal.SIGTERM - 1
    os.killpg(command, signal.SIGKILL)


def test_the_end_of_the_pipe_leaves_no_more_time_than_the_lease(start: Start) -> None:
    """Consul-lock was stopped or hung for a while before it was killed, and renewed nothing."""
    scene = start(f"trap '' TERM; echo $$; {WORK}", kill_after=600)
    scene.child.go({})
    command = int(scene.line())
    scene.guardian.watch(now() + 600, now() + 0.5)
    scene.hang_up()
    eventually(lambda: not alive(command))


def test_the_time_in_which_the_machine_sleeps_counts(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of leases goes on then, and that of poll(2) does not."""
    slept = tmp_path / "slept"
    for module in (guardian_process, termination):
        monkeypatch.setattr(module, "now", lambda: now() + 1000 * slept.exists())
    scene = start(f"trap 'echo term' TERM; echo $$; {WORK}", kill_after=600)
    scene.child.go({})
    command = int(scene.line())
    scene.hang_up()
    assert scene.line() == "term"
    eventually(lambda: (process := process_of(scene.guardian.pid)) and process.state == "S")
    slept.touch()
    eventually(lambda: not alive(command))


def test_what_was_put_aside_does_not_go_on_when_the_lease_is_over(start: Start) -> None:
    """Consul-lock is killed: a first signal would let the command run, under a lock of others."""
    scene = start(f"trap 'echo term' TERM; echo $$; {WORK}", kill_after=600)
    scene.child.go({})
    command = int(scene.line())
    os.kill(command, signal.SIGSTOP)
    eventually(lambda: (process := process_of(command)) is None or process.state == "T")
    scene.guardian.watch(now(), now())
    scene.guardian.suspend()
    scene.hang_up()
    assert scene.line() == ""
    eventually(lambda: not alive(command))


def test_unsafe_times_are_what_was_asked_for(start: Start) -> None:
    """Also when others have the lock."""
    scene = start(f"trap 'echo term; exit' TERM; echo $$; {WORK}", unsafe_timing=True)
    scene.child.go({})
    scene.line()
    scene.guardian.watch(now() + 600, now())
    scene.hang_up()
    assert scene.line() == "term"


def test_who_is_put_aside_after_the_end_of_the_command_is_called_back(start: Start) -> None:
    """It ended when consul-lock had heard that it was stopped, and did not know more."""
    scene = start(f"echo $$; {WORK}")
    scene.child.go({})
    calls: list[int] = []
    before = signal.signal(signal.SIGCONT, lambda signum, _: calls.append(signum))
    try:
        os.kill(int(scene.line()), signal.SIGKILL)
        eventually(lambda: list(scene.guardian.poll()))
        assert not calls
        scene.guardian.suspend()
        eventually(lambda: calls)
        scene.guardian.resume()
    finally:
        signal.signal(signal.SIGCONT, before)


def test_consul_lock_is_woken_by_the_end_of_the_command_though_not_all_is_over(
    start: Start,
) -> None:
    """It is about to stop what is left, and would else look for itself a second later."""
    scene = start(f"sh -c '{WORK}' &")
    woken: list[int] = []
    before = signal.signal(signal.SIGCHLD, lambda signum, _: woken.append(signum))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    try:
        scene.child.go({})
        eventually(lambda: woken)
        assert list(scene.guardian.poll()) == [Ended(0)]
        assert not scene.guardian.childless
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_what_did_not_fit_into_the_pipe_is_said_when_it_does(start: Start) -> None:
    """Consul-lock hung, and the command was stopped and continued again and again."""
    scene = start(f"echo $$; {WORK}")
    scene.child.go({})
    command = int(scene.line())
    # Its other end, filled with lines that say nothing.
    full = os.open(f"/proc/self/fd/{scene.guardian._news}", os.O_WRONLY | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(full, b"\n")
    os.close(full)
    os.kill(command, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{command}").exists())
    # It has tried, and sleeps again.
    eventually(lambda: (process := process_of(scene.guardian.pid)) and process.state == "S")
    assert eventually(lambda: list(scene.guardian.poll())) == [Ended(-signal.SIGKILL)]
    eventually(lambda: list(scene.guardian.poll()) or scene.guardian.childless)


def test_when_a_plan_is_overdue_it_kills_though_consul_lock_lives(start: Start) -> None:
    """It hangs after the first signal, such as on a stderr that nobody reads."""
    scene = start(f"trap 'echo term' TERM; echo $$; {WORK}")
    scene.child.go({})
    command = int(scene.line())
    scene.guardian.expect(now() + 0.2, stopped=True)
    eventually(lambda: not alive(command))
    assert scene.line() == ""  # the first signal is not its own


def test_after_a_plan_the_end_of_the_pipe_gives_no_second_signal(start: Start) -> None:
    """And no more time."""
    scene = start(f"trap 'echo term' TERM; echo $$; {WORK}", kill_after=60.0)
    scene.child.go({})
    command = int(scene.line())
    planned = now() + 0.5
    scene.guardian.expect(planned, stopped=True)
    scene.hang_up()
    eventually(scene.released.exists)
    assert now() >= planned
    assert not alive(command)
    assert scene.line() == ""


def test_after_the_own_end_of_the_command_leftovers_are_stopped_and_daemons_are_not(
    start: Start, tmp_path: Path
) -> None:
    """As consul-lock would have done, had it not been killed at that moment."""
    seen = tmp_path / "seen"
    scene = start(
        f"sh -c 'echo left $$; {WORK}' & setsid sh -c 'echo daemon $$; {WORK}' &"
        f" until [ -e {seen} ]; do sleep 0.05; done"
    )
    scene.child.go({})
    pids = dict(line.split() for line in (scene.line(), scene.line()))
    seen.touch()
    left, daemon = int(pids["left"]), int(pids["daemon"])
    try:
        eventually(lambda: Ended(0) in list(scene.child.poll()))
        scene.hang_up()
        eventually(scene.released.exists)
        assert not alive(left)
        assert alive(daemon)
    finally:
        os.kill(daemon, signal.SIGKILL)
