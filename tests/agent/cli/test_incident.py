# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from agent.cli.incident import Incident, Wanted, gather, proof, proof_of
from agent.errors import LogUnavailable, UsageError
from agent.log.examine import Fault
from agent.log.verdict import Verdict
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


def found(log: LogMaker, most: int = 100, **wanted: Any) -> Incident:
    return gather(log.directory, Wanted(**wanted), most, {"ok": True})


def test_everything_that_the_tree_did_is_told_in_order(log: LogMaker) -> None:
    told = found(log, exec_id=session(log)).timeline
    assert [(one.type, one.path, one.address) for one in told.happenings] == [
        ("process_exec", "", ""),
        ("process_exec", "", ""),
        ("process_kprobe", "/etc/shadow", ""),
        ("process_kprobe", "", "[2001:db8::1]:443"),
        ("process_exit", "", ""),
    ]
    assert [one["count"] for one in told.tree.completeness.losses] == [3]
    assert told.tree.completeness.chain == {"ok": True}


@pytest.mark.parametrize("selector", [{"path": "/etc/shadow"}, {"address": "2001:db8::1"}, {"pid": 51}])
def test_a_process_is_found_by_what_it_touched(log: LogMaker, selector: dict[str, Any]) -> None:
    session(log)
    tree = found(log, **selector).timeline.tree
    assert [one.binary for one in (*tree.ancestors, tree.root)] == ["/sbin/init", "/bin/sh", "/usr/bin/nc"]


def test_several_processes_stand_below_the_words_that_named_them(log: LogMaker) -> None:
    init = log.exec(1, "/sbin/init", at=0)
    for pid in (50, 60):
        log.exec(pid, "/bin/x", parent=init, at=pid)
    tree = found(log, path="/bin/x").timeline.tree
    assert [(depth, one.binary or one.pid) for depth, one, _ in tree.walk()] == [
        (0, "processes that touched /bin/x"),
        (1, "/sbin/init"),
        (2, "/bin/x"),
        (2, "/bin/x"),
    ]


def test_a_report_about_too_many_is_refused_with_a_way_out(log: LogMaker) -> None:
    for pid in range(50, 251):
        log.exec(pid, "/bin/x", at=pid)
    with pytest.raises(UsageError) as refused:
        found(log, path="/bin/x")
    assert "201 processes, a report takes 200" in refused.value.message and "--since" in refused.value.hint


def test_happenings_beyond_the_limit_are_counted(log: LogMaker) -> None:
    told = found(log, most=2, exec_id=session(log)).timeline
    assert (len(told.happenings), told.truncated) == (2, 3)


def test_nothing_after_the_end_of_the_period_is_told(log: LogMaker) -> None:
    told = found(log, exec_id=session(log), until_ns=START_NS + SECOND * 3 // 2).timeline
    assert len(told.happenings) == 1 and told.tree.root.children == []


def test_node_and_kernel_are_those_of_the_log(log: LogMaker) -> None:
    incident = found(log, exec_id=session(log))
    assert (incident.node, incident.kernel) == ("n1", "6.12")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted(pid=7), "pid 7"),
        (Wanted(pod="a/b"), "pod a/b"),
        (Wanted(address="192.0.2.1"), "processes that talked to 192.0.2.1"),
        (Wanted(exec_id="x"), "exec_id x"),
    ],
)
def test_what_was_asked_for_has_words(wanted: Wanted, words: str) -> None:
    assert wanted.words == words


def test_a_log_of_one_open_segment_is_not_proved(log: LogMaker) -> None:
    session(log)
    assert "ok" not in proof(log.directory, None)


def test_what_is_wrong_with_the_chain_is_told() -> None:
    verdict = Verdict([Fault("a.jsonl", 7, 9, "was changed")], counts={"chained": 2, "broken": 1}, lines=5)
    assert proof_of(verdict) == {
        "ok": False,
        "segments_proved": 2,
        "records_read": 5,
        "faults": ["a.jsonl line 7 was changed"],
    }


def test_an_intact_chain_tells_its_head() -> None:
    told = proof_of(Verdict(counts={"chained": 2, "open": 1}, manifest_head="ab"))
    assert told == {"ok": True, "segments_proved": 2, "segments_open": 1, "head": "ab"}


def test_a_log_that_is_not_there_is_told(log: LogMaker) -> None:
    with pytest.raises(LogUnavailable):
        proof(log.directory / "none", None)
