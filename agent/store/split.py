# SPDX-License-Identifier: Apache-2.0
"""A line of the log in the parts that repeat: process, parent, ancestry, and what is left.

An image's process object stands in each of its events and in those of its children, with the same bytes
(agent/log/encode.py). Cut out, it is stored once. Pure; what is not as our encoder writes it stays whole.
"""

from __future__ import annotations

from typing import NamedTuple

from orjson import dumps

from agent.store.flat import Record

TIME, LINEAGE, CUT, ENCODED = "\x01", "\x02", "\x03", "\x04"
"""Marks in payloads: the record's time, the exec_ids of its ancestry, the place between the event's own
fields and those below `tracehound`; ENCODED begins the base64 of a line that is no text. JSON has no such
characters (RFC 8259, section 7: control characters are escaped)."""
SEQUENCE = '","tracehound":{"sequence":'
SEQUENCE_BYTES = SEQUENCE.encode()
STAMP = 30
"""Bytes of `2026-01-01T00:00:00.000000001Z`."""
TO_NUMBER = STAMP + len(SEQUENCE)
ANCESTRY = b',"ancestry":['
PROCESS_KEY = b'":{"process":{"exec_id":"'
OBJECT_AT = len('":{"process":')
PARENT_KEY = b',"parent":{"exec_id":"'
PARENT_AT = len(',"parent":')
_LAST_KEY = b'"in_init_tree":'
_TIME_KEY = b',"time":"'


class Head(NamedTuple):
    """A line's beginning."""

    type: bytes
    process: bytes
    """JSON."""
    parent: bytes | None
    """JSON; None without one."""
    end: int
    """Where the event's own fields begin."""


Parts = tuple[bytes, bytes, bytes | None, bytes, bytes, bytes | None, bytes, bytes]
"""Type; JSON of process and parent (None: without one); time; number; what stands in `ancestry` (None: no
such key); the event's other fields; what follows the number and the ancestry."""


def middle_of(line: bytes) -> bytes:
    """What stands between an event's fields and its time: the same in all lines of an agent's run."""
    end = line.rfind(_TIME_KEY, 0, line.find(SEQUENCE_BYTES))
    start = line.rfind(b'},"node_name":"', 0, end)
    return line[start : end + len(_TIME_KEY)] if start >= 0 else b""


def head_of(line: bytes) -> Head | None:
    """Type and processes of an event; None for what is not written as our encoder does. Looks at no more than
    it must: that the parts give the line back has to be checked."""
    at = line.find(PROCESS_KEY, 3, 64)
    if at < 0:
        return None
    begin = at + OBJECT_AT
    end = object_end(line, begin)
    process = line[begin:end]
    if not line.startswith(PARENT_KEY, end):
        return Head(line[2:at], process, None, end)
    begin = end + PARENT_AT
    end = object_end(line, begin)
    return Head(line[2:at], process, line[begin:end], end)


def object_end(line: bytes, at: int) -> int:
    """Where the process ends that begins at `at`."""
    return line.find(b"}", line.find(_LAST_KEY, at)) + 1


def number_end(line: bytes, at: int) -> int:
    """Where the number that begins at `at` ends: what follows is another field, or nothing."""
    end = line.find(b",", at)
    return end if end >= 0 else line.find(b"}", at)


def ancestry_in(tail: bytes) -> tuple[bytes | None, bytes]:
    """What stands in the `ancestry` that follows the number (None without one), and what follows that."""
    if not tail.startswith(ANCESTRY):
        return None, tail
    close = tail.find(b"]")
    return tail[len(ANCESTRY) : close], tail[close + 1 :]


def split(line: bytes, middle: bytes) -> Parts | None:
    """The parts of an event; None for what is not written as our encoder does. That `join` gives the line
    back has to be checked."""
    head = head_of(line)
    if head is None:
        return None
    rest = line.find(middle, head.end)
    stamp_at = rest + len(middle)
    if rest < 0 or not line.startswith(SEQUENCE_BYTES, stamp_at + STAMP):
        return None
    stamp = line[stamp_at : stamp_at + STAMP]
    end = number_end(line, stamp_at + TO_NUMBER)
    lineage, tail = ancestry_in(line[end:])
    number = line[stamp_at + TO_NUMBER : end]
    return head.type, head.process, head.parent, stamp, number, lineage, line[head.end : rest], tail


def join(parts: Parts, middle: bytes) -> bytes:
    """The line that `split` took apart."""
    type_, process, parent, stamp, number, lineage, own, tail = parts
    above = b"" if parent is None else b',"parent":' + parent
    ancestry = b"" if lineage is None else ANCESTRY + lineage + b"]"
    head = b'{"' + type_ + b'":{"process":' + process + above + own + middle + stamp
    return head + SEQUENCE_BYTES + number + ancestry + tail


def process_form(text: str, process: Record) -> str:
    """What the columns of a process do not tell of its JSON: `flags` and start, thread and tree.

    The whole text when that and the columns would not give it back.
    """
    before, between = _around(process)
    at = text.find(between, len(before))
    if at < 0 or not text.startswith(before):
        return text
    return f"{text[len(before) : at]}{CUT}{text[at + len(between) :]}"


def process_json(form: str, process: Record) -> str:
    """A process's JSON, from its fields that are columns (Tetragon's names) and its form."""
    if form[:1] == "{":
        return form
    middle, _, end = form.partition(CUT)
    before, between = _around(process)
    return f"{before}{middle}{between}{end}"


def _around(process: Record) -> tuple[str, str]:
    """What stands before `flags`, and from `auid` to the thread."""
    get = process.get
    cwd, binary, arguments, docker = get("cwd"), get("binary"), get("arguments"), get("docker")
    texts = f',"cwd":{dumps(cwd).decode()}' if cwd is not None else ""
    if binary is not None:
        texts += f',"binary":{dumps(binary).decode()}'
    if arguments is not None:
        texts += f',"arguments":{dumps(arguments).decode()}'
    container = f',"docker":{dumps(docker).decode()}' if docker is not None else ""
    return (
        f'{{"exec_id":"{get("exec_id")}","pid":{get("pid")},"uid":{get("uid")}{texts}',
        f',"auid":{get("auid")}{container},"parent_exec_id":"{get("parent_exec_id")}","tid":',
    )
