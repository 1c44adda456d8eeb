# SPDX-License-Identifier: Apache-2.0
from agent.metrics.policies import families
from tests.agent.metrics.support import values

SELECTOR = {"label": "far", "position": 1, "counts": {"posted": 3, "signalled": 1}}
HOOK = {"path": "spec.kprobes[2].call", "function": "tcp_connect", "selectors": [SELECTOR], "missed": 4}
POLICY = {
    "name": "p",
    "namespace": "ns",
    "state": "enabled",
    "mode": "monitor",
    "memory_bytes": 99,
    "hooks": [HOOK],
}


def test_a_policy_tells_state_memory_and_what_it_did() -> None:
    found = list(families({"policies": [POLICY]}))
    assert values(found, "policy_state") == {("p", "ns", "enabled", "monitor"): 1}
    assert values(found, "policies") == {"enabled": 1}
    assert values(found, "policy_memory_bytes") == {("p", "ns"): 99}
    place = ("p", "ns", "tcp_connect", "2", "1", "far")
    assert values(found, "policy_selector_actions") == {(*place, "posted"): 3, (*place, "signalled"): 1}
    assert values(found, "policy_missed") == {("p", "ns", "tcp_connect"): 4}


def test_policies_are_counted_by_state() -> None:
    others = [{**POLICY, "name": name, "state": "load_error", "hooks": []} for name in "ab"]
    assert values(families({"policies": [POLICY, *others]}), "policies") == {"enabled": 1, "load_error": 2}


def test_without_policies_there_is_nothing() -> None:
    assert not [family for family in families({"policies": []}) if family.samples]
