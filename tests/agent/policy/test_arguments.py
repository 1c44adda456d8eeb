# SPDX-License-Identifier: Apache-2.0
"""Every type of the CRD as an argument of an event."""

from __future__ import annotations

import json
import os
import platform
from typing import Any

import pytest
from google.protobuf import json_format

from agent.api.proto.tetragon import tetragon_pb2
from agent.decode import content as c
from agent.policy.arguments import ROWS, address, cookie, row_of
from agent.policy.values import ValueType

V4, V6 = bytes([10, 0, 0, 1]) + bytes(12), bytes.fromhex("20010db8") + bytes(11) + b"\x01"
FILE = c.PathContent(b"/etc/passwd", 0o100644, 7, 1, 1, False, False)
SHOWN_FILE = {"path": "/etc/passwd", "permission": "-rw-r--r--"}
SOCK = c.SockContent(99, 0, 0, 2, 1, 6, 2, 1, 3, 4, 44412, 8099, V4, V4)
SHOWN_SOCK = {
    "family": "AF_INET", "type": "SOCK_STREAM", "protocol": "IPPROTO_TCP", "mark": 3, "priority": 4,
    "saddr": "10.0.0.1", "daddr": "10.0.0.1", "sport": 44412, "dport": 8099, "cookie": str(cookie(99)),
    "state": "TCP_SYN_SENT",
}  # fmt: skip
HOST_NS = c.UserNsContent(0, 0, 0, 4026531837)
SHOWN_NS = {"level": 0, "uid": 0, "gid": 0, "ns": {"inum": 4026531837, "is_host": True}}
NO_CRED = c.CredContent(0, 1, 2, 3, 4, 5, 6, 7, 0, 2, 0, 0, 1, HOST_NS)
SHOWN_CRED = {
    "uid": 0, "gid": 1, "euid": 4, "egid": 5, "suid": 2, "sgid": 3, "fsuid": 6, "fsgid": 7,
    "securebits": ["SecBitNoRoot"], "caps": {"effective": ["DAC_OVERRIDE"]}, "user_ns": SHOWN_NS,
}  # fmt: skip
SKB = c.SkbContent(1, 60, 0, 0, 10, 17, 53, 0, V6, V6, 0, 2)
SHOWN_SKB = {
    "hash": 1, "len": 60, "saddr": "2001:db8::1", "daddr": "2001:db8::1", "sport": 53, "proto": 17,
    "sec_path_olen": 2, "protocol": "IPPROTO_UDP", "family": "AF_INET6",
}  # fmt: skip
PROGRAM = c.ProgramContent(2, 40, b"probe")
SHOWN_PROGRAM = {"ProgType": "BPF_PROG_TYPE_KPROBE", "InsnCnt": 40, "ProgName": "probe"}
MAP = c.MapContent(27, 0, 0, 4096, b"events")
PERF = c.PerfEventContent(1 << 40, 0, 1, b"do_sys_open")
MODULE = c.ModuleContent(4096 | 8192, 0, b"rootkit")
TAINTED = ["TAINT_OUT_OF_TREE_MODULE", "TAINT_UNSIGNED_MODULE"]
BIG = (1 << 64) - 5
X64, X32 = ("x64", "i386") if platform.machine() == "x86_64" else ("arm64", "arm32")
EXAMPLES: list[tuple[str, Any, str, Any]] = [
    *((crd, -5, "int_arg", -5) for crd in ("int", "int32", "sint32", "int16", "sint16", "int8", "sint8")),
    ("int32", 0xFFFFFFFF, "int_arg", -1), ("int8", 0x1FF, "int_arg", -1), ("int", 0, "int_arg", 0),
    ("uint32", -1, "uint_arg", 0xFFFFFFFF), ("uint16", -1, "uint_arg", 0xFFFF), ("uint8", 256, "uint_arg", 0),
    *((crd, -5, "size_arg", str(BIG)) for crd in ("uint64", "ulong", "size_t")),
    *((crd, -5, "long_arg", "-5") for crd in ("int64", "sint64", "long")),
    *((crd, b"a \"b\"\n", "string_arg", "a \"b\"\n") for crd in ("string", "filename", "data_loc")),
    *((crd, c.BufferContent(3, b"\0\xffx"), "bytes_arg", "AP94")
      for crd in ("char_buf", "const_buf", "char_iovec", "iov_iter")),
    *((crd, FILE, "file_arg", SHOWN_FILE) for crd in ("file", "fd", "kiocb")),
    *((crd, FILE, "path_arg", SHOWN_FILE) for crd in ("path", "dentry")),
    ("file", FILE._replace(path=b"/b/c", is_cut=True), "file_arg",
     {"path": "/b/c", "flags": "unresolvedPathComponents", "permission": "-rw-r--r--"}),
    ("linux_binprm", FILE._replace(mode=0o100755), "linux_binprm_arg",
     {"path": "/etc/passwd", "permission": "-rwxr-xr-x"}),
    ("sock", SOCK, "sock_arg", SHOWN_SOCK), ("socket", SOCK, "sock_arg", SHOWN_SOCK),
    ("sock", SOCK._replace(family=1, mark=0, priority=0, sport=0, dport=0, protocol=0), "sock_arg",
     {"family": "AF_UNIX", "type": "SOCK_STREAM", "protocol": "IPPROTO_IP", "cookie": str(cookie(99)),
      "state": "TCP_SYN_SENT"}),
    ("skb", SKB, "skb_arg", SHOWN_SKB),
    ("sockaddr", c.SockaddrContent(2, 80, V4), "sockaddr_arg",
     {"family": "AF_INET", "addr": "10.0.0.1", "port": 80}),
    ("sockaddr", c.SockaddrContent(16, 0, V4), "sockaddr_arg", {"family": "AF_NETLINK"}),
    ("sockaddr_un", c.SockaddrUnContent(1, b"/run/x\0junk"), "sockaddrun_arg",
     {"family": "AF_UNIX", "path": "/run/x"}),
    ("sockaddr_un", c.SockaddrUnContent(1, b"\0bus\0\0"), "sockaddrun_arg",
     {"family": "AF_UNIX", "path": "@bus"}),
    ("sockaddr_un", c.SockaddrUnContent(1, bytes(108)), "sockaddrun_arg", {"family": "AF_UNIX"}),
    ("net_device", b"eth0", "net_dev_arg", {"name": "eth0"}),
    ("cred", NO_CRED, "process_credentials_arg", SHOWN_CRED),
    ("user_namespace", HOST_NS, "user_ns_arg", SHOWN_NS),
    ("user_namespace", c.UserNsContent(1, 2, 3, 4), "user_ns_arg",
     {"level": 1, "uid": 2, "gid": 3, "ns": {"inum": 4}}),
    ("capability", 21, "capability_arg", {"value": 21, "name": "CAP_SYS_ADMIN"}),
    ("capability", 0, "capability_arg", {"value": 0, "name": "CAP_CHOWN"}),
    ("capability", -1, "capability_arg", {"value": -1}),
    *((crd, 0x1FF, f"{crd}_arg", "00000000000001ff")
      for crd in ("kernel_cap_t", "cap_inheritable", "cap_permitted", "cap_effective")),
    ("bpf_attr", PROGRAM, "bpf_attr_arg", SHOWN_PROGRAM),
    ("bpf_prog", PROGRAM, "bpf_prog_arg", SHOWN_PROGRAM),
    ("bpf_map", MAP, "bpf_map_arg",
     {"MapType": "BPF_MAP_TYPE_RINGBUF", "MaxEntries": 4096, "MapName": "events"}),
    ("bpf_cmd", 0, "bpf_cmd_arg", "BPF_MAP_CREATE"), ("bpf_cmd", 5, "bpf_cmd_arg", "BPF_PROG_LOAD"),
    ("bpf_cmd", 99, "bpf_cmd_arg", 99),
    ("perf_event", PERF, "perf_event_arg",
     {"KprobeFunc": "do_sys_open", "Type": "PERF_TYPE_SOFTWARE", "Config": str(1 << 40)}),
    ("module", MODULE, "module_arg", {"name": "rootkit", "tainted": TAINTED}),
    ("load_info", MODULE, "module_arg", {"name": "rootkit", "signature_ok": False, "tainted": TAINTED}),
    ("load_info", c.ModuleContent(0, 1, b"good"), "module_arg", {"name": "good", "signature_ok": True}),
    ("load_info", c.ModuleContent(0, 2, b"old"), "module_arg", {"name": "old"}),
    ("syscall64", c.SyscallContent(59, False), "syscall_id", {"id": 59, "abi": X64}),
    ("syscall64", c.SyscallContent(0, True), "syscall_id", {"abi": X32}),
]  # fmt: skip
CRD = (
    "auto int sint8 int8 uint8 sint16 int16 uint16 uint32 sint32 int32 ulong uint64 size_t long sint64 int64 "
    "char_buf char_iovec skb sock sockaddr socket sockaddr_un string fd file filename path nop bpf_attr "
    "perf_event bpf_map user_namespace capability kiocb iov_iter cred const_buf load_info module syscall64 "
    "kernel_cap_t cap_inheritable cap_permitted cap_effective linux_binprm data_loc net_device bpf_cmd "
    "dentry bpf_prog"
)


@pytest.mark.parametrize(("crd", "content", "member", "shown"), EXAMPLES)
def test_a_value_becomes_its_types_argument(crd: str, content: Any, member: str, shown: Any) -> None:
    row = ROWS[crd]
    assert (row.member, json.loads(row.convert(content))) == (member, shown)


@pytest.mark.parametrize(("crd", "content", "member", "shown"), EXAMPLES)
def test_an_argument_is_what_the_interface_writes_of_it(
    crd: str, content: Any, member: str, shown: Any
) -> None:
    message = json_format.ParseDict({member: shown}, tetragon_pb2.KprobeArgument())
    assert json_format.MessageToDict(message, preserving_proto_field_name=True) == {member: shown}


@pytest.mark.parametrize("crd", sorted(ROWS))
def test_a_null_pointer_is_an_empty_argument(crd: str) -> None:
    row = ROWS[crd]
    if row.member:
        message = json_format.ParseDict({row.member: json.loads(row.null)}, tetragon_pb2.KprobeArgument())
        assert message.WhichOneof("arg") == row.member


def test_every_type_of_the_crd_has_a_row() -> None:
    assert set(CRD.split()) - {"auto"} == set(ROWS)
    assert {crd for crd, *_ in EXAMPLES} == set(ROWS) - {"nop"}


def test_a_cut_buffer_says_how_long_it_was() -> None:
    convert = ROWS["char_buf"].convert
    assert json.loads(convert(c.BufferContent(5000, b"abc"))) == {"bytes_arg": "YWJj", "orig_size": "5000"}
    assert json.loads(convert(c.BufferContent(1, b""))) == {"orig_size": "1"}


def test_an_unknown_type_is_shown_as_what_was_read() -> None:
    assert [row_of("auto", kind).member for kind in (ValueType.FILE, ValueType.STRING, 99)] == [
        "file_arg",
        "string_arg",
        "long_arg",
    ]
    assert all(kind in row_of("auto", kind).takes for kind in ValueType)


def test_bytes_that_are_no_text_stand_as_replacement_characters() -> None:
    assert json.loads(ROWS["string"].convert(b"a\xff\xfeb")) == "a\ufffdb"


def test_equal_sockets_have_equal_cookies_that_do_not_tell_the_address() -> None:
    assert cookie(1 << 63) == cookie(1 << 63) != cookie((1 << 63) + 64)
    assert cookie(1 << 63) != 1 << 63


def test_an_address_of_another_family_is_none() -> None:
    assert (address(1, os.urandom(16)), address(2, V4), address(10, V6)) == ("", "10.0.0.1", "2001:db8::1")
