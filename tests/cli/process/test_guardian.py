"""The guardian: what becomes of a command whose wrapper is killed."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from consul_lock_cli.base.exit_codes import ExitCode
from tests.cli.between_fork_and_exec import BETWEEN_FORK_AND_EXEC
from tests.cli.command import Running, alive, children, environment
from tests.cli.program_supervisor import PROGRAM
from tests.cli.working_script import WORK, working
from tests.support.waiting import eventually

Supervise = Callable[..., Running]


def _kill(running: Running) -> None:
    running.send(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL


def _expect(line: str, running: Running) -> None:
    """This line is the last."""
    assert list(iter(running.line, "")) == [line]


# Says each TERM it gets, however soon one follows the other.
_COUNTING = (
    "import os, signal, sys, time\n"
    "name, *others = sys.argv[1:]\n"
    "signal.signal(signal.SIGTERM, lambda *_: os.write(1, f'{name} term\\n'.encode()))\n"
    "if others and not os.fork(): name = others[0]\n"
    "os.write(1, f'{os.getpid()}\\n'.encode())\n"
    "for _ in range(6000): time.sleep(0.05)\n"
)


def test_if_consul_lock_is_killed_the_whole_group_gets_one_term(supervise: Supervise) -> None:
    """To many a program a second TERM means: at once."""
    running = supervise(sys.executable, "-c", _COUNTING, "command", "grandchild", kill_after="5s")
    pids = [int(running.line()), int(running.line())]
    guardian = running.guardian()
    _kill(running)
    assert {running.line(), running.line()} == {"command term", "grandchild term"}
    # The end of the pipe: nothing was said twice, and the guardian does not hold it open.
    assert running.line() == ""
    eventually(lambda: not any(map(alive, [*pids, guardian])))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("killed", ["consul-lock", "guardian"])
def test_a_command_with_other_rights_gets_the_signal_too(supervise: Supervise, killed: str) -> None:
    """As with runuser: the kernel has forgotten then that it should tell it."""
    program = (
        "import os, signal, time\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('term', flush=True))\n"
        "print(os.getpid(), flush=True)\n"
        "for _ in range(6000): time.sleep(0.05)\n"
    )
    running = supervise(sys.executable, "-c", program, kill_after="5")
    command = int(running.line())
    os.kill(running.pid if killed == "consul-lock" else running.guardian(), signal.SIGKILL)
    assert running.line() == "term"
    assert running.line() == ""
    eventually(lambda: not alive(command))
    assert running.wait() == -signal.SIGKILL


def test_a_command_that_ignores_the_first_signal_is_killed_after_the_grace(
    supervise: Supervise,
) -> None:
    """The command and what it started."""
    script = f"trap '' TERM; sh -c 'echo $$; {WORK}' &"
    running = supervise(*working(script), kill_after="1s")
    pids = [int(running.line()), int(running.line())]
    guardian = running.guardian()
    killed = time.monotonic()
    _kill(running)
    eventually(lambda: not any(alive(pid) for pid in pids))
    assert time.monotonic() - killed >= 1
    eventually(lambda: not alive(guardian))


def test_the_stop_signal_is_the_first_one_here_too(supervise: Supervise) -> None:
    """A program that tidies up on INT gets INT."""
    running = supervise(*working("trap 'echo int; exit' INT"), stop_signal="INT")
    running.line()
    _kill(running)
    _expect("int", running)


def test_a_stopped_command_sees_the_signal(supervise: Supervise) -> None:
    """It is stopped, and so is consul-lock, when that is killed."""
    # The kernel hangs up on a stopped group that nobody can wake any more.
    running = supervise(*working("trap '' HUP; trap 'echo term; exit' TERM"))
    command = int(running.line())
    os.kill(command, signal.SIGTSTP)
    eventually(lambda: _stopped(running.pid))
    _kill(running)
    _expect("term", running)


def _stopped(pid: int) -> bool:
    return _state(pid) == "T"


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_while_consul_lock_is_stopped_the_command_does_not_outlive_the_lease(
    supervise: Supervise,
) -> None:
    """Nothing is renewed then, and nobody but the guardian sees the end of the lease."""
    stubborn = f"sh -c 'trap \"\" TERM; echo $$; {WORK}' &"
    running = supervise(*working(f"{stubborn} trap 'echo term' TERM"), left="10", kill_after="5s")
    pids = [int(running.line()), int(running.line())]
    running.send(signal.SIGSTOP)
    assert running.line() == "term"
    # A process that does not end by it is killed, though consul-lock still does nothing.
    eventually(lambda: not any(map(alive, pids)))
    assert _stopped(running.pid)
    running.send(signal.SIGCONT)
    assert running.wait() == ExitCode.LOST


def test_a_command_that_is_stopped_with_consul_lock_is_left_alone(supervise: Supervise) -> None:
    """It can do no harm before consul-lock goes on, which then looks at the lease first."""
    lease = 6.0
    script = "trap '' HUP; trap 'echo term; exit' TERM"
    # So little for the end of the command that the guardian does not act before it is put aside.
    running = supervise(*working(script), left=str(lease), kill_after="300ms")
    command = int(running.line())
    begun = time.monotonic()
    os.kill(command, signal.SIGTSTP)
    eventually(lambda: _stopped(running.pid))
    # Half a second later than the guardian would have acted, and killed.
    eventually(lambda: time.monotonic() > begun + lease + 0.5)
    assert _stopped(command)
    running.send(signal.SIGCONT)
    # There is no time left to be asked in.
    assert running.line() == ""
    assert running.wait() == ExitCode.LOST


@pytest.mark.parametrize("continued", ["command", "member"])
def test_what_is_continued_alone_does_not_outlive_the_lease(
    supervise: Supervise, continued: str
) -> None:
    """Consul-lock was put aside with the command, and another process may have the lock by now."""
    _is_stopped_if_continued(supervise, f"sh -c 'echo member $$; {WORK}'", continued)


def test_nor_does_what_is_continued_between_fork_and_exec(
    supervise: Supervise, tmp_path: Path
) -> None:
    """A shell that was stopped at that moment is uninterruptible, before and after."""
    os.mkfifo(fifo := tmp_path / "fifo")
    member = shlex.join([sys.executable, "-c", BETWEEN_FORK_AND_EXEC, str(fifo)])
    _is_stopped_if_continued(supervise, member, "member", state="D")


def _is_stopped_if_continued(
    supervise: Supervise, member: str, continued: str, state: str = ""
) -> None:
    script = f"trap '' HUP; {member} & echo command $$; {WORK}"
    lease = 8.0
    running = supervise("sh", "-c", script, left=str(lease), kill_after="300ms")
    pids = dict(line.split() for line in (running.line(), running.line()))
    begun = time.monotonic()
    if state:
        eventually(lambda: _state(int(pids["member"])) == state)
    os.kill(int(pids["command"]), signal.SIGTSTP)
    eventually(lambda: _stopped(running.pid))
    eventually(lambda: time.monotonic() > begun + lease)
    os.kill(int(pids[continued]), signal.SIGCONT)
    assert running.line() == ""
    assert running.wait() == ExitCode.LOST


def test_a_command_that_is_continued_alone_in_time_brings_consul_lock_back(
    supervise: Supervise,
) -> None:
    """So the lock is renewed again."""
    running = supervise(*working("trap '' HUP; trap 'echo usr1' USR1"), left="600")
    command = int(running.line())
    os.kill(command, signal.SIGTSTP)
    eventually(lambda: _stopped(running.pid))
    os.kill(command, signal.SIGCONT)
    eventually(lambda: not _stopped(running.pid))
    os.kill(command, signal.SIGUSR1)
    assert running.line() == "usr1"
    running.send(signal.SIGTERM)
    assert running.wait() == -signal.SIGTERM


def test_the_end_of_a_command_that_was_put_aside_brings_consul_lock_back(
    supervise: Supervise,
) -> None:
    """Somebody kills it, as it does not react: consul-lock ends, too, with what was beside it."""
    script = f"trap '' HUP; sh -c 'echo member $$; {WORK}' & echo command $$; {WORK}"
    running = supervise("sh", "-c", script, left="600", kill_after="0.3s")
    pids = dict(line.split() for line in (running.line(), running.line()))
    os.kill(int(pids["command"]), signal.SIGTSTP)
    eventually(lambda: _stopped(running.pid))
    os.kill(int(pids["command"]), signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert not alive(int(pids["member"]))


def test_a_grace_that_has_begun_does_not_begin_again(supervise: Supervise) -> None:
    """If the lock is lost, somebody else may have it when that time is over."""
    grace = 8.0
    grandchild = f"sh -c 'trap \"echo term\" TERM; echo ready; {WORK}' &"
    running = supervise(*working(f"{grandchild} trap '' TERM"), kill_after=f"{grace:g}s")
    pids = {running.line(), running.line()}
    command = int((pids - {"ready"}).pop())
    sent = time.monotonic()
    running.send(signal.SIGTERM)
    assert running.line() == "term"
    eventually(lambda: time.monotonic() > sent + grace / 2)
    _kill(running)
    killed = time.monotonic()
    eventually(lambda: not alive(command))
    assert time.monotonic() - sent >= grace
    # Half of it was left.
    assert time.monotonic() - killed < grace
    assert running.line() == ""  # no second term


def test_the_command_is_killed_in_time_though_consul_lock_hangs(supervise: Supervise) -> None:
    """Whatever it is that holds consul-lock up, such as a stderr that nobody reads."""
    running = supervise(*working("trap 'echo term' TERM"), kill_after="4s")
    command = int(running.line())
    running.send(signal.SIGTERM)
    assert running.line() == "term"
    running.send(signal.SIGSTOP)
    eventually(lambda: not alive(command))
    running.send(signal.SIGCONT)
    assert running.wait() == -signal.SIGKILL


def test_the_command_dies_though_the_guardian_is_killed_too(supervise: Supervise) -> None:
    """By the kernel: the last line of defence."""
    running = supervise("sh", "-c", "echo $$; exec sleep 600")
    command = int(running.line())
    guardian = running.guardian()
    running.send(signal.SIGSTOP)
    os.kill(guardian, signal.SIGKILL)
    _kill(running)
    eventually(lambda: not alive(command))
    eventually(lambda: not alive(guardian))


@pytest.mark.parametrize("foreground", [False, True])
def test_a_guardian_that_was_stopped_sees_the_end_of_consul_lock(
    supervise: Supervise, foreground: bool
) -> None:
    """Both were stopped, such as by a signal for all that is around, and one was killed then."""
    options = {"foreground": True} if foreground else {}
    running = supervise(*working("trap '' TERM HUP"), kill_after="0.3s", **options)
    command = int(running.line())
    guardian = running.guardian()
    running.send(signal.SIGSTOP)
    os.kill(guardian, signal.SIGSTOP)
    eventually(lambda: _stopped(guardian))
    _kill(running)
    eventually(lambda: not alive(command))
    eventually(lambda: not alive(guardian))


def test_without_its_guardian_the_rest_of_the_group_gets_the_first_signal_too(
    supervise: Supervise,
) -> None:
    """The kernel sends it to the command alone, and each gets it once."""
    running = supervise(sys.executable, "-c", _COUNTING, "command", "grandchild", kill_after="4s")
    pids = [int(running.line()), int(running.line())]
    os.kill(running.guardian(), signal.SIGKILL)
    assert running.line() == "command term"
    assert running.line() == "grandchild term"
    assert running.line() == ""
    assert running.wait() == -signal.SIGKILL
    assert not any(map(alive, pids))


def test_without_its_guardian_the_command_is_stopped(supervise: Supervise) -> None:
    """The kernel tells the command itself; consul-lock is the parent then, and sees to the rest."""
    stubborn = f"setsid sh -c 'trap \"\" TERM; echo $$; {WORK}' &"
    running = supervise(*working(f"{stubborn} trap 'echo term; exit 7' TERM"), kill_after="4")
    pids = [int(running.line()), int(running.line())]
    os.kill(running.guardian(), signal.SIGKILL)
    assert running.line() == "term"
    assert running.wait() == 7
    assert running.line() == ""  # no second term
    assert not any(map(alive, pids))
    assert "the guardian of sh was killed" in running.errors()


def test_a_normal_end_leaves_no_guardian(supervise: Supervise) -> None:
    """Nor a zombie of it, where nobody reaps orphans."""
    running = supervise(*working("trap 'exit 0' USR1"))
    running.line()
    guardian = running.guardian()
    running.send(signal.SIGUSR1)
    assert running.wait() == 0
    assert not Path(f"/proc/{guardian}").exists()


def test_the_guardian_is_the_only_helper_and_costs_nothing(supervise: Supervise) -> None:
    """It sleeps at its pipes, has nothing else open, and no signal of others ends it."""
    running = supervise(*working("trap 'echo usr1' USR1"))
    command = int(running.line())
    guardian = running.guardian()
    assert running.children() == [guardian]
    assert children(guardian) == [command]
    assert os.getpgid(guardian) == guardian

    def opened() -> list[str]:
        try:
            found = [str(each.readlink()) for each in Path(f"/proc/{guardian}/fd").iterdir()]
        except FileNotFoundError:
            return []  # it has looked at its command just now
        return sorted(each.partition("[")[0] for each in found)

    eventually(lambda: opened() == [os.devnull] * 3 + ["pipe:"] * 4)
    status = Path(f"/proc/{guardian}/status")

    def woken() -> list[str]:
        return [line for line in status.read_text().splitlines() if "ctxt_switches" in line]

    def at_rest() -> list[str]:
        """When it has had its first news of consul-lock, too."""
        before, end = woken(), time.monotonic() + 0.5
        eventually(lambda: time.monotonic() > end)
        return before if woken() == before else []

    asleep = eventually(at_rest)
    for _ in range(5):
        running.send(signal.SIGUSR1)
        assert running.line() == "usr1"
    for signum in _SIGNALS:
        os.kill(guardian, signum)
    assert alive(guardian)
    assert woken() == asleep


_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTSTP)


def test_signals_of_others_do_not_keep_it_from_its_work(supervise: Supervise) -> None:
    """Such as of a service manager, which sends its signal to all processes."""
    running = supervise(*working("trap '' TERM"), kill_after="0.2")
    command = int(running.line())
    guardian = running.guardian()
    for signum in _SIGNALS:
        os.kill(guardian, signum)
    _kill(running)
    eventually(lambda: not alive(command))
    eventually(lambda: not alive(guardian))


def test_ps_shows_whom_it_guards_and_no_option_of_consul_lock(supervise: Supervise) -> None:
    """`pkill -f 'consul-lock run'` is not for it, and an option may be a token."""
    running = supervise(*working(""), stop_signal="INT")
    running.line()
    guardian = Path(f"/proc/{running.guardian()}/cmdline")
    # It takes its name after the command was started.
    eventually(lambda: guardian.read_bytes().startswith(b"lock-guardian: sh -c"))
    assert b"--stop-signal" not in guardian.read_bytes()


def test_without_stdin_and_stdout_it_is_the_same() -> None:
    """The pipes of consul-lock have their numbers then."""
    prefix = ("sh", "-c", 'exec "$@" 3>&1 <&- >&-', "sh", *PROGRAM, "--")
    command = working("trap 'exit 7' USR1; exec >&3")
    with Running(command, environment(), prefix=prefix) as running:
        running.line()
        assert alive(running.guardian())
        running.send(signal.SIGUSR1)
        assert running.wait() == 7


def test_no_guardian_is_none(supervise: Supervise) -> None:
    """The kernel still tells the command itself."""
    running = supervise(*working("trap 'echo term; exit' TERM"), no_guardian=True)
    command = int(running.line())
    assert running.children() == [command]
    _kill(running)
    assert running.line() == "term"


def test_in_the_foreground_what_the_command_started_is_stopped_too(supervise: Supervise) -> None:
    """Its group is that of the caller, who is not."""
    grandchild = f"sh -c 'echo $$; {WORK}' &"
    running = supervise(*working(f"trap '' TERM; {grandchild}"), foreground=True, kill_after="0.5")
    pids = [int(running.line()), int(running.line())]
    _kill(running)
    eventually(lambda: not any(map(alive, pids)))


def test_in_the_foreground_its_end_hangs_up_on_nobody() -> None:
    """The kernel does so if one of a group is stopped whose last link to another group goes."""
    work = f"{shlex.join(PROGRAM)} --left 60 --foreground -- true 2>&1"
    script = f"trap 'echo hup' HUP; sleep 600 & kill -STOP $!; {work}; echo end; kill -KILL $!"
    done = subprocess.run(
        ["sh", "-c", script],
        env=environment("127.0.0.1:1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        check=False,
    )
    assert "end" in done.stdout
    assert "hup" not in done.stdout


def test_a_command_that_was_never_started_never_is(supervise: Supervise) -> None:
    """consul-lock is killed while it waits for the lock: nothing of it is left."""
    running = supervise("echo", "started", never_go=True)
    assert running.line() == "held back"
    guardian = running.guardian()
    helpers = [guardian, *children(guardian)]
    assert len(helpers) == 2
    _kill(running)
    eventually(lambda: not any(alive(pid) for pid in helpers))
    assert running.line() == ""
