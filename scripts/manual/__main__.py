"""The manual of `consul-lock`, from the commands themselves.

    python -m scripts.manual share FOLDER      man page and completion, to their places below it
    python -m scripts.manual reference FILE    brings the generated part of docs/cli.md up to date

Written for this project, as a generator (click-man) makes a page for each command, without exit
codes, variables and files, and would be one more thing to keep in step with click.
"""

from __future__ import annotations

import sys
from pathlib import Path

from consul_lock_cli.completion.answer import SHELLS, script
from scripts.manual.markdown import bring_up_to_date
from scripts.manual.roff import man_page

# Where packages put the scripts, so that the shells find them.
COMPLETIONS = {
    "bash": "bash-completion/completions/consul-lock",
    "zsh": "zsh/site-functions/_consul-lock",
    "fish": "fish/vendor_completions.d/consul-lock.fish",
}
MAN_PAGE = "man/man1/consul-lock.1"


def write_all(share: Path) -> list[Path]:
    """Write the man page and the scripts to their places below a folder "share"."""
    texts = {MAN_PAGE: man_page()}
    texts |= {COMPLETIONS[shell]: script(shell) for shell in SHELLS}
    for name, text in texts.items():
        path = share / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [share / name for name in texts]


def main(arguments: list[str]) -> None:
    """Do what was asked for."""
    match arguments:
        case ["share", folder]:
            write_all(Path(folder))
        case ["reference", file]:
            Path(file).write_text(bring_up_to_date(Path(file).read_text()))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
