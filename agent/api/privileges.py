# SPDX-License-Identifier: Apache-2.0
"""What the service gives up once it has started: it talks to strangers and only needs to read the log."""

from __future__ import annotations

import ctypes
import os
import pwd
import resource
import sys
from contextlib import suppress
from pathlib import Path

from agent.log.segments import list_segments

NICENESS = 10
"""Added to the agent's: whoever watches must not slow down who is watched."""
OOM_SCORE = 500
"""When memory runs out, this process is to go before the agent."""
MOST_MEMORY = 2 << 30
"""Bytes of address space; a backstop, the limits on clients bind much earlier."""
MOST_FILES = 1024
"""File descriptors, enough for all connections and one segment per stream."""
NOBODY = 65534
"""The uid that owns nothing (the kernel's overflow uid)."""

_PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h
_CAPABILITY_VERSION_3 = 0x20080522  # linux/capability.h


def step_back() -> None:
    """Lowers priority and limits; to be called first, so that starting up does not disturb."""
    os.nice(NICENESS)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_AS, MOST_MEMORY)
    _limit(resource.RLIMIT_NOFILE, MOST_FILES)


def drop(user: str, log_dir: str) -> str:
    """Gives up root, if it has it, and every way back. Returns in words what it is now.

    The new identity is tried on the log and the program's own files first: where it could not read them,
    root stays without any capability.
    """
    _no_new_privileges()
    if os.geteuid() != 0:
        return f"uid {os.geteuid()}"
    uid, gid = _identity(user, log_dir)
    if _can_read_as(uid, gid, log_dir):
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        return f"uid {uid}, gid {gid}"
    _drop_capabilities()
    return "root without capabilities"


def _limit(which: int, most: int) -> None:
    _, hard = resource.getrlimit(which)
    value = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(which, (value, value))


def _identity(user: str, log_dir: str) -> tuple[int, int]:
    """The uid to become, and the group that may read the log."""
    try:
        uid = pwd.getpwnam(user).pw_uid
    except KeyError:
        uid = NOBODY
    try:
        return uid, Path(log_dir).stat().st_gid
    except OSError:
        return uid, NOBODY


def _can_read_as(uid: int, gid: int, log_dir: str) -> bool:
    """Whether that identity can read the newest segment; the supplementary groups do not count."""
    groups = os.getgroups()
    try:
        os.setgroups([])
        os.setegid(gid)
        os.seteuid(uid)
        return _reads(Path(log_dir)) and all(map(_opens, _code()))
    except OSError:
        return False
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def _reads(log_dir: Path) -> bool:
    names = list_segments(log_dir)
    return not names or _opens(log_dir / str(names[-1]))


def _code() -> list[str]:
    """Samples of where modules lie: Python loads some of them only when they are needed."""
    samples = (sys.modules.get(name) for name in ("os", "google.protobuf", __name__))
    return [module.__file__ for module in samples if module and module.__file__]


def _opens(path: str | Path) -> bool:
    os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    return True


def _no_new_privileges() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _drop_capabilities() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if libc.capset(header, nothing):
        raise OSError(ctypes.get_errno(), "capset")
