"""The endpoints of python-consul2, and clients of another package called `consul`."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from consul_lock._protocol.consul import python_consul2
from consul_lock.errors import ConfigError


def test_it_is_a_copy_that_a_program_cannot_reach() -> None:
    """What a program changes in its own `consul.base` does not change this one."""
    found = python_consul2.base()
    assert found is python_consul2.base()
    assert found is not sys.modules.get("consul.base")
    assert found.__name__ not in sys.modules
    assert all(hasattr(found.Consul, name) for name in ("KV", "Session", "Txn", "Agent"))


def client_of(module: str, name: str = "Consul", *nested: str) -> Any:
    """A client of a class of its own, that has these in it."""
    kind = type(name, (), {"__module__": module, **dict.fromkeys(nested, object)})
    return type("Own", (kind,), {"__module__": "program"})()


WHOLE = ("KV", "Session", "Txn", "Agent", "DiscoveryChain")


@pytest.mark.parametrize("module", ["consul", "consul.base"])
def test_a_client_of_another_package_is_refused(module: str) -> None:
    """Also one whose class a program has derived its own from."""
    with pytest.raises(ConfigError, match="'consul' is not python-consul2") as caught:
        python_consul2.refuse_others(client_of(module, "Consul", *WHOLE[:-1]))
    assert caught.value.kind == "no-python-consul2"
    assert "environment of its own" in caught.value.hint


@pytest.mark.parametrize(
    "client",
    [
        client_of("consul.std", "Consul", *WHOLE),
        client_of("consulate", "Consul"),
        client_of("consul.base", "Session"),
        object(),
        None,
    ],
)
def test_anything_else_is_let_pass(client: Any) -> None:
    """python-consul2 itself, and what is no client of such a package."""
    python_consul2.refuse_others(client)
