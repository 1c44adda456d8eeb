# SPDX-License-Identifier: Apache-2.0
"""A node: a VM with a container runtime and a kubelet (guest.sh). As a module of its own, run inside the
cluster's network: `python -m tests.kube.cluster.node DIRECTORY` boots what DIRECTORY/boot.json says."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from vmtest import kernels, machine

HERE = Path(__file__).resolve().parent
API = "10.96.0.1"
"""The API server's address, and that of Service `kubernetes`: there is no kube-proxy."""
ANSWER_S = 300.0
"""For a command in the guest, in seconds."""


class Parts(NamedTuple):
    """What a node is made of."""

    binaries: tuple[Path, ...]
    """Directories with kubelet, containerd or crio, runc; what is in none is taken from Debian's places."""
    images: tuple[Path, ...]
    """Archives that its runtime is to have."""
    runtime: str = "containerd"
    driver: str = "cgroupfs"


class Node:
    """One that runs, or is about to."""

    def __init__(self, directory: Path, number: int, parts: Parts, network: list[str]) -> None:
        """`network`: words before a command that make it run inside the cluster's network."""
        self.directory, self.name = directory, f"node-{number}"
        self.address = f"10.96.0.{14 + number}"
        self._asked = 0
        for part in ("commands", "log"):
            (directory / part).mkdir(parents=True)
        self._write_settings(number, parts)
        seen = {directory, *(one for one in parts.binaries if one.is_relative_to("/tmp"))}
        seen |= {one.parent for one in parts.images if one.is_relative_to("/tmp")}
        boot = {"address": self.address, "seen": sorted(map(str, seen))}
        (directory / "boot.json").write_text(json.dumps(boot))
        command = [*network, sys.executable, "-m", "tests.kube.cluster.node", str(directory)]
        self._process = subprocess.Popen(command, cwd=HERE.parents[2])

    def run(self, command: str) -> str:
        """Shell text in the guest; what it prints. A status that is not 0 is a failure."""
        self._asked += 1
        place = self.directory / "commands" / str(self._asked)
        place.with_suffix(".new").write_text(command)
        place.with_suffix(".new").rename(place)
        end = time.monotonic() + ANSWER_S
        while not place.with_suffix(".status").exists():
            assert self._process.poll() is None, f"{self.name} has ended"
            assert time.monotonic() < end, f"{self.name} does not answer: {command}"
            time.sleep(0.1)
        told = place.with_suffix(".out").read_text(errors="replace")
        assert place.with_suffix(".status").read_text().strip() == "0", f"{command}: {told}"
        return told

    def close(self) -> None:
        """Ends the VM."""
        self._process.terminate()
        self._process.wait(60)

    def _write_settings(self, number: int, parts: Parts) -> None:
        settings = {
            "NODE": self.name,
            "ADDRESS": self.address,
            "PODS": f"10.{87 + number}.0.0/16",
            "BINARIES": ":".join(map(str, parts.binaries)),
            "IMAGES": " ".join(map(str, parts.images)),
            "RUNTIME": parts.runtime,
            "DRIVER": parts.driver,
        }
        lines = [f"{name}={shlex.quote(value)}\n" for name, value in settings.items()]
        (self.directory / "settings").write_text("".join(lines))


def boot(directory: Path) -> int:
    """Runs the VM until it is told to end."""
    told = json.loads((directory / "boot.json").read_text())
    kernel = kernels.installed("6.12") or kernels.fetch("6.12")
    # An emulated CPU that others keep waiting: the kernel's check of its timer may fail and end the boot.
    kernel = kernel._replace(append=(*kernel.append, "no_timer_check"))
    address = told["address"]
    net = (
        f"user,id=n0,restrict=on,ipv6=off,net=10.96.0.0/24,host=10.96.0.2,dhcpstart={address},dns=10.96.0.3,"
        f"guestfwd=tcp:{API}:443-cmd:busybox nc {API} 443,hostfwd=tcp:{address}:10250-{address}:10250"
    )
    options = machine.Options(
        memory="6G",
        cpus=1,  # two: now and then the kernel meets its own breakpoint where it patches code, and panics
        rwdirs=tuple(map(Path, told["seen"])),
        qemu=("-netdev", net, "-device", "virtio-net-pci,netdev=n0"),
    )
    return machine.run(kernel, ["bash", str(HERE / "guest.sh"), str(directory)], options).status


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    sys.exit(boot(Path(sys.argv[1])))
