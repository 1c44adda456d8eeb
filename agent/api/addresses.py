# SPDX-License-Identifier: Apache-2.0
"""TCP addresses of the settings (`HOST:PORT`): bound by the agent, served by its children."""

from __future__ import annotations

import errno
import socket

from agent.errors import AlreadyRunning, PermissionMissing, SettingsError

BACKLOG = 512
"""Connections that may wait while the child starts or is busy."""


def split(address: str) -> tuple[str, int]:
    """Host (empty for all addresses) and port of an address that the settings' check has passed."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_local(address: str) -> bool:
    """Whether only this machine can reach it. A name other than `localhost` counts as reachable from
    elsewhere: what it stands for can change."""
    import ipaddress  # 0.6 MB that an agent without such an address need not have

    host, _ = split(address)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bind(address: str, key: str) -> socket.socket:
    """A listening, non-blocking socket. `key` names the setting in errors: SettingsError, PermissionMissing,
    AlreadyRunning."""
    host, port = split(address)
    try:
        family, _, _, _, where = _resolve(host, port)
        return _listen(family, where, both=not host)
    except OSError as error:
        raise _explained(error, address, key) from None


def _resolve(host: str, port: int) -> tuple[int, int, int, str, tuple[object, ...]]:
    """The first address of a host; without one, all of both families where the machine has IPv6."""
    if not host:
        host = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return found[0]


def _listen(family: int, where: tuple[object, ...], *, both: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not both))
        made.bind(where)
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made


def _explained(error: OSError, address: str, key: str) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return AlreadyRunning(
            f"{key}: another process listens at {address}", f"stop it, or set {key} to another address"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return PermissionMissing(
            f"{key}: {address}: {error.strerror}", "run as root, or choose a port from 1024 on"
        )
    return SettingsError([f"{key}: {address}: {error.strerror or error}"])
