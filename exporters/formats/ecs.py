# SPDX-License-Identifier: Apache-2.0
"""Records as documents of the Elastic Common Schema 9.4, https://www.elastic.co/docs/reference/ecs.

What ECS has no field for stands below `tracehound`. docs/formats.md has the map.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from orjson import Fragment, dumps

from agent import __version__
from agent.log.capabilities import capability_masks, capability_names
from agent.log.times import format_time
from exporters.base import MADE
from exporters.formats import Format, Origin
from exporters.formats.attack import attack_of
from exporters.formats.detection import Detection, read
from exporters.formats.ecs_categories import Category, category_of
from exporters.formats.facts import Facts, File, Socket, credentials, login_uid
from exporters.formats.lineage import Lineage, Subject
from exporters.formats.malformed import malformed_record
from exporters.formats.severity import INCOMPLETE, level_of
from exporters.formats.shape import is_count, is_text
from exporters.formats.summary import summary

Fields = dict[str, Any]
VERSION = "9.4.0"
_SEVERITIES = {"informational": 1, "low": 21, "medium": 47, "high": 73, "critical": 99}
"""event.severity is the source's own scale; this is the one of Elastic's detection rules."""
_HEAD = dumps({"ecs": {"version": VERSION}, "agent": {"type": "tracehound", "version": __version__}})[:-1]
_TOLD = frozenset(
    {"process", "parent", "ancestors", "function_name", "policy_name", "message", "tags", "time", "status"}
)
_OWN_TOLD = frozenset({"sequence", "arguments", "user", "environment", "cap", "sid", "pgid", "nspid"})
_OUTGOING = frozenset({"connect", "send"})
_INCOMING = frozenset({"accept", "receive", "listen"})


def make() -> Format:
    """The format, with a memory of processes of its own."""
    return Ecs()


class Ecs:
    """Makes documents of one stream of records; feed it every record in order, with a call or `learn`."""

    def __init__(self) -> None:
        self.lineage = Lineage()
        self._boot_id = ""
        self._hosts: dict[tuple[str, str, str], Fragment] = {}
        self.learn = self.lineage.learn

    def __call__(self, record: Fields, origin: Origin) -> bytes:
        """The document of a record, JSON without a newline. Every record has one; it never raises."""
        try:
            self.lineage.learn(record)
            self._boot_id = origin.boot_id or self.lineage.boot_id
            return self._document(record, Facts(record))
        except Exception as error:  # a record of any content must not end the stream
            return _unreadable(record, error)

    def _document(self, record: Fields, facts: Facts) -> bytes:
        found: Fields = {}
        files: list[File] = []
        socket: Socket | None = None
        done: list[str] = []
        tail, subject = b"", None
        kind = facts.kind
        category = category_of(facts)
        if kind == "detection":
            subject, tail = self._detection(facts, found)
        elif kind != "own":
            subject, tail = self._process(facts, found)
        if kind == "policy":
            files, socket, done = facts.files(), facts.socket(), facts.done()
            _call(facts, files, socket, found)
            if done:
                category = category.denied()
        elif kind == "loader":
            _file(File(facts.text("path")), found)
        elif kind == "own" and facts.type in INCOMPLETE:
            category = Category("pipeline_error", (), (), category.action)
        found["message"] = summary(facts, subject, files, socket, done)
        found["event"] = self._event(facts, category, bool(done))
        found["@timestamp"] = _timestamp(record, facts)
        found["host"] = self._host(facts.node)
        found["tracehound"] = self._rest(facts, subject)
        return _HEAD + b"," + dumps(found)[1:-1] + tail + b"}"

    def _process(self, facts: Facts, found: Fields) -> tuple[Subject, bytes]:
        """The process with its parent, and what stands beside it: user, container, orchestrator."""
        user = facts.own.get("user", "") if facts.kind == "exec" else ""
        subject = self.lineage.subject(facts.process, user if is_text(user) else "")
        facts.malformed += subject.malformed
        more: Fields = {}
        if facts.kind == "exec":
            more = _details(facts)
        elif facts.kind == "exit":
            more = _end(facts)
        process = facts.process
        thread = process.get("tid") if type(process) is dict else None
        if is_count(thread) and thread != subject.fields.get("pid"):
            more["thread"] = {"id": thread}
        found["process"] = Fragment(self._family(subject, facts.event.get("parent"), more))
        return subject, _made(subject)[1]

    def _family(self, subject: Subject, parent: object, more: Fields) -> bytes:
        made = _made(subject)[0][:-1]
        if type(parent) is dict:
            made += b',"parent":' + _made(self.lineage.subject(parent))[0]
        return made + b"," + dumps(more)[1:] if more else made + b"}"

    def _event(self, facts: Facts, category: Category, denied: bool) -> Fields:
        made = f"/{facts.type}" if facts.type in MADE else ""
        event: Fields = {
            "kind": category.kind,
            "action": category.action,
            "module": "tracehound",
            "dataset": "tracehound.events"
            if facts.kind not in ("own", "detection")
            else f"tracehound.{facts.kind}",
            "code": facts.function or facts.type,
            "id": f"{facts.node}/{self._boot_id}/{facts.sequence}{made}",
            "sequence": facts.sequence,
            "severity": _SEVERITIES[level_of(facts) if facts.kind != "policy" else _level(denied)],
        }
        if category.categories:
            event["category"], event["type"] = category.categories, category.types
        if denied or (facts.kind == "policy" and facts.returned is not None):
            event["outcome"] = "failure" if denied or (facts.returned or 0) < 0 else "success"
        return event

    def _host(self, node: str) -> Fragment:
        lineage = self.lineage
        key = (node, lineage.machine_id, lineage.kernel)
        made = self._hosts.get(key)
        if made is None:
            host: Fields = {"hostname": node, "name": node, "os": {"type": "linux"}}
            if lineage.machine_id:
                host["id"] = lineage.machine_id
            if lineage.kernel:
                host["os"]["kernel"] = lineage.kernel
            if len(self._hosts) > 1024:
                self._hosts.clear()
            made = self._hosts[key] = Fragment(dumps(host))
        return made

    def _detection(self, facts: Facts, found: Fields) -> tuple[Subject | None, bytes]:
        detection = read(facts)
        found["rule"] = _rule(detection)
        if threat := _threat(detection):
            found["threat"] = threat
        event = detection.event
        if event is not None and event.kind == "policy":
            _call(event, event.files(), event.socket(), found)
        if detection.process is None:
            return None, b""
        subject = self.lineage.subject(detection.process)
        facts.malformed += subject.malformed
        parent = event.event.get("parent") if event is not None else None
        found["process"] = Fragment(self._family(subject, parent, {}))
        return subject, _made(subject)[1]

    def _rest(self, facts: Facts, subject: Subject | None) -> Fields:
        """What ECS has no field for."""
        event, own = facts.event, facts.own
        if facts.kind == "own":
            return {"type": facts.type, facts.type: event, "boot_id": self._boot_id, **_malformed(facts)}
        if facts.kind == "detection":
            kept = {
                key: value for key, value in event.items() if key not in ("event", "process", "ancestors")
            }
            above = {"ancestry": ancestry} if (ancestry := facts.ancestry()) else {}
            return {"type": facts.type, "detection": kept, **above, **_malformed(facts)}
        found: Fields = {"type": facts.type}
        found |= {key: event[key] for key in event if key not in _TOLD}
        found |= {key: own[key] for key in own if key not in _OWN_TOLD}
        if subject is not None:
            found |= _whose(subject)
        return found | _malformed(facts)


def _level(denied: bool) -> str:
    return "medium" if denied else "informational"


def _malformed(facts: Facts) -> Fields:
    return {"malformed": facts.malformed} if facts.malformed else {}


def _timestamp(record: Fields, facts: Facts) -> str:
    """As it stands in the record, where it could be read."""
    time = record.get("time")
    return time if is_text(time) and "time" not in facts.malformed else format_time(facts.time_ns)


def _made(subject: Subject) -> tuple[bytes, bytes]:
    """The process without its parent, and what stands beside it in a document; made once."""
    if subject.made is None:
        user = dumps(_user(subject))
        beside = b',"user":' + user
        if "pod" in subject.fields or "docker" in subject.fields:
            beside += b"," + dumps(_container(subject.fields))[1:-1]
        subject.made = dumps(_process(subject, Fragment(user))), beside
    made: tuple[bytes, bytes] = subject.made
    return made


def _whose(subject: Subject) -> Fields:
    """What the log knows of a process by default and ECS has no field for."""
    fields = subject.fields
    found: Fields = {key: fields[key] for key in ("flags", "parent_exec_id") if key in fields}
    if (auid := login_uid(fields)) is not None:
        found["auid"] = auid
    return found


def _user(subject: Subject) -> Fields:
    user = {"id": str(subject.fields.get("uid", 0))}
    if subject.user:
        user["name"] = subject.user
    return user


def _process(subject: Subject, user: Fragment) -> Fields:
    fields = subject.fields
    found: Fields = {"user": user}
    for name, key in (("entity_id", "exec_id"), ("pid", "pid"), ("working_directory", "cwd")):
        if key in fields:
            found[name] = fields[key]
    if start := fields.get("start_time"):
        found["start"] = start
    if binary := fields.get("binary"):
        found["executable"], found["name"] = binary, subject.name
        found["command_line"] = f"{binary} {fields.get('arguments', '')}".rstrip()
    return found


def _container(fields: Fields) -> Fields:
    pod: Fields = fields.get("pod", {})
    container: Fields = pod.get("container", {})
    image = {key: value for key, value in container.get("image", {}).items() if key == "name"}
    privileged = container.get("security_context", {}).get("privileged")
    found: Fields = {
        "id": container.get("id") or fields.get("docker"),
        "name": container.get("name"),
        "image": image,
        "security_context": {"privileged": privileged} if privileged is not None else None,
    }
    beside: Fields = {}
    if container := {key: value for key, value in found.items() if value}:
        beside["container"] = container
    if pod:
        resource = {"type": "pod", "name": pod.get("name"), "id": pod.get("uid")}
        if kind := pod.get("workload_kind"):
            resource["parent"] = {"type": kind.lower()}
        labels = [f"{key}={value}" for key, value in pod.get("pod_labels", {}).items()]
        resource["label"] = labels or None
        orchestrator = {"type": "kubernetes", "namespace": pod.get("namespace")}
        orchestrator["resource"] = {key: value for key, value in resource.items() if value}
        beside["orchestrator"] = {key: value for key, value in orchestrator.items() if value}
    return beside


def _details(facts: Facts) -> Fields:
    """What an exec record knows of its process beyond the default fields."""
    own = facts.own
    found: Fields = {}
    if (arguments := facts.below("arguments", list)) and all(map(is_text, arguments)):
        found["args"], found["args_count"] = arguments, len(arguments)
    if environment := facts.below("environment", dict):
        found["env_vars"] = [f"{name}={value}" for name, value in environment.items() if is_text(value)]
    if is_count(nspid := own.get("nspid")):
        found["vpid"] = nspid
    for name, key in (("session_leader", "sid"), ("group_leader", "pgid")):
        if is_count(number := own.get(key)):
            found[name] = {"pid": number}
    if own.get("tty"):
        found["interactive"] = True
    told = own.get("cap")
    if masks := capability_masks(told if is_text(told) else facts.below("cap", dict)):
        effective, permitted = masks.get("effective", "0"), masks.get("permitted", "0")
        if is_text(effective) and is_text(permitted) and (thread := _capabilities(effective, permitted)):
            found["thread"] = thread
    if ids := credentials(facts):
        found["real_user"], found["saved_user"] = {"id": str(ids[0])}, {"id": str(ids[4])}
        found["real_group"], found["saved_group"] = {"id": str(ids[1])}, {"id": str(ids[5])}
    return found


@lru_cache(maxsize=1024)
def _capabilities(effective: str, permitted: str) -> Fragment | None:
    """The object `thread` with names as ECS wants them (`CAP_BPF`), encoded; None when a mask is none."""
    try:
        sets = {"effective": capability_names(effective), "permitted": capability_names(permitted)}
    except ValueError:
        return None
    known = {
        key: [name if name.startswith("CAP_") else f"CAP_{name}" for name in names]
        for key, names in sets.items()
        if names
    }
    return Fragment(dumps({"capabilities": known})) if known else None


def _end(facts: Facts) -> Fields:
    found: Fields = {"end": format_time(facts.time_ns)}
    if not facts.text("signal"):
        found["exit_code"] = facts.number("status") or 0
    return found


def _call(facts: Facts, files: list[File], socket: Socket | None, found: Fields) -> None:
    if files:
        _file(files[0], found)
        if len(files) > 1 and facts.deed is not None and facts.deed.verb == "create":
            found["file"]["target_path"] = files[1].path
    if socket is not None:
        _network(socket, facts.deed.verb if facts.deed is not None else "", found)
    if name := facts.text("policy_name"):
        found.setdefault("rule", {"name": name, "ruleset": "TracingPolicy"})
    if tags := facts.texts("tags"):
        found["tags"] = tags


def _file(file: File, found: Fields) -> None:
    if not file.path:
        return
    name, _, extension = file.name.rpartition(".")
    fields: Fields = {"path": file.path, "name": file.name, "directory": file.path.rpartition("/")[0] or "/"}
    if name and extension:
        fields["extension"] = extension
    if file.type in ("file", "dir", "symlink"):
        fields["type"] = file.type
    if file.mode:
        fields["mode"] = file.mode
    found["file"] = fields


def _network(socket: Socket, verb: str, found: Fields) -> None:
    """Source is who began it, or sent what was seen."""
    local, peer = _end_point(socket.local, socket.local_port), _end_point(socket.peer, socket.peer_port)
    if socket.path:
        peer = {"address": socket.path}
    inbound = verb in _INCOMING and not socket.is_packet
    source, destination = (peer, local) if inbound else (local, peer)
    if source:
        found["source"] = source
    if destination:
        found["destination"] = destination
    network: Fields = {}
    if socket.protocol:
        network["transport"] = socket.protocol
        if socket.protocol_number >= 0:
            network["iana_number"] = str(socket.protocol_number)
    if socket.family:
        network["type"] = socket.family
    if inbound or (verb in _OUTGOING and not socket.is_packet):
        network["direction"] = "ingress" if inbound else "egress"
    if network:
        found["network"] = network


def _end_point(address: str, port: int) -> Fields:
    if not address:
        return {"port": port} if port else {}
    return {"ip": address, "address": address, "port": port} if port else {"ip": address, "address": address}


def _rule(detection: Detection) -> Fields:
    rule = {
        "name": detection.title,
        "id": detection.rule_id,
        "uuid": detection.rule_id,
        "version": detection.rule_version,
        "description": detection.description,
        "ruleset": "Sigma",
    }
    return {key: value for key, value in rule.items() if value}


def _threat(detection: Detection) -> Fields:
    attack = attack_of(detection.tags)
    found: Fields = {}
    if attack.techniques:
        techniques = list(dict.fromkeys(one.partition(".")[0] for one in attack.techniques))
        found["technique"] = {"id": techniques}
        if below := [one for one in attack.techniques if "." in one]:
            found["technique"]["subtechnique"] = {"id": below}
    if attack.tactics:
        uids, names = zip(*attack.tactics, strict=True)
        found["tactic"] = {"id": list(uids), "name": list(names)}
    return found | {"framework": "MITRE ATT&CK"} if found else {}


def _unreadable(record: object, error: Exception) -> bytes:
    text, sequence, time_ns = malformed_record(record, error)
    found = {
        "@timestamp": format_time(time_ns),
        "message": "a record that cannot be read",
        "event": {"kind": "pipeline_error", "module": "tracehound", "sequence": sequence, "original": text},
        "error": {"type": type(error).__name__, "message": "the record could not be read"},
        "tracehound": {"type": "malformed", "malformed": [type(error).__name__]},
    }
    return _HEAD + b"," + dumps(found)[1:]
