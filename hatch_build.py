"""What a wheel has beside the packages: the man page and what shells need to complete a line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManualHook(BuildHookInterface):
    """They are made from the commands, which are imported from the tree that is packed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write them, and say where they go: below the prefix that the wheel is installed to."""
        if version == "editable":
            return
        root = Path(self.root)
        sys.path[:0] = [str(root), str(root / "cli")]
        from scripts.manual.__main__ import write_all

        share = root / "build" / "share"
        for path in write_all(share):
            build_data["shared_data"][str(path)] = f"share/{path.relative_to(share)}"
