# SPDX-License-Identifier: Apache-2.0
"""Types of arguments against C types of this kernel."""

from __future__ import annotations

import pytest

from agent.kernel.btf import KIND_STRUCT
from agent.kernel.shapes import CType
from agent.kernel.view import KernelView
from agent.policy.kinds import KINDS, automatic, fit, is_number
from agent.policy.typenames import TYPES
from tests.agent.policy.planning import view

__all__ = ["view"]


def pointer(view: KernelView, tag: str) -> CType:
    return CType("pointer", tag, f"struct {tag} *", 8, target=view.btf.find(tag, KIND_STRUCT), depth=1)


def test_every_type_of_the_crd_can_be_read() -> None:
    assert {known.name for known in TYPES.values()} - {"auto"} <= KINDS.keys()


@pytest.mark.parametrize(("tag", "name"), [("file", "file"), ("sk_buff", "skb"), ("cred", "cred")])
def test_a_pointer_to_a_known_struct_has_its_type(view: KernelView, tag: str, name: str) -> None:
    assert automatic(pointer(view, tag)) == name
    assert fit(KINDS[name], name, pointer(view, tag), view.btf).is_possible


def test_integers_have_the_type_of_their_size_and_sign() -> None:
    assert automatic(CType("integer", "int", "int", 4, True)) == "int32"
    assert automatic(CType("integer", "u64", "u64", 8, False)) == "uint64"


def test_a_struct_that_begins_with_a_sock_is_one(view: KernelView) -> None:
    assert fit(KINDS["sock"], "sock", pointer(view, "tcp_sock"), view.btf).is_possible


def test_another_struct_is_refused_with_the_type_that_suits_it(view: KernelView) -> None:
    found = fit(KINDS["file"], "file", pointer(view, "sock"), view.btf)
    assert (found.is_possible, found.hint) == (False, "type: sock suits it")


def test_a_number_for_a_pointer_is_possible_and_doubted(view: KernelView) -> None:
    found = fit(KINDS["int"], "int", pointer(view, "file"), view.btf)
    assert found.is_possible
    assert "its address" in found.doubt


def test_what_lies_behind_a_pointer_is_no_number() -> None:
    assert is_number(KINDS["fd"])
    assert not is_number(KINDS["string"])


@pytest.mark.parametrize("name", ["data_loc", "string", "file", "nop", "uint8"])
def test_every_type_has_an_answer_for_an_integer(view: KernelView, name: str) -> None:
    suits = fit(KINDS[name], name, CType("integer", "pid_t", "pid_t", 4, True), view.btf)
    assert suits.is_possible == (name in ("nop", "uint8"))
    assert suits.is_possible or f"is `pid_t`, not a {name}" in suits.doubt
