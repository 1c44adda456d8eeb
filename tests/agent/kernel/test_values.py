# SPDX-License-Identifier: Apache-2.0
"""What hooks read, asked of real files, sockets and tasks (kprobes/include/values.h)."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.kernel.btf import Btf
from agent.policy.buckets import of_path
from agent.policy.values import Step, ValueFlag, ValueType
from tests.agent.kernel.asking import Asked, Asking, Base, Field, Question, member
from tests.agent.kernel.support import in_child

pytestmark = [pytest.mark.kernel, pytest.mark.root]

FILE, PATH, DENTRY, FD, STRING, SOCKET, SOCK, CRED = range(8)
SOCKADDR, BUFFER, COMM, IOVEC, USER_NS, CAP_SET, SOCKADDR_UN, PID = range(8, 16)
ITER, SKB, LOAD_INFO, KIOCB, BINPRM, MAP, PROGRAM, PERF, DEVICE, MODULE, BPF_ATTR, RECORD, SYSCALL = range(13)
WHOLE, CUT, FAULT, NULL = range(4)
NOT_KNOWN = (256, 256)


@pytest.fixture(scope="module")
def btf() -> Iterator[Btf]:
    with Btf.of_kernel() as found:
        yield found


@pytest.fixture(scope="module")
def one_cpu() -> Iterator[None]:
    """Scratch memory is per CPU: the one that ran the program is read."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


def has_cast(btf: Btf) -> bool:
    """Whether this kernel has the kfunc bpf_rdonly_cast."""
    return btf.has_function("bpf_rdonly_cast")


@pytest.fixture(scope="module", params=["read", "cast"])
def values(request: pytest.FixtureRequest, btf: Btf, one_cpu: None) -> Iterator[Asking]:
    """Values of files, sockets and the task; once with helper reads and once with the cast."""
    if request.param == "cast" and not has_cast(btf):
        pytest.skip("this kernel has no bpf_rdonly_cast (v6.2)")

    def at(path: str, dereference: bool = False) -> Step:
        return Step(member(btf, path), dereference)

    private, cred = at("file.private_data", True), at("task_struct.cred", True)
    user = int(ValueFlag.USER)
    opened = Asking(
        [
            Asked(ValueType.FILE, Base.DESCRIPTOR),
            Asked(ValueType.PATH, Base.DESCRIPTOR, (at("file.f_path"),)),
            Asked(ValueType.DENTRY, Base.DESCRIPTOR, (at("file.f_path"), at("path.dentry", True))),
            Asked(ValueType.FD),
            Asked(ValueType.STRING, flags=user),
            Asked(ValueType.SOCKET, Base.DESCRIPTOR, (private,)),
            Asked(ValueType.SOCK, Base.DESCRIPTOR, (private, at("socket.sk", True))),
            Asked(ValueType.CRED, Base.TASK, (cred,)),
            Asked(ValueType.SOCKADDR, flags=user),
            Asked(ValueType.BUFFER, flags=user, max_bytes=20000),
            Asked(ValueType.STRING, Base.TASK, (at("task_struct.comm"),), max_bytes=4),
            Asked(ValueType.IOVEC, flags=user),
            Asked(ValueType.USER_NS, Base.TASK, (cred, at("cred.user_ns", True))),
            Asked(ValueType.CAP_SET, Base.TASK, (cred, at("cred.cap_permitted"))),
            Asked(ValueType.SOCKADDR_UN, flags=user),
            Asked(
                ValueType.INTEGER,
                Base.TASK,
                (at("task_struct.tgid"),),
                4,
                int(ValueFlag.IS_ADDRESS | ValueFlag.SIGNED),
            ),
        ],
        request.param == "cast",
    )
    yield opened
    opened.close()


@contextlib.contextmanager
def opened(path: str | bytes) -> Iterator[int]:
    """A file as a descriptor that reads nothing."""
    fd = os.open(path, os.O_PATH)
    try:
        yield fd
    finally:
        os.close(fd)


def address_of(content: bytes) -> tuple[object, int]:
    """User memory with this content: what keeps it alive, and its address."""
    memory = ctypes.create_string_buffer(content, len(content))
    return memory, ctypes.addressof(memory)


def seen(fd: int) -> bytes:
    """The path that /proc shows, which is d_path's."""
    return os.readlink(f"/proc/self/fd/{fd}".encode()).removesuffix(b" (deleted)")


def test_paths_are_those_that_proc_shows(values: Asking, tmp_path: Path) -> None:
    for path in ("/", "/usr", "/etc/passwd", "/proc/self/status", sys.executable, str(tmp_path)):
        with opened(path) as fd:
            for index in (FILE, PATH, FD):
                assert values.text(index, fd) == seen(fd)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 39, 40, 41, 64, 255])
def test_names_of_every_length_come_whole(values: Asking, tmp_path: Path, length: int) -> None:
    path = tmp_path / ("abcdefghij" * 26)[:length] / "x"
    path.parent.mkdir()
    path.touch()
    with opened(bytes(path)) as fd:
        assert values.text(FILE, fd) == seen(fd)


def deep(directory: Path, name: str, most: int) -> int:
    """A descriptor far below `directory`: names nested until the path has about `most` bytes."""
    fd, length = os.open(directory, os.O_PATH), len(bytes(directory))
    while length + 1 + len(name) <= most:
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_PATH, dir_fd=fd)
        os.close(fd)
        fd, length = below, length + 1 + len(name)
    return fd


@pytest.fixture
def on_tmpfs(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, gone with all that is in it."""
    place = tmp_path / "mounted"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("name", ["d", "n" * 255, "seventeen-letters"])
def test_long_paths_of_many_components_come_whole(values: Asking, on_tmpfs: Path, name: str) -> None:
    fd = deep(on_tmpfs, name, 4095)
    text, flags = values.text(FILE, fd), values.text_flags()
    os.close(fd)
    assert text is not None
    assert text == bytes(on_tmpfs) + (b"/" + name.encode()) * text.count(b"/" + name.encode())
    assert (len(text) > 3800, flags) == (True, 0)


def test_a_path_that_is_too_long_keeps_its_end_and_says_so(values: Asking, on_tmpfs: Path) -> None:
    fd = deep(on_tmpfs, "n" * 200, 4500)
    text, flags = values.text(FILE, fd), values.text_flags()
    os.close(fd)
    assert text is not None
    assert (text, flags) == ((b"/" + b"n" * 200) * 20, 1)


def test_a_text_is_padded_to_the_end_of_its_class(values: Asking, on_tmpfs: Path) -> None:
    for length in (3, 24, 25, 119, 120, 121, 250, 503, 504, 505, 2000, 4095):
        memory, address = address_of(b"x" * 4095 + b"\0")
        values.raw_text(STRING, address)
        memory, address = address_of(b"y" * length + b"\0")
        found, text = values.raw_text(STRING, address)
        class_end = next(end for end in (24, 120, 504, 4096) if length <= end)
        assert (found, text[:class_end]) == (length, (b"y" * length).ljust(class_end, b"\0")), memory


def test_bind_mounts_show_where_they_are_mounted(values: Asking, tmp_path: Path) -> None:
    (tmp_path / "source" / "inner").mkdir(parents=True)
    (tmp_path / "target").mkdir()
    subprocess.run(["mount", "--bind", tmp_path / "source", tmp_path / "target"], check=True)
    try:
        for end in ("target", "target/inner"):
            with opened(bytes(tmp_path / end)) as fd:
                assert values.text(FILE, fd) == bytes(tmp_path / end)
    finally:
        subprocess.run(["umount", tmp_path / "target"], check=True)


def test_a_bind_mounted_file_has_no_bucket_of_its_last_name(values: Asking, tmp_path: Path) -> None:
    (tmp_path / "source").touch()
    (tmp_path / "target").touch()
    subprocess.run(["mount", "--bind", tmp_path / "source", tmp_path / "target"], check=True)
    try:
        with opened(bytes(tmp_path / "target")) as fd:
            assert values.buckets(Question.LAST, FILE, fd) == NOT_KNOWN
            assert values.buckets(Question.TOP, FILE, fd) == of_path(bytes(tmp_path))[:2]
    finally:
        subprocess.run(["umount", tmp_path / "target"], check=True)


def test_a_dentry_is_seen_from_its_own_file_system(values: Asking, on_tmpfs: Path) -> None:
    (on_tmpfs / "a" / "b").mkdir(parents=True)
    with opened(bytes(on_tmpfs / "a" / "b")) as fd:
        assert values.text(DENTRY, fd) == b"/a/b"
        assert values.buckets(Question.TOP, DENTRY, fd) == of_path(b"/a/b")[:2]
    with opened(bytes(on_tmpfs)) as fd:
        assert values.text(DENTRY, fd) == b"/"


def test_in_a_chroot_paths_begin_at_its_root(values: Asking, tmp_path: Path) -> None:
    (tmp_path / "inner" / "deeper").mkdir(parents=True)
    with opened("/etc/passwd") as outside:

        def look() -> list[str]:
            texts = []
            for path in ("/", "/inner", "/inner/deeper"):
                with opened(path) as fd:
                    texts.append((values.text(FILE, fd) or b"").decode())
                    assert values.buckets(Question.TOP, FILE, fd)[0] != 256
                    assert (values.buckets(Question.LAST, FILE, fd) == NOT_KNOWN) == (path == "/")
            texts += [(values.text(FILE, outside) or b"").decode(), str(values.text_flags())]
            return texts

        found = in_child(lambda: os.chroot(tmp_path), look)
    assert found == ["/", "/inner", "/inner/deeper", "/etc/passwd", "2"]


def test_files_in_an_overlay_have_the_path_of_the_overlay(values: Asking, on_tmpfs: Path) -> None:
    for name in ("lower", "upper", "work", "merged"):
        (on_tmpfs / name).mkdir()
    (on_tmpfs / "lower" / "old").write_text("old")
    layers = ",".join(f"{name}dir={on_tmpfs}/{name}" for name in ("lower", "upper", "work"))
    made = subprocess.run(["mount", "-t", "overlay", "none", "-o", layers, on_tmpfs / "merged"], check=False)
    if made.returncode:
        pytest.skip("this machine mounts no overlay here")
    (on_tmpfs / "merged" / "new").write_text("new")
    for name in ("old", "new"):
        with opened(bytes(on_tmpfs / "merged" / name)) as fd:
            assert values.text(FILE, fd) == bytes(on_tmpfs / "merged" / name)


def anonymous() -> list[int]:
    """Descriptors of files that have no path."""
    libc = ctypes.CDLL(None)
    return [
        os.memfd_create("a-memory"),
        *os.pipe(),
        socket.socket().detach(),
        libc.eventfd(0, 0),
        os.open("/proc/self/ns/mnt", os.O_RDONLY),
        os.open("/proc/self/ns/pid_for_children", os.O_RDONLY),
    ]


def test_files_without_a_path_have_the_name_that_proc_shows(values: Asking) -> None:
    descriptors = anonymous()
    for fd in descriptors:
        assert values.text(FILE, fd) == seen(fd)
        assert values.text_flags() == 2
        assert values.buckets(Question.TOP, FILE, fd) == NOT_KNOWN
        assert values.buckets(Question.LAST, FILE, fd) == NOT_KNOWN
        os.close(fd)


def test_a_deleted_file_keeps_its_path(values: Asking, tmp_path: Path) -> None:
    path = tmp_path / "gone"
    fd = os.open(path, os.O_CREAT | os.O_RDWR)
    path.unlink()
    sent = values.send(FILE, fd)
    os.close(fd)
    *_, links, length = struct.unpack_from("=QIHHII", sent.content)
    assert (links, sent.content[24:]) == (0, bytes(path))
    assert length == len(bytes(path))


def test_a_path_is_sent_with_what_stat_says(values: Asking) -> None:
    with opened("/etc/passwd") as fd:
        for index in (FILE, PATH, DENTRY, FD):
            sent, stat = values.send(index, fd), os.fstat(fd)
            inode, device, mode, flags, links, length = struct.unpack_from("=QIHHII", sent.content)
            assert (inode, mode, flags, links) == (stat.st_ino, stat.st_mode, 0, stat.st_nlink)
            assert sent.content[24:].endswith(b"/passwd") and length == len(sent.content) - 24
            assert device >> 20 == os.major(stat.st_dev) or index == DENTRY or os.major(stat.st_dev) == 0


def test_padding_behind_a_value_is_zero(values: Asking, tmp_path: Path) -> None:
    for length in range(1, 10):
        memory, address = address_of(b"z" * length + b"\0")
        values.send(BUFFER, *(address_of(b"\xff" * 4000)[1], 0))
        sent = values.send(STRING, address)
        assert (sent.content, sent.padding.strip(b"\0")) == (b"z" * length, b""), memory


@pytest.mark.parametrize(
    "path", ["/usr", "/usr/bin/env", "/etc/passwd", "/proc/self/status", "/dev/null", "/a/b"]
)
def test_buckets_in_the_kernel_are_those_of_the_compiler(values: Asking, tmp_path: Path, path: str) -> None:
    place = Path(path) if Path(path).exists() else tmp_path / "a" / "long-name-with.suffix"
    if not place.exists():
        place.mkdir(parents=True)
    with opened(bytes(place)) as fd:
        real = seen(fd)
        first, second, last, end = of_path(real)
        assert values.buckets(Question.TOP, FILE, fd) == (first, second)
        assert values.buckets(Question.LAST, FILE, fd) == (last, end)


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 31, 32, 255])
def test_buckets_of_names_of_every_length(values: Asking, on_tmpfs: Path, length: int) -> None:
    path = on_tmpfs / ("name.so.1x" * 26)[:length]
    path.mkdir()
    with opened(bytes(path)) as fd:
        *_, last, end = of_path(bytes(path))
        assert values.buckets(Question.LAST, FILE, fd) == (last, end)
        top = values.buckets(Question.TOP, DENTRY, fd)
        assert top in (of_path(b"/" + path.name.encode())[:2], NOT_KNOWN if length > 31 else None)


def test_what_lies_very_deep_is_left_to_the_whole_path(values: Asking, on_tmpfs: Path) -> None:
    fd = deep(on_tmpfs, "d", len(bytes(on_tmpfs)) + 40)
    found = values.buckets(Question.TOP, FILE, fd)
    os.close(fd)
    assert found == NOT_KNOWN


def test_strings_come_from_user_memory(values: Asking) -> None:
    for text in (b"", b"x", b"hello", "ä".encode() * 100, b"y" * 4095):
        memory, address = address_of(text + b"\0")
        assert values.text(STRING, address) == text, memory
        assert values.send(STRING, address)[:2] == (WHOLE, text)


def test_a_longer_string_is_cut_and_says_so(values: Asking) -> None:
    memory, address = address_of(b"y" * 5000 + b"\0")
    assert values.send(STRING, address)[:2] == (CUT, b"y" * 4095), memory


def test_a_string_that_is_not_there_is_a_fault_and_a_null_pointer_is_told_apart(values: Asking) -> None:
    assert values.text(STRING, 8) is None
    assert values.send(STRING, 8)[:2] == (FAULT, b"")
    assert values.send(STRING, 0)[:2] == (NULL, b"")


def test_a_string_is_sent_up_to_its_most_bytes(values: Asking) -> None:
    name = Path("/proc/self/comm").read_bytes().strip()
    assert values.text(COMM) == name
    assert values.send(COMM).content == name[:4]


@pytest.mark.parametrize("length", [0, 1, 100, 4095, 4096, 4097, 19999, 20000, 30000])
def test_a_buffer_says_how_long_it_is_and_how_much_of_it_came(values: Asking, length: int) -> None:
    content = bytes(number * 7 & 255 for number in range(30000))
    memory, address = address_of(content)
    sent = values.send(BUFFER, address, length)
    most = min(length, 8192)  # HOOK_DATA_BYTES; what goes on is sent in records of its own
    assert sent.content == struct.pack("=II", length, most) + content[:most], memory
    assert sent.status == (CUT if length > most else WHOLE)


def test_a_buffer_is_also_a_text(values: Asking) -> None:
    memory, address = address_of(b"some\0bytes")
    assert values.text(BUFFER, address, size=10) == b"some\0bytes", memory


def test_an_iovec_is_one_buffer(values: Asking) -> None:
    parts = [address_of(part) for part in (b"one", b"", b"three", b"x" * 5000)]
    vector = b"".join(struct.pack("=QQ", address, ctypes.sizeof(memory)) for memory, address in parts)  # type: ignore[arg-type]
    memory, address = address_of(vector)
    sent = values.send(IOVEC, address, 4)
    assert sent.content[:8] == struct.pack("=II", 5008, 4095), memory
    assert sent.content[8:] == b"onethree" + b"x" * 4087
    assert values.send(IOVEC, address, 3)[:2] == (WHOLE, struct.pack("=II", 8, 8) + b"onethree")


@contextlib.contextmanager
def connected(family: int, host: str) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A TCP connection to ourselves."""
    with (
        socket.socket(family, socket.SOCK_STREAM) as listener,
        socket.socket(family, socket.SOCK_STREAM) as client,
    ):
        listener.bind((host, 0))
        listener.listen()
        client.connect(listener.getsockname())
        yield client, listener


@pytest.mark.parametrize(
    ("family", "host", "address"),
    [
        (socket.AF_INET, "127.0.0.1", socket.inet_pton(socket.AF_INET6, "::ffff:127.0.0.1")),
        (socket.AF_INET6, "::1", socket.inet_pton(socket.AF_INET6, "::1")),
    ],
)
def test_both_ends_of_a_connection(values: Asking, family: int, host: str, address: bytes) -> None:
    with connected(family, host) as (client, listener):
        ports = client.getsockname()[1], listener.getsockname()[1]
        for index in (SOCKET, SOCK):
            fd = client.fileno()
            assert (values.field(Field.SPORT, index, fd), values.field(Field.DPORT, index, fd)) == ports
            assert values.field(Field.FAMILY, index, fd) == family
            assert values.field(Field.PROTOCOL, index, fd) == socket.IPPROTO_TCP
            assert values.field(Field.STATE, index, fd) == 1  # TCP_ESTABLISHED
            assert values.address(index, fd, Field.SADDR) == values.address(index, fd, Field.DADDR) == address
        assert values.field(Field.STATE, SOCK, listener.fileno()) == 10  # TCP_LISTEN


def test_a_socket_is_sent_with_its_ends(values: Asking) -> None:
    with connected(socket.AF_INET, "127.0.0.1") as (client, listener):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 77)
        sent = values.send(SOCK, client.fileno()).content
        family, kind, protocol, state, has, mark = struct.unpack_from("=24xHHHBBI", sent)
        sport, dport = struct.unpack_from("=40xHH", sent)
        assert (family, kind, protocol, state, has, mark) == (2, 1, 6, 1, 1, 77)
        assert (sport, dport) == (client.getsockname()[1], listener.getsockname()[1])
        assert sent[48:52] == sent[64:68] == socket.inet_aton("127.0.0.1")
        assert len(sent) == 80


def test_datagram_and_unix_sockets(values: Asking) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        datagram.connect(("127.0.0.2", 53))
        assert values.field(Field.DPORT, SOCK, datagram.fileno()) == 53
        assert values.field(Field.PROTOCOL, SOCK, datagram.fileno()) == socket.IPPROTO_UDP
    one, other = socket.socketpair()
    with one, other:
        assert values.field(Field.FAMILY, SOCK, one.fileno()) == socket.AF_UNIX
        assert values.address(SOCK, one.fileno(), Field.SADDR) is None
        assert values.send(SOCK, one.fileno()).content[31] == 0


def test_addresses_from_user_memory(values: Asking) -> None:
    memory, four = address_of(struct.pack("=H", 2) + struct.pack(">H4s8x", 443, bytes([1, 2, 3, 4])))
    assert values.field(Field.DPORT, SOCKADDR, four) == values.field(Field.SPORT, SOCKADDR, four) == 443
    assert values.address(SOCKADDR, four, Field.DADDR) == bytes(10) + b"\xff\xff\1\2\3\4", memory
    six = struct.pack("=H", 10) + struct.pack(">HI16sI", 80, 0, bytes(range(16)), 0)
    memory, address = address_of(six)
    assert values.send(SOCKADDR, address).content == struct.pack("=HHI", 10, 80, 0) + bytes(range(16)), memory
    assert values.address(SOCKADDR, address, Field.SADDR) == bytes(range(16))


@pytest.mark.parametrize(
    ("path", "text"), [(b"/run/x.sock", b"/run/x.sock"), (b"\0abstract", b"@abstract"), (b"", b"")]
)
def test_unix_addresses_have_a_text(values: Asking, path: bytes, text: bytes) -> None:
    memory, address = address_of(struct.pack("=H108s", socket.AF_UNIX, path))
    assert values.text(SOCKADDR_UN, address) == text, memory
    assert values.send(SOCKADDR_UN, address).content == struct.pack("=H108s", socket.AF_UNIX, path)


def test_credentials_are_those_of_the_task(values: Asking) -> None:
    status = dict(
        line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line
    )
    sent = values.send(CRED).content
    uid, gid, suid, sgid, euid, egid, fsuid, fsgid = struct.unpack_from("=8I", sent)
    assert [uid, euid, suid, fsuid] == [int(word) for word in status["Uid"].split()]
    assert [gid, egid, sgid, fsgid] == [int(word) for word in status["Gid"].split()]
    sets = struct.unpack_from("=32x4Q", sent)
    assert sets == tuple(int(status[name], 16) for name in ("CapPrm", "CapEff", "CapInh", "CapAmb"))
    assert values.field(Field.INTEGER, CAP_SET) == values.field(Field.CAP_PERMITTED) == sets[0]
    assert (values.field(Field.CAP_EFFECTIVE), values.field(Field.CAP_EFFECTIVE, other=1)) == (
        sets[1],
        sets[1],
    )


def test_ids_of_another_user(values: Asking) -> None:
    def look() -> list[int]:
        return [values.field(Field.UID), values.field(Field.EUID), values.field(Field.INTEGER, CAP_SET)]

    assert in_child(lambda: os.setresuid(1000, 0, 0), look)[:2] == [1000, 0]


@pytest.mark.parametrize(
    ("slot", "name"),
    [
        *enumerate(
            [
                "uts",
                "ipc",
                "mnt",
                "pid",
                "pid_for_children",
                "net",
                "time",
                "time_for_children",
                "cgroup",
                "user",
            ]
        )
    ],
)
def test_namespaces_are_those_that_proc_shows(values: Asking, slot: int, name: str) -> None:
    shown = Path("/proc/self/ns", name)
    if not shown.exists():
        pytest.skip(f"this kernel has no {name} namespace")
    assert values.field(Field.NAMESPACE, other=slot) == os.stat(shown).st_ino


def unshare(flags: int) -> None:
    """unshare(2)."""
    assert ctypes.CDLL(None).unshare(flags) == 0


def test_the_pid_inside_a_pid_namespace(values: Asking) -> None:
    assert values.field(Field.NSPID) == 0 or os.readlink("/proc/self/ns/pid") != "pid:[4026531836]"

    def look() -> object:
        return in_child(lambda: None, lambda: [values.field(Field.NSPID), os.getpid()])

    assert in_child(lambda: unshare(0x20000000), look) == [1, 1]  # CLONE_NEWPID


def test_capabilities_in_another_user_namespace_do_not_count_as_the_hosts(values: Asking) -> None:
    def look() -> list[int]:
        try:
            of_host = values.field(Field.CAP_EFFECTIVE, other=1)
        except PermissionError:
            return []
        return [values.field(Field.IN_HOST_USER_NS), int(values.field(Field.CAP_EFFECTIVE) > 0), of_host]

    assert values.field(Field.IN_HOST_USER_NS) == 1
    found = in_child(lambda: unshare(0x10000000), look)  # CLONE_NEWUSER
    if not found:
        pytest.skip("this kernel runs no program for who lacks CAP_SYS_ADMIN on the host")
    assert found == [0, 1, 0]
    level, *_, inum = struct.unpack("=4I", values.send(USER_NS).content)
    assert (level, inum) == (0, os.stat("/proc/self/ns/user").st_ino)


def test_numbers_are_loaded_and_extended(values: Asking) -> None:
    assert values.field(Field.INTEGER, PID) == os.getpid() == values.field(Field.TGID)
    assert values.send(PID).content == struct.pack("=q", os.getpid())


@pytest.mark.parametrize(("make", "kind"), [(os.pipe, 1), (lambda: [os.open("/", os.O_PATH)], 4)])
def test_file_types(values: Asking, make: Callable[[], list[int]], kind: int) -> None:
    descriptors = make()
    assert values.field(Field.FILE_TYPE, FILE, descriptors[0]) == kind  # S_IFIFO >> 12, S_IFDIR >> 12
    for fd in descriptors:
        os.close(fd)


def test_a_descriptor_that_is_not_open_has_no_path(values: Asking) -> None:
    assert values.text(FD, 1 << 20) is None
    assert values.send(FD, 1 << 20).status == FAULT


def test_changes_since_an_exec_that_nobody_saw_are_none(values: Asking) -> None:
    assert values.field(Field.NAMESPACE_CHANGED) == values.field(Field.CAP_EFFECTIVE_CHANGED) == 0
