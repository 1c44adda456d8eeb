# SPDX-License-Identifier: Apache-2.0
"""Numbers of values are those of kprobes/include/policy.h."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum, IntFlag

import pytest

from agent.kernel.btf import Btf
from agent.kernel.objects import BpfObject
from agent.policy.model import Problem, Where
from agent.policy.values import Plan, Source, ValueFlag, ValueType


@pytest.fixture(scope="module")
def btf() -> Iterator[Btf]:
    shared = BpfObject("policies.bpf.o")
    yield shared.btf()
    shared.close()


@pytest.mark.parametrize(
    ("enum", "mine", "prefix"),
    [
        ("value_source", Source, "SOURCE_"),
        ("value_type", ValueType, "VALUE_"),
        ("value_flags", ValueFlag, "VALUE_"),
    ],
)
def test_enumerations_agree_with_the_header(
    btf: Btf, enum: str, mine: type[IntEnum] | type[IntFlag], prefix: str
) -> None:
    told = {one.name: btf.enum_value(enum, f"{prefix}{one.name}") for one in mine}
    assert told == {one.name: one.value for one in mine}


@pytest.mark.parametrize("is_error", [True, False])
def test_a_plan_with_an_error_is_not_loadable_and_one_with_a_warning_is(is_error: bool) -> None:
    problem = Problem(Where("a.yaml", 1, "spec"), "no such function", is_error=is_error)
    assert Plan("a", problems=(problem,)).is_loadable is not is_error
