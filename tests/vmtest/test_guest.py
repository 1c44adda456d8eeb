# SPDX-License-Identifier: Apache-2.0
"""What guest.sh promises to every command; runs inside the VMs."""

import platform
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(platform.node() != "virtme-ng", reason="looks at the inside of a VM"),
]


@pytest.mark.parametrize(
    ("kind", "directory"),
    [
        ("bpf", "/sys/fs/bpf"),
        ("cgroup2", "/sys/fs/cgroup"),
        ("securityfs", "/sys/kernel/security"),
        ("tracefs", "/sys/kernel/tracing"),
        ("tmpfs", "/dev/shm"),
        ("tmpfs", "/tmp"),
    ],
)
def test_what_an_agent_needs_is_mounted(kind: str, directory: str) -> None:
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    assert [directory, kind] in mounts


def test_the_kernel_has_btf_and_its_modules() -> None:
    assert Path("/sys/kernel/btf/vmlinux").exists()
    assert Path("/lib/modules", platform.release(), "kernel").is_dir()


def test_bpf_is_among_the_security_modules() -> None:
    assert "bpf" in Path("/sys/kernel/security/lsm").read_text().split(",")


def test_the_checkout_is_writable_and_its_python_runs(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    assert Path.cwd() == root
    assert Path(sys.prefix) == root / ".venv"
    (root / "written-in-the-guest").touch()


def test_init_has_the_same_root() -> None:
    assert Path("/proc/1/root").samefile("/")
