"""The configuration of a real agent, in Consul's own format."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.certificates import Certificates
from tests.support.ports import free_port

MASTER_TOKEN = "6d617374-6572-4d61-8374-65724d617374"
"""May do everything, on agents started with ``acl=True``."""

# Servers since then listen on one more port unless configured not to; older ones refuse that.
_GRPC_TLS_SINCE = (1, 14)


@dataclass
class Ports:
    """One port for each thing an agent listens on; what is not here is switched off."""

    http: int = field(default_factory=free_port)
    https: int = field(default_factory=free_port)
    serf: int = field(default_factory=free_port)
    server: int = field(default_factory=free_port)


@dataclass(frozen=True)
class Doors:
    """Ways into an agent besides plain HTTP on 127.0.0.1."""

    unix_socket: Path | None = None
    ipv6: bool = False
    certificates: Certificates | None = None
    verify_clients: bool = False


def build(
    ports: Ports,
    doors: Doors,
    *,
    name: str,
    node_id: str,
    bind: str,
    data: Path,
    acl: bool,
    version: tuple[int, ...],
) -> dict[str, Any]:
    """The configuration of one agent: HTTP on loopback, other agents at ``bind``."""
    addresses = ["127.0.0.1"]
    if doors.ipv6:
        addresses.append("::1")
    https = " ".join(addresses)
    if doors.unix_socket is not None:
        addresses.append(f"unix://{doors.unix_socket}")
    config: dict[str, Any] = {
        "node_name": name,
        "node_id": node_id,
        "data_dir": str(data),
        "bind_addr": bind,
        "addresses": {"http": " ".join(addresses), "https": https},
        "ports": _ports(ports, tls=doors.certificates is not None, version=version),
        # A client agent would take seconds to say goodbye to agents that end as well.
        "leave_on_terminate": False,
        "disable_update_check": True,
        "log_level": "INFO",
    }
    if acl:
        config["acl"] = {
            "enabled": True,
            "default_policy": "deny",
            "tokens": {"master": MASTER_TOKEN, "agent": MASTER_TOKEN},
        }
    if doors.certificates is not None:
        config |= _tls(doors.certificates, verify_clients=doors.verify_clients)
    return config


def merge(base: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    """``base`` with ``extra`` laid over it, folder by folder."""
    merged = dict(base)
    for key, value in extra.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def _ports(ports: Ports, *, tls: bool, version: tuple[int, ...]) -> dict[str, int]:
    told = {
        "http": ports.http,
        "https": ports.https if tls else -1,
        "serf_lan": ports.serf,
        "serf_wan": -1,
        "server": ports.server,
        "dns": -1,
        "grpc": -1,
    }
    if version >= _GRPC_TLS_SINCE:
        told["grpc_tls"] = -1
    return told


def _tls(certificates: Certificates, *, verify_clients: bool) -> dict[str, Any]:
    return {
        "ca_file": str(certificates.ca),
        "cert_file": str(certificates.server_cert),
        "key_file": str(certificates.server_key),
        "verify_incoming_https": verify_clients,
    }
