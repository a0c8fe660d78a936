"""What can do more of the same does so in `make test-long`."""

from __future__ import annotations

import re
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def test_each_test_that_has_effort_is_one_of_make_test_long() -> None:
    """Else nobody would ever do more of it: all answers, all points, a million cycles."""
    makefile = (_ROOT / "Makefile").read_text()
    (recipe,) = re.findall(r"^test-long:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    named = [_ROOT / path for path in re.findall(r"tests/\S+", recipe)]
    assert [path for path in named if not path.exists()] == []
    users = [
        path
        for path in sorted((_ROOT / "tests").rglob("test_*.py"))
        if path.parent.name != "support"
        and re.search(r"^from tests\.support\.effort import", path.read_text(), re.MULTILINE)
    ]
    assert len(users) > 20
    missing = [p for p in users if not any(p == each or each in p.parents for each in named)]
    assert missing == []
