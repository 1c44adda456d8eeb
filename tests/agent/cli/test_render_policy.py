# SPDX-License-Identifier: Apache-2.0
"""Events of policies in a few words."""

from __future__ import annotations

from typing import Any

import pytest

from agent.cli.color import PLAIN
from agent.cli.render_policy import describe_hook


def test_arguments_are_shown_by_what_matters_in_them() -> None:
    event = {
        "function_name": "f",
        "args": [
            {"int_arg": -1, "label": "fd"},
            {"path_arg": {"mount": "/", "path": "/etc/x y"}},
            {"sock_arg": {"saddr": "10.0.0.1", "sport": 5, "daddr": "::1", "dport": 443}},
            {"capability_arg": {"value": 21, "name": "CAP_SYS_ADMIN"}},
        ],
        "return": {"int_arg": -13},
    }
    assert describe_hook(event, PLAIN) == "f -1 '/etc/x y' 10.0.0.1:5 → ::1:443 CAP_SYS_ADMIN = -13"


def test_a_plain_post_is_no_action() -> None:
    assert (
        describe_hook({"subsys": "syscalls", "event": "e", "action": "KPROBE_ACTION_POST"}, PLAIN)
        == "syscalls e"
    )


def test_a_huge_argument_is_cut() -> None:
    assert describe_hook({"args": [{"bytes_arg": "A" * 10_000}]}, PLAIN) == f"{'A' * 300}…"
    assert describe_hook({"args": [{"string_arg": "a" * 301}, {"int_arg": 1}]}, PLAIN) == f"{'a' * 300}… 1"
    cut = {"truncated_bytes_arg": {"bytes_arg": "A" * 10_000, "orig_size": 9000}}
    assert describe_hook({"args": [cut]}, PLAIN) == f"{'A' * 300}… (9000 bytes)"


def test_an_event_without_anything_is_empty() -> None:
    assert describe_hook({}, PLAIN) == ""


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        ({"sock_arg": {"protocol": "IPPROTO_TCP", "saddr": "::1", "daddr": "::2", "dport": 1}},
         "tcp ::1:0 → ::2:1"),
        ({"sock_arg": {"family": "AF_UNIX", "state": "TCP_LISTEN"}}, "AF_UNIX TCP_LISTEN"),
        ({"sockaddr_arg": {"family": "AF_INET", "addr": "10.0.0.1", "port": 53}}, "10.0.0.1:53"),
        ({"sockaddr_arg": {"family": "AF_NETLINK"}}, "AF_NETLINK"),
        ({"bytes_arg": "cHdkCg=="}, r"$'pwd\n'"),
        ({"bytes_arg": "no base64"}, "'no base64'"),
        ({"truncated_bytes_arg": {"bytes_arg": "YWJj", "orig_size": "5000"}}, "abc… (5000 bytes)"),
        ({"process_credentials_arg": {"uid": 1, "gid": 2, "euid": 0}}, "uid=1 euid=0 gid=2"),
        ({"bpf_attr_arg": {"ProgType": "BPF_PROG_TYPE_KPROBE", "ProgName": "x", "InsnCnt": 9}},
         "kprobe x (9 instructions)"),
        ({"bpf_map_arg": {"MapType": "BPF_MAP_TYPE_HASH", "MapName": "m", "MaxEntries": 4}},
         "hash m (4 entries)"),
        ({"perf_event_arg": {"Type": "PERF_TYPE_SOFTWARE", "KprobeFunc": "f"}}, "software f"),
        ({"module_arg": {"name": "evil", "signature_ok": False, "tainted": ["TAINT_OUT_OF_TREE_MODULE"]}},
         "evil (bad signature, out_of_tree)"),
        ({"user_ns_arg": {"ns": {"inum": 7}}}, "user namespace 7"),
        ({"syscall_id": {"id": 59, "abi": "x64"}}, "syscall 59 (x64)"),
        ({"error_arg": {"Message": "Bad address"}}, "(Bad address)"),
        ({"error_arg": {}}, "'{}'"),
    ],
)  # fmt: skip
def test_each_kind_of_argument_is_one_readable_word_or_two(argument: dict[str, Any], shown: str) -> None:
    assert describe_hook({"args": [argument]}, PLAIN) == shown


def test_a_system_call_has_its_own_name() -> None:
    assert describe_hook({"function_name": "__x64_sys_openat"}, PLAIN) == "sys_openat"


def test_data_stand_behind_with_their_labels() -> None:
    event = {"function_name": "f", "data": [{"int_arg": 5, "label": "owner"}, {"int_arg": 6}]}
    assert describe_hook(event, PLAIN) == "f owner=5 data=6"


def test_what_was_done_is_told_and_what_would_have_been() -> None:
    event = {"function_name": "f", "action": "KPROBE_ACTION_SIGKILL", "policy_name": "p"}
    done = {"policy": {"did": ["Override EPERM", "Signal SIGKILL"], "suppressed": 3}}
    assert describe_hook(event, PLAIN, done) == "f Override EPERM, Signal SIGKILL +3 held back [p]"
    spared = {"policy": {"mode": "monitor", "would": ["Signal SIGKILL"]}}
    assert describe_hook(event, PLAIN, spared) == "f would: Signal SIGKILL (monitor) [p]"
    assert describe_hook(event, PLAIN) == "f SIGKILL [p]"
