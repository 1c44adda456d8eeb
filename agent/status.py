# SPDX-License-Identifier: Apache-2.0
"""The agent's state: `LOGDIR/status.json`, replaced every tick, and the answer to `status`."""

from __future__ import annotations

import contextlib
import ctypes
import os
import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from agent import __version__
from agent.log.records import OWN_HEAD  # noqa: F401  (the log's own records and the state share their times' format)
from agent.log.times import format_time
from agent.policy.reasons import grouped

if TYPE_CHECKING:
    from agent.daemon import Daemon

FILE = "status.json"
_BLOCK_BYTES = 4096
_COUNTED = (".jsonl", ".parquet", ".sqlite")
COSTLY_S = 10
"""How long figures that are costly to take are shown, in seconds."""


class StatusFile:
    """Writes the state so that a reader sees the old one or the new one, never a part.

    Two files of whole blocks change places, so that the state can still be told when the disk is full."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._spare = directory / f".{FILE}.spare"

    def write(self, state: dict[str, Any]) -> None:
        """A directory that is full or gone is the log's business to report; here it is only not written."""
        with contextlib.suppress(OSError):
            self._write(orjson.dumps(state))
            if not self._spare.exists():  # the first time: takes its room while there is some
                self._write(orjson.dumps(state))

    def _write(self, whole: bytes) -> None:
        whole = whole.ljust(len(whole) + -len(whole) % _BLOCK_BYTES)
        fd = os.open(self._spare, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        try:
            parent = self._path.parent.stat()
            with contextlib.suppress(PermissionError):  # the readers' group need not be one of ours
                os.fchown(fd, -1, parent.st_gid)
            written = os.write(fd, whole)
            os.ftruncate(fd, len(whole))
        finally:
            os.close(fd)
        if written == len(whole):  # less when the disk became full
            _change_places(self._spare, self._path)

    def remove(self) -> None:
        """After an orderly stop there is no state."""
        for path in (self._path, self._spare):
            with contextlib.suppress(OSError):  # a directory that is read-only by now
                path.unlink()


def _change_places(new: Path, old: Path) -> None:
    """renameat2(2) with RENAME_EXCHANGE; rename(2) the first time, and where the file system lacks that."""
    here = -100  # AT_FDCWD
    exchange = ctypes.CDLL(None).renameat2
    if exchange(here, os.fsencode(new), here, os.fsencode(old), 2):
        new.rename(old)


def build_state(daemon: Daemon) -> dict[str, Any]:
    """What `tracehound status` shows; docs/cli.md names the fields."""
    log = daemon.log.health()
    ring = daemon.sensor.ring
    reasons = list(_reasons(daemon))
    costly = _costly(Path(daemon.settings.log.dir), int(time.monotonic() // COSTLY_S))
    uptime = max(time.monotonic() - daemon.started_s, 1e-9)
    return {
        "pid": os.getpid(),
        "version": __version__,
        "node_name": daemon.node_name,
        "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "pid_ns": str(Path("/proc/self/ns/pid").stat().st_ino),
        "started": format_time(time.time_ns() - int(uptime * 1e9)),
        "kernel": os.uname().release,
        "state": "stopping" if daemon._stop_reason else "running",
        "health": {"state": "degraded" if reasons else "ok", "reasons": reasons},
        "events": dict(daemon.pipeline.events),
        "sent": daemon.sensor.sent(),
        "lost": daemon.ledger.by_cause(),
        "lost_recent": daemon.ledger.recent,
        "losses": daemon.ledger.told(),
        "compaction": daemon.compactor.facts(),
        "programs": daemon.program_states(),
        "policies": daemon.policing.summary(),
        "exporters": daemon.exporting.state(),
        **daemon.following.state(),
        "detections": daemon.detecting.state(),
        **({"logs": daemon.collecting.state()} if daemon.collecting else {}),
        "ring": {"bytes": ring.size, "fill": round(ring.fill(), 4), "peak": round(daemon.fill_peak, 4)},
        "processes": len(daemon.tree.living),
        "shed_step": daemon.overload.step,
        "log": {
            "dir": daemon.settings.log.dir,
            "last_sequence": daemon.log.last_sequence,
            "bytes": costly.log_bytes,
            "state": str(log.state),
            "queued_bytes": log.queued_bytes,
            "dropped": log.dropped,
            "error": log.error,
        },
        "cpu_percent": round(100 * time.process_time() / uptime, 2),
        "rss_bytes": costly.rss_bytes,
        "pss_bytes": costly.pss_bytes,
        "reload": daemon.last_reload,
        "updated": format_time(time.time_ns()),
    }


def _reasons(daemon: Daemon) -> list[str]:
    found = [f"{p['name']} is not attached" for p in daemon.program_states() if not p["attached"]]
    found += [f"lost {count} ({cause}) in the last minute" for cause, count in daemon.ledger.recent.items()]
    failures = daemon.policing.summary()["failures"]
    found += grouped((f"policy {one['name']}", one["error"]) for one in failures)
    found += daemon.exporting.problems()
    found += daemon.following.problems()
    found += daemon.detecting.problems()
    found += daemon.collecting.problems() if daemon.collecting else ()
    if daemon.overload.step:
        found.append(f"shedding step {daemon.overload.step} of 3: the agent cannot keep up")
    log = daemon.log.health()
    if str(log.state) != "ok":
        cause = log.error or log.state
        found.append(f"the log is not written: {cause}; {log.queued_bytes} bytes wait in memory")
    return found


class _Costly(NamedTuple):
    rss_bytes: int
    pss_bytes: int
    log_bytes: int


@lru_cache(maxsize=1)
def _costly(directory: Path, _period: int) -> _Costly:
    """What takes the kernel long to tell (walking page tables, a directory), once per period."""
    rss, pss = _memory()
    return _Costly(rss, pss, _directory_bytes(directory))


def _memory() -> tuple[int, int]:
    """(RSS, PSS) of this process in bytes, from /proc/self/smaps_rollup (proc(5))."""
    values = {"Rss": 0, "Pss": 0}
    try:
        with open("/proc/self/smaps_rollup", "rb") as file:
            for line in file:
                name = line.split(b":")[0].decode(errors="replace")
                if name in values:
                    values[name] = int(line.split()[1]) * 1024
    except OSError:
        pass
    return values["Rss"], values["Pss"]


def _directory_bytes(directory: Path) -> int:
    """Segments, manifest, and what is compacted."""
    total = 0
    for place in (directory, directory / "store"):
        with contextlib.suppress(OSError):
            total += sum(entry.stat().st_size for entry in os.scandir(place) if entry.name.endswith(_COUNTED))
    return total
