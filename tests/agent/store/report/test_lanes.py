# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.store.answers import Happening
from agent.store.report.lanes import LANES, NUMBER, lane_of
from tests.agent.store.report.invented import connected, detected, ended, happening, opened, process, started

P = process(7, "/bin/x", 0)
CRED = {"args": [{"process_credentials_arg": {"uid": 0}}]}


@pytest.mark.parametrize(
    ("one", "lane"),
    [
        (started(P, 1), "exec"),
        (ended(P, 2, 2), "exit"),
        (opened(P, 1, 3, "/etc/passwd"), "file"),
        (connected(P, 1, 4, "192.0.2.1:80"), "network"),
        (detected(P, 1, 5, "odd"), "detection"),
        (happening("process_lsm", P, 1, 6, "bpf", function="bpf"), "policy"),
        (happening("process_kprobe", P, 1, 7, "setuid", function="__x64_sys_setuid"), "credential"),
        (happening("process_kprobe", P, 1, 8, "creds", function="f", event=CRED, path="/x"), "credential"),
        (Happening(1, 9, "loss", "", "3 lost", record={"tracehound": {"sequence": 9, "loss": {}}}), "agent"),
        (Happening(1, 9, "process_kprobe", "", "without a record"), "policy"),
    ],
)
def test_each_kind_of_event_has_its_lane(one: Happening, lane: str) -> None:
    assert lane_of(one) == lane


def test_an_event_that_carries_a_detection_is_one() -> None:
    assert lane_of(started(P, 1, detection={"rule": "r"})) == "detection"


def test_lanes_are_numbered_from_top_to_bottom() -> None:
    assert [NUMBER[key] for key, _ in LANES] == list(range(len(LANES)))
