"""`consul-lock version`."""

from __future__ import annotations

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def version(as_json: bool) -> None:
    """Print the version."""
    import json
    import platform
    from importlib import metadata

    try:
        number = metadata.version("consul-lock-toolkit")
    except metadata.PackageNotFoundError:
        # Run from a working copy that is not installed.
        number = "unknown"
    if as_json:
        click.echo(json.dumps({"v": 1, "version": number, "python": platform.python_version()}))
    else:
        click.echo(f"consul-lock {number}")
