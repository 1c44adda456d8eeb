# SPDX-License-Identifier: Apache-2.0
"""One record of the log as one row: the columns of docs/store.md, the same on the node and in the fleet.

Pure, and on the way of every event: absent values are None, so that they cost nothing in a column store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent.log.times import parse_time

COLUMNS = (
    "time",
    "sequence",
    "boot_id",
    "type",
    "node",
    "exec_id",
    "parent_exec_id",
    "ancestry",
    "pid",
    "uid",
    "auid",
    "user",
    "exe",
    "args",
    "cwd",
    "parent_exe",
    "container",
    "image",
    "namespace",
    "pod",
    "workload",
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
"""Names of the values of a row, in order. `payload` follows in the store: whoever writes it adds it."""

Record = Mapping[str, Any]
Row = tuple[Any, ...]

_NOTHING: dict[str, Any] = {}
_NO_PEER = (None, None, None, None, None)
_NO_TARGET = (None, *_NO_PEER)
_FILES = ("file_arg", "path_arg", "linux_binprm_arg", "sockaddrun_arg")
_PATHLIKE = "string_arg"


def flatten(record: Record, boot_id: str) -> Row:
    """The values of `COLUMNS` for a parsed line. `time` is wall-clock nanoseconds, 0 when it has none.

    `boot_id` is that of the segment the line stands in. Never raises for a record of the log, whatever fields
    it lacks; values are as they stand there.
    """
    own = record.get("tracehound") or _NOTHING
    kind = next(iter(record), "")
    if kind == "tracehound":
        return _own_row(record, own, boot_id)
    event = record.get(kind) or _NOTHING
    process = event.get("process") or _NOTHING
    parent = event.get("parent") or _NOTHING
    is_exec = kind == "process_exec"
    is_exit = kind == "process_exit"
    detection = own.get("detection") or _NOTHING
    return (
        _time_of(record),
        own.get("sequence"),
        boot_id,
        kind,
        record.get("node_name"),
        process.get("exec_id"),
        process.get("parent_exec_id") or parent.get("exec_id"),
        own.get("ancestry") if is_exec else None,
        process.get("pid"),
        process.get("uid"),
        process.get("auid"),
        own.get("user") if is_exec else None,
        process.get("binary"),
        process.get("arguments"),
        process.get("cwd"),
        parent.get("binary"),
        *_workload(process),
        *((None, None, None, *_NO_TARGET) if is_exec or is_exit else _of_policy(kind, event)),
        event.get("signal") if is_exit else None,
        event.get("status", 0) if is_exit else None,
        detection.get("level"),
        _rule_of(detection),
    )


def event_values(kind: str, event: Record, own: Record) -> Row:
    """Of an event that is no exec: the values of `schema.EVENT`, as in `flatten`; `own` is what stands
    in `tracehound`."""
    is_exit = kind == "process_exit"
    detection = own.get("detection") or _NOTHING
    return (
        kind,
        None,
        *((None, None, None, *_NO_TARGET) if is_exit else _of_policy(kind, event)),
        event.get("signal") if is_exit else None,
        event.get("status", 0) if is_exit else None,
        detection.get("level"),
        _rule_of(detection),
    )


def _own_row(record: Record, own: Record, boot_id: str) -> Row:
    """A record of the log about itself; a `fork` names a process as events do."""
    kind = next((key for key in own if key != "sequence"), "")
    content = own.get(kind)
    if kind == "fork" and isinstance(content, dict):
        row = flatten({kind: content, **_beside(record)}, boot_id)
        return (row[0], own.get("sequence"), *row[2:])
    if kind == "detection" and isinstance(content, dict):
        return _detection_row(record, own, content, boot_id)
    head = (_time_of(record), own.get("sequence"), boot_id, kind, record.get("node_name"))
    return (*head, *(None,) * (len(COLUMNS) - len(head)))


def _detection_row(record: Record, own: Record, content: Record, boot_id: str) -> Row:
    """A detection is about a process, as an event is; what else it tells is level and rule."""
    process = content.get("process")
    about = {"process": process if isinstance(process, dict) else _NOTHING}
    row = flatten({"detection": about, **_beside(record)}, boot_id)
    return (row[0], own.get("sequence"), *row[2:-2], content.get("level"), _rule_of(content))


def _rule_of(detection: Record) -> str | None:
    """The title of its rule; ours tell id, title and more, others a name."""
    rule = detection.get("rule")
    if isinstance(rule, dict):
        rule = rule.get("title") or rule.get("id")
    return rule if isinstance(rule, str) else None


def _beside(record: Record) -> dict[str, Any]:
    """What stands beside `tracehound`: node and time."""
    return {key: value for key, value in record.items() if key != "tracehound"}


def _time_of(record: Record) -> int:
    try:
        return parse_time(record.get("time", ""))
    except (ValueError, AttributeError):
        return 0


def _workload(process: Record) -> Row:
    """container, image, namespace, pod, workload. Runtimes write `containerd://` before a container's id."""
    pod = process.get("pod")
    if not pod:
        return (process.get("docker"), None, None, None, None)
    container = pod.get("container") or _NOTHING
    identity = container.get("id") or process.get("docker")
    if identity and "://" in identity:
        identity = identity.partition("://")[2]
    image = (container.get("image") or _NOTHING).get("name")
    return (identity, image, pod.get("namespace"), pod.get("name"), pod.get("workload"))


def _of_policy(kind: str, event: Record) -> Row:
    """function, policy, action, path, peer's and own address and port, protocol."""
    function = event.get("function_name") or event.get("symbol") or _tracepoint(kind, event)
    args = event.get("args")
    target = _target(args) if args else (event.get("path"), *_NO_PEER)
    return (function, event.get("policy_name"), event.get("action"), *target)


def _tracepoint(kind: str, event: Record) -> str | None:
    if kind != "process_tracepoint":
        return None
    return f"{event.get('subsys', '')}/{event.get('event', '')}"


def _target(args: Sequence[Record]) -> Row:
    """The first file (else the first text that is an absolute path) and the first peer."""
    path = text = None
    peer: Row | None = None
    for arg in args:
        for member, content in arg.items():
            if path is None and member in _FILES:
                path = content.get("path")
            elif text is None and member == _PATHLIKE and content[:1] == "/":
                text = content
            elif peer is None and (read := _PEERS.get(member)):
                peer = read(content)
    return (path or text, *(peer or _NO_PEER))


def _socket(content: Record) -> Row | None:
    protocol = content.get("protocol")
    if not content.get("daddr") and not content.get("saddr"):
        return None
    return (
        content.get("daddr"),
        content.get("dport", 0),
        content.get("saddr"),
        content.get("sport", 0),
        protocol.removeprefix("IPPROTO_").lower() if protocol else None,
    )


def _sockaddr(content: Record) -> Row | None:
    if not content.get("addr"):
        return None
    return (content["addr"], content.get("port", 0), None, None, None)


_PEERS: dict[str, Callable[[Record], Row | None]] = {
    "sock_arg": _socket,
    "skb_arg": _socket,
    "sockaddr_arg": _sockaddr,
}
"""Arguments that name a peer, with what reads them: daddr and dport are the kernel's words for the peer of a
socket (include/net/sock.h); of a packet they are its destination."""
