# SPDX-License-Identifier: Apache-2.0
"""Constants are put in, and what they rule out is gone; what is left means the same."""

from __future__ import annotations

import os
import struct

from agent.kernel.fold import Folded, fold
from agent.kernel.tiny import TYPES, load_code

SHAPE = struct.pack("=2I", 7, 3)
EXIT = struct.pack("=BBhi", 0x95, 0, 0, 0)


def row(operation: int, to: int = 0, source: int = 0, offset: int = 0, number: int = 0) -> bytes:
    return struct.pack("=BBhi", operation, to | source << 4, offset, number)


def constant(to: int, at: int = 0) -> bytes:
    """The place of the shape: a map's descriptor and an offset."""
    return row(0x18, to, 2) + row(0, number=at)


def folded(*rows: bytes, info: bytes = b"") -> Folded:
    code = b"".join(rows)
    places = [(at + 4, "shape") for at in range(0, len(code), 8) if code[at] == 0x18 and code[at + 1] >> 4]
    return fold(code, tuple(places), info, 8, {"shape": SHAPE})


def test_a_constant_stands_where_it_was_loaded() -> None:
    left = folded(constant(1, 4), row(0x61, 0, 1), EXIT)
    assert left.code == row(0xB7, 0, number=3) + EXIT
    assert not left.places


def test_the_branch_that_a_constant_rules_out_is_gone() -> None:
    left = folded(
        constant(1), row(0x61, 2, 1), row(0x55, 2, 0, 2, 7), row(0xB7, 0, number=1), EXIT, row(0xB7), EXIT
    )
    assert left.code == row(0xB7, 0, number=1) + EXIT


def test_an_undecided_jump_goes_where_its_target_is_now() -> None:
    left = folded(
        row(0x61, 2, 1),
        row(0x15, 2, 0, 4, 5),
        constant(3),
        row(0x61, 0, 3),
        EXIT,
        row(0xB7, 0, number=9),
        EXIT,
    )
    assert left.code == b"".join(
        [row(0x61, 2, 1), row(0x15, 2, 0, 2, 5), row(0xB7, 0, number=7), EXIT, row(0xB7, 0, number=9), EXIT]
    )


def test_a_register_of_two_values_is_no_constant() -> None:
    rows = [row(0x61, 2, 1), row(0xB7, 0, number=1), row(0x15, 2, 0, 1, 5), row(0xB7, 0, number=2)]
    after = [row(0x15, 0, 0, 1, 1), row(0xB7, 0, number=3), EXIT]
    assert folded(*rows, *after).code == b"".join(rows + after)


def test_a_function_that_nothing_calls_is_gone_and_calls_find_theirs() -> None:
    info = b"".join(struct.pack("=2I", begin, 100 + begin) for begin in (0, 2, 4))
    unused, used = row(0xB7) + EXIT, row(0xB7, 0, number=5) + EXIT
    left = folded(row(0x85, 0, 1, 0, 3), EXIT, unused, used, info=info)
    assert left.code == row(0x85, 0, 1, 0, 1) + EXIT + used
    assert left.function_info == struct.pack("=4I", 0, 100, 2, 104)


def test_a_loop_keeps_counting() -> None:
    rows = [
        row(0xB7, 1),
        row(0xB7, 0),
        row(0x07, 0, number=2),
        row(0x07, 1, number=1),
        row(0xA5, 1, 0, -3, 4),
        EXIT,
    ]
    left = folded(*rows)
    assert left.code == b"".join(rows)
    os.close(load_code(TYPES["raw_tp"], (0, 0), left.code, "th_test"))
