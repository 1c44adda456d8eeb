# SPDX-License-Identifier: Apache-2.0
"""What the log told once of a process and other events need: a bounded memory, one per runner.

Events carry the default fields of their process and parent, and the exec_ids of all ancestors. Names of the
ancestors and of users stand in the records of their execs only. A format that wants them feeds every record
of the log, in order, to a Lineage. What was never seen, or was forgotten, is known by what the line itself
carries.

agent/log/expand.py gives whole processes back and keeps them whole (1.9 kB each); here a process that is not
in use is one small tuple (0.4 kB).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from exporters.formats.shape import MOST_NUMBER, PROCESS, base_name, clean, is_count, is_text

Fields = dict[str, Any]
_MOST_PROCESSES = 65536
_MOST_IN_USE = 4096
_MOST_MISSED = 65536


class Image(NamedTuple):
    """A process in short, to be named among the ancestors of others. Texts are empty when not known."""

    exec_id: str
    pid: int
    """On the host; 0 when not known."""
    binary: str
    arguments: str
    start_time: str
    """As in the log: RFC 3339, UTC."""
    user: str
    """Name of its user on the host."""
    parent_exec_id: str


_TYPES = [str, int, str, str, str, str, str]


def _mended(image: Image) -> Image:
    """Without what is of a wrong type."""
    texts = [value if is_text(value) else "" for value in image]
    return Image(*texts)._replace(pid=image.pid if is_count(image.pid) else 0)  # type: ignore[arg-type]


class Subject:
    """A process of an event, with what a format made of it. Fields are of the right type, or absent."""

    __slots__ = ("above", "count", "exec_id", "fields", "made", "malformed", "name", "pod", "start", "user")

    def __init__(self, process: object, user: str) -> None:
        wrong: list[str] = []
        self.fields = clean(process, PROCESS, "process", wrong)
        """As in the log."""
        self.exec_id: str = self.fields.get("exec_id", "")
        self.name = base_name(self.fields.get("binary", ""))
        """Last component of the binary's path; empty when it is not known."""
        self.user = user
        """Name of its user; empty when not known."""
        self.malformed = tuple(wrong)
        """Names of fields that were of a wrong type."""
        self.made: Any = None
        """What a format made of it, to be used again in the next event."""
        self.above: Any = None
        """What a format made of it and its ancestors together."""
        source: Fields = process if type(process) is dict else {}
        self.count, self.start, self.pod = len(source), source.get("start_time"), source.get("pod")
        """What tells cheaply whether a later event says the same of it; the rest is fixed at exec."""


class Lineage:
    """Remembers processes; those that have exited are forgotten first."""

    def __init__(self, most: int = _MOST_PROCESSES, most_in_use: int = _MOST_IN_USE) -> None:
        self._most = most
        self._most_in_use = most_in_use
        self._living: dict[str, Image] = {}
        self._exited: dict[str, Image] = {}
        self._in_use: dict[str, Subject] = {}
        self._missed: set[str] = set()
        self.boot_id = ""
        """Boot of the records that were fed last; empty before the first `segment` record."""
        self.machine_id = ""
        """Of the node, from the same record."""
        self.kernel = ""
        """Release of the node's kernel, from the same record."""
        self.epoch = 0
        """Rises when something becomes known that was asked for in vain before."""

    def __len__(self) -> int:
        return len(self._living) + len(self._exited)

    def learn(self, record: Fields) -> None:
        """Takes notice of a record. Feed every one, also those that are not sent."""
        event = record.get("process_exec")
        own = record.get("tracehound")
        if type(own) is not dict:
            own = {}
        if type(event) is dict:
            self._learn_event(event, own)
        elif (exit_ := record.get("process_exit")) is not None:
            self._learn_exit(exit_)
        elif "segment" in own:
            self._begin_segment(own["segment"])
        elif type(own.get("fork")) is dict:
            self._learn_event(own["fork"], {})
        elif type(detection := own.get("detection")) is dict:
            self._learn_ancestors(detection.get("ancestors"))

    def subject(self, process: object, user: str = "") -> Subject:
        """A process of an event as it is to be told of. `user`: the name of its user where the event has
        it."""
        if type(process) is dict:
            exec_id = process.get("exec_id")
            known = self._in_use.get(exec_id) if type(exec_id) is str else None
            if (
                known is not None
                and known.start == process.get("start_time")
                and known.count == len(process)
                and known.pod == process.get("pod")
            ):
                return known
        return self._make_subject(process, user)

    def image(self, exec_id: str) -> Image | None:
        """What is known of a process; None when that is nothing."""
        known = self._living.get(exec_id) or self._exited.get(exec_id)
        if known is None and len(self._missed) < _MOST_MISSED:
            self._missed.add(exec_id)
        return known

    def ancestry(self, subject: Subject, most: int = 128) -> list[str]:
        """exec_ids from the parent upwards, as far as they are known, for an event that does not list
        them."""
        found: list[str] = []
        parent = subject.fields.get("parent_exec_id", "")
        while parent and len(found) < most and parent not in found:
            found.append(parent)
            known = self.image(parent)
            parent = known.parent_exec_id if known is not None else ""
        return found

    def put(self, subject: Subject) -> Image:
        """Remembers the process of an event, and says what is known of it."""
        known = self._living.get(subject.exec_id) or self._exited.get(subject.exec_id)
        return known or self._put(subject.fields, subject.user)

    def _make_subject(self, process: object, user: str) -> Subject:
        subject = Subject(process, user)
        if not subject.exec_id:
            return subject
        subject.user = self.put(subject).user or user
        if len(self._in_use) >= self._most_in_use:
            self._in_use.clear()
        self._in_use[subject.exec_id] = subject
        return subject

    def _learn_event(self, event: Fields, own: Fields) -> None:
        user = own.get("user", "")
        parent, process = event.get("parent"), event.get("process")
        if type(parent) is dict and not self._has(parent.get("exec_id")):
            self._put(parent, "")
        self._learn_ancestors(event.get("ancestors"))
        if type(process) is dict:
            image = self._put(process, user if is_text(user) else "")
            if image.exec_id in self._in_use:
                del self._in_use[image.exec_id]
            if type(parent) is dict and parent.get("pid") == image.pid:
                self._leave(parent.get("exec_id"))  # replaced by an exec without a fork

    def _learn_ancestors(self, ancestors: object) -> None:
        for ancestor in ancestors if type(ancestors) is list else ():
            if type(ancestor) is dict and not self._has(ancestor.get("exec_id")):
                self._put(ancestor, "")

    def _learn_exit(self, event: object) -> None:
        process = event.get("process") if type(event) is dict else None
        if type(process) is dict:
            self._leave(process.get("exec_id"))

    def _has(self, exec_id: object) -> bool:
        return type(exec_id) is str and (exec_id in self._living or exec_id in self._exited)

    def _put(self, process: Fields, user: str) -> Image:
        get = process.get
        pid = get("pid", 0)
        exec_id = get("exec_id", "")
        image = Image(
            exec_id,
            pid,
            get("binary", ""),
            get("arguments", ""),
            get("start_time", ""),
            user,
            get("parent_exec_id", ""),
        )
        if list(map(type, image)) != _TYPES or not 0 <= pid <= MOST_NUMBER:
            image = _mended(image)
            exec_id = image.exec_id
        if exec_id:
            self._exited.pop(exec_id, None)
            self._living[exec_id] = image
            if exec_id in self._missed:
                self._missed.clear()
                self.epoch += 1
            if len(self._living) + len(self._exited) > self._most:
                oldest = self._exited or self._living
                del oldest[next(iter(oldest))]
        return image

    def _leave(self, exec_id: object) -> None:
        known = self._living.pop(exec_id, None) if type(exec_id) is str else None
        if known is not None:
            self._exited[known.exec_id] = known

    def _begin_segment(self, segment: object) -> None:
        if type(segment) is not dict:
            return
        texts = [segment.get(key, "") for key in ("boot_id", "machine_id", "kernel")]
        boot_id, machine_id, kernel = [text if is_text(text) else "" for text in texts]
        if boot_id != self.boot_id:
            for memory in (self._living, self._exited, self._in_use, self._missed):
                memory.clear()
            self.epoch += 1
        self.boot_id, self.machine_id, self.kernel = boot_id, machine_id, kernel
