# SPDX-License-Identifier: Apache-2.0
"""What runtimes and plugins of the Node Resource Interface say to each other, by a table, and who the
containers in it are. Pure.

Source: containerd/nri pkg/api/api.proto (0.2 to 0.12.2: numbers of fields never changed) and event.go;
containerd/ttrpc request.proto."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from agent.identity import wire
from agent.identity.questions import Found, Question
from agent.identity.text import IMAGE, allowed, clean, clean_map, without_empty

NAME, INDEX = "tracehound", "90"
"""What the plugin is called (`required_plugins` names it so), and its turn among plugins: two digits."""
SERVICE = "nri.pkg.api.v1alpha1.Runtime"
CREATE_CONTAINER, START_CONTAINER = 4, 6
"""Numbers of events. At the start the container's first process is there, and has not run anything of the
container; before its creation there is nothing."""
FAILED_PRECONDITION = 9
"""Status of a start that is refused (google.rpc.Code)."""
_IMAGES = ("io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName")
"""Annotations with the image's name, of containerd and of CRI-O; NRI itself tells it since 0.12.2."""
_OF_RUNTIMES = ("io.kubernetes.", "io.cri-containerd.", "oci_runtime_type")
"""What labels of runtimes and the kubelet begin with; others are the pod's."""
_MOST_PIDS = 1 << 22
"""On 64-bit machines (proc(5), pid_max)."""


class Start(NamedTuple):
    """A container that is about to start, or runs already."""

    question: Question
    found: Found


class Request(NamedTuple):
    """What a runtime asks."""

    method: str
    content: bytes
    within_s: float
    """Seconds until it stops waiting; 0: it did not say."""


def register() -> bytes:
    """The request with which a plugin begins."""
    content = wire.encode(1, NAME) + wire.encode(2, INDEX)
    return wire.encode(1, SERVICE) + wire.encode(2, "RegisterPlugin") + wire.encode(3, content)


def answer(content: bytes = b"") -> bytes:
    """An answer of ttrpc; most are empty."""
    return wire.encode(2, content) if content else b""


def refuse(reason: str) -> bytes:
    """An answer at which the runtime gives the start up."""
    return wire.encode(1, wire.encode_number(1, FAILED_PRECONDITION) + wire.encode(2, reason))


def configured(creations: bool) -> bytes:
    """Of Configure: which events are to be told, starts only or creations as well."""
    return wire.encode_number(2, 1 << START_CONTAINER - 1 | creations << CREATE_CONTAINER - 1)


def synchronized(more: bool) -> bytes:
    """Of Synchronize; `more` as the runtime said it, or it takes the plugin for one that reads no parts."""
    return wire.encode_number(2, 1) if more else b""


def read_request(data: bytes) -> Request:
    """A message of ttrpc."""
    told = wire.read(data, _REQUEST)
    return Request(told.get("method", ""), told.get("payload", b""), told.get("timeout", 0) / 1e9)


def problem_of(data: bytes) -> str:
    """Why the runtime refused what was asked of it; empty when it did not."""
    status = wire.read(data, _RESPONSE).get("status", {})
    return clean(status.get("message"), 300) or f"status {status['code']}" if status.get("code") else ""


def read_runtime(content: bytes) -> str:
    """Name and version of the runtime, as Configure tells them."""
    told = wire.read(content, _CONFIGURE)
    return clean(f"{told.get('name', '')} {told.get('version', '')}".strip(), 100)


def read_start(request: Request, annotations: tuple[str, ...] = ()) -> Start | None:
    """Of StartContainer and CreateContainer, or of StateChange that tells of a start (NRI before 0.12); None
    for other events."""
    told = wire.read(request.content, _EVENT if request.method == "StateChange" else _STARTED)
    if told.get("event", START_CONTAINER) != START_CONTAINER:
        return None
    return _start(told.get("pod", {}), told.get("container", {}), annotations)


class Existing:
    """Of Synchronize: what there is, in parts."""

    def __init__(self, annotations: tuple[str, ...] = ()) -> None:
        self._annotations = annotations
        self._pods: dict[str, Mapping[str, Any]] = {}

    def read(self, content: bytes) -> tuple[list[Start], bool]:
        """The containers of one part, and whether more follows. Pods come before their containers."""
        told = wire.read(content, _EXISTING)
        self._pods |= {str(pod.get("id", "")): pod for pod in told.get("pods", ())}
        starts = [self._start(one) for one in told.get("containers", ())]
        more = bool(told.get("more"))
        if not more:
            self._pods = {}
        return [one for one in starts if one], more

    def _start(self, container: Mapping[str, Any]) -> Start | None:
        return _start(self._pods.get(container.get("pod", ""), {}), container, self._annotations)


def _start(
    pod: Mapping[str, Any], container: Mapping[str, Any], annotations: tuple[str, ...]
) -> Start | None:
    id_ = clean(container.get("id"))
    if not id_:
        return None
    image = container.get("image", {}).get("name") or next(_images(container), "")
    fields: dict[str, Any] = {"id": id_, "name": clean(container.get("name"))}
    fields |= {"image": {"name": clean(image, IMAGE)}} if image else {}
    labels = {key: value for key, value in pod.get("labels", {}).items() if not key.startswith(_OF_RUNTIMES)}
    of_pod: dict[str, Any] = {key: clean(pod.get(key)) for key in ("namespace", "name", "uid")}
    of_pod |= {"pod_labels": clean_map(labels)}
    of_pod |= {"pod_annotations": allowed(pod.get("annotations"), annotations)}
    pid = min(container.get("pid", 0), _MOST_PIDS)
    path = clean(container.get("linux", {}).get("cgroup"), 4096)
    question = Question(id_, "", clean(pod.get("uid")), path, pid)
    return Start(question, Found("nri", without_empty(fields), without_empty(of_pod)))


def _images(container: Mapping[str, Any]) -> Iterator[str]:
    notes = container.get("annotations", {})
    return (notes[name] for name in _IMAGES if notes.get(name))


def cgroup_of(start: Question, procfs: Path = Path("/proc")) -> str:
    """Where the waiting first process is, below the mount point; empty when that is not to be known. Asked
    of the kernel; where it answers from inside of another cgroup namespace (`/../..`, cgroup_namespaces(7))
    what the runtime was asked for counts."""
    try:
        lines = (procfs / str(start.pid) / "cgroup").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    paths = [path for _, _, path in (line.split(":", 2) for line in lines if line.count(":") > 1)]
    named = [path for path in paths if start.id in path and "/../" not in path]
    return min(named, key=len, default="") or written_out(start.cgroup)


def written_out(path: str) -> str:
    """A path of the runtime's configuration: with systemd `slice:prefix:name`, and a slice's name holds
    those above it (systemd.slice(5); runc libcontainer/cgroups/systemd)."""
    parts = path.split(":")
    if len(parts) != 3 or "/" in path:
        return path if path.startswith("/") else ""
    words = parts[0].removesuffix(".slice").strip("-").split("-") if parts[0] else ["system"]
    slices = ["-".join(words[: depth + 1]) + ".slice" for depth in range(len(words)) if words != [""]]
    return "/" + "/".join([*slices, f"{parts[1]}-{parts[2]}.scope"])


_TEXT = {
    number: wire.Field(name, "text") for number, name in enumerate(("id", "name", "uid", "namespace"), 1)
}
_POD = _TEXT | {5: wire.Field("labels", "map"), 6: wire.Field("annotations", "map")}
_CONTAINER = {
    1: wire.Field("id", "text"),
    2: wire.Field("pod", "text"),
    3: wire.Field("name", "text"),
    6: wire.Field("annotations", "map"),
    11: wire.Field("linux", "message", {5: wire.Field("cgroup", "text")}),
    12: wire.Field("pid", "int"),
    22: wire.Field("image", "message", {1: wire.Field("name", "text")}),
}
_STARTED = {1: wire.Field("pod", "message", _POD), 2: wire.Field("container", "message", _CONTAINER)}
_EVENT = {
    1: wire.Field("event", "int"),
    2: wire.Field("pod", "message", _POD),
    3: wire.Field("container", "message", _CONTAINER),
}
_EXISTING = {
    1: wire.Field("pods", "messages", _POD),
    2: wire.Field("containers", "messages", _CONTAINER),
    3: wire.Field("more", "int"),
}
_CONFIGURE = {2: wire.Field("name", "text"), 3: wire.Field("version", "text")}
_REQUEST = {
    2: wire.Field("method", "text"),
    3: wire.Field("payload", "bytes"),
    4: wire.Field("timeout", "int"),
}
_STATUS = {1: wire.Field("code", "int"), 2: wire.Field("message", "text")}
_RESPONSE = {1: wire.Field("status", "message", _STATUS)}
