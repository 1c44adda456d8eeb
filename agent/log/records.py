# SPDX-License-Identifier: Apache-2.0
"""Encoding of the log's own records (`segment`, `start`, `stop`, `loss`, …).

An own record is one line `{"tracehound":{"sequence":N,"<kind>":{…}},"node_name":"…","time":"…"}`. It is
made in two pieces, before and after the sequence number, because the writer alone knows that number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from agent.log.times import format_time

FORMAT = 1
"""Version of the log's format, in every `segment` record."""

OWN_HEAD = b'{"tracehound":{"sequence":'
"""How every own record begins."""

Line = tuple[bytes, bytes]
"""A line without its sequence number: what stands before it and, newline included, after it."""


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """What the `segment` record at the head of every segment says about this node."""

    node_name: str
    """Name of the node, as in events."""
    boot_id: str
    """/proc/sys/kernel/random/boot_id: sequences restart at 1 when it changes."""
    machine_id: str
    """/etc/machine-id, empty where there is none."""
    kernel: str
    """Release of the running kernel (`uname -r`)."""
    version: str
    """Version of the agent."""
    host_ns: Mapping[str, int] = field(default_factory=dict)
    """Inums of the host's namespaces by Tetragon's names; empty when namespaces are not recorded."""
    credentials: bool = True
    """Whether `cred` and `cap` are recorded at exec. Without them an exec that lacks the keys says
    nothing; with them it says that all ids are equal and no capability is held."""


def own_line(kind: str, content: Mapping[str, object], node_name: str, time_ns: int) -> Line:
    """Encodes an own record; `time_ns` is wall-clock nanoseconds."""
    around = orjson.dumps({"node_name": node_name, "time": format_time(time_ns)})
    return OWN_HEAD, b',"%b":%b},%b\n' % (kind.encode(), orjson.dumps(content), around[1:])


def segment_content(
    facts: SegmentFacts, previous: str | None, previous_sha256: str = ""
) -> dict[str, object]:
    """Content of the `segment` record; `previous` is the file name of the segment before, None for the
    first one of a log, `previous_sha256` the SHA-256 of its bytes, empty when that is not known."""
    content: dict[str, object] = {
        "format": FORMAT,
        "boot_id": facts.boot_id,
        "machine_id": facts.machine_id,
        "kernel": facts.kernel,
        "version": facts.version,
        "host_ns": dict(facts.host_ns),
        "previous": previous,
        "previous_sha256": previous_sha256,
    }
    if not facts.credentials:
        content["credentials"] = False
    return {key: value for key, value in content.items() if value not in ("", None, {})}


def loss_content(cause: str, count: int, from_ns: int, to_ns: int) -> dict[str, object]:
    """Content of a `loss` record of the agent's own lane; times are wall-clock nanoseconds."""
    return {
        "cause": cause,
        "lane": "agent",
        "count": count,
        "from": format_time(from_ns),
        "to": format_time(to_ns),
    }


def sequence_of(record: object) -> int | None:
    """The sequence number of a parsed line; None when it is not a record of this log."""
    if not isinstance(record, dict):
        return None
    own = record.get("tracehound")
    number = own.get("sequence") if isinstance(own, dict) else None
    return number if isinstance(number, int) else None
