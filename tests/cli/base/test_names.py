"""Names that are refused before anything is sent."""

from __future__ import annotations

import pytest

from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.text import shown
from consul_lock_cli.options.types import check_name

_BAD = {
    "": "", "/a": "a", "a/": "a", "a//b": "a/b", ".": "", "..": "", "a/../b": "b", "./a": "a",
    " a": "a", "a ": "a", " /a": "a", "a\n": "a", "a\x00b": "", "a\x7f": "", "x" * 513: "",
    "é" * 257: "", "\udcff": "",
}  # fmt: skip
"""Names, and those that are most likely meant."""

_GOOD = ["a", "a b", "a%2Fb", "a?b#c", "é", "a/.lock", "...", "x" * 512]


@pytest.mark.parametrize("name", _BAD)
def test_a_bad_name_is_refused_with_a_better_one(name: str) -> None:
    """Consul's tools clean or reject these, each in another way."""
    with pytest.raises(Misuse, match="bad key") as caught:
        check_name(name)
    better = _BAD[name]
    assert caught.value.hint.startswith(f'use "{better}"' if better else "use names like")


@pytest.mark.parametrize("name", _GOOD)
def test_a_good_name_is_kept_as_it_is(name: str) -> None:
    """Odd is not bad."""
    assert check_name(name) == name


def test_text_of_others_cannot_move_the_cursor() -> None:
    """Whoever writes a lock's value could put escape sequences into it."""
    assert shown("web\x1b[2J3") == "web\\x1b[2J3"
    assert len(shown("x" * 1000)) == 60
