# SPDX-License-Identifier: Apache-2.0
import contextlib
import io
import subprocess
from pathlib import Path

import pytest

from vmtest import machine
from vmtest.kernels import Kernel, VmtestError
from vmtest.machine import Follower, Options, complaints, write_command

KERNEL = Kernel("6.12", "6.12.0", Path("/k/vmlinuz"), Path("/k/lib/modules/6.12.0"), ("lsm=bpf",))


def command_text(directory: Path, command: list[str], options: Options | None = None) -> str:
    write_command(directory, command, options or Options())
    return (directory / "command").read_text()


def running_in_group(group: int) -> list[str]:
    """The processes of a group that are more than zombies, from proc_pid_stat(5)."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            _, _, rest = stat.read_text().rpartition(") ")
            state, _, process_group = rest.split()[:3]
            if int(process_group) == group and state != "Z":
                found.append(str(stat))
    return found


def run_text(directory: Path, command: list[str]) -> str:
    command_text(directory, command)
    return subprocess.run(["sh", directory / "command"], text=True, capture_output=True, check=True).stdout


def test_one_word_is_shell_text(tmp_path: Path) -> None:
    assert run_text(tmp_path, ["echo a; echo b"]) == "a\nb\n"


def test_several_words_arrive_unchanged(tmp_path: Path) -> None:
    assert run_text(tmp_path, ["printf", "%s|", "a b", "$HOME", "'"]) == "a b|$HOME|'|"


def test_variables_reach_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    text = command_text(tmp_path, ["true"], Options(environment={"A": "x y"}))
    assert "export CI=true\n" in text
    assert "export A='x y'\n" in text


@pytest.fixture
def vng(monkeypatch: pytest.MonkeyPatch) -> None:
    """Command lines can be looked at without virtme-ng and QEMU."""
    monkeypatch.setattr(machine, "find_vng", lambda: Path("vng"))


@pytest.mark.usefixtures("vng")
def test_counting_instructions_takes_one_cpu(tmp_path: Path) -> None:
    argv = machine.vng_command(KERNEL, Options(cpus=4, icount=True), tmp_path, "command")
    assert argv[argv.index("--cpus") + 1] == "1"
    assert any("-icount shift=0" in word for word in argv)


@pytest.mark.usefixtures("vng")
def test_serial_ports_have_no_more_queues_than_are_used(tmp_path: Path) -> None:
    argv = machine.vng_command(KERNEL, Options(), tmp_path, "command")
    assert any("virtio-serial-pci.max_ports=2" in word for word in argv)


@pytest.mark.usefixtures("vng")
def test_the_kernels_own_parameters_are_passed(tmp_path: Path) -> None:
    argv = machine.vng_command(KERNEL, Options(), tmp_path, "command")
    assert argv[argv.index("--append") + 1] == "lsm=bpf"


@pytest.mark.usefixtures("vng")
def test_writable_directories_are_shared_by_number(tmp_path: Path) -> None:
    options = Options(rwdirs=(Path("/a,b"),))
    argv = machine.vng_command(KERNEL, options, tmp_path, "command")
    write_command(tmp_path, ["true"], options)
    assert any("path=/a,,b" in word and "mount_tag=vmtest.rw0" in word for word in argv)
    assert (tmp_path / "directories").read_text() == "vmtest.rw0 /a,b\n"


def test_a_follower_copies_only_what_is_new(tmp_path: Path) -> None:
    target = io.BytesIO()
    follower = Follower(tmp_path / "stdout", target)
    follower.copy()
    (tmp_path / "stdout").write_bytes(b"one")
    follower.copy()
    with open(tmp_path / "stdout", "ab") as file:
        file.write(b" two")
    follower.copy()
    assert target.getvalue() == b"one two"


def test_only_complaints_after_the_start_count() -> None:
    console = (
        "[    0.1] WARNING: CPU: 0 before\n[    2.0] vmtest: the command starts\n"
        "[    3.0] harmless\n[    4.0] BUG: sleeping function called\n"
        "[    5.0] WARNING: kernel/bpf/x.c:12 at f+0x1, CPU#0: a/1\n[    6.0] WARNING: taking a while\n"
    )
    assert [line[:6] for line in complaints(console)] == ["[    4", "[    5"]


def test_a_vm_that_dies_is_an_error_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "CACHE", tmp_path)
    monkeypatch.setattr(machine, "vng_command", lambda *_: ["sh", "-c", "echo last words; exit 1"])
    with pytest.raises(VmtestError, match="last words"):
        machine.run(KERNEL, ["true"], Options())


def test_a_vm_that_hangs_is_ended_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CACHE", tmp_path)
    pidfile = tmp_path / "pid"
    monkeypatch.setattr(
        machine, "vng_command", lambda *_: ["sh", "-c", f"echo $$ >{pidfile}; sleep 60 & wait"]
    )
    assert machine.run(KERNEL, ["true"], Options(timeout_s=0.5)).status == machine.TIMED_OUT
    assert running_in_group(int(pidfile.read_text())) == []
