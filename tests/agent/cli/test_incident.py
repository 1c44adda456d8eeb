# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from agent.cli.incident import gather, happening_of
from agent.store.answers import Timeline
from tests.agent.cli.conftest import START_NS, LogMaker

SECOND = 1_000_000_000


def policy_event(log: LogMaker, of: dict[str, Any], at: float, **event: Any) -> dict[str, Any]:
    own = {"ancestry": log.ancestry[of["exec_id"]]}
    return log.write({"process_kprobe": {"process": of, "policy_name": "p", **event}}, own, at)


def session(log: LogMaker) -> str:
    """A shell whose child opens and connects; a stranger beside it. The shell's exec_id."""
    init = log.exec(1, "/sbin/init", at=0)
    shell = log.exec(50, "/bin/sh", parent=init, at=1)
    log.exec(60, "/bin/stranger", parent=init, at=1.5)
    child = log.exec(51, "/usr/bin/nc", "-l", parent=shell, at=2)
    policy_event(
        log, child, 3, function_name="security_file_open", args=[{"file_arg": {"path": "/etc/shadow"}}]
    )
    sock = {"sock_arg": {"daddr": "2001:db8::1", "dport": 443, "saddr": "::1", "protocol": "IPPROTO_TCP"}}
    policy_event(log, child, 4, function_name="tcp_connect", args=[sock])
    log.loss(3, 4.5, 5)
    log.exit(child, 6, parent=shell, status=2)
    return str(shell["exec_id"])


def of(log: LogMaker, exec_id: str, **more: Any) -> Timeline:
    asked = {"since_ns": None, "until_ns": None, "most": 100} | more
    return gather(log.directory, exec_id, **asked).timeline


def test_everything_that_the_tree_did_is_told_in_order(log: LogMaker) -> None:
    timeline = of(log, session(log))
    assert [(one.type, one.path, one.address) for one in timeline.happenings] == [
        ("process_exec", "", ""),
        ("process_exec", "", ""),
        ("process_kprobe", "/etc/shadow", ""),
        ("process_kprobe", "", "[2001:db8::1]:443"),
        ("loss", "", ""),
        ("process_exit", "", ""),
    ]


def test_the_tree_has_its_ancestors_and_times(log: LogMaker) -> None:
    tree = of(log, session(log)).tree
    [child] = tree.root.children
    assert [one.binary for one in (*tree.ancestors, tree.root, child)] == [
        "/sbin/init",
        "/bin/sh",
        "/usr/bin/nc",
    ]
    assert (child.start_ns, child.end_ns, child.status) == (START_NS + 2 * SECOND, START_NS + 6 * SECOND, 2)
    assert child.arguments == "-l" and tree.root.state == "running"


def test_what_was_lost_in_its_life_is_told(log: LogMaker) -> None:
    told = of(log, session(log)).tree.completeness
    assert [one["count"] for one in told.losses] == [3]
    assert (told.from_ns, told.to_ns) == (START_NS, START_NS + 6 * SECOND)


def test_nothing_after_the_end_of_the_period_is_told(log: LogMaker) -> None:
    exec_id = session(log)
    timeline = of(log, exec_id, until_ns=START_NS + SECOND * 3 // 2)
    assert len(timeline.happenings) == 1 and timeline.tree.root.children == []


def test_happenings_beyond_the_limit_are_counted(log: LogMaker) -> None:
    timeline = of(log, session(log), most=2)
    assert (len(timeline.happenings), timeline.truncated) == (2, 4)


def test_node_and_kernel_are_those_of_the_log(log: LogMaker) -> None:
    found = gather(log.directory, session(log), None, None, 10)
    assert (found.node, found.kernel) == ("n1", "6.12")


def test_records_without_a_meaning_for_an_incident_are_passed_over() -> None:
    head = {"node_name": "n1", "time": "2026-01-01T00:00:00Z"}
    for record in ({"tracehound": {"sequence": 1, "heartbeat": {}}, **head}, {"process_exec": 3, **head}, {}):
        assert happening_of(record) is None
