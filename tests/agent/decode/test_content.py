# SPDX-License-Identifier: Apache-2.0
"""What the bytes of a value hold, for every type."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decode import content as c
from agent.kernel.btf import KIND_ENUM, Btf
from agent.policy.values import ValueType
from tests.agent.decode.policy_btf import policy_btf
from tests.agent.hookwire import integer_data, path_data, sock_data

STRUCTS = {
    "sent_path": c.SENT_PATH, "sent_sock": c.SENT_SOCK, "sent_skb": c.SENT_SKB,
    "sent_sockaddr": c.SENT_SOCKADDR, "sent_cred": c.SENT_CRED, "sent_user_ns": c.SENT_USER_NS,
    "sent_bpf_attr": c.SENT_BPF_ATTR, "sent_bpf_map": c.SENT_BPF_MAP,
    "sent_perf_event": c.SENT_PERF_EVENT, "sent_module": c.SENT_MODULE,
}  # fmt: skip
V4 = bytes([10, 0, 0, 1]) + bytes(12)
PATH = c.PathContent(b"/a/b", 0o100644, 7, 8 << 20 | 1, 1, False, False)
EXAMPLES: list[tuple[ValueType, bytes, Any]] = [
    (ValueType.INTEGER, integer_data(-5), -5),
    (ValueType.STRING, b"text\0behind", b"text"),
    (ValueType.DATA_LOC, b"text\0", b"text"),
    (ValueType.NET_DEVICE, b"eth0\0\0\0\0", b"eth0"),
    (ValueType.BUFFER, struct.pack("=2I", 9, 3) + b"abc\0\0", c.BufferContent(9, b"abc")),
    (ValueType.IOVEC, struct.pack("=2I", 3, 3) + b"a\0c", c.BufferContent(3, b"a\0c")),
    (ValueType.IOV_ITER, struct.pack("=2I", 0, 0), c.BufferContent(0, b"")),
    *((kind, path_data(b"/a/b\0"), PATH) for kind in map(ValueType, range(6, 12))),
    (ValueType.SKB, c.SENT_SKB.pack(1, 2, 3, 4, 2, 17, 53, 99, V4, V4, 5, 6),
     c.SkbContent(1, 2, 3, 4, 2, 17, 53, 99, V4, V4, 5, 6)),
    (ValueType.SOCKADDR, c.SENT_SOCKADDR.pack(2, 80, V4), c.SockaddrContent(2, 80, V4)),
    (ValueType.SOCKADDR_UN, b"\x01\0\0name".ljust(110, b"\0"),
     c.SockaddrUnContent(1, b"\0name".ljust(108, b"\0"))),
    (ValueType.CRED, c.SENT_CRED.pack(*range(17)),
     c.CredContent(*range(13), c.UserNsContent(13, 14, 15, 16))),
    (ValueType.USER_NS, c.SENT_USER_NS.pack(1, 2, 3, 4), c.UserNsContent(1, 2, 3, 4)),
    (ValueType.CAPABILITY, integer_data(21), 21),
    (ValueType.CAP_SET, integer_data(0x1FF), 0x1FF),
    (ValueType.BPF_ATTR, c.SENT_BPF_ATTR.pack(2, 40, b"probe"), c.ProgramContent(2, 40, b"probe")),
    (ValueType.BPF_PROG, c.SENT_BPF_ATTR.pack(29, 1, b""), c.ProgramContent(29, 1, b"")),
    (ValueType.BPF_MAP, c.SENT_BPF_MAP.pack(1, 4, 8, 10, b"m"), c.MapContent(1, 4, 8, 10, b"m")),
    (ValueType.PERF_EVENT, c.SENT_PERF_EVENT.pack(6, 7, 1, b"do"), c.PerfEventContent(6, 7, 1, b"do")),
    (ValueType.MODULE, c.SENT_MODULE.pack(4096, 2, b"evil"), c.ModuleContent(4096, 2, b"evil")),
    (ValueType.LOAD_INFO, c.SENT_MODULE.pack(0, 1, b"good"), c.ModuleContent(0, 1, b"good")),
    (ValueType.SYSCALL, integer_data(59 | 1 << 32), c.SyscallContent(59, True)),
    (ValueType.NOP, b"", b""),
]  # fmt: skip


@pytest.fixture(scope="module")
def btf(tmp_path_factory: pytest.TempPathFactory) -> Btf:
    return policy_btf(tmp_path_factory.mktemp("policy"))


@pytest.mark.parametrize("name", STRUCTS)
def test_a_format_is_as_long_as_its_struct(btf: Btf, name: str) -> None:
    assert STRUCTS[name].size == btf.size(name)


def test_every_type_of_the_header_has_its_number_and_its_decoder(btf: Btf) -> None:
    for kind in ValueType:
        assert btf.enum_value("value_type", f"VALUE_{kind.name}") == kind == getattr(c, kind.name)
    assert btf.find("value_type", KIND_ENUM) and set(c.CONTENTS) == set(ValueType)


@pytest.mark.parametrize(("kind", "raw", "content"), EXAMPLES, ids=lambda part: getattr(part, "name", ""))
def test_a_value_holds_what_was_sent(kind: ValueType, raw: bytes, content: c.Content) -> None:
    assert c.CONTENTS[kind](raw) == content


@pytest.mark.parametrize("kind", [ValueType.SOCK, ValueType.SOCKET])
def test_a_socket_has_its_ends_and_its_owner(kind: ValueType) -> None:
    sock = c.CONTENTS[kind](sock_data((b"\1\2\3\4", 5, b"\6\7\x08\x09", 10), owner=(3 << 32 | 4, 99)))
    assert isinstance(sock, c.SockContent)
    assert (sock.saddr[:4], sock.sport, sock.daddr[:4], sock.dport) == (b"\1\2\3\4", 5, b"\6\7\x08\x09", 10)
    assert (sock.owner, sock.owner_ktime, sock.family, sock.type, sock.protocol) == (3 << 32 | 4, 99, 2, 1, 6)


def test_every_type_has_an_example() -> None:
    assert {kind for kind, _, _ in EXAMPLES} | {ValueType.SOCK, ValueType.SOCKET} == set(ValueType)


@pytest.mark.parametrize(
    ("flags", "cut", "unreachable"), [(0, False, False), (1, True, False), (2, False, True)]
)
def test_a_path_tells_where_its_walk_ended(flags: int, cut: bool, unreachable: bool) -> None:
    path = c.CONTENTS[c.FILE](path_data(b"/a", flags=flags))
    assert isinstance(path, c.PathContent)
    assert (path.is_cut, path.is_unreachable) == (cut, unreachable)


@given(kind=st.sampled_from(sorted(c.CONTENTS)), raw=st.binary(max_size=200))
def test_garbage_is_content_or_too_short(kind: int, raw: bytes) -> None:
    try:
        content = c.CONTENTS[kind](raw)
    except struct.error:
        return
    assert isinstance(content, int | bytes | tuple)
