# SPDX-License-Identifier: Apache-2.0
"""Records as documents of OCSF 1.8: which class, and what it requires."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orjson import Fragment, dumps

from agent import __version__
from exporters.base import MADE
from exporters.formats import Format, Origin
from exporters.formats.classify import Deed
from exporters.formats.facts import Facts, File, Socket, credentials, milliseconds
from exporters.formats.lineage import Lineage, Subject
from exporters.formats.malformed import malformed_record
from exporters.formats.ocsf.classes import BASE, FINDING, VERSION, activity_head, head
from exporters.formats.ocsf.finding import finding
from exporters.formats.ocsf.objects import Family, endpoints, file_of, process_bytes, user_of
from exporters.formats.severity import INCOMPLETE, level_of
from exporters.formats.shape import is_count, is_text
from exporters.formats.summary import summary

Fields = dict[str, Any]
_PRODUCT = {"name": "Tracehound", "vendor_name": "Tracehound", "version": __version__}
_SYSTEM, _CONTROL = ["host", "container", "linux/linux_users"], ["security_control"]
_TOLD = frozenset(
    {
        "process",
        "parent",
        "ancestors",
        "function_name",
        "policy_name",
        "message",
        "tags",
        "time",
        "status",
        "signal",
    }
)
"""Keys of events that have their place in the document; the others go below `unmapped`."""
_OWN_TOLD = frozenset({"sequence", "ancestry", "arguments", "user", "environment", "tty", "sid"})


def make() -> Format:
    """The format, with a memory of processes of its own."""
    return Ocsf()


class Ocsf:
    """Makes documents of one stream of records; feed it every record in order, with a call or `learn`."""

    def __init__(self, lineage: Lineage | None = None) -> None:
        self.lineage = lineage or Lineage()
        self._boot_id = ""
        self._family = Family(self.lineage)
        self._devices: dict[tuple[str, str, str], Fragment] = {}
        self._begins: dict[tuple[str, str], str] = {}
        self._codes: dict[tuple[str, bool, str], str] = {}

    def learn(self, record: Fields) -> None:
        """Takes notice of a record that is not to be sent."""
        self.lineage.learn(record)

    def __call__(self, record: Fields, origin: Origin) -> bytes:
        """The document of a record, JSON without a newline. Every record has one; it never raises."""
        try:
            self.lineage.learn(record)
            self._boot_id = origin.boot_id or self.lineage.boot_id
            facts = Facts(record)
            return _MAKERS[facts.kind](self, facts)
        except Exception as error:  # a record of any content must not end the stream
            return self._unreadable(record, error)

    def exec(self, facts: Facts) -> bytes:
        """Process Activity: Launch; of a process that was there before the agent: Other."""
        subject, parent = self._subject(facts), self._parent(facts)
        fields: Fields = {
            "actor": _actor(parent or subject, parent is not None),
            "process": Fragment(self._family.process(subject, parent, facts.ancestry(), _details(facts))),
        }
        before = "procFS" in subject.fields.get("flags", "")
        if not before:
            fields["launch_type_id"], fields["launch_type"] = 3, "Exec"
        verb = "running before the agent" if before else "launch"
        return self._finish(facts, subject, fields, activity_head("process", verb, "informational"))

    def exit(self, facts: Facts) -> bytes:
        """Process Activity: Terminate. The actor is the process itself: who sent a signal is not recorded."""
        subject, parent = self._subject(facts), self._parent(facts)
        ended = {"terminated_time": facts.time_ns // 1_000_000}
        fields: Fields = {
            "actor": _actor(subject),
            "process": Fragment(self._family.process(subject, parent, facts.ancestry(), ended)),
        }
        signal, status = facts.text("signal"), facts.number("status")
        if signal:
            fields["status_detail"] = signal
        else:
            fields["exit_code"] = status or 0
        return self._finish(facts, subject, fields, activity_head("process", "terminate", "informational"))

    def fork(self, facts: Facts) -> bytes:
        """Process Activity: Launch, by a fork."""
        subject, parent = self._subject(facts), self._parent(facts)
        fields: Fields = {
            "actor": _actor(parent or subject),
            "process": Fragment(self._family.process(subject, parent, facts.ancestry())),
            "launch_type_id": 2,
            "launch_type": "Fork",
        }
        return self._finish(facts, subject, fields, activity_head("process", "launch", "informational"))

    def policy(self, facts: Facts) -> bytes:
        """The class of what was done (classify.py), with what the policy made of it."""
        subject, deed = self._subject(facts), facts.deed or Deed("kernel", "call")
        files = facts.files()
        socket = facts.socket() if deed.area == "network" or not files else None
        fields: Fields = _TARGETS[deed.area](facts, deed, subject, files, socket)
        fields["actor"] = Fragment(self._whole_actor(facts, subject))
        verb, outcome, level = deed.verb, "observed", "informational"
        returned = facts.returned
        if done := facts.done():
            outcome, level = "denied", "medium"
            fields["status_detail"] = ", ".join(done)
        elif returned is not None:
            outcome = "failure" if returned < 0 else "success"
            fields["status_code"] = str(returned)
            if returned < 0 and verb == "connect":
                verb = "fail"
        if name := facts.text("policy_name"):
            fields["policy"] = {"name": name}
        text = summary(facts, subject, files, socket, done)
        return self._finish(facts, subject, fields, activity_head(deed.area, verb, level, outcome), text)

    def _whole_actor(self, facts: Facts, subject: Subject) -> bytes:
        """The process with its ancestors. Of another thread than the first one, with the thread."""
        actor = self._family.actor(subject, self._parent(facts), facts.ancestry())
        process = facts.process
        thread = process.get("tid") if type(process) is dict else None
        if is_count(thread) and thread != subject.fields.get("pid"):
            return actor.replace(b'{"process":{', b'{"process":{"ptid":%d,' % thread, 1)
        return actor

    def loader(self, facts: Facts) -> bytes:
        """Module Activity: Load."""
        subject = self._subject(facts)
        path = facts.text("path")
        fields: Fields = {
            "actor": Fragment(self._whole_actor(facts, subject)),
            "module": {
                "file": file_of(File(path or "unknown", "file")),
                "load_type_id": 1,
                "load_type": "Standard",
            },
        }
        return self._finish(facts, subject, fields, activity_head("library", "load", "informational"))

    def detection(self, facts: Facts) -> bytes:
        """Detection Finding: Create."""
        fields, subject = finding(facts, self.lineage, self._family)
        return self._finish(facts, subject, fields, head(FINDING, 1, "Create", level_of(facts)))

    def own(self, facts: Facts) -> bytes:
        """Base Event: OCSF has no class for what a sensor says of itself. The whole record is in
        `unmapped`."""
        fields: Fields = {}
        if facts.type in INCOMPLETE:
            fields |= {"status_id": 2, "status": "Failure"}
        count = facts.event.get("count")
        if type(count) is int and 0 <= count < 1 << 31:
            fields["count"] = count
        for name, key in (("start_time", "from"), ("end_time", "to")):
            stamp = facts.event.get(key)
            if type(stamp) is str and (time := milliseconds(stamp)) is not None:
                fields[name] = time
        name = facts.type.replace("_", " ").capitalize()
        begin = _base_head(name, level_of(facts))
        return self._finish(facts, None, fields, begin)

    def _subject(self, facts: Facts) -> Subject:
        user = facts.own.get("user", "") if facts.kind == "exec" else ""
        subject = self.lineage.subject(facts.process, user if type(user) is str else "")
        if subject.malformed:
            facts.malformed += subject.malformed
        return subject

    def _parent(self, facts: Facts) -> Subject | None:
        parent = facts.event.get("parent")
        return self.lineage.subject(parent) if type(parent) is dict else None

    def _finish(
        self, facts: Facts, subject: Subject | None, fields: Fields, begin: bytes, text: str = ""
    ) -> bytes:
        fields["time"] = facts.time_ns // 1_000_000
        fields["message"] = text or summary(facts, subject)
        fields["device"] = self._device(facts.node)
        fields["metadata"] = Fragment(self._metadata(facts))
        if unmapped := _unmapped(facts):
            fields["unmapped"] = unmapped
        return begin + dumps(fields)[1:]

    def _device(self, node: str) -> Fragment:
        lineage = self.lineage
        key = (node, lineage.machine_id, lineage.kernel)
        made = self._devices.get(key)
        if made is None:
            os: Fields = {"name": "Linux", "type_id": 200, "type": "Linux"}
            device: Fields = {"hostname": node or "unknown", "type_id": 0, "os": os}
            if lineage.machine_id:
                device["uid"] = lineage.machine_id
            if lineage.kernel:
                os["kernel_release"] = lineage.kernel
            if len(self._devices) > 1024:
                self._devices.clear()
            made = self._devices[key] = Fragment(dumps(device))
        return made

    def _metadata(self, facts: Facts) -> str:
        place = (facts.node, self._boot_id)
        begin = self._begins.get(place)
        if begin is None:
            if len(self._begins) > 1024:
                self._begins.clear()
            begin = self._begins[place] = _metadata_begin(*place)
        code = (facts.type, facts.kind == "policy", facts.function)
        end = self._codes.get(code)
        if end is None:
            if len(self._codes) > 4096:
                self._codes.clear()
            end = self._codes[code] = _metadata_end(facts)
        tags = f',"labels":{dumps(tags).decode()}' if (tags := facts.texts("tags")) else ""
        made = f"/{facts.type}" if facts.type in MADE else ""
        return f'{begin}{facts.sequence}{made}","sequence":{facts.sequence}{tags}{end}'

    def _unreadable(self, record: object, error: Exception) -> bytes:
        text, number, time_ns = malformed_record(record, error)
        fields: Fields = {
            "time": time_ns // 1_000_000,
            "message": "a record that cannot be read",
            "metadata": {
                "version": VERSION,
                "product": _PRODUCT,
                "log_name": "tracehound",
                "sequence": number,
            },
            "raw_data": text,
            "unmapped": {"malformed": [f"{type(error).__name__}"]},
        }
        return _base_head("Malformed", "medium") + dumps(fields)[1:]


def _actor(subject: Subject, is_process: bool = True) -> Fields:
    """Who did it, without ancestors: these stand with `process`."""
    user = {"user": user_of(subject)}
    return {"process": Fragment(process_bytes(subject)), **user} if is_process else user


def _base_head(name: str, level: str) -> bytes:
    return head(BASE, 99, name[:64], level)


def _metadata_begin(node: str, boot_id: str) -> str:
    fields = {"version": VERSION, "product": _PRODUCT, "log_name": "tracehound"}
    return dumps(fields).decode()[:-1] + ',"uid":' + dumps(f"{node}/{boot_id}/").decode()[:-1]


def _metadata_end(facts: Facts) -> str:
    profiles = ["host"] if facts.kind == "own" else [*_SYSTEM, *(_CONTROL if facts.kind == "policy" else [])]
    fields = {"event_code": facts.function or facts.type, "log_source": facts.type, "profiles": profiles}
    return "," + dumps(fields).decode()[1:]


def _details(facts: Facts) -> Fields:
    """What an exec record knows of its process beyond the default fields."""
    own = facts.own
    found: Fields = {}
    if environment := facts.below("environment", dict):
        pairs = [(name, value) for name, value in environment.items() if is_text(value)]
        found["environment_variables"] = [{"name": name, "value": value} for name, value in pairs]
    if is_count(nspid := own.get("nspid")):
        found["namespace_pid"] = nspid
    if is_count(session := own.get("sid")):
        found["session"] = {"uid": str(session)}
        if terminal := facts.below("tty", str):
            found["session"]["terminal"] = terminal
    if ids := credentials(facts):
        found["euid"], found["egid"] = ids[2], ids[3]
    return found


def _unmapped(facts: Facts) -> Fields:
    """What OCSF has no place for, under our own names."""
    event = facts.event
    found: Fields = {key: event[key] for key in event if key not in _TOLD}
    if facts.kind in ("own", "detection"):
        found = {facts.type: event}
    own = facts.own
    if facts.kind in ("exec", "policy", "exit"):
        found |= {key: own[key] for key in own if key not in _OWN_TOLD}
    if facts.malformed:
        found["malformed"] = facts.malformed
    return found


def _file_target(
    facts: Facts, deed: Deed, subject: Subject, files: list[File], socket: Socket | None
) -> Fields:
    if not files:
        return {"file": {"name": "unknown", "type_id": 0}}
    found: Fields = {"file": file_of(files[0])}
    if len(files) > 1 and deed.verb in ("rename", "create", "mount"):
        found["file_result"] = file_of(files[1])
    return found


def _network_target(
    facts: Facts, deed: Deed, subject: Subject, files: list[File], socket: Socket | None
) -> Fields:
    return endpoints(socket, deed.verb, facts.node or "unknown")


def _process_target(
    facts: Facts, deed: Deed, subject: Subject, files: list[File], socket: Socket | None
) -> Fields:
    """Whom it was done to: of signals and traces the process that the policy's arguments name, else
    itself."""
    if deed.verb in ("signal", "trace", "inject"):
        target = {
            arg["label"]: arg.get("int_arg", arg.get("string_arg")) for arg in facts.args if _labelled(arg)
        }
        pid, name = target.get("pid"), target.get("comm")
        if type(pid) is int and pid >= 0:
            return {"process": {"pid": pid} | ({"name": name} if type(name) is str else {})}
    if deed.verb == "execute" and files:
        return {
            "process": {"pid": subject.fields.get("pid", 0), "name": files[0].name, "file": file_of(files[0])}
        }
    return {"process": Fragment(process_bytes(subject))}


def _labelled(arg: Fields) -> bool:
    return type(arg.get("label")) is str


def _driver_target(
    facts: Facts, deed: Deed, subject: Subject, files: list[File], socket: Socket | None
) -> Fields:
    name = ""
    for arg in facts.args:
        module = arg.get("module_arg")
        name = name or (module.get("name", "") if type(module) is dict else arg.get("string_arg", ""))
    if files and not name:
        return {"driver": {"file": file_of(files[0])}}
    return {"driver": {"file": {"name": name if type(name) is str and name else "unknown", "type_id": 0}}}


def _kernel_target(
    facts: Facts, deed: Deed, subject: Subject, files: list[File], socket: Socket | None
) -> Fields:
    name = facts.function or "unknown"
    if deed.is_syscall:
        return {"kernel": {"name": name, "type_id": 2, "type": "System Call", "system_call": name}}
    return {"kernel": {"name": name, "type_id": 99, "type": "Function"}}


def _memory_target(
    facts: Facts, deed: Deed, subject: Subject, files: list[File], socket: Socket | None
) -> Fields:
    return {"process": Fragment(process_bytes(subject))}


def _library_target(
    facts: Facts, deed: Deed, subject: Subject, files: list[File], socket: Socket | None
) -> Fields:
    path = facts.text("path")
    module: Fields = {"function_name": facts.function or "unknown", "load_type_id": 1}
    if path:
        module["file"] = file_of(File(path, "file"))
    return {"module": module}


_TARGETS: dict[str, Callable[..., Fields]] = {
    "file": _file_target,
    "network": _network_target,
    "process": _process_target,
    "driver": _driver_target,
    "kernel": _kernel_target,
    "memory": _memory_target,
    "library": _library_target,
}
_MAKERS: dict[str, Callable[[Ocsf, Facts], bytes]] = {
    "exec": Ocsf.exec,
    "exit": Ocsf.exit,
    "fork": Ocsf.fork,
    "policy": Ocsf.policy,
    "loader": Ocsf.loader,
    "detection": Ocsf.detection,
    "own": Ocsf.own,
}
