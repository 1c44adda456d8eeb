# SPDX-License-Identifier: Apache-2.0
"""Objects of OCSF: process and its ancestors, container, file, endpoints (https://schema.ocsf.io/1.8.0/objects).

Processes are encoded once and spliced into each of their events.
"""

from __future__ import annotations

import re
from typing import Any

from orjson import dumps

from exporters.formats.facts import File, Socket, login_uid, milliseconds
from exporters.formats.lineage import Image, Lineage, Subject
from exporters.formats.shape import base_name

Fields = dict[str, Any]
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_FILE_TYPES = {
    "file": (1, "Regular File"),
    "dir": (2, "Folder"),
    "char device": (3, "Character Device"),
    "block device": (4, "Block Device"),
    "socket": (5, "Local Socket"),
    "fifo": (6, "Named Pipe"),
    "symlink": (7, "Symbolic Link"),
}
_EXECUTABLE = 8
_MOST_ABOVE = 4096


def process_bytes(subject: Subject) -> bytes:
    """The process itself, without parent and ancestors."""
    if subject.made is None:
        subject.made = dumps(_process(subject))
    made: bytes = subject.made
    return made


def user_of(subject: Subject) -> Fields:
    """Whose process it is, by its effective user id."""
    user = {"uid": str(subject.fields.get("uid", 0))}
    if subject.user:
        user["name"] = subject.user
    return user


def _process(subject: Subject) -> Fields:
    fields = subject.fields
    found: Fields = {"uid": subject.exec_id or "unknown"}
    if "pid" in fields:
        found["pid"] = fields["pid"]
    binary = fields.get("binary", "")
    if binary:
        found["name"] = subject.name
        found["path"] = binary
        found["cmd_line"] = f"{binary} {fields.get('arguments', '')}".rstrip()
        found["file"] = {"name": subject.name, "path": binary, "type_id": _EXECUTABLE}
    if "cwd" in fields:
        found["working_directory"] = fields["cwd"]
    found["user"] = user_of(subject)
    if (start := milliseconds(fields.get("start_time", ""))) is not None:
        found["created_time"] = start
    if (auid := login_uid(fields)) is not None:
        found["auid"] = auid
    if container := _container(fields):
        found["container"] = container
    if fields.get("flags"):
        found["xattributes"] = {"flags": fields["flags"]}
    return found


def _container(fields: Fields) -> Fields:
    pod: Fields = fields.get("pod", {})
    container: Fields = pod.get("container", {})
    uid = container.get("id") or fields.get("docker")
    if not uid and not pod:
        return {}
    found: Fields = {"uid": uid or "unknown"}
    if "name" in container:
        found["name"] = container["name"]
    if image := container.get("image"):
        found["image"] = {"uid": image.get("id") or image.get("name", "")} | {
            key: image[key] for key in ("name",) if key in image
        }
    if pod:
        found["orchestrator"] = "kubernetes"
        if _UUID.fullmatch(pod.get("uid", "")):
            found["pod_uuid"] = pod["uid"]
        tags = [{"name": name, "value": pod[key]} for name, key in _POD_TAGS if pod.get(key)]
        if tags:
            found["tags"] = tags
    return found


_POD_TAGS = (
    ("k8s.namespace.name", "namespace"),
    ("k8s.pod.name", "name"),
    ("k8s.workload.name", "workload"),
    ("k8s.workload.kind", "workload_kind"),
)
"""OCSF has no places for these; the tags' names are those of OpenTelemetry."""


class Family:
    """Encodes processes together with their parents and ancestors."""

    def __init__(self, lineage: Lineage) -> None:
        self._lineage = lineage
        self._above: dict[str, tuple[int, list[str], bytes]] = {}

    def actor(self, subject: Subject, parent: Subject | None, ancestry: list[str] | None) -> bytes:
        """An actor: the process with parent and ancestors, and its user. Kept with the subject."""
        above = process_bytes(parent) if parent is not None else b""
        known = subject.above
        if known is None or known[0] != self._lineage.epoch or known[1] != ancestry or known[2] is not above:
            made = b'{"process":' + self.process(subject, parent, ancestry) + b',"user":'
            known = (self._lineage.epoch, ancestry, above, made + dumps(user_of(subject)) + b"}")
            subject.above = known
        actor: bytes = known[3]
        return actor

    def process(
        self, subject: Subject, parent: Subject | None, ancestry: list[str] | None, more: Fields | None = None
    ) -> bytes:
        """A process with `parent_process` and `ancestry`, the direct parent first, and with `more` fields."""
        made = process_bytes(subject)[:-1]
        if more:
            made += b"," + dumps(more)[1:-1]
        if parent is not None:
            made += b',"parent_process":' + process_bytes(parent)
        ids = self._lineage.ancestry(subject) if ancestry is None else [one for one in ancestry if one]
        return made + b',"ancestry":[' + self._entities(ids) + b"]}" if ids else made + b"}"

    def _entities(self, ids: list[str]) -> bytes:
        """Children of one parent have the same ancestors, and the parent has the same but itself."""
        known = self._above.get(ids[0])
        epoch = self._lineage.epoch
        if known is None or known[0] != epoch or known[1] != ids:
            rest = self._above.get(ids[1]) if len(ids) > 1 else None
            if rest is not None and rest[0] == epoch and rest[1] == ids[1:]:
                made = self._entity(ids[0]) + b"," + rest[2]
            else:
                made = b",".join([self._entity(exec_id) for exec_id in ids])
            if len(self._above) >= _MOST_ABOVE:
                self._above.clear()
            known = self._above[ids[0]] = (epoch, ids, made)
        return known[2]

    def _entity(self, exec_id: str) -> bytes:
        image = self._lineage.image(exec_id)
        try:
            return dumps(_entity(image) if image is not None else {"uid": exec_id})
        except TypeError:  # text that UTF-8 cannot say
            return b'{"uid":"unknown"}'


def _entity(image: Image) -> Fields:
    found: Fields = {"uid": image.exec_id, "pid": image.pid}
    if image.binary:
        found |= {"name": base_name(image.binary), "path": image.binary}
        found["cmd_line"] = f"{image.binary} {image.arguments}".rstrip()
    if (start := milliseconds(image.start_time)) is not None:
        found["created_time"] = start
    return found


def file_of(file: File) -> Fields:
    """A file. What is not known of its type is 0, Unknown."""
    type_id, kind = _FILE_TYPES.get(file.type, (0, ""))
    found: Fields = {"name": file.name, "path": file.path, "type_id": type_id}
    if kind:
        found["type"] = kind
    if file.is_deleted:
        found["is_deleted"] = True
    if file.permission:
        found["xattributes"] = {"permission": file.permission}
    return found


def endpoints(socket: Socket | None, verb: str, hostname: str) -> Fields:
    """Who talks to whom: `src_endpoint` began it, or sent what was seen. One of them is always there."""
    if socket is None:
        return {"src_endpoint": {"hostname": hostname}, "connection_info": {"direction_id": 0}}
    local, peer = _end(socket.local, socket.local_port), _end(socket.peer, socket.peer_port)
    if socket.path:
        peer = {"name": socket.path}
    inbound = verb in ("accept", "receive", "listen")
    source, destination = (peer, local) if inbound else (local, peer)
    if verb in ("bind", "listen") and not local:
        source, destination = {}, peer
    found: Fields = {}
    if source:
        found["src_endpoint"] = source
    if destination:
        found["dst_endpoint"] = destination
    if not found:
        found["src_endpoint"] = {"hostname": hostname}
    found["connection_info"] = _connection(socket, verb, inbound)
    return found


def _end(address: str, port: int) -> Fields:
    if not address:
        return {}
    return {"ip": address, "port": port} if port else {"ip": address}


def _connection(socket: Socket, verb: str, inbound: bool) -> Fields:
    known = not socket.is_packet and verb in ("connect", "accept", "send", "receive", "listen")
    found: Fields = {"direction_id": (1 if inbound else 2) if known else 0}
    if known:
        found["direction"] = "Inbound" if inbound else "Outbound"
    if socket.protocol:
        found["protocol_name"] = socket.protocol
    if socket.protocol_number >= 0:
        found["protocol_num"] = socket.protocol_number
    if socket.family in ("ipv4", "ipv6"):
        found["protocol_ver_id"] = 4 if socket.family == "ipv4" else 6
    return found
