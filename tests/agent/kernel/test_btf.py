# SPDX-License-Identifier: Apache-2.0
"""Questions to BTF, asked of this kernel and of our own object."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import KernelUnsupported
from agent.kernel.btf import KIND_FUNC, KIND_TYPEDEF, Btf, Member
from agent.kernel.libbpf import libbpf
from agent.kernel.objects import BpfObject
from tests.agent.kernel.support import run_without_btf

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def kernel() -> Iterator[Btf]:
    with Btf.of_kernel() as btf:
        yield btf


def test_a_struct_exists_or_does_not(kernel: Btf) -> None:
    assert kernel.has_struct("task_struct")
    assert not kernel.has_struct("task_struct_of_another_planet")


def test_a_function_exists_or_does_not(kernel: Btf) -> None:
    assert kernel.has_function("security_bprm_committing_creds")
    assert not kernel.has_function("security_of_another_planet")


def test_answers_stay_the_same_when_many_are_asked_for(kernel: Btf) -> None:
    names = ["tcp_connect", "security_file_open", "security_of_another_planet", "do_exit"]
    before = [kernel.find(name, KIND_FUNC) for name in names]
    for number in range(150):
        assert not kernel.has_function(f"of_another_planet_{number}")
    assert [kernel.find(name, KIND_FUNC) for name in names] == before
    assert kernel.has_struct("task_struct")


def test_a_tracepoint_has_its_arguments(kernel: Btf) -> None:
    assert kernel.has_tracepoint("sched_process_exec")
    assert kernel.tracepoint_arguments("sched_process_exec") == 3
    assert kernel.tracepoint_arguments("sched_process_exit") in (1, 2)


def test_a_tracepoint_that_is_not_there_has_no_arguments(kernel: Btf) -> None:
    assert kernel.tracepoint_arguments("sched_process_teleport") == 0


def test_values_of_the_kernels_enumerations_are_found(kernel: Btf) -> None:
    assert kernel.enum_value("bpf_prog_type", "BPF_PROG_TYPE_KPROBE") == 2
    assert kernel.enum_value("bpf_prog_type", "BPF_PROG_TYPE_MAGIC") is None
    assert kernel.enum_value("no_such_enum", "ANYTHING") is None


def test_members_of_our_own_struct_have_their_offsets() -> None:
    loaded = BpfObject("base.bpf.o")
    members = loaded.btf().members("record_header")
    assert [(member.name, member.offset) for member in members][:3] == [
        ("kind", 0),
        ("reserved", 1),
        ("flags", 4),
    ]
    assert isinstance(members[0], Member)
    loaded.close()


def test_bit_fields_have_the_offset_of_their_byte(kernel: Btf) -> None:
    offsets = {member.name: member.offset for member in kernel.members("bpf_prog")}
    assert offsets["jited"] <= 4


def test_a_struct_that_does_not_exist_is_a_key_error(kernel: Btf) -> None:
    with pytest.raises(KeyError):
        kernel.size("no_such_struct")
    with pytest.raises(KeyError):
        kernel.members("no_such_struct")


def test_a_kernel_without_btf_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libbpf(), "btf__load_vmlinux_btf", lambda: None)
    with pytest.raises(KernelUnsupported) as caught:
        Btf.of_kernel()
    assert "CONFIG_DEBUG_INFO_BTF" in caught.value.hint


def test_an_empty_btf_is_no_btf(tmp_path: Path) -> None:
    code = "from agent.kernel.btf import Btf\nBtf.of_kernel()"
    done = run_without_btf(code, tmp_path)
    assert "KernelUnsupported: this kernel has no BTF" in done.stderr


def test_wrappers_are_taken_off(kernel: Btf) -> None:
    typedef = kernel.find("umode_t", KIND_TYPEDEF)
    assert kernel.name_of(kernel.bare(typedef)) == "short unsigned int"
    assert kernel.wrappers(typedef)[0] == (KIND_TYPEDEF, "umode_t")
    assert (kernel.byte_size(typedef), kernel.is_signed(typedef)) == (2, False)


def test_a_function_has_parameters_and_a_result(kernel: Btf) -> None:
    prototype = kernel.inner(kernel.find("security_file_permission", KIND_FUNC))
    assert [given.name for given in kernel.parameters(prototype)] == ["file", "mask"]
    assert kernel.name_of(kernel.inner(prototype)) == "int"


def test_arrays_have_an_element_type_and_a_length(kernel: Btf) -> None:
    comm = next(member for member in kernel.members("task_struct") if member.name == "comm")
    element, count = kernel.array(kernel.bare(comm.type_id))
    assert (kernel.name_of(element), count, kernel.byte_size(comm.type_id)) == ("char", 16, 16)


def test_bit_fields_have_a_width_and_a_first_bit(kernel: Btf) -> None:
    bits = {member.name: (member.bits, member.first_bit) for member in kernel.members("task_struct")}
    assert bits["in_execve"][0] == 1
    assert bits["pid"] == (0, 0)


def test_types_that_no_file_holds_are_unsupported(tmp_path: Path) -> None:
    with pytest.raises(KernelUnsupported, match="no types in"):
        Btf.of_file(tmp_path / "nothing")
