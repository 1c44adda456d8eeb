# SPDX-License-Identifier: Apache-2.0
"""Archives that `make dist` and `make image` made; tests of them skip where nobody did."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def archive() -> Path:
    """The newest offline archive."""
    found = sorted((ROOT / "dist").glob("tracehound-*-linux-*.tar.gz"), key=os.path.getmtime)
    if not found:
        pytest.skip("no offline archive: make dist")
    return found[-1]


@pytest.fixture(scope="session")
def unpacked(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its directory."""
    place = tmp_path_factory.mktemp("dist")
    with tarfile.open(archive) as tar:
        tar.extractall(place, filter="tar")
    (top,) = place.iterdir()
    return top


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root file system of the image (docker-archive: manifest.json names the layers)."""
    source = ROOT / "dist" / "tracehound-image.tar"
    if not source.exists():
        pytest.skip("no image: make image")
    top = tmp_path_factory.mktemp("image")
    with tarfile.open(source) as outer:
        (manifest,) = json.load(outer.extractfile("manifest.json"))  # type: ignore[arg-type]
        for layer in manifest["Layers"]:
            with tarfile.open(fileobj=outer.extractfile(layer)) as inner:
                inner.extractall(top, filter="fully_trusted")
    return top


class Container:
    """The image under runc with the host's pids, as a pod of the chart has them, and capabilities."""

    def __init__(self, rootfs: Path, place: Path, capabilities: list[str], bpf: Path) -> None:
        self.name, self.place = f"tracehound-{os.getpid()}-{place.name}", place
        for name in ("lib", "run"):
            (place / name).mkdir(parents=True)
        subprocess.run(["runc", "spec", "-b", str(place)], check=True)
        file = place / "config.json"
        file.write_text(json.dumps(self._spec(json.loads(file.read_text()), rootfs, capabilities, bpf)))

    def _spec(self, spec: dict[str, Any], rootfs: Path, names: list[str], bpf: Path) -> dict[str, Any]:
        sets = ("bounding", "effective", "permitted")
        spec["root"] = {"path": str(rootfs), "readonly": True}
        spec["linux"]["namespaces"] = [{"type": "mount"}, {"type": "ipc"}, {"type": "uts"}]
        places = {"/var/lib/tracehound": "lib", "/run/tracehound": "run"}
        binds = {target: str(self.place / name) for target, name in places.items()} | {
            "/sys/fs/bpf": str(bpf)
        }
        for target, source in binds.items():
            mount = {"destination": target, "type": "bind", "source": source, "options": ["bind", "rw"]}
            spec["mounts"].append(mount)
        spec["process"] |= {
            "terminal": False,
            "args": ["/opt/tracehound/bin/tracehound", "run", "--output", "none", "--node-name", "n1"],
            "env": ["PATH=/opt/tracehound/bin", f"TRACEHOUND_KERNEL__PIN_DIR=/sys/fs/bpf/{self.place.name}"],
            "capabilities": {one: [f"CAP_{name}" for name in names] for one in sets},
            "rlimits": [],
        }
        return spec

    def start(self) -> None:
        """In the background; its words go to a file."""
        with (self.place / "words").open("w") as words:
            command = ["runc", "run", "-b", str(self.place), self.name]
            self.process = subprocess.Popen(command, stdout=words, stderr=words, stdin=subprocess.DEVNULL)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The command of the image, in the running container."""
        command = ["runc", "exec", self.name, "/opt/tracehound/bin/tracehound", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)

    def stop(self) -> int:
        """In order; its exit status."""
        subprocess.run(["runc", "kill", self.name, "TERM"], capture_output=True, check=False)
        return self.process.wait(30)


@pytest.fixture
def runc() -> str:
    """Where it is."""
    found = shutil.which("runc")
    if not found:
        pytest.skip("runc is not installed")
    return found


@pytest.fixture
def bpffs(tmp_path: Path) -> Iterator[Path]:
    """A bpffs of the test's own."""
    place = tmp_path / "bpf"
    place.mkdir()
    subprocess.run(["mount", "-t", "bpf", "bpf", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)
