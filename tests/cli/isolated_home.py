"""The command with a home of its own, so that nobody's settings reach a test."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cli.command import COMMAND, PATIENCE, environment
from tests.cli.in_process import in_process

# Nobody listens there, and nothing is asked.
NOWHERE = "127.0.0.1:1"

Result = subprocess.CompletedProcess[str]

SECRET = "s3cr3t-t0ken"
"""A secret, which must not appear anywhere."""


class Home:
    """A folder with the file of a user in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "consul-lock" / "config.toml"

    def write(self, text: str) -> Path:
        """Make it the user's file."""
        self.file.parent.mkdir(exist_ok=True)
        self.file.write_text(text)
        self.file.chmod(0o600)
        return self.file

    def environment(self, address: str | None = None, **variables: str) -> dict[str, str]:
        """That of a command that looks for its settings here."""
        kept = environment(address)
        plain = {k: v for k, v in kept.items() if not k.startswith("CONSULLOCK_")}
        return {**plain, "XDG_CONFIG_HOME": str(self.folder), **variables}

    def run(
        self, *arguments: str, address: str | None = None, prefix: tuple[str, ...] = COMMAND,
        **variables: str,
    ) -> Result:  # fmt: skip
        """Start `consul-lock` as a process, to its end."""
        return subprocess.run(
            [*prefix, *arguments],
            env=self.environment(address, **variables),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def ask(self, *arguments: str, address: str | None = None, **variables: str) -> Result:
        """Run `consul-lock` without a process: for what starts none itself."""
        return in_process(*arguments, env=self.environment(address, **variables))

    def settings(self, *arguments: str, **variables: str) -> Mapping[str, dict[str, Any]]:
        """What `consul-lock config` says, by the names of the settings."""
        result = self.ask("config", "--json", *arguments, **variables)
        assert result.returncode == 0, result.stderr
        document = json.loads(result.stdout)
        assert document["v"] == 1
        return {item.pop("name"): item for item in document["items"]}
