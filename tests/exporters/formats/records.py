# SPDX-License-Identifier: Apache-2.0
"""Records of every kind to be formatted: recorded ones, and those that our documents describe."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import orjson

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
OTHERS = Path(__file__).resolve().parents[4] / "shared" / "corpora" / "tetragon-events"
NODE, TIME = "n1", "2026-01-01T00:00:05.000000001Z"
PROCESS: dict[str, Any] = {
    "exec_id": "bjE6MzAwMDAwMDAwMDo2MA==",
    "pid": 60,
    "uid": 1000,
    "cwd": "/srv",
    "binary": "/bin/cat",
    "arguments": "/etc/shadow",
    "flags": "execve clone",
    "start_time": "2026-01-01T00:00:04.000000000Z",
    "auid": 1000,
    "parent_exec_id": "bjE6MjAwMDAwMDAwMDo1MA==",
    "tid": 60,
    "in_init_tree": False,
}
PARENT: dict[str, Any] = PROCESS | {
    "exec_id": "bjE6MjAwMDAwMDAwMDo1MA==",
    "pid": 50,
    "tid": 50,
    "binary": "/bin/bash",
    "arguments": "-l",
    "parent_exec_id": "bjE6MToxMA==",
}
POD: dict[str, Any] = {
    "namespace": "shop",
    "name": "web-1",
    "uid": "0d5f7b3a-0000-4000-8000-000000000001",
    "workload": "web",
    "workload_kind": "Deployment",
    "pod_labels": {"app": "web"},
    "container": {"id": "containerd://abc", "name": "nginx", "image": {"id": "sha256:1", "name": "nginx:1"}},
}
RULE = {"id": "0f6f1f0a-0000-4000-8000-000000000001", "title": "Reverse shell"}
_SEGMENT = {"format": 1, "boot_id": "b", "machine_id": "m", "kernel": "6.1.0", "host_ns": {"mnt": 1}}
_REMOVED = {"removed": "a.jsonl", "first_sequence": 1, "last_sequence": 5, "bytes": 9, "reason": "size"}
_GAP = {"cause": "segment_removed", "after": "a", "segment": "b", "from_sequence": 1, "to_sequence": 2}
_OWN: dict[str, Any] = {
    "segment": _SEGMENT,
    "start": {"pid": 1, "version": "1", "kernel": "6.1.0", "previous_sequence": 0, "programs": ["exec_btf"]},
    "stop": {"reason": "SIGTERM", "events": 5, "lost": 0},
    "unclean_shutdown": {"last_sequence": 9, "last_time": TIME, "torn_bytes": 3},
    "loss": {"cause": "ring_full", "lane": "bulk", "hook": "policy", "count": 7, "from": TIME, "to": TIME},
    "degraded": {"step": 1, "from_step": 0, "reason": "ring", "ring_fill": 0.5},
    "heartbeat": {"last_sequence": 9, "lost": {"ring_full": 7}, "programs": [], "events": 1},
    "attachment": {"program": "exec_btf", "attached": False, "by": "somebody"},
    "clock_step": {"nanoseconds": "-1000"},
    "reload": {"ok": False, "problems": ["x"]},
    "retention": _REMOVED,
    "policy": {"name": "p", "action": "refused", "by": "api", "hooks": [], "error": "no such function"},
    "throttle": {"type": "THROTTLE_START", "cgroup": {"id": "1", "name": "c"}, "suppressed": 5},
    "suppressed": {"count": 12, "from_sequence": 1, "to_sequence": 20},
    "notice": _GAP,
    "fork": {"process": PROCESS | {"flags": "clone"}, "parent": PARENT},
    "story": {
        "id": "3fa9",
        "state": "open",
        "level": "high",
        "count": 1,
        "root": PROCESS,
        "rules": {"r": {}},
    },
    "rules": {"version": "0123456789ab", "loaded": 61, "refused": 1, "from_sequence": "4", "problems": ["x"]},
    "kind of the future": {"some": "thing"},
}


def own(kind: str, **changed: Any) -> dict[str, Any]:
    """An own record."""
    return {"tracehound": {"sequence": 5, kind: _OWN[kind] | changed}, "node_name": NODE, "time": TIME}


def exec_event(**changed: Any) -> dict[str, Any]:
    """An exec; `changed` fields of its process."""
    return _event(
        "process_exec", {"process": PROCESS | changed, "parent": PARENT}, arguments=["cat", "/etc/shadow"]
    )


def exit_event(**content: Any) -> dict[str, Any]:
    """An exit."""
    return _event("process_exit", {"process": PROCESS, "parent": PARENT, **content, "time": TIME})


def call(function: str, *args: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An event of a policy; `did` and the like go below `tracehound.policy`."""
    policy = {key: more.pop(key) for key in ("did", "would", "mode") if key in more}
    content = {"process": PROCESS, "parent": PARENT, "function_name": function, "args": list(args)}
    content |= {"action": "KPROBE_ACTION_POST", "policy_name": "p", **more}
    return _event("process_kprobe", content, policy={"selector": 0, **policy})


def detection(**more: Any) -> dict[str, Any]:
    """A detection of an event of a policy."""
    content = {
        "id": "d1",
        "level": "high",
        "rule": RULE,
        "tags": ["attack.t1059.004", "attack.execution", "cve.2021.44228"],
        "rules": [{"id": "r2", "title": "Other"}],
        "event": call("tcp_connect", sock()),
        **more,
    }
    return {"tracehound": {"sequence": 6, "detection": content}, "node_name": NODE, "time": TIME}


def found(**more: Any) -> dict[str, Any]:
    """A detection of an exec as the agent writes it (docs/detections.md)."""
    shell, init = PARENT, PARENT | {"exec_id": "bjE6MToxMA==", "pid": 10, "binary": "/sbin/init"}
    about = {key: PROCESS[key] for key in ("exec_id", "pid", "uid", "binary", "arguments", "start_time")}
    content = {
        "id": "0123456789abcdef0123456789abcdef",
        "level": "critical",
        "title": RULE["title"],
        "description": "A shell whose ends are a socket.",
        "rule": RULE | {"version": "0123456789ab", "author": "somebody", "status": "test"},
        "rules": [RULE | {"level": "critical"}, {"id": "r2", "title": "Other", "level": "low"}],
        "tags": ["attack.t1059.004", "attack.execution"],
        "matched": [{"selection": "selection", "field": "Image", "value": "/bin/cat"}],
        "story": "3fa9c1d2000000000000000000000000",
        "sequence": "4",
        "boot_id": "b",
        "event": exec_event(),
        "process": about,
        "ancestors": [
            {key: one[key] for key in ("exec_id", "pid", "binary", "arguments", "start_time")}
            for one in (shell, init)
        ],
        "detected": TIME,
        **more,
    }
    return {"tracehound": {"sequence": 6, "detection": content}, "node_name": NODE, "time": TIME}


def file(path: str, permission: str = "-rw-r--r--", **more: Any) -> dict[str, Any]:
    """An argument that is a file."""
    return {"file_arg": {"path": path, "permission": permission}, **more}


def sock(**changed: Any) -> dict[str, Any]:
    """An argument that is a TCP socket."""
    ends = {"saddr": "10.0.0.5", "daddr": "203.0.113.7", "sport": 40000, "dport": 443}
    value = {
        "family": "AF_INET",
        "type": "SOCK_STREAM",
        "protocol": "IPPROTO_TCP",
        **ends,
        "state": "TCP_SYN_SENT",
    }
    return {"sock_arg": value | changed}


def _event(kind: str, content: dict[str, Any], **below: Any) -> dict[str, Any]:
    ancestry = [PARENT["exec_id"], PARENT["parent_exec_id"]]
    own = {"sequence": 4, "ancestry": ancestry, **below}
    return {kind: content, "node_name": NODE, "time": TIME, "tracehound": own}


@cache
def own_kinds() -> tuple[str, ...]:
    """Kinds of own records."""
    return tuple(_OWN)


@cache
def recorded() -> list[dict[str, Any]]:
    """Lines that our agent wrote: captured records, as they became."""
    return [
        orjson.loads(line)
        for path in sorted(GOLDEN.rglob("*.jsonl"))
        for line in path.read_bytes().splitlines()
    ]


@cache
def of_others() -> list[dict[str, Any]]:
    """Events that another agent wrote; empty where they are not on this machine."""
    return [
        orjson.loads(line)
        for path in sorted(OTHERS.glob("*.jsonl"))
        for line in path.read_bytes().splitlines()
    ]


def described() -> list[dict[str, Any]]:
    """One of each kind that no recording has."""
    calls = [
        call("security_file_open", file("/etc/shadow"), **{"return": {"int_arg": -13}}),
        call("security_file_open", file("/etc/shadow"), did=["Override EPERM", "Signal SIGKILL"]),
        call("security_path_rename", *[{"path_arg": {"path": path}} for path in ("/a", "/b")]),
        call("tcp_connect", sock(), **{"return": {"int_arg": -111}}),
        call("inet_csk_accept", **{"return": sock(saddr="::1", daddr="fe80::1", family="AF_INET6")}),
        call(
            "security_socket_connect",
            {"sockaddr_arg": {"family": "AF_INET", "addr": "203.0.113.7", "port": 53}},
        ),
        call("unix_stream_connect", {"sockaddrun_arg": {"family": "AF_UNIX", "path": "/run/docker.sock"}}),
        call("udp_sendmsg", sock(protocol="IPPROTO_UDP")),
        call("security_socket_create", {"int_arg": 17}),
        call("inet_csk_listen_start", sock(daddr="", dport=0)),
        call("do_init_module", {"module_arg": {"name": "evil", "tainted": "x"}}),
        call(
            "security_ptrace_access_check",
            {"int_arg": 77, "label": "pid"},
            {"string_arg": "sshd", "label": "comm"},
        ),
        call("security_bprm_check", {"linux_binprm_arg": {"path": "/tmp/x", "permission": "-rwsr-xr-x"}}),
        call("__x64_sys_mprotect", {"size_arg": "4096"}),
        call("a_function_of_tomorrow", {"size_arg": "1"}),
    ]
    pods = [
        exec_event(pod=POD),
        exec_event(docker="0123456789abcdef"),
        exit_event(signal="SIGKILL"),
        exit_event(status=1),
    ]
    return [
        *map(own, own_kinds()),
        *calls,
        *pods,
        detection(),
        detection(process=PROCESS, event=None),
        found(),
        found(event=call("tcp_connect", sock()), pod=POD),
        own("loss"),
    ]
