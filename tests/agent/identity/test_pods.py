# SPDX-License-Identifier: Apache-2.0
"""Pods of the API, reduced."""

from typing import Any

import pytest

from agent.identity.pods import MIRROR, MIRRORED, container_id, read_pod

ID, BEFORE = "c" * 64, "b" * 64


def thing() -> dict[str, Any]:
    """A pod with a container that was started again."""
    return {
        "metadata": {"name": "web", "namespace": "shop", "uid": "u-1", "annotations": {"team/owner": "red"}},
        "spec": {
            "containers": [
                {
                    "name": "main",
                    "image": "web:1",
                    "securityContext": {"privileged": True},
                    "livenessProbe": {"exec": {"command": ["/bin/cat", "/tmp/healthy"]}},
                }
            ]
        },
        "status": {
            "containerStatuses": [
                {
                    "name": "main",
                    "image": "web:1",
                    "imageID": "sha256:1",
                    "containerID": f"cri-o://{ID}",
                    "state": {"running": {"startedAt": "2026-01-02T00:00:00Z"}},
                    "lastState": {
                        "terminated": {
                            "containerID": f"cri-o://{BEFORE}",
                            "startedAt": "2026-01-01T00:00:00Z",
                        }
                    },
                }
            ]
        },
    }


def test_a_container_has_image_start_and_privilege() -> None:
    assert read_pod(thing()).containers[ID] == {
        "name": "main",
        "image": {"id": "sha256:1", "name": "web:1"},
        "start_time": "2026-01-02T00:00:00Z",
        "security_context": {"privileged": True},
    }


def test_the_run_before_is_known_too() -> None:
    assert read_pod(thing()).containers[BEFORE]["start_time"] == "2026-01-01T00:00:00Z"


def test_exec_probes_are_told_by_container() -> None:
    assert read_pod(thing()).probes == {"main": (("/bin/cat", "/tmp/healthy"),)}


def test_annotations_are_handed_on_only_where_allowed() -> None:
    assert read_pod(thing()).annotations == {}
    assert read_pod(thing(), ["team/*"]).annotations == {"team/owner": "red"}


def test_a_pod_from_a_file_has_the_uid_of_its_cgroup() -> None:
    static, name = thing(), "5a" * 16
    static["metadata"]["annotations"] = {MIRRORED: name, MIRROR: name}
    assert read_pod(static).uid == name


@pytest.mark.parametrize(
    "notes",
    [
        {MIRRORED: "5a" * 16},
        {MIRRORED: "5a" * 16, MIRROR: "5b" * 16},
        dict.fromkeys((MIRRORED, MIRROR), "11111111-2222-3333-4444-555555555555"),
        {MIRRORED: ["5a" * 16], MIRROR: ["5a" * 16]},
    ],
)
def test_no_annotation_makes_a_pod_another_one(notes: dict[str, Any]) -> None:
    forged = thing()
    forged["metadata"]["annotations"] = notes
    assert read_pod(forged).uid == "u-1"


@pytest.mark.parametrize("part", ["metadata", "spec", "status"])
@pytest.mark.parametrize(
    "wrong",
    [None, [], "x", {"containers": 7}, {"labels": [1], "ownerReferences": [2]}, {"ownerReferences": 3}],
)
def test_nothing_in_an_object_is_trusted_to_have_its_form(part: str, wrong: object) -> None:
    assert read_pod({**thing(), part: wrong}).told() is not None


def test_the_runtime_s_name_is_no_part_of_an_id() -> None:
    assert container_id("containerd://abc") == "abc"
    assert container_id(None) == ""
