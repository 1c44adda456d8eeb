# SPDX-License-Identifier: Apache-2.0
"""What became of a call, in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.events import HookMatch
from agent.kernel.btf import Btf
from agent.policy import encode, told
from agent.policy.model import Action
from tests.agent.decode.policy_btf import policy_btf

NAMES = [name for name in (*vars(told), *vars(encode)) if name.startswith("ACTION_")]
WOULD = ["Override EPERM", "Signal SIGKILL"]


@pytest.fixture(scope="module")
def btf(tmp_path_factory: pytest.TempPathFactory) -> Btf:
    return policy_btf(Path(tmp_path_factory.mktemp("policy")))


@pytest.mark.parametrize("name", NAMES)
def test_flags_are_those_of_the_header(btf: Btf, name: str) -> None:
    assert btf.enum_value("action_flags", name) == (getattr(told, name, None) or getattr(encode, name))


def policy(actions: int, *, suppressed: int = 0, error: int = 0, signal: int = 0) -> dict[str, Any]:
    match = HookMatch(3, actions, suppressed, error, signal, 0, 1)
    found = json.loads("{" + told.policy_json({"selector": 1}, WOULD, match)[1:] + "}")["policy"]
    assert found.pop("selector") == 1
    return found  # type: ignore[no-any-return]


def test_a_denied_and_killed_call_says_so() -> None:
    assert policy(told.ACTION_OVERRIDE | told.ACTION_SIGNAL, error=-13, signal=9) == {
        "did": ["Override EACCES", "Signal SIGKILL"]
    }


def test_monitor_mode_says_what_would_have_been_done() -> None:
    assert policy(told.ACTION_MONITORED) == {"mode": "monitor", "would": WOULD}


def test_a_protected_process_was_spared() -> None:
    assert policy(told.ACTION_PROTECTED) == {"would": WOULD, "held": "protected process"}


def test_a_spent_budget_is_monitor_mode_with_a_reason() -> None:
    found = policy(told.ACTION_MONITORED | told.ACTION_BUDGET)
    assert found == {"mode": "monitor", "would": WOULD, "held": "kill budget"}


def test_events_held_back_are_counted() -> None:
    assert policy(1, suppressed=17) == {"suppressed": 17}


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (Action("Sigkill"), "Signal SIGKILL"),
        (Action("Signal", signal=15), "Signal SIGTERM"),
        (Action("Override", error=-1), "Override EPERM"),
        (Action("Override", error=-4000), "Override -4000"),
        (Action("NotifyEnforcer", error=-1), "NotifyEnforcer"),
    ],
)
def test_actions_in_words(action: Action, words: str) -> None:
    assert told.wording(action) == words
