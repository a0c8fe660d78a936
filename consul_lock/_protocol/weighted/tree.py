"""The tree lock: the holder of a node of a path excludes others from everything above and below it.

It reads the nodes above and writes its own, so readers and writers of a node see it as well.
"""

from __future__ import annotations

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.consul.models import key_rule
from consul_lock._protocol.keys import LockKeys
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.weighted.document import ALL, READ_WRITE
from consul_lock._protocol.weighted.engine import WeightedCore
from consul_lock._protocol.weighted.layout import Target
from consul_lock.errors import ConfigError

DEPTH_MAX = 16
"""Elements of a path at most: each takes three of the 64 operations of a transaction."""


class TreeCore(WeightedCore):
    """A lock on a node of a path."""

    unheld = "a tree lock above it is held, or it is in lock-delay"

    def __init__(self, client: ClientCore, keys: LockKeys, settings: Settings) -> None:
        super().__init__(client, keys.name, settings)
        name = keys.name
        elements = path(name)
        self.limit = ALL
        self.rule = key_rule(f"{elements[0]}/")
        above = ["/".join(elements[:depth]) for depth in range(1, len(elements))]
        self._targets = (
            *(Target(READ_WRITE, node, "read", ALL) for node in above),
            Target(READ_WRITE, name, "write", ALL),
        )

    def targets(self) -> tuple[Target, ...]:
        return self._targets


def path(name: str) -> list[str]:
    """The elements of a name.  Raises `ConfigError` if there are too many."""
    elements = name.split("/")
    if len(elements) > DEPTH_MAX:
        raise ConfigError(
            f"{name!r} is {len(elements)} deep; a tree lock can be {DEPTH_MAX} deep at most",
            kind="name",
        )
    return elements
