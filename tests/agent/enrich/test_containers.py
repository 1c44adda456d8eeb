# SPDX-License-Identifier: Apache-2.0
"""Containers from cgroup names and paths as the runtimes make them."""

import os
import subprocess
from pathlib import Path

import pytest

from agent.enrich.containers import (
    ContainerRef,
    ProcessCgroup,
    choose_cgroup,
    container_id_from_cgroup,
    read_process_cgroup,
)

A = "ee40841f79d52f66f4958c8a484bd2dfb453228874dcca1a3f2ec6e8420ec87c"
B = "84e9ffffe97fea4c5a0f01d401611cbafbf7e559fc6190ed74abfc2b25e889d4"
POD = "eb052b63-ea96-4728-ab4a-64ab3babccd7"
POD_ = POD.replace("-", "_")
BURST = f"kubepods-burstable-pod{POD_}.slice"
KIND = f"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{POD_}.slice"
STATIC = "09a70ae9ccc491e651e5c773579b3490"

CONTAINERS = {
    # the last component alone, as the kernel gives it
    A: ContainerRef(A),
    f"docker-{A}.scope": ContainerRef(A, "docker"),
    f"cri-containerd-{A}.scope": ContainerRef(A, "containerd"),
    f"crio-{A}.scope": ContainerRef(A, "cri-o"),
    f"libpod-{A}.scope": ContainerRef(A, "podman"),
    f"libpod-{A}": ContainerRef(A, "podman"),
    f"nerdctl-{A}.scope": ContainerRef(A, "containerd"),
    # Docker
    f"/docker/{A}": ContainerRef(A, "docker"),
    f"/system.slice/docker-{A}.scope": ContainerRef(A, "docker"),
    f"/system.slice/docker-{A}.scope/init.scope": ContainerRef(A, "docker"),
    f"/system.slice/docker-{A}.scope/system.slice/containerd.service": ContainerRef(A, "docker"),
    f"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{A}.scope": ContainerRef(A, "docker"),
    f"system.slice:docker:{A}": ContainerRef(A, "docker"),
    f"/docker/{A}/docker/{B}": ContainerRef(B, "docker"),
    "/docker/buildkit/k1n2o3p4q5r6s7t8u9v0w1x2y": ContainerRef("k1n2o3p4q5r6s7t8u9v0w1x2y", "buildkit"),
    # Podman
    f"/libpod_parent/libpod-{A}": ContainerRef(A, "podman"),
    f"/machine.slice/libpod-{A}.scope/container": ContainerRef(A, "podman"),
    f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope/container": ContainerRef(
        A, "podman"
    ),
    f"/system.slice/x.service/libpod-payload-{A}": ContainerRef(A, "podman"),
    f"/machine.slice/machine-libpod_pod_{B}.slice/libpod-{A}.scope": ContainerRef(A, "podman"),
    # containerd
    f"/k8s.io/{A}": ContainerRef(A, "containerd"),
    f"/default/{A}": ContainerRef(A, "containerd"),
    # Kubernetes
    f"/kubepods/besteffort/pod{POD}/{A}": ContainerRef(A, "", POD),
    f"/kubepods/pod{POD}/{A}": ContainerRef(A, "", POD),
    f"/kubepods/burstable/pod{STATIC}/{A}": ContainerRef(A, "", STATIC),
    f"/kubepods.slice/kubepods-burstable.slice/{BURST}/cri-containerd-{A}.scope": ContainerRef(
        A, "containerd", POD
    ),
    f"/kubepods.slice/kubepods-pod{POD_}.slice/crio-{A}.scope": ContainerRef(A, "cri-o", POD),
    f"/k8s_1.slice/k8s_1-kubepods.slice/k8s_1-kubepods-pod{POD_}.slice/crio-{A}.scope": ContainerRef(
        A, "cri-o", POD
    ),
    f"/kubepods.slice/kubepods-pod{POD_}.slice/crio-{A}.scope/container": ContainerRef(A, "cri-o", POD),
    f"/x.slice/containerd.service/{BURST}:cri-containerd:{A}": ContainerRef(A, "containerd", POD),
    f"{BURST}:cri-containerd:{A}": ContainerRef(A, "containerd", POD),
    f"/system.slice/docker-{B}.scope/kubelet/kubepods/burstable/pod{POD}/{A}": ContainerRef(A, "", POD),
    f"{KIND}/cri-containerd-{A}.scope": ContainerRef(A, "containerd", POD),
    # names that somebody chose who may make cgroups below his own
    f"/kubepods/pod{POD}/{A}/pod{POD.replace('e', 'f')}/{B}": ContainerRef(B, "", POD),
    f"/user.slice/user-1000.slice/user@1000.service/kubepods/pod{POD}/{A}": ContainerRef(A),
    # others that name a cgroup by 64 digits
    f"/ecs/0123456789abcdef0123456789abcdef/{A}": ContainerRef(A),
    f"/actions_job/{A}": ContainerRef(A),
    f"/../../{A}": ContainerRef(A),
    # Sysbox
    f"/docker/{A}/syscont-cgroup-root/docker/{B}": ContainerRef(A, "docker"),
    # LXC, systemd-nspawn
    "/lxc/web": ContainerRef("web", "lxc"),
    "/lxc/101/ns/init.scope": ContainerRef("101", "lxc"),
    "/lxc.payload.web/system.slice/ssh.service": ContainerRef("web", "lxc"),
    "lxc.payload.web": ContainerRef("web", "lxc"),
    "/lxc.payload/web": ContainerRef("web", "lxc"),
    r"/machine.slice/machine-lxc\x2d4242\x2dweb.scope": ContainerRef("web", "lxc"),
    r"/machine.slice/machine-deb\x2d12.scope": ContainerRef("deb-12", "systemd-nspawn"),
    "/machine.slice/systemd-nspawn@web.service/payload/init.scope": ContainerRef("web", "systemd-nspawn"),
}

ORDINARY = [
    "",
    "/",
    "/init.scope",
    "/system.slice/ssh.service",
    "/system.slice/docker.service",
    "/system.slice/containerd.service",
    "/user.slice/user-1000.slice/session-3.scope",
    "/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-1.scope",
    "/user.slice/user-0.slice/user@0.service/init.scope",
    f"/machine.slice/libpod-conmon-{A}.scope",
    f"/kubepods.slice/kubepods-pod{POD_}.slice/crio-conmon-{A}.scope",
    "/libpod_parent/conmon",
    f"/kubepods/besteffort/pod{POD}",
    f"/kubepods.slice/kubepods-pod{POD_}.slice",
    "/system.slice/run-r0123456789abcdef0123456789abcdef.scope",
    "/process_api/3abd48256c5cc75b8602466b46f235f8",
    r"/machine.slice/machine-qemu\x2d1\x2dvm.scope",
    "/lxc.monitor.web",
    "/lxc",
    "/docker",
    "/docker/buildkit",
    A[:63],
    A + "0",
    A.upper(),
    f"docker-{A}.service",
    f"mydocker-{A}x.scope",
    "/snap.docker.dockerd-0b1f1a3c.scope",
    "\udcff/\n",
]


@pytest.mark.parametrize("path", CONTAINERS)
def test_a_container_s_cgroup_names_it(path: str) -> None:
    assert container_id_from_cgroup(path) == CONTAINERS[path]


@pytest.mark.parametrize("path", ORDINARY)
def test_an_ordinary_cgroup_names_no_container(path: str) -> None:
    assert container_id_from_cgroup(path) is None


def test_the_event_field_is_the_first_31_characters() -> None:
    assert ContainerRef(A, "docker").docker == "ee40841f79d52f66f4958c8a484bd2d"


V2_ROOT = "0::/\n"
V1_DOCKER = (
    f"12:pids:/docker/{A}\n9:cpu,cpuacct:/docker/{A}\n4:memory:/docker/{A}\n1:name=systemd:/docker/{A}\n"
)


@pytest.mark.parametrize(
    ("lines", "chosen"),
    [
        (f"0::/system.slice/docker-{A}.scope\n", ProcessCgroup(f"/system.slice/docker-{A}.scope", "")),
        (V2_ROOT, ProcessCgroup("/", "")),
        (V1_DOCKER, ProcessCgroup(f"/docker/{A}", "memory")),
        (V1_DOCKER + V2_ROOT, ProcessCgroup(f"/docker/{A}", "memory")),
        (V1_DOCKER + "0::/system.slice/containerd.service\n", ProcessCgroup(f"/docker/{A}", "memory")),
        (
            f"4:memory:/\n1:name=systemd:/lxc/web\n0::/user.slice/docker-{B}.scope\n",
            ProcessCgroup(f"/user.slice/docker-{B}.scope", ""),
        ),
        (f"9:cpu,cpuacct:/docker/{A}\n4:memory:/\n0::/\n", ProcessCgroup(f"/docker/{A}", "cpu,cpuacct")),
        ("4:memory:/x/y\n1:name=systemd:/z\n0::/\n", ProcessCgroup("/x/y", "memory")),
        ("4:memory:/\n1:name=systemd:/z\n0::/\n", ProcessCgroup("/z", "name=systemd")),
        (f"0::/docker/{A} (deleted)\n", ProcessCgroup(f"/docker/{A}", "")),
        ("0::/a:b:c\n", ProcessCgroup("/a:b:c", "")),
        ("", None),
        ("garbage\n", None),
    ],
)
def test_the_hierarchy_that_names_the_container_is_chosen(lines: str, chosen: ProcessCgroup | None) -> None:
    assert choose_cgroup(lines) == chosen


def test_the_last_component_is_the_cgroup_s_name() -> None:
    assert ProcessCgroup("/system.slice/ssh.service", "").name == "ssh.service"


def test_this_process_has_a_cgroup_that_the_kernel_lists() -> None:
    cgroup = read_process_cgroup(os.getpid())
    assert cgroup is not None
    assert f":{cgroup.hierarchy}:{cgroup.path}\n" in Path("/proc/self/cgroup").read_text()


def test_a_process_that_is_gone_has_no_cgroup() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert read_process_cgroup(child.pid) is None


@pytest.mark.root
def test_a_real_process_in_a_cgroup_named_like_a_container_is_found() -> None:
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    roots = [Path(where) for _, where, kind, *_ in mounts if kind == "cgroup2" and os.access(where, os.W_OK)]
    if os.geteuid() != 0 or not roots:
        pytest.skip("needs root and a writable cgroup v2 hierarchy")
    group = roots[0] / f"libpod-{A}.scope"
    group.mkdir()
    child = subprocess.Popen(["sleep", "60"])
    try:
        (group / "cgroup.procs").write_text(str(child.pid))
        cgroup = read_process_cgroup(child.pid)
        assert cgroup is not None
        assert container_id_from_cgroup(cgroup.path) == ContainerRef(A, "podman")
        assert container_id_from_cgroup(cgroup.name) == ContainerRef(A, "podman")
    finally:
        child.kill()
        child.wait()
        group.rmdir()
