# SPDX-License-Identifier: Apache-2.0
"""Containers by what is on disk."""

import json
from pathlib import Path

import pytest

from agent.identity.bundles import Bundles
from agent.identity.questions import Question

ID = "c" * 64


def put(path: Path, content: object) -> None:
    """A file with JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


STATE = [
    "run/containerd",
    "run/k3s/containerd",
    "run/k0s/containerd",
    "var/snap/microk8s/common/run/containerd",
]
"""State directories of containerd: its own, and those of k3s (and RKE2), k0s and MicroK8s."""


@pytest.mark.parametrize("state", STATE)
def test_containerd_s_bundle_names_container_image_and_pod(tmp_path: Path, state: str) -> None:
    notes = {
        "io.kubernetes.cri.container-name": "main",
        "io.kubernetes.cri.image-name": "web:1",
        "io.kubernetes.cri.sandbox-namespace": "shop",
        "io.kubernetes.cri.sandbox-name": "web",
        "io.kubernetes.cri.sandbox-uid": "u-1",
    }
    place = tmp_path / state / "io.containerd.runtime.v2.task/k8s.io" / ID / "config.json"
    put(place, {"annotations": notes})
    found = Bundles(tmp_path).find(Question(ID))
    assert found and found.container == {"id": ID, "name": "main", "image": {"name": "web:1"}}
    assert found.pod == {"namespace": "shop", "name": "web", "uid": "u-1"}


@pytest.mark.parametrize(
    ("file", "state"),
    [
        ("run/runc/{id}/state.json", {"config": {"labels": ["bundle=/srv/b"]}}),
        ("run/crun/{id}/status", {"bundle": "/srv/b"}),
    ],
)
def test_the_low_level_runtime_names_the_bundle(tmp_path: Path, file: str, state: object) -> None:
    put(tmp_path / file.format(id="plain-1"), state)
    put(tmp_path / "srv/b/config.json", {"annotations": {}})
    found = Bundles(tmp_path).find(Question("plain-1"))
    assert found and found.source == "oci" and found.pod == {}


def test_an_id_never_leads_out_of_the_state_directories(tmp_path: Path) -> None:
    put(tmp_path / "run/runc/state.json", {"bundle": "/srv"})
    put(tmp_path / "srv/config.json", {})
    for bad in ("..", "*", "../runc", "", "a/b"):
        assert Bundles(tmp_path).find(Question(bad)) is None


def test_a_broken_file_is_passed_over(tmp_path: Path) -> None:
    put(tmp_path / f"run/runc/{ID}/state.json", ["x"])
    assert Bundles(tmp_path).find(Question(ID)) is None
