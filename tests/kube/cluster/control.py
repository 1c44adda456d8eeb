# SPDX-License-Identifier: Apache-2.0
"""A control plane on this machine, in a network namespace of its own: etcd, API server, controllers and
scheduler. Its nodes are VMs whose only way out leads to the API server (node.py)."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from tests.kube.cluster.node import API, Node, Parts
from tests.kube.real import CACHE, binary

PARTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")
START_S = 900.0
"""Until all is there: VMs are emulated, and others use the machine."""


def say(text: str) -> None:
    """Progress."""
    print(f"\n[{time.strftime('%T')}] {text}", end="", flush=True)


class Cluster:
    """All of it."""

    def __init__(self, directory: Path, nodes: int, parts: Parts) -> None:
        self.directory, self._running = directory, list[subprocess.Popen[bytes]]()
        self._log = directory / "log"
        self._log.mkdir()
        holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        self._running.append(holder)
        self.network = ["nsenter", "-t", str(holder.pid), "-n"]
        self.nodes: list[Node] = []
        self._make_network(holder.pid, nodes)
        self._make_keys(nodes)
        self._start_all()
        for number in range(1, nodes + 1):
            own = directory / f"node-{number}"
            own.mkdir()
            self._write_config(own / "kubeconfig", f"node-{number}")
            self.nodes.append(Node(own, number, parts, self.network))

    def kubectl(self, *words: str, stdin: str = "", check: bool = True) -> str:
        """What it prints, errors with it; a status that is not 0 is a failure where `check` is set."""
        return self._call("kubectl", words, stdin, check)

    def helm(self, *words: str) -> str:
        """As kubectl."""
        return self._call("helm", words, "", True)

    def apply(self, text: str) -> None:
        """Objects as YAML."""
        self.kubectl("apply", "-f", "-", stdin=text)

    def popen(self, *words: str) -> subprocess.Popen[bytes]:
        """A kubectl beside the test."""
        command = [*self.network, str(CACHE / "kubectl"), *words]
        return subprocess.Popen(
            command, env=self._environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def until(self, what: str, check: Callable[[], object], seconds: float = START_S) -> None:
        """Waits, and says for what."""
        say(f"waiting: {what}")
        end = time.monotonic() + seconds
        while not check():
            assert time.monotonic() < end, f"it did not come: {what}; see {self.directory}"
            time.sleep(1)

    def close(self) -> None:
        """Ends nodes first, etcd last."""
        for node in self.nodes:
            node.close()
        for process in reversed(self._running):
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _call(self, tool: str, words: tuple[str, ...], stdin: str, check: bool) -> str:
        command = [*self.network, str(CACHE / tool), *words]
        done = subprocess.run(
            command, input=stdin, text=True, capture_output=True, env=self._environment(), check=False
        )
        assert not check or done.returncode == 0, f"{tool} {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.directory / "admin"), "HOME": str(self.directory)}

    def _make_network(self, holder: int, nodes: int) -> None:
        """The API server's address, and one for each node at which QEMU hands on the kubelet's port. Whoever
        connects there comes from the API server's address: the node's own would be the guest's own, too."""
        while os.readlink(f"/proc/{holder}/ns/net") == os.readlink("/proc/self/ns/net"):
            time.sleep(0.01)
        lines = ["link set lo up", f"addr add {API}/32 dev lo"]
        for address in (f"10.96.0.{15 + number}" for number in range(nodes)):
            lines += [
                f"addr add {address}/32 dev lo",
                f"route del local {address} dev lo table local",
                f"route add local {address} dev lo src {API} table local",
            ]
        batch = "\n".join(lines)
        subprocess.run([*self.network, "ip", "-batch", "-"], input=batch, text=True, check=True)

    def _make_keys(self, nodes: int) -> None:
        names = f"subjectAltName=IP:127.0.0.1,IP:{API},DNS:kubernetes"
        for words in (
            "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=ca -days 2",
            f"req -newkey rsa:2048 -nodes -keyout api.key -out api.csr -subj /CN=api -addext {names}",
            "x509 -req -in api.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out api.crt -days 2 "
            "-copy_extensions copy",
            "genrsa -out account.key 2048",
            "rsa -in account.key -pubout -out account.pub",
        ):
            subprocess.run(["openssl", *words.split()], cwd=self.directory, check=True, capture_output=True)
        lines = ["admin,admin,admin,system:masters"]
        lines += [f"{who},system:{who},{who}," for who in ("kube-controller-manager", "kube-scheduler")]
        names_of_nodes = [f"node-{number}" for number in range(1, nodes + 1)]
        lines += [f"{node},system:node:{node},{node},system:nodes" for node in names_of_nodes]
        (self.directory / "tokens").write_text("\n".join([*lines, ""]))
        for who in ("admin", "kube-controller-manager", "kube-scheduler"):
            self._write_config(self.directory / who, who)

    def _write_config(self, place: Path, token: str) -> None:
        ca = place.with_name("ca.crt")
        if not ca.exists():
            ca.write_bytes((self.directory / "ca.crt").read_bytes())
        server = {"server": f"https://{API}:443", "certificate-authority": str(ca)}
        text = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": server}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "c",
        }
        place.write_text(yaml.safe_dump(text))

    def _start_all(self) -> None:
        here = self.directory
        self._start("etcd", f"--data-dir={here}/etcd", "--unsafe-no-fsync")
        self._start(
            "kube-apiserver",
            "--etcd-servers=http://127.0.0.1:2379",
            "--secure-port=443",
            f"--advertise-address={API}",
            f"--tls-cert-file={here}/api.crt",
            f"--tls-private-key-file={here}/api.key",
            f"--token-auth-file={here}/tokens",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={here}/account.key",
            f"--service-account-key-file={here}/account.pub",
            "--service-cluster-ip-range=10.96.0.0/24",
            "--allow-privileged=true",
            "--kubelet-preferred-address-types=InternalIP",
        )
        say("etcd and the API server are started")
        self.until("the API server", lambda: self.kubectl("get", "--raw", "/readyz", check=False) == "ok")
        own = ["--leader-elect=false", "--authentication-skip-lookup", "--bind-address=127.0.0.1"]
        self._start(
            "kube-controller-manager",
            *own,
            f"--kubeconfig={here}/kube-controller-manager",
            f"--service-account-private-key-file={here}/account.key",
            f"--root-ca-file={here}/ca.crt",
            "--use-service-account-credentials=true",
            "--node-monitor-grace-period=200s",
        )
        self._start("kube-scheduler", *own, f"--kubeconfig={here}/kube-scheduler")

    def _start(self, name: str, *words: str) -> None:
        path = binary(name)
        assert path
        with (self._log / name).open("wb") as log:
            command = [*self.network, str(path), *words]
            self._running.append(subprocess.Popen(command, stdout=log, stderr=log))
