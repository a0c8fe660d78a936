"""Commands whose stdout is data: for people, as JSON, or by a template."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from consul_lock_cli.base.error_table import complaint, failure
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.exit_codes import NOT_SO, ExitCode
from consul_lock_cli.base.headings import HeadedCommand, headed
from consul_lock_cli.base.text import shown
from consul_lock_cli.output import lock_json
from consul_lock_cli.output.lock_table import wants_color
from consul_lock_cli.output.template import Template
from consul_lock_cli.process.signals import die_by
from consul_lock_cli.settings.context import LenientContext

if TYPE_CHECKING:
    from consul_lock_cli.base.console import Console


class Output:
    """How the data is printed."""

    def __init__(self, as_json: bool, template: Template | None, color: bool) -> None:
        self.as_json = as_json
        self.template = template
        self.color = color

    @property
    def wants_items(self) -> bool:
        """Not text for people."""
        return self.as_json or self.template is not None

    def document(
        self, items: Sequence[Mapping[str, Any]], human: Callable[[], str], *, hidden: bool = False
    ) -> None:
        """All there is to print: one JSON document, a line for each item, or text for people.

        ``hidden``: the token may not read all of it.
        """
        if self.as_json:
            self.text(lock_json.document(items, hidden=hidden))
        elif self.template is not None:
            for item in items:
                self.text(self.template.line(item))
        elif text := human():
            self.text(text)

    def stream(self, item: Mapping[str, Any]) -> None:
        """One more item of many to come: a JSON object on a line, or as the template says."""
        self.text(self.template.line(item) if self.template else lock_json.line(item))

    def text(self, text: str) -> None:
        """Print something, now."""
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        click.echo(text.encode(encoding, "backslashreplace").decode(encoding), color=self.color)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """A pipe that its reader has closed, and Ctrl-C, end this process as any other program."""
    try:
        yield
    except BrokenPipeError:
        # Python would complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        die_by(signal.SIGPIPE)
    except KeyboardInterrupt:
        # Click would write an empty line for it, even where nobody types.
        die_by(signal.SIGINT)


class DataCommand(HeadedCommand):
    """With --json, what goes wrong is JSON on stdout, too; stderr and exit code are as always."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **more: Any) -> Any:
        """Parse the options."""
        options = args[: args.index("--")] if "--" in args else list(args)
        try:
            return super().make_context(info_name, args, *rest, **more)
        except click.exceptions.Exit:
            raise  # --help
        except Exception as error:
            if "--json" in options:
                _fail(error)
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command.  The reader of its output may close the pipe."""
        try:
            with ended_by_signals():
                return super().invoke(ctx)
        except (click.Abort, click.exceptions.Exit):
            raise  # nothing has gone wrong
        except Exception as error:
            if ctx.params.get("as_json"):
                _fail(error)
            raise


class DiagnosticCommand(DataCommand):
    """One that is asked what is wrong: bad settings do not keep it from running."""

    context_class = LenientContext


def _fail(error: Exception) -> None:
    if isinstance(error, click.ClickException):
        code, text = ExitCode.USAGE, error.format_message()
    else:
        code, text = failure(error).code, complaint(error)
    click.echo(lock_json.error(code, text))


color_option = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    help="Colours; auto: on a terminal, unless NO_COLOR or TERM=dumb is set [auto].",
)


def data_options(*fields: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --json, --format for these fields, and --color; the command gets an ``output``."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_output(as_json: bool, template: str | None, color: str, **values: Any) -> Any:
            if as_json and template is not None:
                raise Misuse("--json and --format contradict each other", "leave one of them out")
            made = None if template is None else Template(template, fields)
            return command(output=Output(as_json, made, wants_color(color)), **values)

        as_json = click.option(
            "--json", "as_json", is_flag=True, help="Print JSON; docs/json.md describes it."
        )
        form = click.option(
            "--format",
            "template",
            metavar="TEMPLATE",
            help="Print a line for each item, as in '{name} {holder.host}'; fields as with --json.",
        )
        return headed("Output", [as_json, form, color_option])(with_output)

    return decorate


def nothing(console: Console, output: Output, text: str) -> int:
    """There is nothing to show or to do.  Exit code."""
    console.note(text)
    output.document([], str)
    return NOT_SO


def no_record(console: Console, output: Output, name: str) -> int:
    """Nobody has ever claimed a slot of that name.  Exit code."""
    why = "it has no record, or the token may not read it; 'consul-lock cron ls' lists the jobs"
    return nothing(console, output, f"there is no cron job {shown(name, 512)}: {why}")


def note_gaps(
    console: Console, nothing: str, prefix: str, *, found: bool, hidden: bool = False
) -> None:
    """Say that nothing was ``found`` below a prefix, or that there is more than is shown: of keys
    that a token may not read older servers say nothing at all."""
    where = f' below "{shown(prefix, 512)}"' if prefix else ""
    if hidden:
        console.note(f"some keys{where} are hidden from this token", event="hidden")
    elif not found:
        console.note(f"{nothing}{where}, or none that the token may read")
