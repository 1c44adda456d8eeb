# SPDX-License-Identifier: Apache-2.0
"""Hooks on tracepoints of this kernel."""

from __future__ import annotations

import pytest

from agent.policy.model import Argument, Hook
from agent.policy.values import Source, Step, ValueFlag, ValueType
from tests.agent.policy.planning import acting, keys, plan, texts, without

pytestmark = [pytest.mark.kernel, pytest.mark.root]


def tracepoint(target: str, *arguments: tuple[int, str], raw: bool = False) -> Hook:
    kind = "raw_tracepoint" if raw else "tracepoint"
    return Hook(kind, target, arguments=tuple(Argument(index, name) for index, name in arguments))


def test_fields_are_counted_as_in_the_format_file() -> None:
    found = plan(tracepoint("sched/sched_process_fork", (0, "auto"), (3, "int")))
    assert keys(found) == [("tracepoint", "sched/sched_process_fork", "whole")]
    assert [(value.source, value.size, value.steps[0]) for value in found.uses[0].values] == [
        (Source.FIELD, 2, Step(0, False)),
        (Source.FIELD, 4, Step(4, False)),
    ]


def test_a_string_of_variable_length_is_found_by_its_place() -> None:
    value = plan(tracepoint("sched/sched_process_exec", (4, "string"))).uses[0].values[0]
    assert (value.source, value.type) == (Source.RECORD, ValueType.DATA_LOC)


def test_text_behind_a_system_calls_pointer_is_in_user_memory() -> None:
    found = plan(tracepoint("syscalls/sys_enter_openat", (6, "string")))
    assert found.uses[0].values[0].flags == ValueFlag.USER
    assert "32-bit" in " ".join(found.uses[0].notes)


def test_the_number_of_a_system_call_comes_from_the_raw_tracepoint() -> None:
    found = plan(tracepoint("raw_syscalls/sys_enter", (4, "syscall64")))
    assert keys(found) == [("tp_btf", "sys_enter", "whole")]
    assert found.uses[0].values[0][:3] == (Source.ARGUMENT, ValueType.SYSCALL, 1)
    assert found.uses[0].function_name == "raw_syscalls/sys_enter"


def test_its_arguments_come_from_the_record() -> None:
    found = plan(tracepoint("raw_syscalls/sys_enter", (4, "syscall64"), (5, "auto")))
    assert keys(found)[0][0] == "tracepoint"
    assert (found.uses[0].values[1].type, found.uses[0].values[1].max_bytes) == (ValueType.BUFFER, 48)


def test_raw_tracepoints_have_typed_arguments() -> None:
    found = plan(tracepoint("sched/sched_process_exec", (2, "auto"), raw=True))
    assert keys(found) == [("tp_btf", "sched_process_exec", "whole")]
    assert found.uses[0].shown[0].type == "linux_binprm"


def test_without_types_they_are_attached_plainly() -> None:
    found = plan(tracepoint("sched/sched_process_exec", (2, "auto"), raw=True), known=without("tp_btf"))
    assert keys(found)[0][0] == "raw_tp"


@pytest.mark.parametrize("raw", [True, False])
def test_a_tracepoint_that_is_misspelt_has_the_nearest_told(raw: bool) -> None:
    assert "sched_process_exec" in texts(plan(tracepoint("sched/sched_proces_exec", raw=raw)))


def test_a_field_that_is_not_there_is_refused_with_those_that_are() -> None:
    assert "3 common_pid" in texts(plan(tracepoint("sched/sched_process_fork", (40, "int"))))


def test_a_tracepoint_cannot_deny() -> None:
    assert not plan(acting(tracepoint("sched/sched_process_fork"), "Override")).is_loadable
