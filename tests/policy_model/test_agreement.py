# SPDX-License-Identifier: Apache-2.0
"""Compiled hooks judge as the plain model of the semantics does; and would not, were the compiler wrong."""

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from agent.policy import semantics
from agent.policy.classes import ClassTable
from tests.policy_model import building, mutations, strategies
from tests.policy_model.machine import Machine

PROFILE = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "derandomize": True,
    "database": None,
}


def disagreements(hooks, calls):
    """Calls that the machine and the model judge differently; hooks that the parser refuses do not count."""
    hooks = [hook for hook in hooks if building.use_of(hook) is not None]
    if not hooks:
        return []
    classes = ClassTable(protected=["/usr/sbin/sshd"])
    compiled, placed = building.compile_all(hooks, classes)
    machine = Machine(compiled, classes)
    return [call for call in calls if told(machine.judge(call), placed) != modelled(hooks, call)]


def told(found, placed):
    return {slot: (placed[slot].bits.index(bit), done) for slot, (bit, done) in found.items()}


def modelled(hooks, call):
    found = {slot: semantics.judge(hook, call) for slot, hook in enumerate(hooks)}
    return {slot: each for slot, each in found.items() if each is not None}


CALLS = st.lists(strategies.CALLS, min_size=8, max_size=16)
HOOKS = st.lists(strategies.HOOKS, min_size=1, max_size=3)
FEW = st.lists(strategies.FOCUSED, min_size=1, max_size=2)


@settings(max_examples=100, **PROFILE)
@example(strategies.TELLING, [strategies.CALL])
@given(HOOKS | FEW, CALLS)
def test_compiled_hooks_judge_as_the_model_does(hooks, calls):
    assert disagreements(hooks, calls) == []


@pytest.mark.parametrize("mutation", mutations.ALL, ids=lambda mutation: mutation.__name__)
def test_a_wrong_compiler_is_found(mutation, monkeypatch):
    mutation(monkeypatch)

    @settings(max_examples=1000, phases=[Phase.explicit, Phase.generate], **PROFILE)
    @example(strategies.TELLING, [strategies.CALL])
    @given(FEW, CALLS)
    def agree(hooks, calls):
        assert not disagreements(hooks, calls)

    with pytest.raises(AssertionError):
        agree()
