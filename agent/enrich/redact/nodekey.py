# SPDX-License-Identifier: Apache-2.0
"""The node's key for keyed hashes: a file of 32 bytes that nobody but the agent's user can read."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path
from typing import NamedTuple

from agent.errors import PermissionMissing, SettingsError

KEY_BYTES = 32


class NodeKey(NamedTuple):
    """A key and what the user should know about it."""

    key: bytes
    notice: str | None
    """Why the key will be another one after a restart; None: it is kept in the file."""


def load_key(path: str | Path) -> NodeKey:
    """The key in `path`, made when there is none.

    Where it cannot be kept (read-only or full file system) the key lives in memory only. A file that
    others can read or that is no key is refused: PermissionMissing, SettingsError.
    """
    path = Path(path)
    try:
        with contextlib.suppress(FileNotFoundError):
            return NodeKey(_read(path), None)
        return NodeKey(_create(path), None)
    except OSError as error:
        notice = (
            f"the redaction key cannot be kept in {path} ({error.strerror}): "
            "redacted values of this run cannot be joined with those of other runs"
        )
        return NodeKey(secrets.token_bytes(KEY_BYTES), notice)


def _read(path: Path) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except PermissionError as error:
        raise PermissionMissing(
            f"the redaction key {path} cannot be read: {error.strerror}",
            "run the agent as the key's owner, or set redaction.key_file to another place",
        ) from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _not_regular(path) from error
        raise
    try:
        _check(path, os.fstat(fd))
        key = os.read(fd, KEY_BYTES + 1)
    finally:
        os.close(fd)
    if len(key) != KEY_BYTES:
        raise SettingsError(
            [f"{path}: {KEY_BYTES} bytes are expected of a redaction key, this file has {_size(key)}"],
            "remove the file to have a new key made; values redacted before cannot be joined with new ones",
        )
    return key


def _check(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _not_regular(path)
    if status.st_mode & 0o077:
        raise PermissionMissing(
            f"the redaction key {path} can be used by others (mode {stat.S_IMODE(status.st_mode):04o})",
            f"chmod 600 {path}, or remove it to have a new key made if others may have read it",
        )
    if status.st_uid not in (0, os.geteuid()):
        raise PermissionMissing(
            f"the redaction key {path} belongs to another user (uid {status.st_uid})",
            f"chown {os.geteuid()} {path}, or remove it to have a new key made",
        )


def _not_regular(path: Path) -> SettingsError:
    return SettingsError([f"{path}: the redaction key is not a regular file"], "remove it")


def _size(key: bytes) -> str:
    return "more" if len(key) > KEY_BYTES else str(len(key))


def _create(path: Path) -> bytes:
    """Makes the file at one stroke; when another process was faster, its key is the one."""
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    key = secrets.token_bytes(KEY_BYTES)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(fd)
        os.link(fresh, path)
    except FileExistsError:
        return _read(path)
    finally:
        fresh.unlink()
    _sync_directory(path.parent)
    return key


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
