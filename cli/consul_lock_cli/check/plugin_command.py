"""Commands that are monitoring plugins: one line on stdout and one of four exit codes, whatever
goes wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.error_table import complaint, failure
from consul_lock_cli.base.errors import BadSetting, Misuse
from consul_lock_cli.base.headings import HeadedCommand, headed
from consul_lock_cli.base.text import harmless
from consul_lock_cli.check.plugin_line import Metric, one_line, plugin_line
from consul_lock_cli.check.state import State, Verdict
from consul_lock_cli.group import blame
from consul_lock_cli.output import lock_json
from consul_lock_cli.output.data_command import Output, ended_by_signals
from consul_lock_cli.settings.context import SettingsContext
from consul_lock_cli.settings.sources import Origin

if TYPE_CHECKING:
    from consul_lock import Client
    from consul_lock_cli.spec.connection import Connection

# Seconds: Nagios gives a plugin 60 s, and NRPE 10 s.
_RETRY_FOR = 5.0


class PluginCommand(HeadedCommand):
    """What goes wrong is UNKNOWN: of any other code a monitoring system would make an outage, or
    nothing at all."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **more: Any) -> Any:
        """Parse the options."""
        options = list(args)
        try:
            return super().make_context(info_name, args, *rest, **more)
        except (click.exceptions.Exit, click.Abort):
            raise  # --help
        except Exception as error:
            if more.get("resilient_parsing"):
                raise  # a shell completes the line
            above: click.Context | None = more.get("parent")
            console = (above.find_object(Console) if above else None) or Console()
            if not {"-q", "--quiet"}.isdisjoint(options):
                console.quiet = True
            _unknown(error, console, as_json="--json" in options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            with ended_by_signals():
                return super().invoke(ctx)
        except (click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is said in one line
            _unknown(error, ctx.ensure_object(Console), as_json=bool(ctx.params.get("as_json")))


json_option = headed(
    "Output",
    [
        click.option(
            "--json", "as_json", is_flag=True,
            help="Print JSON instead of the line; docs/json.md describes it.",
        )
    ],
)  # fmt: skip


def patient_client(connection: Connection, console: Console) -> Client:
    """A client that gives up before the monitoring system does, unless somebody asks for more."""
    origin = connection.origins.get("retry-for", Origin("default"))
    more = {"retry_for": _RETRY_FOR} if origin.source == "default" else {}
    return connection.client(console, **more)


def conclude(
    state: State,
    text: str,
    metrics: Sequence[Metric],
    items: Sequence[Mapping[str, Any]],
    *,
    as_json: bool,
    hidden: bool = False,
) -> int:
    """Print what was found.  Exit code."""
    output = Output(as_json, None, color=False)
    if as_json:
        output.text(lock_json.document(items, hidden=hidden, **_said(state, one_line(text))))
    else:
        output.text(plugin_line(state, text, metrics))
    return int(state)


def checked_item(item: Mapping[str, Any], verdict: Verdict) -> dict[str, Any]:
    """A job or lock with what was found of it."""
    return {
        **item,
        "status": verdict.state.name,
        "code": int(verdict.state),
        "problems": [_said(problem.state, problem.text) for problem in verdict.problems],
    }


def _said(state: State, text: str) -> dict[str, Any]:
    return {"status": state.name, "code": int(state), "text": text}


def _unknown(error: Exception, console: Console, *, as_json: bool) -> NoReturn:
    """Say what went wrong, and end with the code for it."""
    error = _blamed(error)
    if isinstance(error, click.ClickException):
        text, hint = error.format_message(), getattr(error, "hint", "")
    else:
        text, hint = complaint(error), failure(error).hint
    text = one_line(text)
    with contextlib.suppress(OSError):
        if as_json:
            fault = {"code": int(State.UNKNOWN), "message": text}
            click.echo(lock_json.document((), error=fault, **_said(State.UNKNOWN, text)))
        else:
            Output(False, None, color=False).text(plugin_line(State.UNKNOWN, text))
    if hint and not console.quiet:
        click.echo(f"hint: {harmless(hint)}", err=True)
    console.trace(error)
    raise click.exceptions.Exit(int(State.UNKNOWN))


def _blamed(error: Exception) -> Exception:
    """The same error, with the place that a wrong setting comes from."""
    if isinstance(error, click.UsageError) and isinstance(error.ctx, SettingsContext):
        try:
            blame(error, error.ctx)
        except (Misuse, BadSetting) as better:
            return better
    return error
