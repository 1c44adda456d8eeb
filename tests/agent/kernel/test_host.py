# SPDX-License-Identifier: Apache-2.0
"""Facts of a host, from files as they are and as they could be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.kernel import host
from agent.kernel.host import (
    active_security_modules,
    cgroup_mode,
    effective_capabilities,
    lockdown_mode,
    may_load,
    read_host,
)
from agent.kernel.mounts import Mount

V2 = Mount("cgroup2", "/sys/fs/cgroup", ("rw",))
V1 = Mount("cgroup", "/sys/fs/cgroup/pids", ("rw", "pids"))
NAMED = Mount("cgroup", "/sys/fs/cgroup/systemd", ("rw", "name=systemd"))


@pytest.fixture
def securityfs(tmp_path: Path) -> list[Mount]:
    """Mounts of a host whose securityfs is a plain directory."""
    return [Mount("securityfs", str(tmp_path), ("rw",))]


def proc_with(tmp_path: Path, cap_eff: str) -> Path:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "status").write_text(f"Name:\tx\nCapEff:\t{cap_eff}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("[none] integrity confidentiality\n", "none"),
        ("none [integrity] confidentiality\n", "integrity"),
        ("none integrity [confidentiality]\n", "confidentiality"),
        ("nonsense\n", ""),
    ],
)
def test_the_marked_word_is_the_lockdown_mode(
    text: str, mode: str, tmp_path: Path, securityfs: list[Mount]
) -> None:
    (tmp_path / "lockdown").write_text(text)
    assert lockdown_mode(securityfs) == mode


@pytest.mark.parametrize(("modules", "mode"), [("capability,bpf", "absent"), ("lockdown,bpf", "")])
def test_lockdown_is_absent_where_it_is_no_active_module(
    modules: str, mode: str, tmp_path: Path, securityfs: list[Mount], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        host, "read_kernel_file", lambda _kind, path, _mounts: modules if path == "lsm" else None
    )
    assert lockdown_mode(securityfs) == mode


def test_active_security_modules_are_listed_in_order(tmp_path: Path, securityfs: list[Mount]) -> None:
    (tmp_path / "lsm").write_text("lockdown,capability,bpf")
    assert active_security_modules(securityfs) == ("lockdown", "capability", "bpf")


@pytest.mark.parametrize(
    ("mounts", "mode"),
    [
        ([V2], "v2"),
        ([V1, NAMED], "v1"),
        ([V1, V2], "hybrid"),
        ([V2, NAMED], "v2"),
        ([NAMED], "none"),
        ([], "none"),
    ],
)
def test_mounted_hierarchies_make_the_cgroup_mode(mounts: list[Mount], mode: str) -> None:
    assert cgroup_mode(mounts) == mode


def test_capabilities_have_names(tmp_path: Path) -> None:
    proc = proc_with(tmp_path, f"{1 << 39 | 1 << 38 | 1 << 21 | 1:016x}")
    assert effective_capabilities(proc) == {"bpf", "perfmon", "sys_admin", "chown"}


def test_a_capability_of_the_future_has_its_number(tmp_path: Path) -> None:
    assert effective_capabilities(proc_with(tmp_path, f"{1 << 41:016x}")) == {"cap_41"}


@pytest.mark.parametrize(
    ("names", "may"),
    [
        ({"bpf", "perfmon"}, True),
        ({"sys_admin"}, True),
        ({"bpf"}, False),
        ({"perfmon", "net_admin"}, False),
        (set(), False),
    ],
)
def test_who_may_load(names: set[str], may: bool) -> None:
    assert may_load(frozenset(names)) == may


@pytest.mark.kernel
def test_this_host_is_read() -> None:
    here = read_host()
    assert here.release == os.uname().release
    assert here.lockdown in ("none", "integrity", "confidentiality", "absent")
    assert here.security_modules is not None
    assert here.cgroups in ("v2", "v1", "hybrid")
    assert here.host_pids in (True, False)
    assert here.statistics in (True, False)
