# SPDX-License-Identifier: Apache-2.0
"""Columns of the store's Parquet files, in order; docs/store.md is made to agree by a test. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Column(NamedTuple):
    """One column."""

    name: str
    type: str
    """In DuckDB's words."""
    comment: str


FORMAT = 1
"""Version of the Parquet files, in their metadata (`tracehound.format`). Readers take a missing column for
NULL, so that a new column needs no new version."""

COLUMNS = (
    Column("time", "TIMESTAMP_NS", "the record's time, UTC"),
    Column("sequence", "BIGINT", "tracehound.sequence"),
    Column("boot_id", "VARCHAR", "of the segment"),
    Column(
        "type", "VARCHAR", "process_exec, process_exit, process_kprobe, …; of own records the kind (loss)"
    ),
    Column("node", "VARCHAR", "node_name"),
    Column("exec_id", "VARCHAR", "of the process"),
    Column("parent_exec_id", "VARCHAR", "of its parent"),
    Column("ancestry", "VARCHAR[]", "exec_ids upwards; exec events only"),
    Column("pid", "BIGINT", "of the process, on the host"),
    Column("uid", "BIGINT", "of the process"),
    Column("auid", "BIGINT", "login uid of the process; 4294967295: none"),
    Column("user", "VARCHAR", "name of the uid, exec events only"),
    Column("exe", "VARCHAR", "process.binary"),
    Column("args", "VARCHAR", "process.arguments"),
    Column("cwd", "VARCHAR", "process.cwd"),
    Column("parent_exe", "VARCHAR", "parent.binary"),
    Column("container", "VARCHAR", "container id, or its prefix in process.docker"),
    Column("image", "VARCHAR", "name of the container's image"),
    Column("namespace", "VARCHAR", "of the pod"),
    Column("pod", "VARCHAR", "name of the pod"),
    Column("workload", "VARCHAR", "of the pod"),
    Column("function", "VARCHAR", "hooked function, of events of policies"),
    Column("policy", "VARCHAR", "name of the policy"),
    Column("action", "VARCHAR", "of the policy"),
    Column("path", "VARCHAR", "first file or path argument"),
    Column("address", "VARCHAR", "peer of the first sock, skb or sockaddr argument"),
    Column("port", "INTEGER", "the peer's"),
    Column("local_address", "VARCHAR", "own end"),
    Column("local_port", "INTEGER", "own end's"),
    Column("protocol", "VARCHAR", "tcp, udp, …"),
    Column("signal", "VARCHAR", "of exits: the signal that killed it"),
    Column("status", "INTEGER", "of exits"),
    Column("level", "VARCHAR", "of detections"),
    Column("rule", "VARCHAR", "of detections: the rule's title"),
    Column(
        "payload", "VARCHAR", "what is needed, with the next three, to write the line again, byte for byte"
    ),
    Column("process_form", "VARCHAR", "of the process: what the columns do not tell"),
    Column("parent_form", "VARCHAR", "of the parent: what the columns do not tell"),
    Column("lineage", "VARCHAR", "exec_ids upwards as they stand in the line; not of exec events"),
)

PROCESS = (
    "exec_id",
    "parent_exec_id",
    "pid",
    "uid",
    "auid",
    "exe",
    "args",
    "cwd",
    "container",
    "image",
    "namespace",
    "pod",
    "workload",
)
"""Columns that are a process's, and the same in all of its events."""

EVENT = (
    "type",
    "user",
    "function",
    "policy",
    "action",
    "path",
    "address",
    "port",
    "local_address",
    "local_port",
    "protocol",
    "signal",
    "status",
    "level",
    "rule",
)
"""Columns that are an event's own."""

REBUILD = (
    "time",
    "sequence",
    "type",
    "exec_id",
    "parent_exec_id",
    "ancestry",
    "pid",
    "uid",
    "auid",
    "exe",
    "args",
    "cwd",
    "parent_exe",
    "container",
    "payload",
    "process_form",
    "parent_form",
    "lineage",
)
"""Columns that a line is written again from."""
