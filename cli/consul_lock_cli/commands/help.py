"""`consul-lock help`: what --help prints, under the name that other tools give it."""

from __future__ import annotations

import click


@click.command(options_metavar="")
@click.argument("command", nargs=-1)
@click.pass_context
def help(ctx: click.Context, command: tuple[str, ...]) -> None:  # noqa: A001 - the command's name
    """Show the help of COMMAND, or the list of all commands.

    Example: consul-lock help cron run
    """
    above = ctx.find_root()
    for name in command:
        group = above.command
        if not isinstance(group, click.Group):
            raise click.UsageError(f"'{above.command_path}' has no commands of its own", ctx=above)
        found, below, _ = group.resolve_command(above, [name])
        assert below is not None  # otherwise it would have raised
        above = below.context_class(below, parent=above, info_name=found)
    click.echo(above.get_help(), color=above.color)
