"""What the guardian is given, to be done when consul-lock was killed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from consul_lock_cli.run import guardian_release
from consul_lock_cli.run.guardian_release import releasing
from consul_lock_cli.spec.connection import Connection
from consul_lock_cli.spec.lock import LockSpec


def test_the_guardian_has_the_lock_and_the_connection_in_its_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither its arguments nor its environment need a credential; sessions come later."""
    spec, connection = LockSpec(("k",)), Connection({"token": "secret"})
    called: list[tuple[LockSpec, Connection, Sequence[str]]] = []
    monkeypatch.setattr(
        guardian_release, "release_for", lambda *all_of_it: called.append(all_of_it)
    )
    releasing(spec, connection)(["a-session"])
    assert called == [(spec, connection, ["a-session"])]
