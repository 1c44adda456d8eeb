# SPDX-License-Identifier: Apache-2.0
"""What NRI's messages say of containers; tests/kube/test_nri.py has real ones."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from agent.identity import nri, wire
from agent.identity.nri import Existing, Request
from agent.identity.questions import Question

ID, UID = "c" * 64, "11111111-2222-3333-4444-555555555555"


def pairs(number: int, labels: dict[str, str]) -> bytes:
    """A map field."""
    return b"".join(
        wire.encode(number, wire.encode(1, key) + wire.encode(2, value)) for key, value in labels.items()
    )


LABELS = {"app": "web", "io.kubernetes.pod.name": "web-1", "io.cri-containerd.kind": "sandbox"}
POD = (
    b"".join(wire.encode(number, text) for number, text in enumerate(("s1", "web-1", UID, "shop"), 1))
    + pairs(5, LABELS | {"oci_runtime_type": "io.containerd.runc.v2"})
    + pairs(6, {"team/owner": "red", "secret": "x"})
)
CONTAINER = (
    wire.encode(1, ID)
    + wire.encode(2, "s1")
    + wire.encode(3, b"ma\x1b[2Jin\xff")
    + pairs(6, {"io.kubernetes.cri.image-name": "docker.io/library/web:1"})
    + wire.encode(8, "SECRET=1")
    + wire.encode(11, wire.encode(5, "kubepods-pod1.slice:cri-containerd:" + ID))
    + wire.encode_number(12, 4711)
)
STARTED = wire.encode(1, POD) + wire.encode(2, CONTAINER)


def test_a_start_has_the_container_and_its_pod() -> None:
    start = nri.read_start(Request("StartContainer", STARTED, 0), ("team/*",))
    assert start and start.question.pid == 4711 and start.question.pod_uid == UID
    assert start.found.container == {
        "id": ID,
        "name": "ma\\x1b[2Jin\ufffd",
        "image": {"name": "docker.io/library/web:1"},
    }
    pod = {"namespace": "shop", "name": "web-1", "uid": UID, "pod_labels": {"app": "web"}}
    assert start.found.pod == pod | {"pod_annotations": {"team/owner": "red"}}


def test_the_name_that_nri_itself_gives_the_image_counts_first() -> None:
    container = CONTAINER + b"\xb2\x01\x07" + wire.encode(1, "web:2")
    start = nri.read_start(Request("StartContainer", wire.encode(2, container), 0))
    assert start and start.found.container["image"] == {"name": "web:2"}


@pytest.mark.parametrize(("event", "is_start"), [(6, True), (7, False), (1, False)])
def test_older_runtimes_tell_a_start_as_a_change_of_state(event: int, is_start: bool) -> None:
    content = wire.encode_number(1, event) + wire.encode(2, POD) + wire.encode(3, CONTAINER)
    start = nri.read_start(Request("StateChange", content, 0))
    assert bool(start) is is_start and (not start or start.found.pod["name"] == "web-1")


def test_what_there_is_comes_in_parts() -> None:
    existing = Existing()
    assert existing.read(wire.encode(1, POD) + wire.encode_number(3, 1)) == ([], True)
    [start], more = existing.read(wire.encode(2, CONTAINER) + wire.encode(2, b""))
    assert start.found.pod["pod_labels"] == {"app": "web"} and not more


def test_noise_is_no_container_or_a_harmless_one() -> None:
    noise = random.Random(7)
    for _ in range(3000):
        data = bytearray(STARTED)
        for _ in range(noise.randrange(1, 30)):
            data[noise.randrange(len(data))] = noise.randrange(256)
        content = bytes(data[: noise.randrange(len(data))])
        for method in ("StartContainer", "StateChange"):
            start = nri.read_start(Request(method, content, 0), ("*",))
            assert start is None or (0 <= start.question.pid <= 1 << 22 and start.question.id.isprintable())
        Existing().read(content)
        nri.read_request(content)
        nri.problem_of(content)


def test_what_a_runtime_refuses_is_told() -> None:
    assert nri.problem_of(b"") == "" and nri.problem_of(nri.answer(b"x")) == ""
    assert nri.problem_of(nri.refuse("no\n")) == "no\\x0a"
    assert nri.problem_of(wire.encode(1, wire.encode_number(1, 7))) == "status 7"


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (f"0::/kubepods/pod1/{ID}\n", f"/kubepods/pod1/{ID}"),
        (f"5:pids:/kubepods/pod1/{ID}\n0::/\n", f"/kubepods/pod1/{ID}"),
        (
            f"0::/../../pod1/cri-{ID}.scope\n",
            f"/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope",
        ),
        ("", f"/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"),
    ],
)
def test_its_cgroup_is_the_kernels_word_or_the_configurations(tmp_path: Path, lines: str, found: str) -> None:
    (tmp_path / "4711").mkdir()
    (tmp_path / "4711" / "cgroup").write_text(lines)
    question = Question(ID, cgroup=f"kubepods-pod1.slice:cri-containerd:{ID}", pid=4711)
    assert nri.cgroup_of(question, tmp_path) == found


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/kubepods/pod1/x", "/kubepods/pod1/x"),
        (
            "kubepods-burstable-pod1_2.slice:crio:x",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/crio-x.scope",
        ),
        (":cri-containerd:x", "/system.slice/cri-containerd-x.scope"),
        ("-.slice:crio:x", "/crio-x.scope"),
        ("relative/x", ""),
        ("", ""),
        ("a/../b.slice:c:d", ""),
    ],
)
def test_a_slices_name_holds_those_above_it(path: str, found: str) -> None:
    assert nri.written_out(path) == found
