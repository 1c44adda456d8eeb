# SPDX-License-Identifier: Apache-2.0
"""The map of stack traces. The kernel takes no stacks from user space, so a plain hash stands for its map;
the cases of tests/e2e/policies have real ones."""

import os
import struct
from collections.abc import Iterator

import pytest

from agent.kernel.mapfill import make_map
from agent.kernel.objects import BpfMap
from agent.kernel.stacks import DEPTH, StackMap
from agent.kernel.template import MapForm

pytestmark = pytest.mark.root


@pytest.fixture
def table() -> Iterator[BpfMap]:
    made = make_map("stacks", MapForm(1, 4, 8 * DEPTH, 16, 0))
    yield made
    os.close(made.fd)


def put(table: BpfMap, stack: int, *addresses: int) -> None:
    table.update(
        struct.pack("=I", stack), struct.pack(f"={DEPTH}Q", *addresses, *[0] * (DEPTH - len(addresses)))
    )


def test_a_stack_ends_where_its_addresses_do(table: BpfMap) -> None:
    put(table, 3, 10, 20)
    put(table, 4, *range(1, DEPTH + 1))
    stacks = StackMap(lambda: table)
    assert stacks.addresses(3) == (10, 20)
    assert len(stacks.addresses(4)) == DEPTH


def test_what_is_not_there_is_empty(table: BpfMap) -> None:
    stacks = StackMap(lambda: table)
    assert (stacks.addresses(5), stacks.addresses(-17)) == ((), ())


def test_ids_are_given_back_when_no_record_names_them(table: BpfMap) -> None:
    put(table, 3, 10)
    stacks = StackMap(lambda: table)
    stacks.addresses(3)
    assert stacks.sweep() == 0
    assert stacks.sweep(keep_s=0) == 1
    assert stacks.addresses(3) == ()
