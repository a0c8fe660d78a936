"""A file that is replaced as a whole: a reader sees the old one or the new one, never a part."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path


def replace_file(
    path: Path, text: str, mode: int | None = None, encoding: str | None = None
) -> None:
    """Write it; ``mode``: its permissions, else those of any new file of this process;
    ``encoding``: None is that of the locale.

    The new one is made beside it under a name that nobody can foresee, and by this process
    (O_EXCL), so no link that somebody has put there leads elsewhere.
    """
    import tempfile

    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding=encoding) as file:
            file.write(text)
            # mkstemp lets only this user read it.
            os.fchmod(file.fileno(), _usual() if mode is None else mode)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _usual() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


def followed(path: Path) -> Path:
    """Where a link leads; the path itself if it is none, or one that leads nowhere.

    Raises PermissionError for a link that another user has put into a folder that all can write,
    such as /tmp: as root this process would replace whatever that user likes.  The kernel has the
    same rule (fs.protected_symlinks), where it is not switched off, but not for a name that is
    replaced.
    """
    try:
        link = path.lstat()
    except OSError:
        return path  # what is done next will say why
    if not stat.S_ISLNK(link.st_mode):
        return path
    folder = path.parent.stat()
    open_to_all = folder.st_mode & stat.S_IWOTH
    if open_to_all and link.st_uid not in (os.geteuid(), folder.st_uid):
        raise PermissionError(
            errno.EACCES, "another user's link in a folder that everybody can write", str(path)
        )
    return path.resolve() if path.exists() else path
