# SPDX-License-Identifier: Apache-2.0
"""What is told of a policy has the names that the kernel side and Tetragon use."""

from __future__ import annotations

from agent.kernel.objects import BpfObject
from agent.policy.status import COUNTERS, State


def test_counters_stand_in_the_kernel_s_order() -> None:
    opened = BpfObject("policies.bpf.o")
    try:
        assert tuple(member.name for member in opened.btf().members("selector_count")) == COUNTERS
    finally:
        opened.close()


def test_states_are_written_as_tetragon_writes_them() -> None:
    assert f"{State.PARTIALLY_ENABLED} {State.LOAD_ERROR}" == "partially_enabled load_error"
