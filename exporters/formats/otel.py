# SPDX-License-Identifier: Apache-2.0
"""Records as OpenTelemetry log events: name, severity, attributes by the semantic conventions 1.44, body.

Pure data; exporters/otlp.py sends it. The conventions have attributes of processes, containers, files and
networks, but no events of theirs and no detections, so the names of events are our own:
`tracehound.<area>.<verb>`. What has no attribute there stands below `tracehound.`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

from exporters.formats.attack import attack_of
from exporters.formats.detection import read
from exporters.formats.facts import Facts, File, Socket, credentials, login_uid
from exporters.formats.lineage import Subject
from exporters.formats.malformed import malformed_record
from exporters.formats.severity import level_of
from exporters.formats.shape import is_count, is_text
from exporters.formats.summary import summary

Fields = dict[str, Any]
_SEVERITIES = {
    "informational": (9, "INFO"),
    "low": (11, "INFO3"),
    "medium": (13, "WARN"),
    "high": (17, "ERROR"),
    "critical": (21, "FATAL"),
}
"""SeverityNumber and its short name: OpenTelemetry's logs data model, "Field: SeverityNumber"."""
_WORKLOADS = frozenset({"deployment", "replicaset", "statefulset", "daemonset", "job", "cronjob"})
"""Kinds that have an attribute k8s.<kind>.name."""
_UNSPEAKABLE = re.compile(r"[^a-z0-9_]+")


class OtelEvent(NamedTuple):
    """One log record of OpenTelemetry."""

    name: str
    """EventName: `tracehound.process.exec`, `tracehound.file.open`, `tracehound.loss` …"""
    severity_number: int
    severity_text: str
    time_ns: int
    """When it happened, wall clock."""
    observed_ns: int
    """When the sensor saw it: the same, as the kernel's programs run at the event."""
    attributes: Fields
    """Texts, integers, booleans and lists of texts."""
    body: str
    """One line for people."""


def otel(record: Fields) -> OtelEvent:
    """The event of a record. Every record has one; it never raises."""
    try:
        return _event(record)
    except Exception as error:  # a record of any content must not end the stream
        text, sequence, time_ns = malformed_record(record, error)
        attributes = {"log.record.original": text, "tracehound.sequence": sequence}
        attributes["tracehound.malformed"] = [type(error).__name__]
        name = "tracehound.malformed"
        return OtelEvent(name, 13, "WARN", time_ns, time_ns, attributes, "a record that cannot be read")


def _event(record: Fields) -> OtelEvent:
    facts = Facts(record)
    attributes: Fields = {"tracehound.type": facts.type, "tracehound.sequence": facts.sequence}
    files: list[File] = []
    socket: Socket | None = None
    subject: Subject | None = None
    if facts.kind == "detection":
        subject = _detection(facts, attributes)
    elif facts.kind == "own":
        _own(facts, attributes)
    else:
        subject = _process(facts, facts.process, attributes)
        _parent(facts, attributes)
    if facts.kind == "exec":
        _exec(facts, attributes)
    elif facts.kind == "exit":
        _exit(facts, attributes)
    elif facts.kind == "loader":
        _file(File(facts.text("path")), attributes)
    elif facts.kind == "policy":
        files, socket = facts.files(), facts.socket()
        _call(facts, files, socket, attributes)
    if ancestry := facts.ancestry():
        attributes["tracehound.ancestry"] = ancestry
    done = facts.done() if facts.kind == "policy" else []
    body = summary(facts, subject, files, socket, done)
    if facts.malformed:
        attributes["tracehound.malformed"] = facts.malformed
    number, text = _SEVERITIES[level_of(facts)]
    return OtelEvent(_name(facts), number, text, facts.time_ns, facts.time_ns, attributes, body)


def _name(facts: Facts) -> str:
    if facts.deed is not None:
        return _event_name(facts.deed.area, facts.deed.verb)
    if facts.kind in ("exec", "exit", "fork"):
        return f"tracehound.process.{facts.kind}"
    return _event_name(facts.type, "")


@lru_cache(maxsize=1024)
def _event_name(area: str, verb: str) -> str:
    words = [_UNSPEAKABLE.sub("_", word.lower())[:64] for word in (area, verb) if word]
    return ".".join(["tracehound", *words])


def _process(facts: Facts, process: object, attributes: Fields) -> Subject:
    user = facts.own.get("user", "") if facts.kind == "exec" else ""
    subject = Subject(process, user if is_text(user) else "")
    facts.malformed += subject.malformed
    fields = subject.fields
    for name, key in _PROCESS:
        if key in fields:
            attributes[name] = fields[key]
    if "binary" in fields:
        attributes["process.executable.name"] = subject.name
        attributes["process.command_line"] = f"{fields['binary']} {fields.get('arguments', '')}".rstrip()
    if subject.user:
        attributes["process.user.name"] = subject.user
    if (auid := login_uid(fields)) is not None:
        attributes["tracehound.auid"] = auid
    if "tid" in fields and fields["tid"] != fields.get("pid"):
        attributes["tracehound.tid"] = fields["tid"]
    _container(fields, attributes)
    return subject


_PROCESS = (
    ("process.pid", "pid"),
    ("process.user.id", "uid"),
    ("process.working_directory", "cwd"),
    ("process.executable.path", "binary"),
    ("process.creation.time", "start_time"),
    ("tracehound.exec_id", "exec_id"),
    ("tracehound.parent_exec_id", "parent_exec_id"),
    ("tracehound.flags", "flags"),
)


def _container(fields: Fields, attributes: Fields) -> None:
    pod: Fields = fields.get("pod", {})
    container: Fields = pod.get("container", {})
    image: Fields = container.get("image", {})
    workload = pod.get("workload_kind", "").lower()
    runtime, _, identity = (container.get("id") or "").rpartition("://")
    found = {
        "container.id": identity or fields.get("docker"),
        "container.runtime.name": runtime,
        "container.name": container.get("name"),
        "k8s.container.name": container.get("name"),
        "container.image.name": image.get("name"),
        "container.image.id": image.get("id"),
        "k8s.namespace.name": pod.get("namespace"),
        "k8s.pod.name": pod.get("name"),
        "k8s.pod.uid": pod.get("uid"),
        f"k8s.{workload}.name": pod.get("workload") if workload in _WORKLOADS else None,
    }
    attributes |= {name: value for name, value in found.items() if value}
    attributes |= {f"k8s.pod.label.{name}": value for name, value in pod.get("pod_labels", {}).items()}


def _parent(facts: Facts, attributes: Fields) -> None:
    parent = facts.event.get("parent")
    if type(parent) is dict:
        if is_count(pid := parent.get("pid")):
            attributes["process.parent_pid"] = pid
        if is_text(binary := parent.get("binary")):
            attributes["tracehound.parent.executable.path"] = binary


def _exec(facts: Facts, attributes: Fields) -> None:
    if (arguments := facts.below("arguments", list)) and all(map(is_text, arguments)):
        attributes["process.command_args"] = arguments
        attributes["process.args_count"] = len(arguments)
    for name, key in (("session_leader.pid", "sid"), ("group_leader.pid", "pgid"), ("vpid", "nspid")):
        if is_count(number := facts.own.get(key)):
            attributes[f"process.{name}"] = number
    if ids := credentials(facts):
        attributes["process.real_user.id"], attributes["process.saved_user.id"] = ids[0], ids[4]
    if (cgroup := facts.below("cgroup", dict)) and is_text(name := cgroup.get("name")):
        attributes["process.linux.cgroup"] = name
    if tty := facts.below("tty", str):
        attributes["process.interactive"], attributes["tracehound.tty"] = True, tty
    for name, value in (facts.below("environment", dict) or {}).items():
        if is_text(value):
            attributes[f"process.environment_variable.{name}"] = value


def _exit(facts: Facts, attributes: Fields) -> None:
    if signal := facts.text("signal"):
        attributes["tracehound.signal"] = signal
    else:
        attributes["process.exit.code"] = facts.number("status") or 0
    if time := facts.text("time"):
        attributes["process.exit.time"] = time


def _call(facts: Facts, files: list[File], socket: Socket | None, attributes: Fields) -> None:
    attributes["tracehound.function"] = facts.function
    if policy := facts.text("policy_name"):
        attributes["security_rule.name"] = policy
        attributes["security_rule.ruleset.name"] = "TracingPolicy"
    if files:
        _file(files[0], attributes)
    if len(files) > 1:
        attributes["tracehound.file.target_path"] = files[1].path
    if socket is not None:
        _network(socket, attributes)
    if facts.returned is not None:
        attributes["tracehound.return"] = facts.returned
    if done := facts.done():
        attributes["tracehound.policy.did"] = done
    would = facts.policy().get("would")
    if type(would) is list and would and all(map(is_text, would)):
        attributes["tracehound.policy.would"] = would
    if tags := facts.texts("tags"):
        attributes["tracehound.tags"] = tags
    if message := facts.text("message"):
        attributes["security_rule.description"] = message


def _file(file: File, attributes: Fields) -> None:
    if not file.path:
        return
    attributes["file.path"], attributes["file.name"] = file.path, file.name
    attributes["file.directory"] = file.path.rpartition("/")[0] or "/"
    if file.mode:
        attributes["file.mode"] = file.mode


def _network(socket: Socket, attributes: Fields) -> None:
    found: Fields = {
        "network.transport": "unix" if socket.family == "unix" else socket.protocol,
        "network.type": socket.family if socket.family in ("ipv4", "ipv6") else "",
        "network.local.address": socket.local,
        "network.local.port": socket.local_port,
        "network.peer.address": socket.peer or socket.path,
        "network.peer.port": socket.peer_port,
    }
    attributes |= {name: value for name, value in found.items() if value}


def _detection(facts: Facts, attributes: Fields) -> Subject | None:
    found = read(facts)
    rule = {
        "security_rule.name": found.title,
        "security_rule.uuid": found.rule_id,
        "security_rule.version": found.rule_version,
        "security_rule.description": found.description,
        "tracehound.detection.id": found.uid,
        "tracehound.detection.level": level_of(facts),
        "tracehound.detection.story": found.story,
    }
    attributes |= {name: value for name, value in rule.items() if value}
    attack = attack_of(found.tags)
    if attack.techniques:
        attributes["tracehound.attack.techniques"] = list(attack.techniques)
    if attack.tactics:
        attributes["tracehound.attack.tactics"] = [name for _, name in attack.tactics]
    event = found.event
    if event is not None and event.kind == "policy":
        files, socket = event.files(), event.socket()
        if files:
            _file(files[0], attributes)
        if socket is not None:
            _network(socket, attributes)
    return _process(facts, found.process, attributes) if found.process is not None else None


def _own(facts: Facts, attributes: Fields) -> None:
    """Numbers, texts and truth values of an own record; what is nested is left to the body as event."""
    for key, value in facts.event.items():
        if type(value) in (str, int, bool, float):
            attributes[f"tracehound.{facts.type}.{key}"] = value
