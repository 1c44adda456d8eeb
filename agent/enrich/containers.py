# SPDX-License-Identifier: Apache-2.0
"""Container ids from the names of cgroups, as the runtimes give them.

A container's processes may sit in cgroups below its own (systemd in a container); and a container can run
inside another one (kind, Docker in Docker): the innermost one counts.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

_SHOWN = 31
"""Characters of the id in an event's field `docker`, as Tetragon's `BpfContainerIdLength`."""

_ID = r"(?P<id>[0-9a-f]{64})"
_PREFIXES = {
    "docker": "docker",
    "cri-containerd": "containerd",
    "nerdctl": "containerd",
    "containerd": "containerd",
    "crio": "cri-o",
    "libpod": "podman",
    "libpod-payload": "podman",
}
"""What stands in front of the id in a systemd scope, and whose it is. `crio-conmon-` and `libpod-conmon-`
hold the container's monitor, which is no part of it."""

_HEADS = "|".join(sorted(_PREFIXES, key=len, reverse=True))
_SCOPE = re.compile(rf"(?:[^:]+\.slice:)?(?P<head>{_HEADS})[-:]{_ID}(?:\.scope)?")
"""Also runc's `slice:prefix:id`, which appears when it runs without systemd but was given a systemd path."""

_BARE = re.compile(_ID)
_PARENTS = {
    "docker": "docker",
    "moby": "docker",
    "k8s.io": "containerd",
    "default": "containerd",
    "libpod_parent": "podman",
}
"""The directory in which a cgroup named by the bare id stands, and whose it is."""

_POD = re.compile(
    r"(?:.+-)?pod(?P<uid>[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?"
    r"(?::.*)?"
)
"""What stands in front are the kubelet's `cgroupRoot`, of any name, and the pod's class (systemd.slice(5): a
slice's name holds those above it)."""

_BUILDKIT = re.compile(r"[0-9a-z]{25}")
_LXC = re.compile(r"lxc\.payload\.(?P<id>.+)")
_MACHINE = re.compile(r"machine-(?!qemu\\x2d)(?P<lxc>lxc\\x2d\d+\\x2d)?(?P<id>.+)\.scope")
_NSPAWN = re.compile(r"systemd-nspawn@(?P<id>.+)\.service")
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")
_OUTERMOST = "syscont-cgroup-root"
"""Sysbox: what is below belongs to the system container above, as Tetragon has it."""

_USERS = "user.slice"
"""Sessions of users, and what their own systemd runs: systemd.special(7)."""

_HIERARCHIES = ("", "memory", "pids", "name=systemd")
"""Where a process's container is looked for, in this order; "" is cgroup v2. Others follow."""


class ContainerRef(NamedTuple):
    """A container named by a cgroup."""

    id: str
    """The full id; the name where a runtime has only names (LXC, systemd-nspawn)."""
    runtime: str = ""
    """`docker`, `containerd`, `cri-o`, `podman`, `buildkit`, `lxc` or `systemd-nspawn`; empty: not to be told
    from the path (the kubelet's cgroupfs driver)."""
    pod_uid: str = ""
    """The Kubernetes pod, with dashes; empty where the path names none."""

    @property
    def docker(self) -> str:
        """The value of Tetragon's event field `docker`."""
        return self.id[:_SHOWN]


class ProcessCgroup(NamedTuple):
    """The cgroup of a process that says most about its container."""

    path: str
    hierarchy: str
    """The v1 controllers or name as in /proc/PID/cgroup; empty for cgroup v2."""

    @property
    def name(self) -> str:
        """The last component, as the kernel side has it."""
        return self.path.rpartition("/")[2]


def container_id_from_cgroup(name_or_path: str) -> ContainerRef | None:
    """The innermost container of a cgroup's path or last component; None for what is no container's."""
    parts = name_or_path.partition(_OUTERMOST)[0].strip("/").split("/")
    for depth in range(len(parts) - 1, -1, -1):
        found = _container(parts[depth], parts[depth - 1] if depth else "")
        if found is not None:
            pod = _pod(parts[: depth + 1])
            return found._replace(pod_uid=pod) if pod else found
    return None


def read_process_cgroup(pid: int, proc: str = "/proc") -> ProcessCgroup | None:
    """The cgroup that names the process's container, or the most telling one; None when it is gone."""
    try:
        with open(f"{proc}/{pid}/cgroup", "rb") as file:
            return choose_cgroup(os.fsdecode(file.read()))
    except OSError:
        return None


def choose_cgroup(text: str) -> ProcessCgroup | None:
    """One of the lines of a /proc/PID/cgroup (cgroups(7)).

    On hybrid hosts any of the hierarchies may be the one that the runtime uses: first comes one that names
    a container, then one that is not the root. None when there is no line at all.
    """
    found = sorted(_lines(text), key=_rank)
    for cgroup in found:
        if container_id_from_cgroup(cgroup.path) is not None:
            return cgroup
    return next((cgroup for cgroup in found if cgroup.path.strip("/")), found[0] if found else None)


def _lines(text: str) -> list[ProcessCgroup]:
    fields = (line.split(":", 2) for line in text.split("\n") if line.count(":") >= 2)
    return [ProcessCgroup(path.removesuffix(" (deleted)"), hierarchy) for _, hierarchy, path in fields]


def _rank(cgroup: ProcessCgroup) -> int:
    names = cgroup.hierarchy.split(",")
    return next((i for i, name in enumerate(_HIERARCHIES) if name in names), len(_HIERARCHIES))


def _container(name: str, parent: str) -> ContainerRef | None:
    """The container of a cgroup of this name in this directory."""
    if match := _SCOPE.fullmatch(name):
        return ContainerRef(match["id"], _PREFIXES[match["head"]])
    if match := _BARE.fullmatch(name):
        return ContainerRef(match["id"], _PARENTS.get(parent, ""))
    if match := _LXC.fullmatch(name):
        return ContainerRef(match["id"], "lxc")
    if match := _MACHINE.fullmatch(name):
        return ContainerRef(_unescaped(match["id"]), "lxc" if match["lxc"] else "systemd-nspawn")
    if match := _NSPAWN.fullmatch(name):
        return ContainerRef(_unescaped(match["id"]), "systemd-nspawn")
    if parent in ("lxc", "lxc.payload") and name:
        return ContainerRef(name, "lxc")
    if parent == "buildkit" and _BUILDKIT.fullmatch(name):
        return ContainerRef(name, "buildkit")
    return None


def _pod(parts: list[str]) -> str:
    """The pod around a container; the container's own name may carry it too. The outermost counts, and none
    in a user's part of the tree: who is in a pod, or has been given a part by systemd, may make cgroups there
    and call them like another pod's."""
    if parts[:1] == [_USERS]:
        return ""
    for part in parts:
        if match := _POD.fullmatch(part):
            return match["uid"].replace("_", "-")
    return ""


def _unescaped(name: str) -> str:
    r"""A systemd unit's name without its escapes (`\x2d`)."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), name)
