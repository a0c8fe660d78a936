"""A host of a stage: processes that share a network of their own, and reach others by it alone."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

# Of linux/sched.h, linux/if_tun.h, linux/sockios.h, linux/if.h and sys/mount.h.
_CLONE_NEWNET, _CLONE_NEWNS = 0x40000000, 0x00020000
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK = 0x8914, 0x8916, 0x891C
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000

_DEVICE = "stage0"

_libc = ctypes.CDLL(None, use_errno=True)


class Host:
    """One of the hosts.  Here, one that shares the network of the test: the loopback alone.

    A process that is started by `popen` runs on the host; a socket that is made under `inside`
    belongs to it.
    """

    def __init__(self, name: str, address: str = "127.0.0.1") -> None:
        self.name = name
        self.address = address
        """Where other hosts reach it."""

    def popen(self, argv: list[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a process on it; ``options`` are those of `subprocess.Popen`."""
        return self.do(lambda: subprocess.Popen(argv, **options))

    def do(self, action: Callable[[], T]) -> T:
        """Call ``action`` on the thread that lives on the host.  It must not wait for others."""
        return action()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The calling thread is on the host's network, and so are threads that it starts."""
        yield

    def mount_disk(self, folder: Path, megabytes: int) -> None:
        """Give ``folder`` a disk of its own, which only the processes of this host see."""
        raise NotImplementedError

    def close(self) -> None:
        """Give it back.  Its processes have ended."""


class NamespacedHost(Host):
    """A host in namespaces of its own for network and mounts.

    They belong to a thread that lives as long as the host, so they have no name and nothing on the
    machine sees them.  A process inherits the namespaces of the thread that starts it.  ``device``
    is the other end of the host's network: it reads what the host sends.
    """

    def __init__(self, name: str, address: str) -> None:
        super().__init__(name, address)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        try:
            self.device, self._namespace = self.do(self._enter)
        except BaseException:
            self._thread.shutdown()
            raise

    def do(self, action: Callable[[], T]) -> T:
        return self._thread.submit(action).result()

    @contextmanager
    def inside(self) -> Iterator[None]:
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call("setns", self._namespace, _CLONE_NEWNET)
            try:
                yield
            finally:
                _call("setns", before, _CLONE_NEWNET)
        finally:
            os.close(before)

    def mount_disk(self, folder: Path, megabytes: int) -> None:
        options = f"size={megabytes}m".encode()
        self.do(lambda: _call("mount", b"tmpfs", bytes(folder), b"tmpfs", 0, options))

    def close(self) -> None:
        self._thread.shutdown()
        os.close(self._namespace)

    def _enter(self) -> tuple[int, int]:
        """Leave the namespaces of the test; on the host's thread."""
        _call("unshare", _CLONE_NEWNET | _CLONE_NEWNS)
        # Otherwise what is mounted here appears outside.
        _call("mount", None, b"/", None, _MS_REC | _MS_PRIVATE, None)
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        try:
            request = struct.pack("16sH22x", _DEVICE.encode(), _IFF_TUN | _IFF_NO_PI)
            fcntl.ioctl(device, _TUNSETIFF, request)
            _bring_up("lo")
            _bring_up(_DEVICE, self.address)
            return device, os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        except BaseException:
            os.close(device)
            raise


def why_no_namespaces() -> str | None:
    """Why hosts cannot have a network of their own here; None if they can."""
    try:
        host = NamespacedHost("probe", "192.0.2.1")
    except OSError as error:
        return f"no network namespaces with TUN devices: {error}"
    os.close(host.device)
    host.close()
    return None


def _bring_up(device: str, address: str | None = None) -> None:
    name = device.encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        if address is not None:
            for request, value in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, "255.255.255.0")):
                packed = struct.pack("16sHH4s16x", name, socket.AF_INET, 0, socket.inet_aton(value))
                fcntl.ioctl(control, request, packed)
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", name, _IFF_UP | _IFF_RUNNING))


def _call(name: str, *arguments: Any) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
