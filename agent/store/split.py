# SPDX-License-Identifier: Apache-2.0
"""A line of the log in the parts that repeat: process, parent, ancestry, and what is left.

An image's process object stands in each of its events and in those of its children, with the same bytes
(agent/log/encode.py). Cut out, it is stored once. Pure; what is not as our encoder writes it stays whole.
"""

from __future__ import annotations

from orjson import dumps

from agent.store.flat import Record

TIME, LINEAGE, CUT, ENCODED = "\x01", "\x02", "\x03", "\x04"
"""Marks in payloads: the record's time, the exec_ids of its ancestry, the place between the event's own
fields and those below `tracehound`; ENCODED begins the base64 of a line that is no text. JSON has no such
characters (RFC 8259, section 7: control characters are escaped)."""
SEQUENCE = '","tracehound":{"sequence":'
_PROCESS = '":{"process":{"exec_id":"'
_OBJECT_AT = len('":{"process":')
_PARENT = ',"parent":{"exec_id":"'
_PARENT_AT = len(',"parent":')
_LAST_KEY = '"in_init_tree":'
_ANCESTRY = ',"ancestry":['
_ANCESTRY_AT = len(_ANCESTRY)
_STAMP = 30
"""Characters of `2026-01-01T00:00:00.000000001Z`."""
_TO_NUMBER = _STAMP + len(SEQUENCE)

Parts = tuple[str, str, str | None, str, str, str | None, str, str]
"""Type; JSON of process and parent (None: without one); time; number; what stands in `ancestry` (None: no
such key); the event's other fields; what follows the number and the ancestry."""


def middle_of(line: str) -> str:
    """What stands between an event's fields and its time: the same in all lines of an agent's run."""
    end = line.rfind(',"time":"', 0, line.find(SEQUENCE))
    start = line.rfind('},"node_name":"', 0, end)
    return line[start : end + len(',"time":"')] if start >= 0 else ""


def split(line: str, middle: str) -> Parts | None:
    """The parts of an event; None for what is not written as our encoder does. Looks at no more than it must:
    that `join` gives the line back has to be checked."""
    at = line.find(_PROCESS, 3, 64)
    if at < 0:
        return None
    end = line.find("}", line.find(_LAST_KEY, at)) + 1
    process, parent = line[at + _OBJECT_AT : end], None
    if line.startswith(_PARENT, end):
        begin = end + _PARENT_AT
        end = line.find("}", line.find(_LAST_KEY, begin)) + 1
        parent = line[begin:end]
    rest = line.find(middle, end)
    stamp_at = rest + len(middle)
    number_at = stamp_at + _TO_NUMBER
    if rest < 0 or not line.startswith(SEQUENCE, stamp_at + _STAMP):
        return None
    stamp = line[stamp_at : stamp_at + _STAMP]
    own = line[end:rest]
    ancestry_at = line.find(_ANCESTRY, number_at, number_at + 32)
    if ancestry_at >= 0:
        close = line.find("]", ancestry_at)
        lineage = line[ancestry_at + _ANCESTRY_AT : close]
        return (
            line[2:at],
            process,
            parent,
            stamp,
            line[number_at:ancestry_at],
            lineage,
            own,
            line[close + 1 :],
        )
    digits = number_at
    while line[digits : digits + 1].isdigit():
        digits += 1
    return line[2:at], process, parent, stamp, line[number_at:digits], None, own, line[digits:]


def join(parts: Parts, middle: str) -> str:
    """The line that `split` took apart."""
    type_, process, parent, stamp, number, lineage, own, tail = parts
    above = "" if parent is None else f',"parent":{parent}'
    ancestry = "" if lineage is None else f"{_ANCESTRY}{lineage}]"
    head = f'{{"{type_}":{{"process":{process}{above}{own}{middle}{stamp}'
    return f"{head}{SEQUENCE}{number}{ancestry}{tail}"


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
