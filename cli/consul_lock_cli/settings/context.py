"""How settings reach the commands: a group whose commands look up options that were not given.

A command declares its options and knows nothing of this.  Click asks `lookup_default` for an
option that is not on the command line, and only then is a file read: `--help` reads none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import click
from click.core import ParameterSource

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import BadSetting
from consul_lock_cli.settings.catalogue import CONFIG_VARIABLE, SETTINGS, rivals
from consul_lock_cli.settings.config_file import find_files
from consul_lock_cli.settings.sources import FoundSetting, Origin, Settings, as_boolean

# Where a command may have the names of its locks.
_KEYS = ("key", "keys", "name", "names")


class TypedOption(click.Option):
    """One that comes from the command line only: the setting of its name means something else."""


def setting_of(param: click.Parameter) -> str | None:
    """The name of the setting of an option; None if it comes from the command line only."""
    if not isinstance(param, click.Option) or isinstance(param, TypedOption):
        return None
    names = {option.removeprefix("--") for option in param.opts if option.startswith("--")}
    return next((name for name in names if name in SETTINGS), None)


class SettingsContext(click.Context):
    """The context of one command."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.config_path: str | None = None
        """The file of --config."""
        self.looked_up: dict[str, Origin] = {}
        """Where the settings come from that are neither flags nor defaults, by their names."""
        self._settings: Settings | None = None
        self._fault: BadSetting | None = None

    @property
    def settings(self) -> Settings:
        """The environment and the files; raises `BadSetting`."""
        if self._settings is None:
            named = self.config_path
            if named is None:
                named = os.environ.get(CONFIG_VARIABLE)
            # A shell that completes a line gets no messages.
            warn = _nobody if self.resilient_parsing else self.ensure_object(Console).warn
            files = find_files(named, os.environ, warn, self.refuse_file)
            self._settings = Settings(os.environ, files)
        return self._settings

    def refuse_file(self, error: BadSetting) -> None:
        """How an invalid file is handled."""
        raise error

    def refuse_value(self, error: BadSetting, param: click.Parameter) -> None:
        """How an invalid value is handled, and a setting that an invalid file may have had."""
        if self.resilient_parsing:
            return
        if not param.is_eager:
            raise error
        # Older clicks look at eager options before they come to a --help that was given.
        self._fault = error

    def lookup_default(self, name: str, call: bool = True) -> Any:
        """The default that click uses for an option that was not given; nothing for --help."""
        param = next((param for param in self.command.params if param.name == name), None)
        setting = setting_of(param) if param and call else None
        if self._fault is not None and param is not None and call and not param.is_eager:
            raise self._fault
        if param is not None and setting is not None:
            try:
                value = self._value(param, setting)
                if value is not None:
                    return value
            except BadSetting as error:
                self.refuse_value(error, param)
        return super().lookup_default(name) if call else super().lookup_default(name, call=False)

    def find(self, setting: str) -> FoundSetting | None:
        """The strongest source of a setting beside the command line."""
        return self.settings.find(setting, self._keys())

    def origin(self, setting: str) -> Origin:
        """Where the value of an option comes from."""
        for param in self.command.params:
            if setting_of(param) == setting and self._given(param):
                return Origin("flag", f"--{setting}")
        return self.looked_up.get(setting, Origin("default"))

    def _value(self, param: click.Parameter, setting: str) -> Any:
        given = {setting_of(p) for p in self.command.params if self._given(p)}
        found = None if given & rivals(setting) else self.find(setting)
        if found is None:
            return None
        variable = SETTINGS[setting].variable or ""
        # The library reads the variables of Consul itself, and knows best what they mean.
        own = found.origin.source != "environment" or variable.startswith("CONSULLOCK_")
        if own:
            checked(self, param, found)
        self.looked_up[setting] = found.origin
        return written(param, found) if own else None

    def _given(self, param: click.Parameter) -> bool:
        return self.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE

    def _keys(self) -> Iterator[str]:
        for name in _KEYS:
            # An option that was not given may still have a marker of click's own.
            value = self.params.get(name)
            values = value if isinstance(value, tuple) else (value,)
            yield from (each for each in values if isinstance(each, str))


class LenientContext(SettingsContext):
    """The context of a command which reports invalid settings: it goes on without those."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._faults: list[str] = []
        self.unread = False
        """There is a file, and its settings are unknown."""

    @property
    def fault(self) -> BadSetting | None:
        """All that is wrong, in one error."""
        return BadSetting("; ".join(dict.fromkeys(self._faults))) if self._faults else None

    def refuse_file(self, error: BadSetting) -> None:
        """Go on without it."""
        self.unread = True
        self._faults.append(str(error))

    def refuse_value(self, error: BadSetting, param: click.Parameter) -> None:
        """Leave it at the default."""
        self._faults.append(str(error))


def checked(ctx: click.Context, param: click.Parameter, found: FoundSetting) -> Any:
    """The value as the command gets it; raises `BadSetting` if the option does not take it."""
    value = written(param, found)
    try:
        return param.type_cast_value(ctx, value)
    except click.UsageError as error:
        text = error.message.removeprefix(f"{param.opts[-1]}: ")
        hint = getattr(error, "hint", "")
        text = f"{text}; {hint}" if hint else text
        raise BadSetting(f"{found.origin.where}: {text}") from None


def written(param: click.Parameter, found: FoundSetting) -> Any:
    """The setting that was found, as it would stand on a command line."""
    value, where = found.value, found.origin.where
    if isinstance(param, click.Option) and param.is_flag:
        return as_boolean(found)
    if isinstance(value, bool):
        raise BadSetting(f"{where}: write a value, not true or false")
    if param.multiple:
        if found.origin.source == "environment":
            return tuple(str(value).split())
        return value if isinstance(value, tuple) else (str(value),)
    if isinstance(value, tuple):
        raise BadSetting(f"{where}: write one value, not a list")
    return str(value)


def _nobody(text: str) -> None:
    pass
