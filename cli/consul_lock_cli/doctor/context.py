"""What the checks of `consul-lock doctor` share: the settings, and what earlier ones found out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import BadSetting
from consul_lock_cli.doctor.http import AgentClient
from consul_lock_cli.settings.config_file import ConfigFile
from consul_lock_cli.spec.connection import Connection


@dataclass
class DoctorContext:
    """Times are seconds."""

    connection: Connection
    key: str
    ttl: float
    lock_delay: float
    kill_after: float
    poll: float
    """How long the long poll is to last."""
    files: Sequence[ConfigFile] = ()
    """The configuration files that count."""
    fault: BadSetting | None = None
    """What is wrong with files and variables; the settings are without it."""
    unread: bool = False
    """What one of the files says is not known."""
    node: str | None = None
    """The node of the agent, once known."""
    remarks: list[str] = field(default_factory=list)
    """What the library warned of while it read the settings."""

    @cached_property
    def config(self) -> Any:
        """The settings of the connection as the library understands them; raises its error."""
        # A client sends nothing before its first use, and this one is never used.
        with self.connection.client(_Listener(self.remarks)) as client:
            return client.config

    @cached_property
    def agent(self) -> AgentClient:
        """The agent, to be asked."""
        return AgentClient(self.config)


class _Listener(Console):
    """Collects warnings: they become findings."""

    def __init__(self, remarks: list[str]) -> None:
        super().__init__()
        self._remarks = remarks

    def warn(self, text: str, *, event: str = "warning", **more: Any) -> None:
        self._remarks.append(text)
