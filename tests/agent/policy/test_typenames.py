# SPDX-License-Identifier: Apache-2.0
"""Types of arguments."""

from __future__ import annotations

import pytest

from agent.policy.typenames import ALL_OPERATORS, find_type, operators_of

CRD = """
auto int sint8 int8 uint8 sint16 int16 uint16 uint32 sint32 int32 ulong uint64 size_t long sint64
int64 char_buf char_iovec skb sock sockaddr socket sockaddr_un string fd file filename path nop
bpf_attr perf_event bpf_map user_namespace capability kiocb iov_iter cred const_buf load_info module
syscall64
kernel_cap_t cap_inheritable cap_permitted cap_effective linux_binprm data_loc net_device
bpf_cmd dentry bpf_prog"""


@pytest.mark.parametrize("name", CRD.split())
def test_every_type_of_the_crd_is_known(name: str) -> None:
    assert find_type(name) is not None


def test_synonyms_are_one_type() -> None:
    assert find_type("int") == find_type("sint32") == find_type("int32")
    assert find_type("size_t") == find_type("ulong") == find_type("uint64")
    assert find_type("int33") is None


def test_integers_have_their_ranges() -> None:
    byte, word = find_type("int8"), find_type("uint16")
    assert byte is not None and word is not None
    assert (byte.low, byte.high, word.low, word.high) == (-128, 127, 0, 65535)


def test_auto_takes_every_operator() -> None:
    assert operators_of("auto") == ALL_OPERATORS
    assert "State" not in operators_of("skb")
