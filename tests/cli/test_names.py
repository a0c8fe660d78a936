"""Names that are refused before anything is sent."""

from __future__ import annotations

import pytest

from consul_lock_cli.names import check_name, shown


@pytest.mark.parametrize(
    "name",
    ["", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\n", "a\x00b", "a\x7f", "x" * 513,
     "é" * 257, "\udcff"],
)  # fmt: skip
def test_a_bad_name_is_refused(name: str) -> None:
    """Consul's tools clean or reject these, each in another way."""
    with pytest.raises(ValueError, match="bad key"):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "a b", "a%2Fb", "a?b#c", "é", "a/.lock", "...", "x" * 512])
def test_a_good_name_is_kept_as_it_is(name: str) -> None:
    """Odd is not bad."""
    assert check_name(name) == name


def test_text_of_others_cannot_move_the_cursor() -> None:
    """Whoever writes a lock's value could put escape sequences into it."""
    assert shown("web\x1b[2J3") == "web\\x1b[2J3"
    assert len(shown("x" * 1000)) == 60
