# SPDX-License-Identifier: Apache-2.0
"""Stack ids to frames."""

import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.kernel.mapfill import make_map
from agent.kernel.objects import BpfMap
from agent.kernel.stacks import DEPTH, StackMap
from agent.kernel.symbols import read_symbols
from agent.kernel.template import MapForm
from agent.policy.stacktraces import StackTraces

pytestmark = pytest.mark.root
GETPID = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p).value or 0


@pytest.fixture
def table() -> Iterator[BpfMap]:
    made = make_map("stacks", MapForm(1, 4, 8 * DEPTH, 4, 0))
    yield made
    os.close(made.fd)


def put(table: BpfMap, stack: int, address: int) -> None:
    table.update(struct.pack("=I", stack), struct.pack("=Q", address).ljust(8 * DEPTH, b"\0"))


def begin_of(name: str) -> int:
    lines = Path("/proc/kallsyms").read_text().splitlines()
    return next(int(line.split()[0], 16) for line in lines if line.split()[2] == name)


def test_functions_of_the_kernel_have_names(table: BpfMap) -> None:
    assert "schedule" in read_symbols()
    put(table, 1, begin_of("schedule") + 5)
    (frame,) = StackTraces(StackMap(lambda: table)).kernel(1)
    assert frame == (5, "schedule", "", 0, "")


def test_addresses_are_shown_where_that_is_asked_for(table: BpfMap) -> None:
    put(table, 1, GETPID)
    hiding = StackTraces(StackMap(lambda: table))
    showing = StackTraces(StackMap(lambda: table), shows_addresses=True)
    assert [frame.address for frame in hiding.user(1, os.getpid())] == [0]
    assert [frame.address for frame in showing.user(1, os.getpid())] == [GETPID]


def test_a_stack_that_is_gone_has_no_frames(table: BpfMap) -> None:
    traces = StackTraces(StackMap(lambda: table))
    assert traces.kernel(2) == traces.user(2, os.getpid()) == []
