"""Which names a lock can have, and which name was most likely meant."""

from __future__ import annotations

import pytest

from consul_lock.names import NAME_MAX, fault_of

_BAD = {
    "": ("not empty", ""),
    "/a": ("slash", "a"),
    "a/": ("slash", "a"),
    "/": ("slash", ""),
    "a//b": ("empty path element", "a/b"),
    ".": ("'.'", ""),
    "..": ("'.'", ""),
    "a/../b": ("'.'", "b"),
    "a/..": ("'.'", ""),
    "./a": ("'.'", "a"),
    " a": ("space", "a"),
    "a ": ("space", "a"),
    " /a": ("space", "a"),
    "\u3000a": ("space", "a"),
    "a\n": ("control character", "a"),
    "a\x00b": ("control character", ""),
    "a\x7f": ("control character", ""),
    "a\x9f": ("control character", ""),
    "x" * 513: ("513 bytes, at most 512", ""),
    "é" * 257: ("514 bytes, at most 512", ""),
    "\udcff": ("not valid text", ""),
}
"""Names, what is wrong with them, and the names that are most likely meant."""

_GOOD = ["a", "a b", "a%2Fb", "a?b#c", "é", "a/.lock", "...", "a/..b", "\xa0".join("ab"), "x" * 512]


@pytest.mark.parametrize("name", _BAD, ids=lambda name: ascii(name[:20]))
def test_a_bad_name_has_a_fault_and_a_better_one_instead(name: str) -> None:
    """Consul's tools clean or reject these, each in another way."""
    fault = fault_of(name)
    assert fault is not None
    why, instead = _BAD[name]
    assert why in fault.why
    assert fault.instead == instead
    assert not instead or fault_of(instead) is None


@pytest.mark.parametrize("name", _GOOD, ids=lambda name: ascii(name[:20]))
def test_a_good_name_has_no_fault(name: str) -> None:
    """Odd is not bad."""
    assert len(name.encode()) <= NAME_MAX
    assert fault_of(name) is None
