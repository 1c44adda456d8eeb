# SPDX-License-Identifier: Apache-2.0
"""args, data and returnArg."""

from __future__ import annotations

import pytest

from agent.policy.model import Argument
from tests.agent.policy.policies import first, hook, told


def test_types_are_folded_and_sizes_counted_from_zero() -> None:
    buffer = "{index: 1, type: char_buf, sizeArgIndex: 3, maxData: true, label: data}"
    assert first(hook(f"{buffer}, {{index: 0, type: long}}, {{index: 2}}")).arguments == (
        Argument(1, "char_buf", "data", size_index=2, max_data=True),
        Argument(0, "int64"),
        Argument(2, "auto"),
    )


def test_data_come_from_the_task() -> None:
    text = "  data: [{type: uint32, source: current_task, resolve: cred.uid.val}]\n"
    (found,) = first(hook("", more=text)).data
    assert (found.source, found.resolve, found.type) == ("current_task", "cred.uid.val", "uint32")


def test_the_return_value_comes_with_return() -> None:
    made = first(hook("", more="  return: true\n  returnArg: {index: 0, type: int}\n"))
    assert made.returns and made.return_argument == Argument(0, "int32")


@pytest.mark.parametrize(
    ("arguments", "more", "problem"),
    [
        ("{index: 0, type: itn}", "", 'itn is no type of arguments (did you mean "int"?)'),
        ("{index: 12, type: int}", "", "argument 12 does not exist (indexes are 0 to 11 here)"),
        ("{index: 0, type: int, source: current_task}", "", "source is for entries of data only"),
        ("{index: 0, type: int, source: task}", "", "one of: current_task, pt_regs"),
        ("{index: 0, type: int, sizeArgIndex: 1}", "", "a int32 has no size argument"),
        ("{index: 0, type: char_buf}", "", "a char_buf needs a length"),
        ("{index: 0, type: file, maxData: true}", "", "maxData does not apply to file"),
        (
            "{index: 0, type: char_buf, maxData: true, returnCopy: true}",
            "",
            "maxData does not go with returnCopy",
        ),
        ("{index: 0, type: int, resolve: 'a..b'}", "", "is no path of members"),
        ("{index: 0, type: int, resolve: a.b.c.d.e.f.g.h.i.j.k}", "", "goes too deep"),
        ("", "  data: [{type: int}]\n", "an entry of data needs a source"),
        ("", "  data: [{type: int, source: current_task}]\n", "current_task needs resolve"),
        ("", "  return: true\n", "return needs returnArg"),
        ("", "  returnArg: {index: 0, type: int}\n", "returnArg does nothing without return"),
        ("", "  return: true\n  returnArg: {index: 1, type: int}\n", "there is one return value"),
    ],
)
def test_inputs_that_do_not_work_are_told(arguments: str, more: str, problem: str) -> None:
    assert any(problem in each for each in told(hook(arguments, more=more))), told(hook(arguments, more=more))


def test_system_calls_have_six_arguments() -> None:
    assert "indexes are 0 to 5 here" in told(hook("{index: 6, type: int}", call="sys_read"))[0]


def test_a_field_of_a_tracepoint_has_no_members() -> None:
    spec = "tracepoints: [{subsystem: s, event: e, args: [{index: 5, resolve: a.b}]}]"
    assert "write raw: true" in told(spec)[0]
    assert told(spec.replace("event: e", "event: e, raw: true")) == []


@pytest.mark.parametrize("count", [4, 5])
def test_arguments_and_data_are_eight_together(count: int) -> None:
    arguments = ", ".join(f"{{index: {n}, type: int}}" for n in range(4))
    data = ", ".join(["{type: int, source: current_task, resolve: pid}"] * count)
    assert len(told(hook(arguments, more=f"  data: [{data}]\n"))) == count - 4
