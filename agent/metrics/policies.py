# SPDX-License-Identifier: Apache-2.0
"""TracingPolicies as metrics, from the agent's answer to `policies` (agent/policy/listed.py)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from agent.metrics.family import COUNTER, GAUGE, Family, Sample, rows

Told = Mapping[str, Any]
_PLACE = re.compile(r"spec\.\w+\[(\d+)\]")
_OF_POLICY = ("policy", "policy_namespace")
_OF_SELECTOR = (*_OF_POLICY, "hook", "hook_index", "selector_index", "selector_label", "action")


def families(told: Told) -> Iterator[Family]:
    """States, memory, and what each selector did."""
    policies = told.get("policies") or []
    states = (((*_labels(one), str(one["state"]), str(one["mode"])), 1.0) for one in policies)
    yield rows(
        "policy_state", GAUGE, "1 for a policy's state and mode.", (*_OF_POLICY, "state", "mode"), states
    )
    counts = (((str(one["state"]),), 1.0) for one in policies)
    yield rows("policies", GAUGE, "Policies by state.", ("state",), counts)
    memory = ((_labels(one), float(one["memory_bytes"])) for one in policies)
    help = "Kernel memory of the programs and maps that a policy uses; policies on one hook share them."
    yield rows("policy_memory_bytes", GAUGE, help, _OF_POLICY, memory)
    actions = (sample for one in policies for sample in _actions(one))
    help = "What a selector did, since its policy was loaded."
    yield rows("policy_selector_actions", COUNTER, help, _OF_SELECTOR, actions)
    missed = (sample for one in policies for sample in _missed(one))
    help = "Calls that a hook could not judge, because its program was running on that CPU already."
    yield rows("policy_missed", COUNTER, help, (*_OF_POLICY, "hook"), missed)


def _labels(one: Told) -> tuple[str, str]:
    return str(one["name"]), str(one["namespace"])


def _actions(one: Told) -> Iterator[Sample]:
    for hook in one["hooks"]:
        found = _PLACE.match(str(hook["path"]))
        index = found[1] if found else ""
        for selector in hook["selectors"]:
            place = (str(hook["function"]), index, str(selector["position"]), str(selector["label"]))
            for action, count in selector["counts"].items():
                yield (*_labels(one), *place, str(action)), float(count)


def _missed(one: Told) -> Iterator[Sample]:
    for hook in one["hooks"]:
        if hook.get("missed"):
            yield (*_labels(one), str(hook["function"])), float(hook["missed"])
