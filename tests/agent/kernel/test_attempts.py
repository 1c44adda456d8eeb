# SPDX-License-Identifier: Apache-2.0
"""Tries with programs that do nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.kernel.attempts import helper, offers, takes
from agent.kernel.btf import Btf
from agent.kernel.probes import HOOKS, probe_programs

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def btf() -> Iterator[Btf]:
    with Btf.of_kernel() as found:
        yield found


def test_one_kind_is_answered_as_when_all_are_probed(btf: Btf) -> None:
    every = probe_programs(btf, ("bpf",))
    found = {kind: offers(kind, btf, lsm_runs=True, may_load=True).there for kind in HOOKS}
    assert found == {kind: answer.there for kind, answer in every.items()}


def test_without_capabilities_nothing_is_known(btf: Btf) -> None:
    assert offers("fentry", btf, lsm_runs=True, may_load=False).there is None
    assert helper("bpf_send_signal", btf, may_load=False).there is None


def test_lsm_programs_that_would_never_run_do_not_count(btf: Btf) -> None:
    assert "never run" in offers("lsm", btf, lsm_runs=False, may_load=True).reason


def test_a_target_is_accepted_or_refused_by_its_name(btf: Btf) -> None:
    assert takes("tp_btf", "sched_process_exec", btf, attach=True).there
    assert "has no btf_trace_" in takes("tp_btf", "sched_process_teleport", btf).reason


def test_a_function_that_nothing_may_modify_says_so(btf: Btf) -> None:
    if not offers("fmod_ret", btf, lsm_runs=True, may_load=True).there:
        assert takes("fmod_ret", "tcp_connect", btf).reason
        return
    assert "is not modifiable" in takes("fmod_ret", "tcp_connect", btf).reason
    assert takes("fmod_ret", "security_file_open", btf).there
