# SPDX-License-Identifier: Apache-2.0
"""What the kernel has."""

from __future__ import annotations

from pathlib import Path

from agent.policy.symbols import RunningKernel


def test_this_kernel_has_reads_and_opens() -> None:
    calls = RunningKernel().system_calls()
    assert {"sys_read", "sys_openat"} <= set(calls)
    assert list(calls) == sorted(calls)


def test_the_kernel_is_asked_once_however_many_names_are_looked_up(tmp_path: Path) -> None:
    kernel = RunningKernel((tmp_path / "f",), tmp_path / "s")
    (tmp_path / "f").write_text("vfs_read\n")
    assert kernel.system_calls() is kernel.system_calls()
    assert kernel.functions() is kernel.functions()


def test_functions_come_from_ftrace_first(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("vfs_read\next4_open [ext4]\n")
    (tmp_path / "s").write_text("0 T other\n")
    kernel = RunningKernel((tmp_path / "none", tmp_path / "f"), tmp_path / "s")
    assert kernel.functions() == ["ext4_open", "vfs_read"]


def test_without_ftrace_symbols_of_code_are_taken(tmp_path: Path) -> None:
    lines = "0 T vfs_read\n0 t ext4_open\t[ext4]\n0 D data\n0 t vfs_read.cold\n0 t __pfx_vfs_read\n"
    (tmp_path / "s").write_text(lines + "0 T __x64_sys_read\n0 T __x64_sys_ni_syscall\n")
    kernel = RunningKernel((), tmp_path / "s")
    assert kernel.functions() == ["__x64_sys_ni_syscall", "__x64_sys_read", "ext4_open", "vfs_read"]
    assert kernel.system_calls() == ["sys_read"]


def test_without_symbols_the_table_tells(tmp_path: Path) -> None:
    kernel = RunningKernel((), tmp_path / "none")
    assert kernel.functions() == []
    assert "sys_newfstat" in kernel.system_calls()
