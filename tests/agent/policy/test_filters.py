# SPDX-License-Identifier: Apache-2.0
"""matchArgs, matchData and matchReturnArgs."""

from __future__ import annotations

import pytest

from agent.policy.model import ArgumentFilter
from tests.agent.policy.policies import argument, first, hook, read, selector, told

TWO = "{index: 3, type: int}, {index: 1, type: file}"


def test_index_is_the_argument_and_args_the_position() -> None:
    by_index = selector("matchArgs: [{index: 1, operator: Prefix, values: [/etc]}]", TWO)
    by_position = selector("matchArgs: [{args: [1], operator: Prefix, values: [/etc]}]", TWO)
    assert by_index == by_position
    assert by_index.arguments == (ArgumentFilter(1, "Prefix", ("/etc",)),)


def test_operators_have_one_name_and_values_stand_once() -> None:
    found = selector("matchArgs: [{index: 0, operator: GreaterThan, values: ['1', '1', 2]}]")
    assert found.arguments == (ArgumentFilter(0, "GT", ("1", "2")),)


def test_gained_capabilities_compare_two_arguments() -> None:
    arguments = "{index: 0, type: cap_effective}, {index: 1, type: cap_effective}"
    (found,) = selector("matchArgs: [{args: [0, 1], operator: CapabilitiesGained}]", arguments).arguments
    assert (found.argument, found.other, found.values) == (0, 1, ())


def test_data_are_found_by_position_when_nobody_numbered_them() -> None:
    task = "source: current_task"
    data = f"[{{type: uint32, {task}, resolve: pid}}, {{type: string, {task}, resolve: comm}}]"
    match = "  selectors: [{matchData: [{index: 1, operator: Equal, values: [sh]}]}]\n"
    assert first(hook("", more=f"  data: {data}\n{match}")).selectors[0].data[0].argument == 1


def test_the_return_value_is_compared_when_it_is_read() -> None:
    more = "  return: true\n  returnArg: {index: 0, type: int}\n"
    match = "matchReturnArgs: [{index: 0, operator: LT, values: ['0']}]"
    assert first(hook("", match, more=more)).selectors[0].return_arguments == (
        ArgumentFilter(0, "LT", ("0",)),
    )


def test_tracepoints_are_compared_by_field_or_by_position() -> None:
    spec = (
        "tracepoints: [{{subsystem: s, event: e, args: [{{index: 4, type: uint64}}],"
        " selectors: [{{matchArgs: [{{index: {}, operator: Equal, values: ['1']}}]}}]}}]"
    )
    for index, problems in ((4, 0), (0, 1)):
        (policy,), told_of = read(spec.format(index))
        assert policy.hooks[0].selectors[0].arguments[0].argument == 0
        assert len(told_of) == problems


NUL = 'operator: {}, values: ["/a\\0b", "/c\\0"]'


@pytest.mark.parametrize("kind", ["string", "path", "sockaddr_un"])
def test_a_nul_inside_of_a_value_is_told_and_at_its_end_passed_over(kind: str) -> None:
    (problem,) = told(argument(kind, NUL.format("Prefix")))
    assert "values[0]: " in problem
    assert "has a NUL inside and never matches" in problem


def test_a_nul_may_stand_in_a_buffer_and_in_a_pattern() -> None:
    assert told(argument("char_buf", NUL.format("Equal"), ", sizeArgIndex: 2")) == []
    assert told(argument("string", NUL.format("Regex"))) == []


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (argument("int", "operator: Equals, values: ['1']"), 'Equals is no operator (did you mean "Equal"?)'),
        (
            argument("int", "operator: Prefix, values: [/a]"),
            "Prefix does not fit the type int32 (it takes Equal",
        ),
        (argument("sockaddr", "operator: DPort, values: ['1']"), "a sockaddr has one address: write SPort"),
        (argument("nop", "operator: Equal, values: ['1']"), "nothing can be compared with it"),
        (argument("int", "operator: CelExpr, values: ['arg0 == 1']"), "CelExpr is not supported yet"),
        (argument("int", "operator: Equal"), "Equal needs values"),
        (argument("sock", "operator: SPortPriv, values: ['1']"), "SPortPriv takes no values"),
        (argument("int", "operator: Equal, values: [abc]"), "values[0]: abc is not an integer"),
        (
            hook("{index: 0, type: cap_effective}", "matchArgs: [{args: [0], operator: CapabilitiesGained}]"),
            "write args: [before, after]",
        ),
        (
            hook(TWO, "matchArgs: [{index: 0, operator: Equal, values: ['1']}]"),
            "no argument 0 for matchArgs (the hook reads 3, 1",
        ),
        (hook(TWO, "matchArgs: [{args: [2], operator: Equal, values: ['1']}]"), "positions are 0 to 1"),
        (hook("", "matchReturnArgs: [{index: 0, operator: Equal, values: ['1']}]"), "needs the return value"),
    ],
)
def test_filters_that_do_not_work_are_told(spec: str, problem: str) -> None:
    assert any(problem in each for each in told(spec)), told(spec)
