"""Where a setting comes from: a flag, else the environment, else a file, else its default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from consul_lock_cli.base.errors import BadSetting
from consul_lock_cli.settings.catalogue import SETTINGS, Setting, rivals
from consul_lock_cli.settings.config_file import ConfigFile


class Origin(NamedTuple):
    """Where a value comes from."""

    source: str
    """"flag", "environment", "file", "user file", "system file" or "default"."""
    where: str = ""
    """The option, the variable, or the line of the file."""


# The smaller, the stronger.
_RANKS = {"flag": 0, "environment": 1, "file": 2, "user file": 2, "system file": 3, "default": 4}


def rank(origin: Origin) -> int:
    """How strong a source is; 0 is the strongest."""
    return _RANKS[origin.source]


class FoundSetting(NamedTuple):
    """A value as it was written, and where."""

    value: Any
    origin: Origin


class Settings:
    """The environment and the files; ``files`` begins with the strongest."""

    def __init__(self, environ: Mapping[str, str], files: Sequence[ConfigFile]) -> None:
        self._environ = environ
        self.files = files

    def find(self, name: str, keys: Iterable[str] = ()) -> FoundSetting | None:
        """What the strongest source says; None if nobody says anything.

        ``keys`` are the locks that it is about, for the tables [key."..."].
        """
        setting, others = SETTINGS[name], [SETTINGS[other] for other in rivals(name)]
        keys = tuple(keys)
        found = self._variable(setting)
        if found or any(self._variable(other) for other in others):
            return found
        for file in self.files:
            found = self._in(file, setting, keys)
            if found or any(self._in(file, other, keys) for other in others):
                return found
        return None

    def _variable(self, setting: Setting) -> FoundSetting | None:
        # An empty variable counts as not set, as with the Consul command line.
        text = self._environ.get(setting.variable or "")
        return FoundSetting(text, Origin("environment", setting.variable or "")) if text else None

    def _in(self, file: ConfigFile, setting: Setting, keys: tuple[str, ...]) -> FoundSetting | None:
        found = file.find(setting.name, keys)
        return None if found is None else FoundSetting(found[0], Origin(file.source, found[1]))


def as_boolean(found: FoundSetting) -> bool:
    """Strictly, as a typo must not switch something off; raises `BadSetting`."""
    value = found.value
    if isinstance(value, bool):
        return value
    if found.origin.source == "environment":
        from consul_lock._config.environment import BOOLEANS  # few starts need it

        if value in BOOLEANS:
            return BOOLEANS[value]
    raise BadSetting(
        f"{found.origin.where}: {value!r} is neither true nor false; write true or false"
    )
