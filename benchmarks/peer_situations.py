"""Fifteen situations that a lock around a command gets into, and what is seen in each."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from typing import NamedTuple

from peer_stand import PATIENCE, Stand, ending, seconds_until

# Seconds that a frozen server, or a killed wrapper, is watched for.
_LONG = 75.0


class Situation(NamedTuple):
    """``watch`` makes it and says what the tool does.  ``quick``: without times, in seconds."""

    title: str
    watch: Callable[[Stand], str]
    quick: bool = True


def _code(process: subprocess.Popen[str], patience: float = PATIENCE) -> int | None:
    try:
        return process.wait(patience)
    except subprocess.TimeoutExpired:
        return None


def _script(stand: Stand, script: str) -> int | None:
    command = stand.tool.run(stand.key, script)
    assert command is not None
    return _code(stand.start(command))


def exit_code(stand: Stand) -> str:
    return ending(_script(stand, "exit 42"))


def signal_death(stand: Stand) -> str:
    return ending(_script(stand, "kill -9 $$"))


def not_found(stand: Stand) -> str:
    return ending(_code(stand.start(stand.tool.program(stand.key, "/no/such/program"))))


def not_executable(stand: Stand) -> str:
    return ending(_code(stand.start(stand.tool.program(stand.key, "/etc/passwd"))))


def stdin(stand: Stand) -> str:
    command = stand.tool.run(stand.key, f"cat >{stand.folder}/seen")
    assert command is not None
    _code(stand.start(command, stdin="typed\n"))
    return "the command reads it" if stand.text("seen") == "typed" else "the command gets none"


def token(stand: Stand) -> str:
    _script(stand, f"env >{stand.folder}/seen")
    names = {line.partition("=")[0] for line in stand.text("seen").splitlines()}
    found = names & {"CONSUL_LOCK_TOKEN", "ETCD_LOCK_REV"}
    return f"`{found.pop()}`" if found else "none"


def _busy(stand: Stand, wait: float) -> str:
    command = stand.tool.run(stand.key, "true", wait)
    if command is None:
        return "cannot be asked for"
    stand.hold()
    code = _code(stand.start(command))
    named = "says who holds it" if " held by " in stand.said(1) else "does not say who holds it"
    return f"{ending(code)}; {named}"


def busy(stand: Stand) -> str:
    return _busy(stand, 0)


def timed_out(stand: Stand) -> str:
    return _busy(stand, 1)


def unreachable(stand: Stand) -> str:
    code = _code(stand.start(stand.tool.unreachable(stand.key)))
    return f"{ending(code)}: {_cell(stand.said())}" if stand.said() else ending(code)


def _cell(text: str, most: int = 140) -> str:
    short = text if len(text) <= most else text[: most - 3] + "..."
    return f'"{short.replace("|", chr(92) + "|")}"'


def term_waiting(stand: Stand) -> str:
    stand.hold()
    command = stand.tool.run(stand.key, f"echo y >{stand.folder}/next")
    assert command is not None
    waiter = stand.start(command)
    # It has to wait by then, which none of them shows.
    seconds_until(lambda: False, 1.5)
    waiter.send_signal(signal.SIGTERM)
    took = seconds_until(lambda: waiter.poll() is not None, 25.0)
    if took is None:
        return "does not end"
    return f"{ending(waiter.returncode)} {_after(took)}"


def term_running(stand: Stand) -> str:
    holder = stand.hold()
    holder.send_signal(signal.SIGTERM)
    seconds_until(lambda: holder.poll() is not None)
    return f"{ending(holder.poll())}; {_left(stand)}"


def _left(stand: Stand) -> str:
    command, child = stand.alive("pid"), stand.alive("child")
    if not command and not child:
        return "command and its child are gone"
    lives = "command and its child live" if command else "its child lives"
    return f"{lives} on, while the next one {_next(stand)}"


def _next(stand: Stand) -> str:
    return "has to wait" if stand.next_starts(3.0) is None else "starts"


def leftovers(stand: Stand) -> str:
    holder = stand.hold("exit 0")
    seconds_until(lambda: holder.poll() is not None)
    return _left(stand)


def lost(stand: Stand) -> str:
    holder = stand.hold()
    stand.tool.lose(stand.key)
    took = seconds_until(lambda: holder.poll() is not None)
    if took is None:
        return f"the command runs on, while the next one {_next(stand)}"
    return f"the wrapper ends {_after(took)}, {ending(holder.poll())}; {_left(stand)}"


def killed(stand: Stand) -> str:
    holder = stand.hold()
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    ended = seconds_until(lambda: not stand.alive("pid"))
    fate = "the command lives on" if ended is None else "the command is ended"
    after = stand.next_starts(_LONG)
    if after is None:
        return f"{fate}; the lock is never free"
    return f"{fate}; the next one starts {_after(after + (PATIENCE if ended is None else ended))}"


def frozen(stand: Stand) -> str:
    holder = stand.hold()
    if not stand.tool.freeze():
        return "there is no server"
    try:
        took = seconds_until(lambda: not stand.alive("pid"), _LONG)
    finally:
        stand.tool.thaw()
    if took is None:
        return f"the command runs on (for {_LONG:g}s and more)"
    return f"the command is stopped {_after(took)}; {ending(_code(holder))}"


def _after(seconds: float) -> str:
    return "at once" if seconds < 2 else f"after {seconds:.0f}s"


SITUATIONS = (
    Situation("the command exits with 42", exit_code),
    Situation("the command dies of SIGKILL", signal_death),
    Situation("the command does not exist", not_found),
    Situation("the command is not executable", not_executable),
    Situation("something is piped into it", stdin),
    Situation("fencing token for the command", token),
    Situation("the lock is held, do not wait", busy),
    Situation("the lock is held, wait for 1 s", timed_out),
    Situation("the server (the folder) is not there", unreachable),
    Situation("TERM to the wrapper while it waits", term_waiting, quick=False),
    Situation("TERM to the wrapper while the command and its child run", term_running, quick=False),
    Situation("the command ends and leaves a child behind", leftovers, quick=False),
    Situation("the lock is taken away while the command runs", lost, quick=False),
    Situation("the wrapper is killed (SIGKILL)", killed, quick=False),
    Situation("the server freezes while the command runs", frozen, quick=False),
)
