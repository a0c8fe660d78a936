"""What a token needs is named as a whole."""

from __future__ import annotations

import pytest

from consul_lock.errors import ConsulLockError, PermissionDenied
from consul_lock_cli.run.permission import naming_rule


@pytest.mark.parametrize("kind, named", [("denied", "all"), ("unknown-token", "one")])
def test_the_rule_of_the_command_is_named_where_one_was_denied(kind: str, named: str) -> None:
    """Not for a token that is unknown, or keys that must be seen: there other advice is given."""
    denied = PermissionDenied("no", kind=kind, rule="one")  # type: ignore[arg-type] # a kind
    with pytest.raises(PermissionDenied), naming_rule("all"):
        raise denied
    assert denied.rule == named


def test_other_errors_pass() -> None:
    """And what ends well does."""
    with naming_rule("all"):
        pass
    with pytest.raises(ConsulLockError, match="other"), naming_rule("all"):
        raise ConsulLockError("other")
