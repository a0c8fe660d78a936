"""`consul-lock version`."""

from __future__ import annotations

import click

from consul_lock_cli.base.version import version as number


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def version(as_json: bool) -> None:
    """Print the version."""
    if not as_json:
        click.echo(f"consul-lock {number()}")
        return
    import json
    import platform

    click.echo(json.dumps({"v": 1, "version": number(), "python": platform.python_version()}))
