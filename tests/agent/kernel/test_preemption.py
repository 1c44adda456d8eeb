# SPDX-License-Identifier: Apache-2.0
"""Does this kernel preempt tasks inside programs?"""

from __future__ import annotations

import pytest

from agent.kernel.btf import Btf
from agent.kernel.mounts import read_kernel_file, read_mounts
from agent.kernel.preemption import preempts_programs, was_built_to_preempt

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize(
    ("version", "command_line", "preempts"),
    [
        ("#1 SMP PREEMPT Debian 6.1", "", True),
        ("#1 SMP PREEMPT_RT Debian 6.12", "quiet", True),
        ("#1 SMP Debian 5.10", "preempt=full", False),
        ("#1 SMP PREEMPT_DYNAMIC Debian 6.12", "quiet preempt=full", True),
        ("#1 SMP PREEMPT_DYNAMIC Debian 6.12", "preempt=lazy ro", True),
    ],
)
def test_the_builds_name_tells(version: str, command_line: str, preempts: bool) -> None:
    with Btf.of_kernel() as btf:
        assert was_built_to_preempt(version, command_line, btf) is preempts


@pytest.mark.parametrize("command_line", ["quiet", "preempt=voluntary", "preempt=none"])
def test_a_dynamic_kernel_preempts_by_itself_since_70(command_line: str) -> None:
    with Btf.of_kernel() as btf:
        new = btf.has_type("class_srcu_fast_notrace_t")
        assert was_built_to_preempt("#1 SMP PREEMPT_DYNAMIC", command_line, btf) is new


def test_the_running_kernel_agrees_with_its_debugfs() -> None:
    told = read_kernel_file("debugfs", "sched/preempt", read_mounts())
    with Btf.of_kernel() as btf:
        assert told is None or preempts_programs(btf) is any(one in told for one in ("(full)", "(lazy)"))
