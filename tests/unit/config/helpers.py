"""What the tests of the settings share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from consul_lock.config import Config
from consul_lock.errors import ConfigError

SECRET = "0ec7e7aa-5ec7-e75e-c7e7-5ec7e75ec7e7"


def resolve(*args: Any, environ: dict[str, str] | None = None, **settings: Any) -> Config:
    """`Config.resolve`, in an empty environment unless the test says otherwise."""
    return Config.resolve(*args, environ=environ or {}, **settings)


def refusal(*args: Any, **settings: Any) -> str:
    """What the ConfigError says; it never holds the secret."""
    with pytest.raises(ConfigError) as caught:
        resolve(*args, **settings)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.__cause__)
    return str(caught.value)


def file_with(path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    """``path``, now with this content and mode."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path
