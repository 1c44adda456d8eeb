# SPDX-License-Identifier: Apache-2.0
"""Records as CEF, the Common Event Format of ArcSight, version 0: one line of text, for syslog.

Keys, their lengths and how they are escaped: "ArcSight Common Event Format (CEF) Implementation Standard",
version 26. docs/formats.md has the map.
"""

from __future__ import annotations

import re
from typing import Any

from agent import __version__
from exporters.formats import Format, Origin
from exporters.formats.attack import attack_of
from exporters.formats.detection import read
from exporters.formats.facts import Facts, File, Socket
from exporters.formats.lineage import Lineage, Subject
from exporters.formats.malformed import malformed_record
from exporters.formats.severity import level_of
from exporters.formats.shape import base_name, is_text
from exporters.formats.summary import summary

Fields = dict[str, Any]
Extension = dict[str, str | int]
_SEVERITIES = {"informational": 2, "low": 4, "medium": 6, "high": 8, "critical": 10}
"""0-3 low, 4-6 medium, 7-8 high, 9-10 very high."""
_LENGTHS = {"act": 63, "app": 31, "outcome": 63, "proto": 31, "dvchost": 100, "filePermission": 1023}
_LENGTH = 1023
"""Of texts that are not in _LENGTHS; custom strings (cs1 to cs6) may have 4,000 characters."""
_CUSTOM_LENGTH = 4000
_HEADER_LENGTH = 512
"""Of the name in the header."""
_HEADER = str.maketrans({"\\": "\\\\", "|": "\\|", "\n": " ", "\r": " "})
_VALUE = str.maketrans({"\\": "\\\\", "=": "\\=", "\n": "\\n", "\r": "\\r"})
_IN_HEADER, _IN_VALUE = re.compile(r"[\\|\r\n]"), re.compile(r"[\\=\r\n]")
"""What has to be escaped; few texts have any of it, and looking is quicker than translating."""
_MOST_ANCESTORS = 32
_CUSTOM = {
    "cs1": "execId",
    "cs2": "parentExecId",
    "cs3": "policy",
    "cs4": "container",
    "cs5": "ancestors",
    "cs6": "commandLine",
    "cn1": "sequence",
    "cn2": "exitStatus",
    "cn3": "lost",
    "flexString1": "bootId",
    "flexString2": "malformed",
    "c6a2": "Source IPv6 Address",
    "c6a3": "Destination IPv6 Address",
}
"""Meaning of the custom keys: sent as <key>Label."""


def header_text(text: str) -> str:
    """Escaped for the header: backslash and pipe; line breaks, which it may not have, become spaces."""
    return text.translate(_HEADER) if _IN_HEADER.search(text) else text


def value_text(text: str) -> str:
    """Escaped for a value of the extension: backslash, equals sign and line breaks. Pipes stay."""
    return text.translate(_VALUE) if _IN_VALUE.search(text) else text


def make() -> Format:
    """The format, with a memory of processes of its own."""
    return Cef()


class Cef:
    """Makes lines of one stream of records; feed it every record in order, with a call or `learn`."""

    def __init__(self) -> None:
        self.lineage = Lineage()
        self.learn = self.lineage.learn

    def __call__(self, record: Fields, origin: Origin) -> bytes:
        """The line of a record, without a newline. Every record has one, so that no number is missing in what
        the receiver has; it never raises."""
        try:
            self.lineage.learn(record)
            facts = Facts(record)
            return self._line(facts, origin.boot_id or self.lineage.boot_id).encode(errors="replace")
        except Exception as error:  # a record of any content must not end the stream
            text, sequence, _ = malformed_record(record, error)
            found: Extension = {"msg": text, "cn1": sequence, "flexString2": type(error).__name__}
            return _cef("malformed", "a record that cannot be read", 6, found).encode(errors="replace")

    def _line(self, facts: Facts, boot_id: str) -> str:
        found: Extension = {"rt": facts.time_ns // 1_000_000, "dvchost": facts.node, "cn1": facts.sequence}
        if boot_id:
            found["flexString1"] = boot_id
        level = level_of(facts)
        subject: Subject | None = None
        files: list[File] = []
        socket: Socket | None = None
        done: list[str] = []
        if facts.kind == "detection":
            class_id, name, subject = self._detection(facts, found)
        elif facts.kind == "own":
            class_id, name = facts.type, facts.type.replace("_", " ")
            if type(count := facts.event.get("count")) is int and abs(count) < 1 << 63:
                found["cn3"] = count
        else:
            subject = self._process(facts, found)
            class_id, name = _class_of(facts)
        if facts.kind == "policy":
            files, socket, done = facts.files(), facts.socket(), facts.done()
            _call(facts, files, socket, done, found)
        elif facts.kind == "exit":
            _exit(facts, found)
        elif facts.kind == "loader":
            _file([File(facts.text("path"))], found)
        found["msg"] = summary(facts, subject, files, socket, done)
        if facts.malformed:
            found["flexString2"] = " ".join(facts.malformed)
        return _cef(class_id, name, _SEVERITIES[level], found)

    def _process(self, facts: Facts, found: Extension) -> Subject:
        user = facts.own.get("user", "") if facts.kind == "exec" else ""
        subject = self.lineage.subject(facts.process, user if is_text(user) else "")
        facts.malformed += subject.malformed
        parent = facts.event.get("parent")
        above = self.lineage.subject(parent) if type(parent) is dict else None
        if facts.kind in ("exec", "fork", "exit"):  # something happens to it: it is the destination
            _tell(subject, found, "d")
            if above is not None:
                _tell(above, found, "s")
        else:
            _tell(subject, found, "s")
        self._identity(facts, subject, facts.ancestry(), found)
        return subject

    def _identity(self, facts: Facts, subject: Subject, ancestry: list[str] | None, found: Extension) -> None:
        fields = subject.fields
        found["cs1"] = subject.exec_id
        found["cs2"] = fields.get("parent_exec_id", "")
        found["cs4"] = _container(fields)
        found["cs6"] = f"{fields.get('binary', '')} {fields.get('arguments', '')}".strip()
        ids = self.lineage.ancestry(subject) if ancestry is None else ancestry
        images = [self.lineage.image(exec_id) for exec_id in ids[:_MOST_ANCESTORS] if exec_id]
        names = [(image is not None and base_name(image.binary)) or "?" for image in images]
        found["cs5"] = " < ".join(names)

    def _detection(self, facts: Facts, found: Extension) -> tuple[str, str, Subject | None]:
        detection = read(facts)
        found["cs3"] = detection.title
        found["cat"] = " ".join(attack_of(detection.tags).techniques)
        found["externalId"] = detection.uid[:40]
        event = detection.event
        if event is not None and event.kind == "policy":
            _call(event, event.files(), event.socket(), event.done(), found)
            found["cs3"] = detection.title
        subject = self.lineage.subject(detection.process) if detection.process is not None else None
        if subject is not None:
            _tell(subject, found, "s")
            ancestry = event.ancestry() if event is not None else None
            self._identity(facts, subject, ancestry or facts.ancestry(), found)
        return detection.rule_id or "detection", detection.title, subject


def _class_of(facts: Facts) -> tuple[str, str]:
    if facts.deed is not None:
        area, verb = facts.deed.area, facts.deed.verb
        return f"{area}:{verb.replace(' ', '-')}", f"{area}: {verb}"
    return f"process:{facts.kind}", f"process: {facts.kind}"


def _tell(subject: Subject, found: Extension, side: str) -> None:
    fields = subject.fields
    found[f"{side}proc"] = fields.get("binary", "")
    if "pid" in fields:
        found[f"{side}pid"] = fields["pid"]
    if "uid" in fields:
        found[f"{side}uid"] = str(fields["uid"])
    found[f"{side}user"] = subject.user


def _container(fields: Fields) -> str:
    pod: Fields = fields.get("pod", {})
    container: Fields = pod.get("container", {})
    parts = (
        pod.get("namespace"),
        pod.get("name"),
        container.get("name"),
        container.get("id") or fields.get("docker"),
    )
    return "/".join([part for part in parts if part])


def _call(facts: Facts, files: list[File], socket: Socket | None, done: list[str], found: Extension) -> None:
    found["act"] = ", ".join(done) or "observed"
    if facts.returned is not None or done:
        found["outcome"] = "failure" if done or (facts.returned or 0) < 0 else "success"
    if facts.returned is not None:
        found["reason"] = str(facts.returned)
    found["cs3"] = facts.text("policy_name")
    found["cat"] = " ".join(facts.texts("tags"))
    found["deviceFacility"] = facts.function
    _file(files, found)
    if socket is not None:
        _network(socket, facts.deed.verb if facts.deed is not None else "", found)


def _file(files: list[File], found: Extension) -> None:
    if not files or not files[0].path:
        return
    file = files[-1]
    found["filePath"], found["fname"] = file.path, file.name
    found["filePermission"], found["fileType"] = file.permission, file.type
    if len(files) > 1:
        found["oldFilePath"], found["oldFileName"] = files[0].path, files[0].name


def _network(socket: Socket, verb: str, found: Extension) -> None:
    """Source is who began it, or sent what was seen. Addresses of IPv6 have keys of their own."""
    inbound = verb in ("accept", "receive", "listen") and not socket.is_packet
    ends = [(socket.local, socket.local_port), (socket.peer, socket.peer_port)]
    sides = (("src", "spt", "c6a2"), ("dst", "dpt", "c6a3"))
    for (address, port), names in zip(reversed(ends) if inbound else ends, sides, strict=True):
        if address:
            found[names[2] if ":" in address else names[0]] = address
        if port:
            found[names[1]] = port
    found["proto"] = socket.protocol.upper()
    if socket.path:
        found["filePath"] = socket.path
    if inbound or verb in ("connect", "send"):
        found["deviceDirection"] = 0 if inbound else 1


def _exit(facts: Facts, found: Extension) -> None:
    if signal := facts.text("signal"):
        found["reason"] = signal
    else:
        found["cn2"] = facts.number("status") or 0


def _cef(class_id: str, name: str, severity: int, found: Extension) -> str:
    head = f"CEF:0|Tracehound|Tracehound|{header_text(__version__)}"
    head += f"|{header_text(class_id[:_LENGTH])}|{header_text(name[:_HEADER_LENGTH])}|{severity}|"
    parts = []
    for key, value in found.items():
        if value == "":
            continue
        if type(value) is str:
            most = _CUSTOM_LENGTH if key[:2] == "cs" and key[2:].isdigit() else _LENGTHS.get(key, _LENGTH)
            value = value_text(value[:most])
        parts.append(f"{key}={value}")
        if key in _CUSTOM:
            parts.append(f"{key}Label={_CUSTOM[key]}")
    return head + " ".join(parts)
