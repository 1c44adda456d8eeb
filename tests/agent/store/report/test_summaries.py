# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.store.report import summaries
from tests.agent.store.report.invented import connected, happening, incident, opened, process, started

P = process(7, "/bin/x", 0)


def test_attack_ids_are_found_in_tags_of_every_writing() -> None:
    tags = {"tags": ["attack.t1059.004", "attack.execution", "T1003"], "attack": "T1548 t1003"}
    assert summaries.techniques(tags) == ["T1003", "T1059.004", "T1548"]


def test_words_that_look_like_an_id_are_none() -> None:
    assert summaries.techniques({"tags": ["at1059", "t10591", "cve.2021.4034"]}) == []


@pytest.mark.parametrize(
    ("own", "action", "told"),
    [
        ({}, "KPROBE_ACTION_POST", ""),
        ({}, "KPROBE_ACTION_SIGKILL", "SIGKILL"),
        (
            {"policy": {"did": ["Override EPERM", "Signal 9"]}},
            "KPROBE_ACTION_OVERRIDE",
            "Override EPERM, Signal 9",
        ),
        ({"policy": {"would": ["Override EPERM"]}}, "KPROBE_ACTION_OVERRIDE", "would: Override EPERM"),
    ],
)
def test_what_was_done_to_a_call_is_told(own: dict[str, object], action: str, told: str) -> None:
    one = happening("process_kprobe", P, 1, 1, "f", action=action, own=own)
    assert summaries.outcome(one) == told


def test_detections_and_policies_are_counted_with_their_techniques() -> None:
    found = {
        key: (row.count, words["attack"])
        for key, row, words in summaries.findings(incident().happenings).table("attack")
    }
    assert found["detection", "Program started from a temporary directory"] == (1, "T1059.004")
    assert found["policy", "credential-file-reads"] == (1, "T1003.008")
    assert found["policy", "network-connects"] == (33, "")


def test_detections_stand_before_policies_and_severe_ones_first() -> None:
    rows = [
        {"kind": kind, "level": level}
        for kind, level in (("policy", ""), ("detection", "low"), ("detection", "critical, low"))
    ]
    assert [row["level"] for row in sorted(rows, key=summaries.urgency)] == ["critical, low", "low", ""]


def test_peers_are_counted_with_their_protocol() -> None:
    rows = summaries.network([connected(P, 1, 1, "203.0.113.7:80"), connected(P, 2, 2, "203.0.113.7:80")])
    [(key, row, words)] = rows.table("protocol", "function")
    assert (key, row.count, words) == ("203.0.113.7:80", 2, {"protocol": "tcp", "function": "tcp_connect"})


@pytest.mark.parametrize(
    ("address", "scope"),
    [
        ("127.0.0.1:80", "loopback"),
        ("[::1]:80", "loopback"),
        ("10.1.2.3:80", "private"),
        ("[fd00::1]:80", "private"),
        ("[fe80::1%eth0]:80", "link-local"),
        ("224.0.0.1:5353", "multicast"),
        ("203.0.113.7:80", "reserved"),
        ("8.8.8.8:53", "public"),
        ("[2606:4700::1111]:53", "public"),
        ("0.0.0.0:80", "unspecified"),
        ("nonsense", ""),
    ],
)
def test_an_address_belongs_to_a_kind_of_network(address: str, scope: str) -> None:
    assert summaries.scope_of(address) == scope


def test_a_system_call_has_its_own_name() -> None:
    assert summaries.called("__x64_sys_openat") == "sys_openat"
    assert summaries.called("security_file_open") == "security_file_open"


def test_files_are_those_of_policies_and_not_the_programs_that_were_started() -> None:
    exec_of_path = happening("process_exec", P, 0, 1, "exec", path="/bin/x")
    assert list(summaries.files([exec_of_path, opened(P, 1, 2, "/etc/shadow")]).rows) == ["/etc/shadow"]


def test_changes_of_users_and_rights_are_told() -> None:
    told = list(summaries.privileges(incident()).rows)
    assert told == [
        "uid 0 (root) → 1000 (alice)",
        "uid 1000 (alice) → 0 (root)",
        "setuid program: runs as uid 0",
        "privileges raised: file setuid",
    ]


def test_a_call_that_changes_credentials_is_a_change_of_privileges() -> None:
    timeline = incident()
    call = happening("process_kprobe", P, 1, 99, "sys_setuid 0", function="__x64_sys_setuid")
    timeline.happenings = [started(P, 1), call]
    assert "sys_setuid 0" in summaries.privileges(timeline).rows
