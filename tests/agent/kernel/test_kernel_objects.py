# SPDX-License-Identifier: Apache-2.0
"""What hooks read of kernel objects that no descriptor leads to: real ones where there are any, else kernel
memory laid out as this kernel's types say."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
from collections.abc import Iterator

import pytest

from agent.kernel.btf import Btf
from agent.policy.values import Source, Step, ValueFlag, ValueType
from tests.agent.kernel.asking import Asked, Asking, Base, Field, Question, member

pytestmark = [pytest.mark.kernel, pytest.mark.root]

ITER, SKB, LOAD_INFO, SIZE, KIOCB, BINPRM, MAP, PROGRAM, PERF, DEVICE, MODULE, BPF_ATTR, RECORD = range(13)
SYSCALL, FILE, NOTHING = range(13, 16)
_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}


@pytest.fixture(scope="module")
def btf() -> Iterator[Btf]:
    with Btf.of_kernel() as found:
        yield found


@pytest.fixture(scope="module", params=["read", "cast"])
def values(request: pytest.FixtureRequest, btf: Btf) -> Iterator[Asking]:
    """Values of kernel objects, once with helper reads and once with the cast."""
    if request.param == "cast" and not btf.has_function("bpf_rdonly_cast"):
        pytest.skip("this kernel has no bpf_rdonly_cast (v6.2)")
    private = (Step(member(btf, "file.private_data"), True),)
    device = ("task_struct.nsproxy", "nsproxy.net_ns", "net.loopback_dev")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    opened = Asking(
        [
            Asked(ValueType.IOV_ITER, Base.FAKE),
            Asked(ValueType.SKB, Base.FAKE),
            Asked(ValueType.LOAD_INFO, Base.FAKE),
            Asked(ValueType.INTEGER),
            Asked(ValueType.KIOCB, Base.FAKE),
            Asked(ValueType.BINPRM, Base.FAKE),
            Asked(ValueType.BPF_MAP, Base.DESCRIPTOR, private),
            Asked(ValueType.BPF_PROG, Base.DESCRIPTOR, private),
            Asked(ValueType.PERF_EVENT, Base.DESCRIPTOR, private),
            Asked(ValueType.NET_DEVICE, Base.TASK, tuple(Step(member(btf, path), True) for path in device)),
            Asked(ValueType.MODULE, Base.FAKE),
            Asked(ValueType.BPF_ATTR, flags=int(ValueFlag.USER)),
            Asked(ValueType.DATA_LOC, Base.FAKE, (Step(8, False),), source=Source.RECORD),
            Asked(ValueType.SYSCALL),
            Asked(ValueType.FILE, Base.DESCRIPTOR),
            Asked(ValueType.NOP),
        ],
        request.param == "cast",
    )
    yield opened
    opened.close()
    os.sched_setaffinity(0, before)


def laid_out(btf: Btf, **members: tuple[str, int]) -> bytearray:
    """Memory of an object: `struct__member__member=(format, content)`."""
    memory = bytearray(4096)
    for path, (form, content) in members.items():
        struct.pack_into(f"={form}", memory, member(btf, path.replace("__", ".")), content)
    return memory


def fake_iter(btf: Btf, kind: str, skip: int, count: int, segments: int, base: int) -> bytes:
    """A struct iov_iter of this kernel."""
    number = btf.enum_value("iter_type", kind)
    assert number is not None
    names = {part.name for part in btf.members("iov_iter")}
    memory = bytearray(4096)
    form = "B" if "iter_type" in names else "I"
    struct.pack_into(
        f"={form}", memory, member(btf, f"iov_iter.{'iter_type' if form == 'B' else 'type'}"), number
    )
    for name, content in (("iov_offset", skip), ("count", count), ("nr_segs", segments), ("kvec", base)):
        struct.pack_into("=Q", memory, member(btf, f"iov_iter.{name}"), content)
    return bytes(memory)


def test_what_is_left_of_an_iterator_over_segments(values: Asking, btf: Btf) -> None:
    parts = [ctypes.create_string_buffer(part, len(part)) for part in (b"skipped:one", b"two")]
    vector = b"".join(struct.pack("=QQ", ctypes.addressof(part), len(part)) for part in parts)
    values.fake(fake_iter(btf, "ITER_IOVEC", 8, 5, 2, 0))
    kernel = values.ask(Question.OBJECT, ITER) & (1 << 64) - 1
    values.fake(fake_iter(btf, "ITER_IOVEC", 8, 5, 2, kernel + 2048)[:2048] + vector)
    assert values.send(ITER).content == struct.pack("=II", 5, 5) + b"onetw"


def test_an_iterator_over_kernel_memory(values: Asking, btf: Btf) -> None:
    kernel = values.ask(Question.OBJECT, ITER) & (1 << 64) - 1
    vector = struct.pack("=QQ", kernel + 3000, 6)
    values.fake(
        (fake_iter(btf, "ITER_KVEC", 0, 6, 1, kernel + 2048)[:2048] + vector).ljust(3000, b"\0") + b"kernel"
    )
    assert values.send(ITER).content == struct.pack("=II", 6, 6) + b"kernel"


def test_an_iterator_over_one_buffer(values: Asking, btf: Btf) -> None:
    if btf.enum_value("iter_type", "ITER_UBUF") is None:
        pytest.skip("this kernel has no ITER_UBUF (v6.0)")
    buffer = ctypes.create_string_buffer(b"some bytes", 10)
    values.fake(fake_iter(btf, "ITER_UBUF", 5, 5, 1, ctypes.addressof(buffer)))
    assert values.send(ITER).content == struct.pack("=II", 5, 5) + b"bytes"


def test_of_an_iterator_over_pages_only_the_length_is_told(values: Asking, btf: Btf) -> None:
    values.fake(fake_iter(btf, "ITER_BVEC", 0, 4096, 1, 0))
    assert values.send(ITER)[:2] == (2, struct.pack("=II", 4096, 0))


def packet(values: Asking, btf: Btf, header: bytes, transport: int) -> None:
    """A struct sk_buff whose network header begins at 16."""
    kernel = values.ask(Question.OBJECT, SKB) & (1 << 64) - 1
    memory = laid_out(
        btf,
        sk_buff__head=("Q", kernel + 2048),
        sk_buff__len=("I", 99),
        sk_buff__mark=("I", 7),
        sk_buff__priority=("I", 3),
        sk_buff__hash=("I", 1234),
        sk_buff__network_header=("H", 16),
        sk_buff__transport_header=("H", transport),
    )
    memory[2048 + 16 : 2048 + 16 + len(header)] = header
    values.fake(bytes(memory))


FOUR = struct.pack(">BxHHHBBH4s4s", 0x45, 60, 0, 0, 64, 17, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
SIX = struct.pack(">B5xBx16s16s", 0x60, 6, bytes(range(16)), bytes(range(16, 32)))


@pytest.mark.parametrize("transport", [36, 0xFFFF])
def test_a_packet_of_ip_version_4(values: Asking, btf: Btf, transport: int) -> None:
    packet(values, btf, FOUR + struct.pack(">HH", 4000, 53), transport)
    assert [values.field(field, SKB) for field in (Field.FAMILY, Field.PROTOCOL)] == [2, 17]
    assert [values.field(field, SKB) for field in (Field.SPORT, Field.DPORT)] == [4000, 53]
    assert values.address(SKB, 0, Field.DADDR) == bytes(10) + b"\xff\xff\x0a\0\0\2"
    sent = values.send(SKB).content
    assert struct.unpack_from("=4I4H", sent) == (1234, 99, 3, 7, 2, 17, 4000, 53)
    assert (sent[24:28], sent[40:44], len(sent)) == (bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]), 64)


def test_a_packet_of_ip_version_6(values: Asking, btf: Btf) -> None:
    packet(values, btf, SIX + struct.pack(">HH", 5000, 443), 56)
    assert [values.field(field, SKB) for field in (Field.FAMILY, Field.PROTOCOL)] == [10, 6]
    assert [values.field(field, SKB) for field in (Field.SPORT, Field.DPORT)] == [5000, 443]
    assert values.address(SKB, 0, Field.SADDR) == bytes(range(16))


def test_a_packet_without_headers_has_no_addresses(values: Asking, btf: Btf) -> None:
    packet(values, btf, b"", 0xFFFF)
    assert values.address(SKB, 0, Field.SADDR) is None
    assert values.field(Field.FAMILY, SKB) == 0


def test_a_file_behind_a_request_or_a_program(values: Asking, btf: Btf) -> None:
    fd = os.open("/etc/passwd", os.O_PATH)
    file = values.ask(Question.OBJECT, FILE, fd) & (1 << 64) - 1
    for index, path in ((KIOCB, "kiocb__ki_filp"), (BINPRM, "linux_binprm__file")):
        values.fake(bytes(laid_out(btf, **{path: ("Q", file)})))
        assert values.text(index) == values.text(FILE, fd) != b""
    os.close(fd)


def test_a_map_and_a_program(values: Asking) -> None:
    sent = values.send(MAP, values.map_fd("fakes")).content
    assert sent == struct.pack("=4I16s", 2, 4, 4096, 1, b"fakes")  # BPF_MAP_TYPE_ARRAY
    kind, instructions, name = struct.unpack("=II16s", values.send(PROGRAM, values.program_fd()).content)
    assert (kind, name.rstrip(b"\0")) == (17, b"ask_value")  # BPF_PROG_TYPE_RAW_TRACEPOINT
    assert instructions > 10


@contextlib.contextmanager
def perf_event() -> Iterator[int]:
    """A software event, the page faults of this process."""
    attr = bytearray(128)
    struct.pack_into("=IIQ", attr, 0, 1, 128, 2)  # PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS
    memory = (ctypes.c_char * 128).from_buffer(attr)
    fd = ctypes.CDLL(None).syscall(_PERF_EVENT_OPEN[platform.machine()], memory, 0, -1, -1, 0)
    if fd < 0:
        pytest.skip("this machine gives no software perf event")
    try:
        yield fd
    finally:
        os.close(fd)


def test_a_perf_event(values: Asking) -> None:
    with perf_event() as fd:
        config, _offset, kind, _reserved = struct.unpack_from("=QQII", values.send(PERF, fd).content)
        assert (config, kind) == (2, 1)


def test_a_network_device_is_its_name(values: Asking) -> None:
    assert values.text(DEVICE) == b"lo"
    assert values.send(DEVICE)[:2] == (0, b"lo")


def test_a_module(values: Asking, btf: Btf) -> None:
    memory = laid_out(btf, module__taints=("Q", 0x1001))
    at = member(btf, "module.name")
    memory[at : at + 5] = b"hound"
    values.fake(bytes(memory))
    taints, signature, _reserved, name = struct.unpack("=QII64s", values.send(MODULE).content)
    signed = {part.name for part in btf.members("module")} >= {"sig_ok"}
    assert (taints, signature, name.rstrip(b"\0")) == (0x1001, 0 if signed else 2, b"hound")


def test_a_module_on_its_way_in(values: Asking, btf: Btf) -> None:
    if not btf.has_struct("load_info"):
        pytest.skip("this kernel has no modules")
    kernel = values.ask(Question.OBJECT, LOAD_INFO) & (1 << 64) - 1
    memory = laid_out(btf, load_info__name=("Q", kernel + 2048), load_info__sig_ok=("B", 1))
    memory[2048:2053] = b"hound"
    values.fake(bytes(memory))
    assert values.send(LOAD_INFO).content == struct.pack("=QII64s", 0, 1, 0, b"hound")


def test_what_a_program_to_be_loaded_is_called(values: Asking) -> None:
    attr = struct.pack("=II40x16s", 17, 99, b"watcher")
    memory = ctypes.create_string_buffer(attr, 128)
    assert values.send(BPF_ATTR, ctypes.addressof(memory)).content == struct.pack(
        "=II16s", 17, 99, b"watcher"
    )


def test_a_string_of_a_tracepoints_record(values: Asking) -> None:
    values.fake(bytes(8) + struct.pack("=HH", 40, 6) + bytes(28) + b"hello\0")
    assert values.text(RECORD, 8) == b"hello"


def test_a_system_call_is_its_number_and_abi(values: Asking) -> None:
    assert values.send(SYSCALL, 257 | 1 << 32).content == struct.pack("=II", 257, 1)


def test_nothing_is_sent_of_nothing(values: Asking) -> None:
    assert values.ask(Question.SEND, NOTHING) == 0
