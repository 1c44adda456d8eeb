# SPDX-License-Identifier: Apache-2.0
"""Log directories with compacted segments, made by the compactor itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agent.log.compaction import place
from agent.store.compact import accounts
from agent.store.layout import pending
from tests.agent.cli.conftest import LogMaker

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


def golden_lines() -> list[str]:
    """Lines as our encoder writes them, of every kind, hostile ones among them."""
    return [
        line
        for path in sorted(GOLDEN.rglob("*.jsonl"))
        for line in path.read_text(errors="surrogateescape").split("\n")
        if line
    ]


def plain_rows(table: Any) -> list[dict[str, Any]]:
    """Rows of an Arrow table; times as nanoseconds since 1970, for which Python has no type of its own."""
    at = table.schema.names.index("time")
    numbers = table.column(at).cast("int64")
    rows: list[dict[str, Any]] = table.set_column(at, "time", numbers).to_pylist()
    return rows


def compact_all(directory: Path, *, remove: bool = True) -> list[str]:
    """Compacts the closed segments and publishes them as the agent does; returns their names."""
    names = []
    for account in accounts(directory, pending(directory, 0, 1e12)):
        place(directory, account.segment)
        if remove:
            (directory / account.segment).unlink()
        names.append(account.segment)
    return names


def session(directory: Path) -> LogMaker:
    """A shell that starts two programs in the first segment, and one in the second, which is open."""
    log = LogMaker(directory)
    root = log.exec(1, "/sbin/init", at=0)
    shell = log.exec(50, "/bin/sh", "-c", "x", parent=root, at=1)
    child = log.exec(51, "/usr/bin/curl", "http://x", parent=shell, at=2, docker="0123456789abcdef")
    connect(log, child, "203.0.113.7", at=2.5)
    log.exit(child, 3, parent=shell, status=7)
    log.loss(3, 3.5, 4)
    log.segment(at=10)
    log.exec(52, "/bin/cat", "/etc/shadow", parent=shell, at=11)
    log.exit(shell, 12, parent=root)
    return log


def connect(log: LogMaker, process: dict[str, object], address: str, at: float) -> None:
    """An event of a policy."""
    socket = {
        "sock_arg": {
            "daddr": address,
            "dport": 443,
            "saddr": "10.0.0.1",
            "sport": 1,
            "protocol": "IPPROTO_TCP",
        }
    }
    event = {"process": process, "function_name": "tcp_connect", "policy_name": "net", "args": [socket]}
    log.write({"process_kprobe": event}, {}, at)
