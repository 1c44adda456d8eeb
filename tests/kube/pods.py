# SPDX-License-Identifier: Apache-2.0
"""Pods over the Container Runtime Interface, as a kubelet makes them: a sandbox, and a container in it.
Messages by their numbers in k8s.io/cri-api, pkg/apis/runtime/v1/api.proto."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import uuid
from pathlib import Path
from typing import NamedTuple

from agent.identity import wire
from agent.identity.cri import Cri

IMAGE = "localhost/busybox:1"
"""With the static busybox of this machine as /busybox; the sandbox is made of it as well."""
AS_ASKED_FOR = b"\x92\x01" + bytes([len(IMAGE)]) + IMAGE.encode()
"""user_specified_image, field 18 of ImageSpec; CRI-O makes no container without."""
PATIENCE_S = 120.0
ON_NODES_NETWORK = wire.encode(2, wire.encode(1, b"\x08\x02"))
"""security_context.namespace_options.network = NODE: there is no network plugin here."""


class Pod(NamedTuple):
    """One that runs."""

    name: str
    uid: str
    sandbox: str
    container: str


class Kubelet:
    """What of a kubelet a runtime sees."""

    def __init__(self, socket: Path) -> None:
        self._cri = Cri(str(socket), PATIENCE_S)
        self._pods: list[str] = []

    def run(self, name: str, command: list[str]) -> Pod:
        """A pod with one container."""
        uid = str(uuid.uuid4())
        labels = {f"io.kubernetes.pod.{key}": value for key, value in (("name", name), ("uid", uid))}
        labels["io.kubernetes.pod.namespace"] = "shop"
        sandbox_config = (
            wire.encode(1, wire.encode(1, name) + wire.encode(2, uid) + wire.encode(3, "shop"))
            + _map(6, labels | {"app": "web"})
            + wire.encode(8, wire.encode(1, f"/kubepods/burstable/pod{uid}") + ON_NODES_NETWORK)
        )
        sandbox = self._id("RunPodSandbox", wire.encode(1, sandbox_config))
        self._pods.append(sandbox)
        config = (
            wire.encode(1, wire.encode(1, "main"))
            + wire.encode(2, wire.encode(1, IMAGE) + AS_ASKED_FOR)
            + b"".join(wire.encode(3, word) for word in command)
            + _map(9, labels | {"io.kubernetes.container.name": "main"})
        )
        request = wire.encode(1, sandbox) + wire.encode(2, config) + wire.encode(3, sandbox_config)
        container = self._id("CreateContainer", request)
        self._call("StartContainer", wire.encode(1, container))
        return Pod(name, uid, sandbox, container)

    def close(self) -> None:
        """Removes all."""
        for sandbox in self._pods:
            self._call("StopPodSandbox", wire.encode(1, sandbox))
            self._call("RemovePodSandbox", wire.encode(1, sandbox))
        self._cri.close()

    def _id(self, method: str, request: bytes) -> str:
        told = wire.read(self._call(method, request), {1: wire.Field("id", "text")})
        return str(told["id"])

    def _call(self, method: str, request: bytes) -> bytes:
        answer = self._cri._loop.run_until_complete(self._cri._call(method, request))
        assert answer is not None, method
        return answer


def _map(number: int, pairs: dict[str, str]) -> bytes:
    return b"".join(
        wire.encode(number, wire.encode(1, key) + wire.encode(2, value)) for key, value in pairs.items()
    )


def import_image(socket: Path, place: Path) -> None:
    """Makes IMAGE known to containerd's CRI."""
    layer, archive = _layer(), place / "image.tar"
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/busybox", "sleep", "3600"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]
    with tarfile.open(archive, "w") as tar:
        for name, data in (
            ("layer.tar", layer),
            ("config.json", json.dumps(config).encode()),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            _add(tar, name, data)
    command = ["ctr", "--address", str(socket), "--namespace", "k8s.io", "images", "import"]
    known = subprocess.run([*command, "--help"], check=True, capture_output=True).stdout
    local = ["--local"] if b"--local" in known else []  # containerd 2 unpacks into a snapshotter only so
    subprocess.run([*command, *local, "--snapshotter", "native", archive], check=True, capture_output=True)


def _layer() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        _add(tar, "busybox", Path(str(shutil.which("busybox"))).read_bytes(), mode=0o755)
    return made.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    tar.addfile(entry, io.BytesIO(data))
