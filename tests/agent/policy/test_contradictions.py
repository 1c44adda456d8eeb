# SPDX-License-Identifier: Apache-2.0
"""Filters that exclude each other, and those that only seem to."""

from __future__ import annotations

import pytest

from tests.agent.policy.policies import hook, told


def both(kind: str, *filters: str) -> list[str]:
    matches = ", ".join(f"{{index: 0, {each}}}" for each in filters)
    return told(hook(f"{{index: 0, type: {kind}}}", f"matchArgs: [{matches}]"))


def match(operator: str, *values: str) -> str:
    return f"operator: {operator}, values: [{', '.join(repr(value) for value in values)}]"


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("int", match("Equal", "1"), match("Equal", "2")),
        ("int", match("Equal", "0x1", "2"), match("NotEqual", "1", "2")),
        ("int", match("GT", "5"), match("LT", "6")),
        ("int", match("InRange", "1:5"), match("NotInRange", "0:9")),
        ("uint32", match("Equal", "-1"), match("NotEqual", "0xffffffff")),
        ("sock", match("DPort", "80:90"), match("NotDPort", "1:100")),
        ("sock", match("SPort", "8080"), "operator: SPortPriv"),
        ("sock", match("DAddr", "10.1.0.0/16"), match("NotDAddr", "10.0.0.0/8")),
        ("sock", match("DAddr", "10.0.0.1"), match("DAddr", "::1")),
        ("sock", match("Family", "AF_INET"), match("Family", "10")),
        ("file", match("Equal", "/a"), match("NotEqual", "/a")),
        ("file", match("Equal", "/a"), match("Prefix", "/b")),
        ("file", match("Prefix", "/a/"), match("Prefix", "/b/")),
        ("file", match("Prefix", "/a/b"), match("NotPrefix", "/a")),
        ("file", match("Postfix", ".so"), match("Postfix", ".ko")),
        ("file", match("FileType", "reg"), match("NotFileType", "regular")),
    ],
)
def test_filters_that_exclude_each_other_are_told(kind: str, one: str, other: str) -> None:
    problems = both(kind, one, other)
    assert len(problems) == 1
    assert "can never match" in problems[0] and "contradict each other" in problems[0]


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("int", match("Mask", "1"), match("Mask", "2")),
        ("int", match("Equal", "1", "2"), match("NotEqual", "1")),
        ("int", match("GT", "5"), match("LT", "7")),
        ("sock", match("SPort", "80"), match("DPort", "81")),
        ("sock", match("DAddr", "10.0.0.0/8"), match("NotDAddr", "10.1.0.0/16")),
        ("file", match("Prefix", "/a"), match("Prefix", "/a/b")),
        ("file", match("Prefix", "/a"), match("NotPrefix", "/a/b")),
        ("file", match("SubString", "a"), match("SubString", "b")),
        ("file", match("Equal", "/a"), match("FileType", "reg")),
    ],
)
def test_filters_that_leave_something_are_taken(kind: str, one: str, other: str) -> None:
    assert both(kind, one, other) == []


def test_a_filter_that_leaves_nothing_by_itself_is_told() -> None:
    assert "no value of argument 0 is left" in both("uint8", match("GT", "255"))[0]


@pytest.mark.parametrize(
    "text",
    [
        "matchPIDs: [{operator: In, values: [1]}, {operator: NotIn, values: [1]}]",
        "matchPIDs: [{operator: In, values: [1]}, {operator: In, values: [2]}]",
        "matchBinaries: [{operator: In, values: [/a]}, {operator: NotIn, values: [/a, /b]}]",
        "matchNamespaces: [{namespace: Mnt, operator: In, values: [host_ns]},"
        " {namespace: Mnt, operator: NotIn, values: [host_ns]}]",
        "matchNamespaceChanges: [{operator: In, values: [Mnt]}, {operator: NotIn, values: [Mnt, Net]}]",
        "matchCapabilities: [{operator: In, values: [CAP_BPF]}, {operator: NotIn, values: ['39']}]",
        "matchCurrentCred: [{field: uid, operator: In, values: ['0']},"
        " {field: uid, operator: NotIn, values: ['0:9']}]",
    ],
)
def test_conditions_on_the_process_exclude_each_other(text: str) -> None:
    problems = told(hook("", text))
    assert len(problems) == 1
    assert "can never match" in problems[0]


@pytest.mark.parametrize(
    "text",
    [
        "matchPIDs: [{operator: In, followForks: true, values: [1]}, {operator: NotIn, values: [1]}]",
        "matchPIDs: [{operator: In, followForks: true, values: [1]},"
        " {operator: In, followForks: true, values: [2]}]",
        "matchCapabilities: [{operator: In, values: [CAP_BPF]}, {operator: In, values: [CAP_KILL]}]",
        "matchCapabilities: [{operator: In, values: [CAP_BPF]},"
        " {type: Permitted, operator: NotIn, values: [CAP_BPF]}]",
    ],
)
def test_conditions_that_leave_somebody_are_taken(text: str) -> None:
    assert told(hook("", text)) == []
