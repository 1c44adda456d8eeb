# SPDX-License-Identifier: Apache-2.0
"""Events of policies in a few words."""

from __future__ import annotations

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
    assert len(describe_hook({"args": [{"bytes_arg": "A" * 10_000}]}, PLAIN)) == 300


def test_an_event_without_anything_is_empty() -> None:
    assert describe_hook({}, PLAIN) == ""
