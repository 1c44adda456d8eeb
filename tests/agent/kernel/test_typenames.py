# SPDX-License-Identifier: Apache-2.0
"""Types by their names, as libbpf finds them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from agent.kernel.btf import KIND_ENUM, KIND_FUNC, KIND_STRUCT, KIND_TYPEDEF, KIND_UNION, Btf
from agent.kernel.typenames import types_of_kind

KERNEL = Path("/sys/kernel/btf/vmlinux")


@pytest.mark.kernel
@pytest.mark.parametrize("kind", [KIND_FUNC, KIND_STRUCT, KIND_UNION, KIND_TYPEDEF, KIND_ENUM])
def test_they_are_those_that_libbpf_finds(kind: int) -> None:
    found = types_of_kind(KERNEL.read_bytes(), kind)
    names = sorted(found)[1 :: len(found) // 20]
    with Btf.of_kernel() as btf:
        assert [btf.find(name.decode(), kind) for name in names] == [found[name] for name in names]


@pytest.mark.parametrize("raw", [b"", bytes(24), struct.pack(">HBBIIIII", 0xEB9F, 1, 0, 24, 0, 0, 0, 0)])
def test_what_is_no_btf_of_this_machine_has_none(raw: bytes) -> None:
    assert types_of_kind(raw, KIND_FUNC) == {}
