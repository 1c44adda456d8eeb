# SPDX-License-Identifier: Apache-2.0
"""Options of a policy."""

from __future__ import annotations

import pytest

from agent.policy.model import Options
from tests.agent.policy.policies import hook, policy, told


def test_options_are_read() -> None:
    text = (
        "options: [{name: policy-mode, value: monitor}, {name: override-method, value: fmod-ret},"
        " {name: disable-kprobe-multi, value: '1'}, {name: sleepable-preload-size, value: 4096}]"
    )
    assert policy(hook("") + text).options == Options("monitor", "fmod-ret", True)
    assert policy(hook("")).options == Options()


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ("name: policy-mod, value: x", 'did you mean "policy-mode"?'),
        ("name: policy-mode, value: enforcing", 'did you mean "enforce"?'),
        ("name: disable-kprobe-multi, value: maybe", "is not true or false"),
        ("name: policy-mode", "value is missing"),
    ],
)
def test_options_that_do_not_work_are_told(option: str, problem: str) -> None:
    assert problem in told(hook("") + f"options: [{{{option}}}]")[0]


def test_an_option_stands_once() -> None:
    twice = "{name: policy-mode, value: enforce}, {name: policy-mode, value: monitor}"
    assert "policy-mode is given twice" in told(hook("") + f"options: [{twice}]")[0]
