"""`consul-lock completion`."""

from __future__ import annotations

import click

from consul_lock_cli.completion.answer import SHELLS, Shell, script


@click.command(name="completion")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: Shell) -> None:
    """Print the script with which a shell completes consul-lock.

    \b
    bash:  consul-lock completion bash > ~/.local/share/bash-completion/completions/consul-lock
    zsh:   consul-lock completion zsh  > a file _consul-lock in a folder of $fpath
    fish:  consul-lock completion fish > ~/.config/fish/completions/consul-lock.fish
    """
    click.echo(script(shell), nl=False)
