"""What docs/json.md promises: the fields of each kind of object."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "json.md"


def _documented() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    section = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
            found[section] = set()
        elif line.startswith("| `"):
            found[section].update(re.findall(r"`(\w+)`", line.split("|")[1]))
    return found


FIELDS = _documented()
"""By the headings of the page."""

HOLDER, LOCK, DOCUMENT = FIELDS["holder"], FIELDS["lock"], FIELDS["document"]
BEHIND = HOLDER | FIELDS["session"]
"""What `holders` says of one."""
BROKEN = HOLDER | FIELDS["broken"]
LISTED = LOCK | FIELDS["listed"]
