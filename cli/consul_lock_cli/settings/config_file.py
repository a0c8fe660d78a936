"""The configuration file: TOML with the tables [consul], [defaults] and [key."jobs/*"]."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from consul_lock_cli.base.errors import BadSetting
from consul_lock_cli.settings.catalogue import SETTINGS

SYSTEM_FILE = Path("/etc/consul-lock/config.toml")

_TABLES = ("consul", "defaults", "key")

# Bytes; more than this is another file, or /dev/zero.
_BYTES_MAX = 1 << 20


class ConfigFile:
    """One file, read and checked.  ``source`` says which: "file", "user file", "system file"."""

    def __init__(self, path: Path, source: str, content: Mapping[str, Any]) -> None:
        self.path = path
        self.source = source
        self._tables = list(_checked(path, content))

    def find(self, name: str, keys: tuple[str, ...]) -> tuple[Any, str] | None:
        """The value and its place; None if the file does not say.

        A table of keys counts if its pattern fits all of ``keys``, and before [defaults]; of
        several that fit, the longest pattern, as it says most.  ``*`` matches slashes, too.
        """
        for title, pattern, values in self._tables:
            fits = keys and all(fnmatchcase(key, pattern) for key in keys) if pattern else True
            if fits and name in values:
                return values[name], f"{self.path}: [{title}] {name}"
        return None

    def has_secret(self) -> bool:
        """Whether others should not read it."""
        return any(SETTINGS[name].secret for _, _, values in self._tables for name in values)


def _checked(
    path: Path, content: Mapping[str, Any]
) -> Iterator[tuple[str, str | None, Mapping[str, Any]]]:
    """Title, pattern and values of each table, the most special first."""
    for title, table in content.items():
        if title not in _TABLES:
            raise BadSetting(f"{path}: [{title}] is not a known table; use [consul], [defaults]")
        if not isinstance(table, dict):
            raise BadSetting(f"{path}: {title} is no table; write [{title}] on a line of its own")
    patterns = content.get("key", {})
    for pattern in sorted(patterns, key=lambda text: (-len(text), text)):
        title = f'key."{pattern}"'
        if not pattern or not isinstance(patterns[pattern], dict):
            raise BadSetting(f'{path}: [{title}] is no table; write [key."NAME"], * is a wildcard')
        yield title, pattern, _values(path, title, ("defaults", "key"), patterns[pattern])
    for title in ("consul", "defaults"):
        yield title, None, _values(path, title, (title,), content.get(title, {}))


def _values(
    path: Path, title: str, tables: tuple[str, ...], table: Mapping[str, Any]
) -> Mapping[str, Any]:
    values = {}
    for written, value in table.items():
        name = written.replace("_", "-")
        setting = SETTINGS.get(name)
        if setting is None or setting.table not in tables:
            raise BadSetting(f"{path}: [{title}] {written}: {_misplaced(name)}")
        texts = isinstance(value, list) and all(isinstance(each, str) for each in value)
        if not texts and not isinstance(value, (str, int, float)):
            raise BadSetting(f"{path}: [{title}] {name}: write a text, a number, true or false")
        values[name] = tuple(value) if texts else value
    return values


def _misplaced(name: str) -> str:
    from difflib import get_close_matches  # Only for a message.

    setting = SETTINGS.get(name)
    if setting is not None:
        table = '[key."..."]' if setting.table == "key" else f"[{setting.table}]"
        return f"it belongs into {table}"
    near = get_close_matches(name, SETTINGS, 1)
    return f"there is no such setting; did you mean {near[0]}?" if near else "no such setting"


def find_files(
    named: str | None,
    environ: Mapping[str, str],
    warn: Callable[[str], None],
    refuse: Callable[[BadSetting], None],
) -> list[ConfigFile]:
    """The file that was named, else the user's and the system's, if they are there.

    An empty name means no file at all.  One that is wrong is given to ``refuse``, as the error.
    """
    if named is not None:
        candidates = [(Path(named), "file")] if named else []
    else:
        user = _user_file(environ)
        candidates = [(user, "user file")] if user else []
        candidates.append((SYSTEM_FILE, "system file"))
    files = []
    for path, source in candidates:
        try:
            file = _read(path, source, warn)
        except BadSetting as error:
            refuse(error)
        else:
            files += [] if file is None else [file]
    return files


def _user_file(environ: Mapping[str, str]) -> Path | None:
    folder = environ.get("XDG_CONFIG_HOME", "")
    # A relative one is invalid and to be ignored, says the XDG specification.
    if not folder.startswith("/"):
        home = environ.get("HOME", "")
        folder = f"{home}/.config" if home.startswith("/") else ""
    return Path(folder, "consul-lock", "config.toml") if folder else None


def _read(path: Path, source: str, warn: Callable[[str], None]) -> ConfigFile | None:
    try:
        with path.open("rb") as opened:
            status = os.fstat(opened.fileno())
            text = opened.read(_BYTES_MAX + 1).decode()
    except (FileNotFoundError, NotADirectoryError):
        if source != "file":
            return None
        raise BadSetting(f"{path}: there is no such file; check --config") from None
    except UnicodeDecodeError:
        raise BadSetting(f"{path}: it is not UTF-8, as TOML has to be") from None
    except (OSError, ValueError) as error:
        if source == "user file" and isinstance(error, PermissionError) and not _visible(path):
            # As after `su`, with the HOME of somebody else: it may not even be there.
            warn(f"{path.parent} is not accessible to this user: its settings are ignored")
            return None
        why = getattr(error, "strerror", None) or error
        raise BadSetting(f"{path}: cannot be read: {why}") from None
    if len(text) > _BYTES_MAX:
        raise BadSetting(f"{path}: it is too long for a configuration file")
    file = ConfigFile(path, source, _parse(path, text))
    if stat.S_ISREG(status.st_mode):
        if file.has_secret() and status.st_mode & stat.S_IROTH:
            warn(f"every user of this host can read the secret in {path}; run: chmod o-r {path}")
        if status.st_mode & stat.S_IWOTH:
            # Such as the address: the token would be sent to a server of somebody else's.
            warn(f"every user of this host can change {path}; run: chmod o-w {path}")
    return file


def _visible(path: Path) -> bool:
    try:
        path.stat()
    except OSError:
        return False
    return True


def _parse(path: Path, text: str) -> Mapping[str, Any]:
    import tomllib  # 3 ms that a start without a file need not pay.

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadSetting(f"{path}: {error}") from None
