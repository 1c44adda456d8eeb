# SPDX-License-Identifier: Apache-2.0
"""Arguments as values, by this kernel's own prototypes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.kernel.shapes import CType, Parameter
from agent.policy.model import Argument, Hook
from agent.policy.reading import slot_of
from agent.policy.values import Source, Value, ValueFlag, ValueType
from tests.agent.policy.planning import kprobe, plan, texts, without

pytestmark = pytest.mark.kernel


def one(target: str, *arguments: Argument, **more: bool) -> Value:
    """The first value of a hook with these arguments."""
    found = plan(Hook("kprobe", target, arguments=arguments, **more))  # type: ignore[arg-type]
    assert found.is_loadable, texts(found)
    return found.uses[0].values[0]


def test_auto_takes_the_type_of_the_prototype() -> None:
    found = plan(kprobe("security_file_permission", "auto", "auto"))
    assert [shown.type for shown in found.uses[0].shown] == ["file", "int32"]
    assert found.uses[0].values[1][:4] == (Source.ARGUMENT, ValueType.INTEGER, 1, 4)
    assert found.uses[0].values[1].flags == ValueFlag.SIGNED


def test_a_wider_type_reads_no_more_than_there_is() -> None:
    assert one("security_file_permission", Argument(1, "int64")).size == 4


def test_a_narrower_type_is_noted() -> None:
    found = plan(kprobe("security_mmap_file", "file", "uint32"))
    assert "upper bytes are cut" in found.uses[0].notes[0]


def test_an_argument_that_is_not_there_is_refused_with_those_that_are() -> None:
    found = plan(Hook("kprobe", "security_file_open", arguments=(Argument(1, "int"),)))
    assert "security_file_open has no argument 1 (it has 0 struct file * file)" in texts(found)


def test_an_object_of_another_type_is_refused_with_the_right_one() -> None:
    assert "type: file suits it" in texts(plan(kprobe("security_file_open", "sock")))


def test_a_number_for_a_pointer_is_a_warning() -> None:
    found = plan(kprobe("security_file_open", "uint64"))
    assert found.is_loadable
    assert "its address, not what it refers to" in texts(found)


def test_a_members_type_is_found_by_its_path() -> None:
    value = one("security_file_open", Argument(0, "auto", resolve="f_path.dentry.d_name.name"))
    assert (value.type, len(value.steps), value.steps[-1].dereference) == (ValueType.STRING, 2, True)


def test_the_current_task_is_read_from() -> None:
    hook = replace(kprobe("tcp_connect"), data=(Argument(0, "auto", source="current_task", resolve="pid"),))
    found = plan(hook).uses[0]
    assert found.values[0][:2] == (Source.TASK, ValueType.INTEGER)
    assert found.values[0].flags == ValueFlag.SIGNED | ValueFlag.IS_ADDRESS
    assert found.shown[0].is_data


def test_a_register_of_the_probe_is_read() -> None:
    hook = replace(kprobe("tcp_connect"), data=(Argument(0, "uint64", source="pt_regs", resolve="rsp"),))
    value = plan(hook).uses[0].values[0]
    assert (value.source, value.size, value.steps[0].offset) == (Source.REGISTER, 8, 152)


def test_a_buffer_has_the_length_of_its_argument() -> None:
    value = one("vfs_write", Argument(1, "char_buf", size_index=2))
    assert value.length_of is not None
    assert (value.length_of.index, value.max_bytes) == (2, 4095)
    assert value.flags & ValueFlag.USER


def test_a_large_buffer_may_be_larger() -> None:
    assert one("vfs_write", Argument(1, "char_buf", size_index=2, max_data=True)).max_bytes == 327_360


def test_a_buffer_that_is_filled_has_the_results_length() -> None:
    hook = Hook(
        "kprobe", "vfs_read", arguments=(Argument(1, "char_buf", return_copy=True),), returns=True,
        return_argument=Argument(0, "int64"),
    )  # fmt: skip
    value = plan(hook).uses[-1].values[0]
    assert value.flags & ValueFlag.AT_RETURN
    assert value.length_of is not None
    assert value.length_of.source == Source.RETURN


def test_return_copy_needs_a_return() -> None:
    hook = Hook("kprobe", "vfs_read", arguments=(Argument(1, "char_buf", return_copy=True),))
    assert "needs `return: true`" in texts(plan(hook))


def test_what_returns_nothing_has_no_result() -> None:
    hook = kprobe("fd_install", returns=True, return_argument=Argument(0, "int"))
    assert "fd_install returns nothing" in texts(plan(hook))


def test_a_place_that_is_not_read_keeps_its_number() -> None:
    found = plan(kprobe("security_mmap_file", "file", "nop", "uint64")).uses[0]
    assert [value.type for value in found.values] == [ValueType.FILE, ValueType.NOP, ValueType.INTEGER]
    assert [shown.value for shown in found.shown] == [0, 2]


def test_more_values_than_a_hook_has_are_refused() -> None:
    members = [
        "pid",
        "tgid",
        "flags",
        "prio",
        "static_prio",
        "normal_prio",
        "rt_priority",
        "policy",
        "exit_code",
    ]
    data = tuple(Argument(0, "auto", source="current_task", resolve=name) for name in members * 2)
    found = plan(replace(kprobe("tcp_connect"), data=data))
    assert found.is_loadable  # equal values are one
    more = tuple(Argument(0, "auto", source="current_task", resolve=f"comm[{place}]") for place in range(16))
    assert "more than a hook's 16" in texts(plan(replace(kprobe("tcp_connect"), data=data + more)))


def test_structs_by_value_take_a_slot_for_each_eight_bytes() -> None:
    number = CType("integer", "int", "int", 4, True)
    pair = CType("struct", "sockptr_t", "sockptr_t", 16)
    parameters = (Parameter("a", number), Parameter("b", pair), Parameter("c", number))
    assert [slot_of(parameters, index) for index in range(4)] == [0, 1, 3, 4]


def test_a_kprobe_reads_what_is_in_registers() -> None:
    parameters = ["auto"] * 8
    found = plan(kprobe("do_mmap", *parameters), known=without("fentry"))
    assert "the first 6 words of arguments can be" in texts(found)
