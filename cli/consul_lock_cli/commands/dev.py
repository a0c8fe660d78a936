"""`consul-lock dev`: a Consul to try things on, for as long as a command runs."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import COMMAND, Runner
from consul_lock_cli.process.child import Child
from consul_lock_cli.process.consul_agent import AgentFailed, ConsulAgent, find_consul
from consul_lock_cli.process.outcome import ProcessResult
from consul_lock_cli.process.signals import ENDING, Signals, take_over
from consul_lock_cli.process.supervisor import Supervisor
from consul_lock_cli.run.deadline import NoDeadline
from consul_lock_cli.run.result import pass_on
from consul_lock_cli.spec.process import ProcessPolicy

# As in `run`.
_POLICY = ProcessPolicy()

# What would lead a Consul client somewhere else, or make it speak TLS.
_ELSEWHERE = (
    "CONSUL_HTTP_SSL", "CONSUL_HTTP_SSL_VERIFY", "CONSUL_HTTP_TOKEN", "CONSUL_HTTP_TOKEN_FILE",
    "CONSUL_HTTP_AUTH", "CONSUL_CACERT", "CONSUL_CAPATH", "CONSUL_CLIENT_CERT",
    "CONSUL_CLIENT_KEY", "CONSUL_TLS_SERVER_NAME", "CONSUL_NAMESPACE", "CONSUL_PARTITION",
)  # fmt: skip


@click.command(cls=Runner, options_metavar="[OPTIONS] [--]")
@console_options
@click.argument("command", nargs=-1, type=COMMAND)
def dev(console: Console, command: tuple[str, ...]) -> int:
    """Run COMMAND with a private Consul agent, which ends with it.

    CONSUL_HTTP_ADDR is set for COMMAND; the line that sets it in other shells is printed.
    Without COMMAND, Consul runs until a signal comes (Ctrl-C).  It is a real agent if a consul
    binary is found ($CONSUL_BIN, PATH, or the one that scripts/get-consul fetched), otherwise a
    model of one; stderr shows which.  No data is kept.

    Example: consul-lock dev -- consul-lock run --key demo -- echo hello
    """
    signals = take_over()
    # Before the model starts, as it has threads.
    child = Child(command, signals, policy=_POLICY) if command else None
    try:
        with _consul(signals, console) as address:
            export = f"export CONSUL_HTTP_ADDR={address}"
            if child is None:
                console.note("until Ctrl-C, other shells reach it after this line:")
                return _until_a_signal(signals, export)
            console.note(f"other shells reach it after: {export}")
            ended = _run(child, signals, address)
        return pass_on(ended, command[0], console)
    except AgentFailed as error:
        console.error(str(error), "unset CONSUL_BIN, or set it to another binary")
        return ExitCode.UNAVAILABLE
    finally:
        if child is not None:
            child.abandon()


@contextlib.contextmanager
def _consul(signals: Signals, console: Console) -> Iterator[str]:
    binary = find_consul()
    if binary is None:
        from consul_lock.testing import serve

        with serve() as served:
            console.note(f"no consul binary found: a model of Consul runs at {served.address}")
            yield served.address
        return
    with ConsulAgent(binary, signals) as agent:
        console.note(f"a real Consul agent ({binary}) runs at {agent.address}")
        yield agent.address
        if not agent.alive():
            console.warn(f"the agent ended before its time:\n{agent.log()}")


def _until_a_signal(signals: Signals, export: str) -> int:
    click.echo(export)
    # Ending it by a signal is how it is meant to end.
    signal.sigwaitinfo(ENDING & signals.caught)
    return 0


def _run(child: Child, signals: Signals, address: str) -> ProcessResult:
    away: dict[str, str | None] = dict.fromkeys(_ELSEWHERE)
    supervisor = Supervisor(child, NoDeadline(), signals, policy=_POLICY)
    try:
        return supervisor.run({**away, "CONSULLOCK_CONFIG": "", "CONSUL_HTTP_ADDR": address})
    finally:
        child.abandon()
