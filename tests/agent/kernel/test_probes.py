# SPDX-License-Identifier: Apache-2.0
"""Existence tests, against what each kernel is known to offer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.kernel.btf import Btf
from agent.kernel.host import active_security_modules
from agent.kernel.libbpf import libbpf
from agent.kernel.mounts import read_mounts
from agent.kernel.probes import (
    guess_helpers,
    guess_programs,
    needs_memlock,
    probe_helpers,
    probe_programs,
)
from tests.agent.kernel.support import all_ids, wait_until

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def btf() -> Iterator[Btf]:
    with Btf.of_kernel() as found:
        yield found


def test_the_base_sensors_kinds_are_there_on_every_kernel(btf: Btf) -> None:
    found = probe_programs(btf, active_security_modules(read_mounts()))
    assert all(found[kind].there for kind in ("raw_tp", "tp_btf", "tracepoint", "iter")), found


def test_every_no_has_a_reason(btf: Btf) -> None:
    found = probe_programs(btf, ("bpf",)) | probe_helpers(btf)
    assert [name for name, answer in found.items() if not answer.there and not answer.reason] == []


@pytest.mark.parametrize("modules", [None, ("lockdown", "capability")])
def test_lsm_programs_that_would_never_run_do_not_count(btf: Btf, modules: tuple[str, ...] | None) -> None:
    answer = probe_programs(btf, modules)["lsm"]
    assert answer.there is False
    assert "never run" in answer.reason or "refused" in answer.reason


def test_helpers_agree_with_libbpfs_own_probe(btf: Btf) -> None:
    found = probe_helpers(btf)
    raw_tp = 17
    for name, number in (("bpf_send_signal", 109), ("bpf_loop", 181)):
        assert found[name].there == (libbpf().libbpf_probe_bpf_helper(raw_tp, number, None) == 1)


def test_what_is_guessed_without_capabilities_never_contradicts_what_is_tried(btf: Btf) -> None:
    tried = probe_programs(btf, ("bpf",)) | probe_helpers(btf)
    guessed = guess_programs(btf) | guess_helpers(btf)
    assert guessed.keys() == tried.keys()
    wrong = {
        name: (answer, tried[name])
        for name, answer in guessed.items()
        if answer.there is not None and answer.there != tried[name].there
    }
    assert wrong == {}


def test_locked_memory_counts_exactly_where_cgroups_do_not_count_it(btf: Btf) -> None:
    members = {member.name for member in btf.members("bpf_map")}
    assert needs_memlock(btf) == ("memory" in members)


def test_probing_leaves_nothing_behind(btf: Btf) -> None:
    before = all_ids("prog"), all_ids("link")
    probe_programs(btf, ("bpf",))
    probe_helpers(btf)
    assert wait_until(lambda: not own_programs(before[0])), own_programs(before[0])


def own_programs(before: set[int]) -> set[int]:
    """New programs named as probes are; others on this machine may load theirs at the same time."""
    import ctypes
    import os

    found = set()
    for number in all_ids("prog") - before:
        fd = libbpf().bpf_prog_get_fd_by_id(number)
        if fd < 0:
            continue
        info, size = ctypes.create_string_buffer(256), ctypes.c_uint32(256)
        libbpf().bpf_obj_get_info_by_fd(fd, info, ctypes.byref(size))
        os.close(fd)
        if info.raw[64:80].startswith(b"th_probe"):  # bpf_prog_info.name
            found.add(number)
    return found
