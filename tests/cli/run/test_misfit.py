"""Another kind of lock than the one that is wanted: it is named, with its limit and its holder."""

from __future__ import annotations

import pytest

from consul_lock import Status
from consul_lock_cli.run.misfit import misfit, way_in
from consul_lock_cli.spec.lock import LockKind, LockSpec
from tests.cli.output.examples import foreign_value, holder, status

_LOCK = LockSpec(("deploy",))


@pytest.mark.parametrize(
    "seen, what, way",
    [
        (status(holder(), kind="semaphore", limit=2), "a semaphore with limit 2", "--limit 2"),
        (
            status(holder(), kind="read-write", tree=False),
            "a read/write lock",
            "--shared or --exclusive",
        ),
        (
            status(holder(), kind="read-write"),
            "a tree or read/write lock",
            "--shared, --exclusive or --tree",
        ),
        (status(holder(), kind="read-write", tree=True), "a tree lock", "--tree"),
    ],
)
def test_a_plain_lock_on_another_kind_names_it_and_who_holds_it(
    seen: Status, what: str, way: str
) -> None:
    """And the hint has the options that fit what is there."""
    text = misfit(_LOCK, seen)
    assert text.startswith(f"deploy is {what}, held by web3 pid 4242 (root, since ")
    assert text.endswith("; wanted a lock")
    assert way_in(seen).startswith(f"{way} takes ")


@pytest.mark.parametrize(
    "mode, wanted",
    [
        (LockKind.SEMAPHORE, "a semaphore"),
        (LockKind.SHARED, "a read/write lock"),
        (LockKind.TREE, "a tree lock"),
    ],
)
def test_other_kinds_on_a_lock_name_it_as_well(mode: LockKind, wanted: str) -> None:
    """A lock of a dead holder has none to name."""
    assert misfit(_LOCK._replace(mode=mode), status()) == f"deploy is a lock, free; wanted {wanted}"
    assert way_in(status()).startswith("without --limit, ")


def test_the_same_kind_and_no_key_are_no_misfit_and_a_foreign_value_is() -> None:
    """A semaphore must have the limit that is wanted, too."""
    semaphore = _LOCK._replace(mode=LockKind.SEMAPHORE, limit=3)
    assert misfit(_LOCK, status(holder())) == ""
    assert misfit(semaphore, status(kind="none")) == ""
    assert misfit(semaphore, status(kind="semaphore", limit=3)) == ""
    two = status(kind="semaphore", limit=2)
    assert misfit(semaphore, two) == "deploy is a semaphore with limit 2, wanted 3"
    assert misfit(_LOCK, foreign_value(b"x")) == "not a lock"
    assert way_in(foreign_value(b"x")) == "use another --key"
