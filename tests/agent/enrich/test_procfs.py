# SPDX-License-Identifier: Apache-2.0
"""Real processes of this machine; the oddest are made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.enrich.procfs import (
    ProcEntry,
    host_file,
    host_namespaces,
    is_alive,
    read_inode,
    read_process,
    read_status,
    started_at,
)
from agent.log.encode import NAMESPACES

SLEEP = shutil.which("sleep") or "sleep"
GONE = 2**22
"""Above the highest pid there can be."""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Runs a program in a directory of its own. Popen comes back in the middle of the exec, when the kernel
    has closed the files; the arguments are there when it is over."""
    started: list[subprocess.Popen[bytes]] = []

    def run(*argv: str | bytes, executable: str | bytes = SLEEP, **more: object) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(argv, executable=executable, cwd=tmp_path, **more)  # type: ignore[call-overload]
        started.append(process)
        while not read_process(process.pid).cmdline:
            time.sleep(0.001)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


def test_everything_of_a_process_is_read(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    process = start("sleep", "100", env={"NAME": "value"})
    entry = read_process(process.pid, environment=True)
    assert entry == ProcEntry(
        os.fsencode(os.path.realpath(SLEEP)),
        False,
        os.fsencode(tmp_path),
        b"sleep\x00100\0",
        b"sleep",
        b"NAME=value\0",
    )


def test_the_environment_is_read_only_when_asked_for(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    assert read_process(start("sleep", "100", env={"NAME": "value"}).pid).environ == b""


def test_arguments_that_are_not_utf8_come_as_they_are(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = start(b"sl\xff\xfep", b"100")
    assert read_process(process.pid).cmdline == b"sl\xff\xfep\x00100\0"


def test_a_deleted_executable_is_told(start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copy(SLEEP, copy)
    process = start("copy", "100", executable=str(copy))
    inode = copy.stat().st_ino
    copy.unlink()
    entry = read_process(process.pid)
    assert (entry.exe, entry.deleted) == (os.fsencode(copy), True)
    assert (read_inode(process.pid).number, read_inode(process.pid).links) == (inode, 0)


def test_a_zombie_has_a_name_and_nothing_else(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = start("sleep", "100")
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert read_process(process.pid, environment=True) == ProcEntry(b"", False, b"", b"", b"sleep", b"")


def test_a_process_that_is_gone_is_empty() -> None:
    assert read_process(GONE, environment=True) == ProcEntry(b"", False, b"", b"", b"", b"")
    assert (read_inode(GONE).links, started_at(GONE, 0), is_alive(GONE)) == (1, False, False)


def test_long_command_lines_are_read_whole(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    script = "import time; time.sleep(100)"
    process = start("long", "-c", script, *["x" * 1000] * 200, executable=sys.executable)
    assert read_process(process.pid).cmdline.count(b"\0") == 203


def test_a_process_is_known_by_its_start(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = start("sleep", "100")
    now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    stat = Path(f"/proc/{process.pid}/stat").read_text()
    started_ns = int(stat.rpartition(") ")[2].split()[19]) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    assert started_at(process.pid, started_ns + 9_999_999)
    assert not started_at(process.pid, now_ns + 3600 * 10**9)
    assert not started_at(process.pid, started_ns - 10**9)


@pytest.mark.parametrize("name", ["a) b", "(", ") 1 2 3"])
def test_no_name_of_a_program_confuses_its_start(tmp_path: Path, name: str) -> None:
    fields = " ".join(["S", *map(str, range(4, 22)), "12345", "0"])
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "stat").write_text(f"7 ({name}) {fields}\n")
    assert started_at(7, 123_450_000_000, str(tmp_path))


def test_we_are_alive() -> None:
    assert is_alive(os.getpid())


def test_namespaces_are_those_of_pid_1() -> None:
    found = dict(zip(NAMESPACES, host_namespaces(NAMESPACES), strict=True))
    assert all(found[name] > 0 for name in ("mnt", "pid", "net", "user", "uts", "ipc", "cgroup"))
    assert host_namespaces(("nonsense",)) == [0]


def test_namespaces_that_pid_1_keeps_to_itself_are_kthreadds(tmp_path: Path) -> None:
    (tmp_path / "2" / "ns").mkdir(parents=True)
    (tmp_path / "2" / "ns" / "mnt").symlink_to("mnt:[4026531841]")
    assert host_namespaces(("mnt", "pid"), str(tmp_path)) == [4026531841, 0]


def test_place_and_rights_of_a_process() -> None:
    status = read_status(os.getpid())
    assert status is not None
    assert (status.parent, status.sid, status.pgid) == (os.getppid(), os.getsid(0), os.getpgid(0))
    assert status.ids[:6] == tuple(
        n for pair in zip(os.getresuid(), os.getresgid(), strict=True) for n in pair
    )
    assert len(status.ids) == 8 and len(status.capabilities) == 4
    assert read_status(2**22 + 1) is None


def test_a_file_of_the_host_is_read_through_the_first_process(tmp_path: Path) -> None:
    (tmp_path / "1/root/etc").mkdir(parents=True)
    (tmp_path / "1/root/etc/passwd").write_text("root:x:0:0")
    assert host_file("/etc/passwd", str(tmp_path)) == f"{tmp_path}/1/root/etc/passwd"


def test_a_file_that_the_first_process_keeps_from_us_is_our_own(tmp_path: Path) -> None:
    assert host_file("/etc/passwd", str(tmp_path)) == "/etc/passwd"
