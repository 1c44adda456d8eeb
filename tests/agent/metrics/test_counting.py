# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
from typing import Any

import pytest

from agent.errors import LogUnavailable
from agent.metrics.counting import Counting
from agent.metrics.series import POD_GONE_S
from tests.agent.api.support import Log, process
from tests.agent.metrics.support import values

POD = {"namespace": "ns", "name": "web-1", "workload": "web", "container": {"id": "c"}}


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log")


def counting(log: Log, *labels: str, **more: Any) -> Counting:
    return Counting(str(log.directory), labels, 100, **more)


def counted(counter: Counting, name: str) -> dict[Any, float]:
    assert not counter.catch_up()
    return values(counter.families(), name)


def test_events_are_counted_by_type_and_labels(log: Log) -> None:
    log.exec(1)
    counter = counting(log, "namespace", "workload", "pod", "binary")
    log.exec(2, pod=POD)
    log.exec(3, pod=POD)
    log.exec(4)
    log.own("heartbeat", {})
    assert counted(counter, "events") == {
        ("process_exec", "ns", "web", "web-1", "/bin/ls"): 2,
        ("process_exec", "", "", "", "/bin/ls"): 1,
    }


def test_events_outside_of_pods_are_counted_without_being_parsed(log: Log) -> None:
    counter = counting(log, "namespace")
    log.exec(2, arguments='"pod":{')
    log.exec(3, pod=POD)
    log.event("process_exit", {"process": process(3)})
    assert counted(counter, "events") == {
        ("process_exec", ""): 1,
        ("process_exec", "ns"): 1,
        ("process_exit", ""): 1,
    }


def test_counting_goes_on_where_it_was(log: Log) -> None:
    counter = counting(log)
    for pid in (1, 2):
        log.exec(pid)
        log.rotate()
        assert counted(counter, "events") == {"process_exec": pid}


def test_events_of_policies_are_counted_by_policy_and_hook(log: Log) -> None:
    counter = counting(log, "namespace")
    body = {"process": process(1, pod=POD), "policy_name": "p"}
    log.event("process_kprobe", {**body, "function_name": "tcp_connect"})
    log.event("process_tracepoint", {**body, "subsys": "sched", "event": "fork"})
    log.event("process_uprobe", {**body, "symbol": "readline"})
    assert set(counted(counter, "policy_events")) == {
        ("p", "tcp_connect", "ns"),
        ("p", "sched/fork", "ns"),
        ("p", "readline", "ns"),
    }


def test_detections_are_counted_by_level_and_rule(log: Log) -> None:
    counter = counting(log, "namespace", "binary")
    log.own("detection", {"level": "high", "rule": {"id": "7", "title": "Shell"}, "pod": POD})
    log.own("detection", {"level": "low", "rule": {"id": "8"}})
    assert counted(counter, "detections") == {("high", "Shell", "ns"): 1, ("low", "8", ""): 1}


def test_throttling_is_counted(log: Log) -> None:
    counter = counting(log)
    log.own("throttle", {"type": "THROTTLE_START"})
    assert counted(counter, "throttle") == {"THROTTLE_START": 1}


def test_a_deleted_pods_series_go(log: Log) -> None:
    now = [0.0]
    counter = counting(log, "namespace", "pod", clock=lambda: now[0])
    log.exec(2, pod=POD)
    log.own("pod_deleted", {"namespace": "ns", "name": "web-1", "uid": "u"})
    assert len(counted(counter, "events")) == 1
    now[0] = POD_GONE_S
    assert counted(counter, "events") == {}


def test_records_that_went_before_they_were_counted_are_told(log: Log) -> None:
    counter = counting(log)
    gone = log.segment
    log.execs(range(3))
    log.rotate()
    log.exec(9)
    gone.unlink()
    assert counted(counter, "events") == {"process_exec": 1}
    assert counted(counter, "metrics_missed_records")[()] >= 3


def test_a_record_of_a_shape_that_is_none_is_passed_over(log: Log) -> None:
    counter = counting(log, "binary")
    log.event("process_exec", {"process": "nobody"})
    log.own("detection", {"rule": "r"})
    log.exec(2)
    assert counted(counter, "events") == {("process_exec", "/bin/ls"): 1}


def test_a_log_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LogUnavailable):
        Counting(str(tmp_path / "none"), (), 10)
