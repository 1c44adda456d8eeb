# SPDX-License-Identifier: Apache-2.0
"""A real log, a real agent's loop and a real client of another implementation (grpcio)."""

from __future__ import annotations

import base64
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import orjson

from agent.api.activation import ApiSocket
from agent.api.proto.tetragon import events_pb2, sensors_pb2
from agent.api.proto.tracehound import control_pb2
from agent.settings import ApiSettings

TIME = "2026-01-01T00:00:00.000000001Z"
SERVICES = {
    **sensors_pb2.DESCRIPTOR.services_by_name,
    **control_pb2.DESCRIPTOR.services_by_name,
}


def exec_id(pid: int, node: str = "n1") -> str:
    return base64.b64encode(f"{node}:{pid}000:{pid}".encode()).decode()


def process(pid: int, parent: int = 1, binary: str = "/bin/ls", **fields: Any) -> dict[str, Any]:
    """A process with Tetragon's default fields."""
    return {
        "exec_id": exec_id(pid),
        "pid": pid,
        "uid": 0,
        "cwd": "/",
        "binary": binary,
        "flags": "execve clone",
        "start_time": TIME,
        "auid": 4294967295,
        "parent_exec_id": exec_id(parent),
        "tid": pid,
        **fields,
    }


class Log:
    """Segment files as the agent's writer makes them."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.sequence = 0
        self._created_ms = 1_767_225_600_000
        self._name = ""
        self.rotate()

    @property
    def segment(self) -> Path:
        """The open segment."""
        return self.directory / self._name

    def rotate(self) -> None:
        """Begins another segment."""
        previous = self._name or None
        self._created_ms += 1
        self._name = f"{self._created_ms:013d}-{self.sequence + 1:012d}.jsonl"
        head = {"format": 1, "boot_id": "boot", "host_ns": {"mnt": 1, "pid": 2}, "previous": previous}
        self.own("segment", head)

    def own(self, kind: str, content: dict[str, Any]) -> None:
        """One of the log's own records."""
        self.sequence += 1
        self._append({"tracehound": {"sequence": self.sequence, kind: content}, "node_name": "n1"})

    def event(self, kind: str, body: dict[str, Any], ancestry: tuple[int, ...] = (), **own: Any) -> None:
        """Any event."""
        self.sequence += 1
        tracehound: dict[str, Any] = {"sequence": self.sequence, **own}
        if ancestry:
            tracehound["ancestry"] = [exec_id(pid) for pid in ancestry]
        self._append({kind: body, "node_name": "n1", "time": TIME, "tracehound": tracehound})

    def exec(self, pid: int, parent: int = 1, ancestry: tuple[int, ...] = (1,), **fields: Any) -> None:
        """An exec; what stands in `own` goes to our own key."""
        own = fields.pop("own", {})
        body = {"process": process(pid, parent, **fields), "parent": process(parent, binary="/bin/sh")}
        self.event("process_exec", body, ancestry, **own)

    def execs(self, pids: range, arguments: str = "") -> None:
        """Many, quickly."""
        tail = b'"%b"}},"node_name":"n1","time":"%b"' % (arguments.encode(), TIME.encode())
        with self.segment.open("ab") as file:
            for pid in pids:
                self.sequence += 1
                file.write(
                    b'{"process_exec":{"process":{"pid":%d,"binary":"/bin/x","arguments":%b,'
                    b'"tracehound":{"sequence":%d,"ancestry":[]}}\n' % (pid, tail, self.sequence)
                )

    def _append(self, record: dict[str, Any]) -> None:
        with self.segment.open("ab") as file:
            file.write(orjson.dumps(record) + b"\n")


class Agent:
    """The part of the agent's loop that concerns the socket, in a thread of its own."""

    def __init__(self, directory: Path, idle_s: float = 60.0, renew_s: float = 20.0, **settings: Any) -> None:
        self.path = str(directory / "s")
        self.reports: list[str] = []
        self.status: dict[str, Any] = {"state": "running"}
        self.reload: dict[str, Any] = {"error": "3 problems in tracehound.yaml", "hint": "correct them – all"}
        self.asked: list[str] = []
        self.questions: list[dict[str, Any]] = []
        self.policies: dict[str, Any] = {"policies": [], "unread": []}
        self.told: dict[str, dict[str, Any]] = {}
        self.processes: list[dict[str, Any]] = []
        self.delay_s = 0.0
        self.socket = ApiSocket(
            ApiSettings(socket=self.path, **settings),
            str(directory / "log"),
            self._answer,
            idle_s=idle_s,
            renew_s=renew_s,
            report=self.reports.append,
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    @property
    def child(self) -> int | None:
        """Process id of the service."""
        pid: int | None = self.socket.facts()["pid"]
        return pid

    def channel(self) -> grpc.Channel:
        """A connection of a client of its own."""
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 64 << 20)]
        return grpc.insecure_channel(f"unix:{self.path}", options=options)

    def end_of_child(self) -> None:
        """Waits until the service has ended by itself."""
        wait_until(lambda: self.child is None)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)
        self.socket.close()

    def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(question["request"])
        self.questions.append(question)
        time.sleep(self.delay_s)
        if question["request"] == "version":
            return {"version": "1.2.3"}
        if question["request"] == "status":
            return self.status
        if question["request"] in self.told:
            return self.told[question["request"]]
        if question["request"] == "processes":
            offset, end = question["offset"], question["offset"] + question["limit"]
            return {"processes": self.processes[offset:end], "more": len(self.processes) > end}
        if question["request"].startswith("polic"):
            return self.policies
        return self.reload

    def _loop(self) -> None:
        with select.epoll() as poll:
            for fd in self.socket.filenos():
                poll.register(fd, select.EPOLLIN)
            while not self._stop.is_set():
                for fd, _ in poll.poll(0.1):
                    self.socket.handle(fd)
                self.socket.tick()


def call(channel: grpc.Channel, method: str, request: Any, **options: Any) -> Any:
    """A unary call by name; the messages follow from the description."""
    service, name = method.split("/")
    answers = _answers(service, name)
    path = f"/{SERVICES[service].full_name}/{name}"
    unary = channel.unary_unary(path, type(request).SerializeToString, answers.FromString)
    return unary(request, timeout=options.pop("timeout", 20), **options)


def _answers(service: str, name: str) -> Any:
    from google.protobuf.message_factory import GetMessageClass

    return GetMessageClass(SERVICES[service].methods_by_name[name].output_type)


def get_events(
    channel: grpc.Channel, begun: bool = True, expand: bool = False, rate: str = "", **request: Any
) -> Any:
    """An event stream; it has begun when this returns."""
    path = "/tetragon.FineGuidanceSensors/GetEvents"
    stream = channel.unary_stream(
        path,
        events_pb2.GetEventsRequest.SerializeToString,
        events_pb2.GetEventsResponse.FromString,
    )
    metadata = [("tracehound-expand", "true")] if expand else []
    metadata += [("tracehound-rate", rate)] if rate else []
    events = stream(events_pb2.GetEventsRequest(**request), metadata=metadata, timeout=60)
    if begun:
        events.initial_metadata()
    return events


def pids(events: Any, count: int) -> list[int]:
    """Pids of the next events."""
    found = []
    for _ in range(count):
        event = next(events)
        body = getattr(event, event.WhichOneof("event"))
        found.append(body.process.pid.value)
    return found


def wait_until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Polls; fails when the condition does not become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def exists(pid: int) -> bool:
    with suppress(OSError):
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False
