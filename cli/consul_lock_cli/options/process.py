"""The options that say how a command is run and stopped."""

from __future__ import annotations

import functools
import re
import signal
from collections.abc import Callable
from typing import Any

import click

from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.headings import headed
from consul_lock_cli.options.types import DURATION, flagged
from consul_lock_cli.spec.process import STOP, WARN, Daemons, OnLost, ProcessPolicy, show_signal


def parse_signal(text: str) -> int:
    """The number of `TERM`, `SIGTERM`, `term`, `15` or `RTMIN+1`; raises ValueError."""
    name = text.strip().upper().removeprefix("SIG")
    number = _REAL_TIME.get(name[:5], 0) if (parts := _OFFSET.fullmatch(name)) else 0
    if parts:
        number += int(parts[1])
    elif name.isdecimal():
        number = int(name)
    elif f"SIG{name}" in signal.Signals.__members__:
        number = signal.Signals[f"SIG{name}"]
    if number not in signal.valid_signals():
        raise ValueError(f'bad signal "{text}": use TERM, SIGTERM, 15 or RTMIN+1')
    return number


_OFFSET = re.compile(r"(?:RTMIN|RTMAX)([+-]\d{1,2})", re.ASCII)

# Not every system has them.
_REAL_TIME = {name: int(getattr(signal, f"SIG{name}", 0)) for name in ("RTMIN", "RTMAX")}

# They put a command aside, or wake it: none of them can end it.
_NO_END = frozenset(
    {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCONT}
)


class _Signal(click.ParamType):  # type: ignore[type-arg] # not generic in older clicks
    name = "SIG"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        signum = _signal(str(value), param)
        if signum in _NO_END:
            raise Misuse(
                f"{flagged(param)}{show_signal(signum)} cannot end a command",
                "use TERM, INT or HUP",
            )
        return signum


class _OnLost(click.ParamType):  # type: ignore[type-arg] # the same
    name = "stop|warn|signal:SIG"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> OnLost:
        if isinstance(value, OnLost):
            return value
        kind, colon, name = str(value).partition(":")
        if kind == "signal" and colon:
            return OnLost(stops=False, signum=_signal(name, param))
        if colon or kind not in ("stop", "warn"):
            raise Misuse(f'{flagged(param)}bad value "{value}"', "use stop, warn or signal:SIG")
        return STOP if kind == "stop" else WARN


def _signal(text: str, param: click.Parameter | None) -> int:
    try:
        return parse_signal(text)
    except ValueError as error:
        raise Misuse(f"{flagged(param)}{error}", "kill -l lists the signals") from None


_OPTIONS = [
    click.option(
        "-c", "--command", "shell", metavar="STRING",
        help="Run STRING with /bin/sh -c, instead of COMMAND.",
    ),
    click.option(
        "--stdin", type=click.Choice(["inherit", "null"]), default="inherit",
        help="What COMMAND reads: the stdin of consul-lock [inherit], or nothing.",
    ),
    click.option(
        "--foreground", is_flag=True,
        help="Leave COMMAND in this process group; it alone gets the first signal.",
    ),
    click.option(
        "--stop-signal", type=_Signal(), default="TERM",
        help="First signal when the lock is lost or the time is over [TERM].",
    ),
    click.option(
        "--kill-after", type=DURATION, default=5.0, help="KILL so long after that signal [5s].",
    ),
    click.option(
        "--max-runtime", type=DURATION, help="Stop COMMAND after DUR, exit code 124 [never].",
    ),
    click.option(
        "--on-lost", type=_OnLost(), default="stop", metavar="stop|warn|signal:SIG",
        help="If the lock is lost: stop COMMAND [stop]; warn, or send SIG, and let it go on.",
    ),
    click.option(
        "--keep-leftovers", is_flag=True, help="Do not stop what COMMAND leaves in its group.",
    ),
    click.option(
        "--daemons", type=click.Choice([each.value for each in Daemons]), default="warn",
        help="If COMMAND ends and a process with a session of its own is left: warn [warn], keep"
        " it without a warning (and after a loss or a stop, too), or stop it.",
    ),
    click.option(
        "--no-guardian", is_flag=True, help="Do not stop COMMAND if consul-lock is killed.",
    ),
    click.option(
        "--unsafe-timing", is_flag=True,
        help="Accept times that let COMMAND outlive the lock.",
    ),
]  # fmt: skip


def command_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the command that is run; what is decorated gets them as ``policy``.

    It has an argument ``command``, as a tuple, which becomes that of the shell with -c.
    """

    @functools.wraps(command)
    def with_policy(**values: Any) -> Any:
        argv = _resolved(values.pop("shell"), values.pop("command", ()))
        policy = ProcessPolicy(
            stdin_null=values.pop("stdin") == "null",
            guardian=not values.pop("no_guardian"),
            daemons=Daemons(values.pop("daemons")),
            # As with timeout(1), 0 is no limit.
            max_runtime=values.pop("max_runtime") or None,
            **{name: values.pop(name) for name in _AS_THEY_ARE},
        )
        return command(policy=policy, command=argv, **values)

    return headed("Command", _OPTIONS)(with_policy)


_AS_THEY_ARE = (
    "foreground", "stop_signal", "kill_after", "on_lost", "keep_leftovers", "unsafe_timing",
)  # fmt: skip


def _resolved(shell: str | None, command: tuple[str, ...]) -> tuple[str, ...]:
    if shell is None:
        return command
    if command:
        raise Misuse(
            f'-c takes one string, but "{command[0]}" follows it', "quote the whole shell command"
        )
    if not shell.strip():
        raise Misuse("-c is empty: no command to run", "is the variable in it empty?")
    # The -- is for a string that begins with a minus.
    return ("/bin/sh", "-c", "--", shell)
