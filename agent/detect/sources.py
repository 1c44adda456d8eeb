# SPDX-License-Identifier: Apache-2.0
"""Where the values of fields come from: one small function per source that fields.yaml names.

A value is a text, or several of them of which one has to fit; None: the event does not have the field.
Whatever stands in a record, a value of another type is absent, never an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.detect.lineage import Known
from agent.detect.loglines import SOURCES as LINES

Value = str | tuple[str, ...] | None
UNSET_AUID = 4294967295
"""(uid_t) -1: nobody logged in. include/linux/audit.h, AUDIT_UID_UNSET"""


class Subject:
    """What a rule is asked about: one record as one view."""

    __slots__ = ("event", "extra", "known", "own", "record")

    def __init__(self, record: dict[str, Any], event: dict[str, Any], known: Known) -> None:
        self.record = record
        self.event = event
        """`record["process_exec"]` or of another kind."""
        own = record.get("tracehound")
        self.own: dict[str, Any] = own if type(own) is dict else {}
        self.known = known
        """The process."""
        self.extra: Mapping[str, Value] = {}
        """What the view has worked out of the event: by the source's name."""

    def seen_as(self, extra: Mapping[str, Value]) -> Subject:
        """The same event in another view."""
        other = Subject.__new__(Subject)
        other.record, other.event, other.own, other.known = self.record, self.event, self.own, self.known
        other.extra = extra
        return other


Source = Callable[[Subject], Value]


def text_or_number(value: object) -> str | None:
    """A text, a number as one; None: neither, or an empty text."""
    if type(value) is str:
        return value or None
    return str(value) if type(value) is int else None


def _several(values: tuple[str, ...]) -> Value:
    return values[0] if len(values) == 1 else values or None


def image(subject: Subject) -> Value:
    """The executable: resolved, and as it was executed."""
    images = subject.known.images
    return images[0] if len(images) == 1 else images or None


def _last(images: tuple[str, ...]) -> Value:
    return _several(tuple(dict.fromkeys(path.rpartition("/")[2] for path in images)))


def image_name(subject: Subject) -> Value:
    return _last(subject.known.images)


def command_line(subject: Subject) -> Value:
    return subject.known.text


def _arguments(known: Known) -> list[str]:
    arguments = known.own.get("arguments")
    return [one for one in arguments if type(one) is str] if type(arguments) is list else []


def arguments(subject: Subject) -> Value:
    return tuple(_arguments(subject.known)) or None


def argument_count(subject: Subject) -> Value:
    count = len(_arguments(subject.known))
    return str(count) if count else None


def cwd(subject: Subject) -> Value:
    return text_or_number(subject.known.process.get("cwd"))


def pid(subject: Subject) -> Value:
    return text_or_number(subject.known.process.get("pid"))


def exec_id(subject: Subject) -> Value:
    return text_or_number(subject.known.process.get("exec_id"))


def user_of(known: Known) -> Value:
    """The name on the host, `root` for 0, else the number."""
    name = known.own.get("user")
    if type(name) is str and name:
        return name
    uid = known.process.get("uid")
    return "root" if uid == 0 and type(uid) is int else text_or_number(uid)


def user(subject: Subject) -> Value:
    return user_of(subject.known)


def uid(subject: Subject) -> Value:
    return text_or_number(subject.known.process.get("uid"))


def auid(subject: Subject) -> Value:
    return text_or_number(subject.known.process.get("auid"))


def login_user(subject: Subject) -> Value:
    number = subject.known.process.get("auid")
    return "unset" if number == UNSET_AUID else "root" if number == 0 else text_or_number(number)


def session(subject: Subject) -> Value:
    return text_or_number(subject.own.get("sid"))


def tty(subject: Subject) -> Value:
    return text_or_number(subject.known.own.get("tty"))


def audit_tty(subject: Subject) -> Value:
    """As auditd writes it: `(none)` where there is no terminal."""
    return tty(subject) or "(none)"


def flags(subject: Subject) -> Value:
    said = subject.known.process.get("flags")
    return (said, *said.split()) if type(said) is str and " " in said else text_or_number(said)


def node(subject: Subject) -> Value:
    return text_or_number(subject.record.get("node_name"))


def time(subject: Subject) -> Value:
    return text_or_number(subject.record.get("time"))


def _of_parent(read: Callable[[Known], Value]) -> Source:
    def source(subject: Subject) -> Value:
        parent = subject.known.parent
        return read(parent) if parent is not None else None

    return source


def ancestors(subject: Subject) -> Value:
    """Images of all of them, parent first."""
    return subject.known.above or None


def ancestor_command_lines(subject: Subject) -> Value:
    return tuple(known.text for known in subject.known.ancestors() if known.text) or None


def _cred(index: int) -> Source:
    """tracehound.cred: [uid, gid, euid, egid, suid, sgid, fsuid, fsgid]; absent when all are the uid."""

    def source(subject: Subject) -> Value:
        cred = subject.known.own.get("cred")
        if type(cred) is list and len(cred) > index:
            return text_or_number(cred[index])
        return text_or_number(subject.known.process.get("uid"))

    return source


def comm(subject: Subject) -> Value:
    """The task's name after its exec: 15 characters of the file's. Linux, fs/exec.c: begin_new_exec()."""
    images = subject.known.images
    return images[-1].rpartition("/")[2][:15] or None if images else None


def _pod(*path: str) -> Source:
    """A text below `process.pod`."""

    def source(subject: Subject) -> Value:
        return text_or_number(_at(subject.known.process.get("pod"), path))

    return source


def _at(value: object, path: tuple[str, ...]) -> object:
    for key in path:
        value = value.get(key) if type(value) is dict else None
    return value


def container_id(subject: Subject) -> Value:
    process = subject.known.process
    found = (
        text_or_number(_at(process.get("pod"), ("container", "id"))),
        text_or_number(process.get("docker")),
    )
    return _several(tuple(dict.fromkeys(one for one in found if one)))


def _container(key: str, pod_path: tuple[str, ...]) -> Source:
    """Of the pod's container; of another one what `tracehound.container` says."""

    def source(subject: Subject) -> Value:
        own = subject.known.own.get("container")
        image = own.get(key) if type(own) is dict else None
        if type(image) is dict:
            image = image.get("name")
        return text_or_number(_at(subject.known.process.get("pod"), pod_path)) or text_or_number(image)

    return source


def _extra(name: str) -> Source:
    """What the view has worked out."""

    def source(subject: Subject) -> Value:
        return subject.extra.get(name)

    return source


def policy(subject: Subject) -> Value:
    return text_or_number(subject.event.get("policy_name"))


def message(subject: Subject) -> Value:
    return text_or_number(subject.event.get("message"))


SOURCES: Mapping[str, Source] = {
    "image": image,
    "image_name": image_name,
    "command_line": command_line,
    "arguments": arguments,
    "argument_count": argument_count,
    "cwd": cwd,
    "pid": pid,
    "exec_id": exec_id,
    "user": user,
    "uid": uid,
    "auid": auid,
    "login_user": login_user,
    "session": session,
    "tty": tty,
    "audit_tty": audit_tty,
    "flags": flags,
    "node": node,
    "time": time,
    "parent_image": _of_parent(lambda known: _several(known.images)),
    "parent_image_name": _of_parent(lambda known: _last(known.images)),
    "parent_command_line": _of_parent(lambda known: known.text),
    "parent_arguments": _of_parent(lambda known: tuple(_arguments(known)) or None),
    "parent_pid": _of_parent(lambda known: text_or_number(known.process.get("pid"))),
    "parent_exec_id": _of_parent(lambda known: text_or_number(known.process.get("exec_id"))),
    "parent_user": _of_parent(user_of),
    "parent_cwd": _of_parent(lambda known: text_or_number(known.process.get("cwd"))),
    "ancestors": ancestors,
    "ancestor_command_lines": ancestor_command_lines,
    "real_uid": _cred(0),
    "real_gid": _cred(1),
    "effective_uid": _cred(2),
    "effective_gid": _cred(3),
    "comm": comm,
    "container_id": container_id,
    "container_name": _container("name", ("container", "name")),
    "container_image": _container("image", ("container", "image", "name")),
    "pod_name": _pod("name"),
    "pod_namespace": _pod("namespace"),
    "pod_uid": _pod("uid"),
    "workload": _pod("workload"),
    "workload_kind": _pod("workload_kind"),
    "policy": policy,
    "message": message,
    **LINES,
    **{
        name: _extra(name)
        for name in (
            "function", "path", "path_name", "old_path", "destination_ip", "destination_port", "source_ip",
            "source_port", "protocol", "initiated", "hostname", "is_ipv6", "query_name", "query_type",
            "record_type", "syscall", "audit_key", "name_type", "success",
        )
    },
}  # fmt: skip
"""By name in fields.yaml."""


def _environment(name: str) -> Source:
    return lambda subject: text_or_number(_at(subject.known.own.get("environment"), (name,)))


def _label(name: str) -> Source:
    return lambda subject: text_or_number(_at(subject.known.process.get("pod"), ("pod_labels", name)))


def _argument(name: str) -> Source:
    return _extra(f"argument {name.removeprefix('.')}")


def _audit_argument(name: str) -> Source:
    return _extra(f"a{name}")


FAMILIES: Mapping[str, Callable[[str], Source]] = {
    "environment": _environment,
    "pod_labels": _label,
    "argument": _argument,
    "audit_argument": _audit_argument,
}
"""Sources of fields whose names end in `*`: from what stands there."""
