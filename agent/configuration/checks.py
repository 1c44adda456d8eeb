# SPDX-License-Identifier: Apache-2.0
"""What a value may be, beyond its type. A check raises ValueError with the reason and the way out."""

from __future__ import annotations

import difflib
import mmap
import re
from collections.abc import Callable
from typing import Any

from agent.configuration.units import format_duration, format_size

Check = Callable[[Any], None]
_SERVICES = re.compile(r"[A-Za-z][\w.-]*(?:,[A-Za-z][\w.-]*)*", re.ASCII)
_UNIT = re.compile(r"[A-Za-z0-9:_.@\\*?][A-Za-z0-9:_.@\\*?-]*")
"""Letters of unit names, systemd.unit(5), and those of patterns, journalctl(1)."""

SOCKET_PATH_BYTES = 107
"""Longest path of a Unix socket in bytes: sockaddr_un.sun_path less its final NUL, unix(7)."""
RING_BYTES_MAX = 1 << 31
"""Largest ring: max_entries is 32 bits wide and must be a power of two, Linux kernel/bpf/ringbuf.c."""
PID_MAX_LIMIT = 1 << 22
"""Most pids of a 64-bit kernel, Linux include/linux/threads.h."""
ARGUMENTS_BYTES_MAX = 6 << 20
"""Most bytes that execve takes for arguments and environment, execve(2)."""


def anything(_value: object) -> None:
    """No check beyond the type."""


def one_of(*choices: str) -> Check:
    """One of a few words."""

    def check(value: str) -> None:
        if value in choices:
            return
        near = difflib.get_close_matches(value, choices, n=1)
        advice = f'; did you mean "{near[0]}"?' if near else ""
        raise ValueError(f"is not one of {', '.join(choices)}{advice}")

    return check


def some_of(*choices: str) -> Check:
    """Any of a few words."""

    def check(values: tuple[str, ...]) -> None:
        for value in values:
            if value not in choices:
                raise ValueError(f"holds {value!r}, which is not one of {', '.join(choices)}")

    return check


def between(low: float, high: float, show: Callable[[Any], str] = lambda value: f"{value:g}") -> Check:
    """A number from `low` to `high`, both included."""

    def check(value: float) -> None:
        if value < low:
            raise ValueError(f"is too small; the least is {show(low)}")
        if value > high:
            raise ValueError(f"is too large; the most is {show(high)}")

    return check


def size(low: int, high: int = 1 << 50) -> Check:
    """A number of bytes from `low` to `high`."""
    return between(low, high, format_size)


def seconds(low: float, high: float = 100 * 366 * 86400.0) -> Check:
    """A duration from `low` to `high` seconds."""
    return between(low, high, format_duration)


def optional(check: Check) -> Check:
    """The check where there is a value; None is good."""

    def check_value(value: Any) -> None:
        if value is not None:
            check(value)

    return check_value


def ring_bytes(value: int, page: int = mmap.PAGESIZE) -> None:
    """The kernel takes only powers of two that are whole pages, Linux kernel/bpf/ringbuf.c."""
    size(page, RING_BYTES_MAX)(value)
    if value & (value - 1):
        below = 1 << (value.bit_length() - 1)
        raise ValueError(
            f"is not a power of two; the nearest are {format_size(below)} and {format_size(below << 1)}"
        )


def fraction(value: float) -> None:
    """A share of something, above 0 and at most 1."""
    if not 0 < value <= 1:
        raise ValueError("is not a fraction; write a number above 0 and at most 1, for example 0.5")


def node_name(value: str | None) -> None:
    """exec_ids are `node:time:pid`, so a colon would make them ambiguous."""
    if value is None:
        return
    if not re.fullmatch(r"[^\s:\x00-\x1f\x7f\ud800-\udfff]{1,253}", value):
        raise ValueError("is not a node name; use 1 to 253 characters without spaces, colons and controls")


def printable(value: str) -> None:
    """Text without control characters."""
    if not value.isprintable():
        raise ValueError("contains control characters; remove them")


def path(value: str | None) -> None:
    """An absolute path, or None where the key allows it."""
    if value is None:
        return
    if not value.startswith("/"):
        raise ValueError("is not an absolute path; start it with /")
    if "\0" in value:
        raise ValueError("contains a NUL character; remove it")


def paths(values: tuple[str, ...]) -> None:
    """Absolute paths."""
    for value in values:
        try:
            path(value)
        except ValueError as error:
            raise ValueError(f"holds {value!r}, which {error}") from None


def runtime_sockets(values: tuple[str, ...]) -> None:
    """`cri:/path`, `docker:/path`, `podman:/path`."""
    for value in values:
        kind, _, place = value.partition(":")
        if kind not in ("cri", "docker", "podman") or not place.startswith("/"):
            raise ValueError(f"holds {value!r}; write cri:/path, docker:/path or podman:/path")
        socket_path(place)


def log_files(values: tuple[str, ...]) -> None:
    """`/path`, or `SERVICE:/path` and `SERVICE,SERVICE:/path`; a path once."""
    paths = []
    for value in values:
        services, _, place = ("", "", value) if value.startswith("/") else value.partition(":")
        if not place.startswith("/") or (services and not _SERVICES.fullmatch(services)):
            raise ValueError(f"holds {value!r}; write /path, or SERVICE:/path as in vsftpd:/srv/ftp/log")
        path(place)
        paths.append(place)
    if twice := next((one for one in paths if paths.count(one) > 1), None):
        raise ValueError(f"holds {twice!r} twice; write SERVICE,SERVICE:{twice}")


def unit_names(values: tuple[str, ...]) -> None:
    """Units of systemd; no options of journalctl."""
    for value in values:
        if not _UNIT.fullmatch(value):
            raise ValueError(f"holds {value!r}, which is no unit as in ssh.service")


def nri_socket(value: str) -> None:
    """`auto`, `none`, or an absolute path."""
    if value in ("auto", "none"):
        return
    if not value.startswith("/"):
        raise ValueError("is no place of a socket; write auto, none or a path such as /var/run/nri/nri.sock")
    socket_path(value)


def socket_path(value: str) -> None:
    """An absolute path that fits a socket address, or nothing."""
    if not value:
        return
    path(value)
    length = len(value.encode("utf-8", "surrogateescape"))
    if length > SOCKET_PATH_BYTES:
        raise ValueError(
            f"is {length} bytes long; the kernel takes at most {SOCKET_PATH_BYTES} for a socket, "
            "choose a shorter directory"
        )


def address(value: str) -> None:
    """`HOST:PORT`, `[IPv6]:PORT`, `:PORT`, or nothing."""
    if not value:
        return
    host, colon, port = value.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("is no address; write HOST:PORT, for example 127.0.0.1:54321")
    if host.startswith("[") != host.endswith("]") or (":" in host and not host.startswith("[")):
        raise ValueError("is no address; an IPv6 host stands in brackets, for example [::1]:54321")


def variable_names(values: tuple[str, ...]) -> None:
    """Shell patterns of environment variable names."""
    for value in values:
        if not value or "=" in value or not value.isprintable():
            raise ValueError(f"holds {value!r}, which is no name of an environment variable")
