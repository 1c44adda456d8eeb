# SPDX-License-Identifier: Apache-2.0
"""A real kube-apiserver with etcd, made by build.sh, for `make kubetest API=real`."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml

from agent.identity.access import Access
from agent.identity.policies import KINDS
from agent.identity.rest import MERGE_PATCH, Api, ApiError, Unreachable

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "kube"
CRDS = Path(__file__).resolve().parents[2] / "charts" / "tracehound" / "files" / "crds"
START_S = 120.0
"""Until the server answers, in seconds."""
RULES = [
    {"apiGroups": [""], "resources": ["pods", "namespaces", "nodes"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
    {"apiGroups": ["cilium.io"], "resources": [*KINDS.values()], "verbs": ["get", "list", "watch"]},
    {
        "apiGroups": ["cilium.io"],
        "resources": [f"{one}/status" for one in KINDS.values()],
        "verbs": ["patch"],
    },
]
"""All rights that the agent needs."""
PLACES = {
    "pods": "/api/v1",
    "namespaces": "/api/v1",
    "nodes": "/api/v1",
    "events": "/api/v1",
    "customresourcedefinitions": "/apis/apiextensions.k8s.io/v1",
    "clusterroles": "/apis/rbac.authorization.k8s.io/v1",
    "clusterrolebindings": "/apis/rbac.authorization.k8s.io/v1",
    **dict.fromkeys(KINDS.values(), "/apis/cilium.io/v1alpha1"),
}
KIND = {
    "pods": "Pod",
    "namespaces": "Namespace",
    "nodes": "Node",
    **{plural: kind for kind, plural in KINDS.items()},
}
Object = dict[str, Any]


def binary(name: str) -> Path | None:
    """kube-apiserver or another part: by environment (TRACEHOUND_KUBE_APISERVER, TRACEHOUND_ETCD, …, all
    together in the directory TRACEHOUND_KUBE_BINARIES), else as built."""
    if named := os.environ.get(f"TRACEHOUND_{name.upper().replace('-', '_')}"):
        return Path(named) if Path(named).is_file() else None
    places = [Path(one) for one in (os.environ.get("TRACEHOUND_KUBE_BINARIES"), CACHE) if one]
    return next((place / name for place in places if (place / name).is_file()), None)


class Objects:
    """Objects of a server by its API, the fake's or a real one."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def put(self, plural: str, thing: Object) -> Object:
        """Creates or changes an object; a status that it brings is written as well."""
        metadata = thing["metadata"]
        where = self._path(plural, metadata.get("namespace", ""))
        version = "/".join(PLACES[plural].split("/")[2:])
        body = {"apiVersion": version, "kind": KIND.get(plural, ""), **thing}
        try:
            made = self.api.send("POST", where, {k: v for k, v in body.items() if k != "status"}, {})
        except ApiError as error:
            if error.status != 409:
                raise
            kept = {key: value for key, value in body.items() if key != "status"}
            made = self.api.send("PATCH", f"{where}/{metadata['name']}", kept, {}, MERGE_PATCH)
        if "status" in thing:
            patch = {"status": thing["status"]}
            made = self.api.send("PATCH", f"{where}/{metadata['name']}/status", patch, {}, MERGE_PATCH)
        return made

    def delete(self, plural: str, name: str, namespace: str = "") -> None:
        """Removes it at once."""
        body = {"gracePeriodSeconds": 0}
        self.api.send("DELETE", f"{self._path(plural, namespace)}/{name}", body, {})

    def get(self, plural: str, name: str, namespace: str = "") -> Object:
        """As it is now."""
        return self.api.get(f"{self._path(plural, namespace)}/{name}", {})

    def all(self, plural: str, namespace: str = "") -> list[Object]:
        """All of a kind."""
        found: list[Object] = self.api.get(self._path(plural, namespace), {})["items"]
        return found

    def _path(self, plural: str, namespace: str) -> str:
        inside = f"/namespaces/{namespace}" if namespace else ""
        return f"{PLACES[plural]}{inside}/{plural}"


class RealServer:
    """etcd and kube-apiserver on loopback."""

    def __init__(self, directory: Path, apiserver: Path, etcd: Path) -> None:
        self.directory = directory
        self.port, client, peer = _free_port(), _free_port(), _free_port()
        (directory / "tokens").write_text("admin,admin,admin,system:masters\nagent,tracehound,tracehound,\n")
        key = directory / "account.key"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        self._log = (directory / "log").open("wb")
        self._etcd = self._spawn(
            etcd,
            f"--data-dir={directory}/etcd",
            f"--listen-client-urls=http://127.0.0.1:{client}",
            f"--advertise-client-urls=http://127.0.0.1:{client}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
        )
        self._server = self._spawn(
            apiserver,
            f"--etcd-servers=http://127.0.0.1:{client}",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={directory}/certificates",
            f"--token-auth-file={directory}/tokens",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://test.invalid",
            f"--service-account-signing-key-file={key}",
            f"--service-account-key-file={key}",
            "--service-cluster-ip-range=10.96.0.0/24",
            "--allow-privileged=true",
            "--disable-admission-plugins=ServiceAccount",
        )
        self.ca = str(directory / "certificates" / "apiserver.crt")
        self.objects = Objects(Api(Access(self.url, self.ca, token="admin")))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Waits for it, and installs CRDs and the agent's rights."""
        self._wait()
        for file in sorted(CRDS.glob("*.yaml")):
            self.objects.put("customresourcedefinitions", yaml.safe_load(file.read_text()))
        role = {"metadata": {"name": "tracehound"}, "rules": RULES}
        self.objects.put("clusterroles", role)
        group = "rbac.authorization.k8s.io"
        self.objects.put(
            "clusterrolebindings",
            {
                "metadata": {"name": "tracehound"},
                "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "tracehound"},
                "subjects": [{"apiGroup": group, "kind": "User", "name": "tracehound"}],
            },
        )
        self._until(lambda: [self.objects.all(plural) for plural in KINDS.values()])

    def close(self) -> None:
        """Ends both; the API server takes its time."""
        for process in (self._server, self._etcd):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._log.close()

    def _wait(self) -> None:
        self._until(lambda: self.objects.all("namespaces") and self.objects.get("namespaces", "default"))

    def _until(self, call: Any) -> None:
        end = time.monotonic() + START_S
        while True:
            try:
                if call():
                    return
            except (ApiError, Unreachable) as error:
                if time.monotonic() > end:
                    raise AssertionError(f"no API server: {error}; see {self.directory}/log") from None
            time.sleep(0.3)

    def _spawn(self, *command: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(list(map(str, command)), stdout=self._log, stderr=self._log)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
