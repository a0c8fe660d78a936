"""`consul-lock exporter`: metrics of all locks and cron jobs, for Prometheus."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.listen import LISTEN, Listen
from consul_lock_cli.options.types import PREFIX
from consul_lock_cli.output.data_command import DataCommand, Output, note_gaps
from consul_lock_cli.process.signals import ENDING
from consul_lock_cli.spec.connection import Connection

if TYPE_CHECKING:
    from consul_lock_cli.exporter.prefix_reader import Reading

_DEFAULT = Listen("127.0.0.1", 9852)


@click.command(cls=DataCommand)
@click.option(
    "--listen", type=LISTEN, default=_DEFAULT, metavar="ADDRESS:PORT",
    help=f"Where to serve them [{_DEFAULT}]; the names of locks are there for all who can connect.",
)  # fmt: skip
@click.option("--once", is_flag=True, help="Print them once, and serve nothing.")
@console_options
@connection_options
@click.argument("prefix", nargs=-1, type=PREFIX)
def exporter(
    connection: Connection,
    console: Console,
    listen: Listen,
    once: bool,
    prefix: tuple[str, ...],
) -> int:
    """Serve metrics of the locks and cron jobs below each PREFIX to Prometheus.

    Without PREFIX those of all.  Of each PREFIX at most 1000 names have series of their own; the
    others are counted.  docs/monitoring.md has the metrics, with alerts and a dashboard.

    One instance is enough for a datacenter.  It needs a token that may read the keys, and one
    blocking query for each PREFIX, at most once a second.  When Consul could not be read for
    --retry-for, consul_lock_up is 0, and the rest is as old as consul_lock_last_read_age_seconds
    says; it tries on for ever.  TERM and INT end it, with exit code 0.

    Example: consul-lock exporter --listen 10.0.0.7:9852 jobs/ deploy/
    """
    wanted = _checked(prefix or ("",))
    try:
        from consul_lock_cli.exporter.server import serve, text
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "prometheus_client":
            raise
        console.error(
            "the exporter needs prometheus-client",
            "pip install '.[prometheus]' in a checkout of consul-lock has it",
            code=ExitCode.CONFIG,
        )
        return ExitCode.CONFIG
    from consul_lock_cli.exporter.collector import Collector

    if once:
        found = _read_once(connection, console, wanted)
        Output(as_json=False, template=None, color=False).text(text(Collector(lambda: found)))
        return 0
    signals = _hold_back()
    readings = _follow(connection, console, wanted)
    address = serve(Collector(readings), listen)
    console.note(f"metrics are at {address}", event="serving", address=address)
    # Ending it by a signal is how it is meant to end.
    signal.sigwaitinfo(signals)
    return 0


def _checked(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    """The prefixes, in order.  A name that is below two of them would have each series twice."""
    ordered = sorted(prefixes)
    for one, other in pairwise(ordered):
        if other.startswith(one):
            raise Misuse(f'"{other}" is below "{one}"', "leave it out")
    return tuple(ordered)


def _hold_back() -> frozenset[int]:
    """Keep what ends the process until it is fetched: before any thread, which inherits that."""
    asked = frozenset(s for s in ENDING if signal.getsignal(s) is not signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, asked)
    return asked


def _read_once(
    connection: Connection, console: Console, prefixes: tuple[str, ...]
) -> dict[str, Reading]:
    from consul_lock import Survey
    from consul_lock_cli.base.clock import now
    from consul_lock_cli.exporter.figures import figures_of
    from consul_lock_cli.exporter.prefix_reader import Reading

    found: dict[str, Reading] = {}
    with connection.client(console) as client:
        for prefix in prefixes:
            seen = Survey(client).overview(prefix)
            note_gaps(
                console, "there are no keys", prefix,
                found=bool(seen.locks or seen.crons), hidden=seen.hidden,
            )  # fmt: skip
            found[prefix] = Reading(True, figures_of(seen), now(), 1, 0)
    return found


def _follow(
    connection: Connection, console: Console, prefixes: tuple[str, ...]
) -> Callable[[], Mapping[str, Reading]]:
    """Read on in threads, which end with the process; what they have found so far."""
    from consul_lock import Survey
    from consul_lock_cli.exporter.prefix_reader import PrefixReader

    survey = Survey(connection.client(console))
    readers = [
        PrefixReader(prefix, partial(survey.overviews, prefix, repeat=True), console)
        for prefix in prefixes
    ]
    for reader in readers:
        threading.Thread(target=reader.run, daemon=True).start()
    return lambda: {reader.prefix: reader.reading for reader in readers}
