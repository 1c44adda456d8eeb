# SPDX-License-Identifier: Apache-2.0
"""Ring records as the kernel side writes them, for tests that need one field or another to be special.

Layouts are those of agent.decode, which tests/agent/decode/test_header.py compares with the object's own BTF.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.decode.cgroup import CGROUP, PATH_BYTES
from agent.decode.chunk import CHUNK
from agent.decode.exec import EXEC
from agent.decode.exit import EXIT
from agent.decode.fork import FORK
from agent.decode.header import HEAD, KIND_CGROUP, KIND_CHUNK, KIND_EXEC, KIND_EXIT, KIND_FORK, KIND_TASK
from agent.decode.task import TASK
from agent.events import EXECED, FORKED

SECOND = 1_000_000_000
HOST_NS = tuple(range(4026531801, 4026531811))
Image = tuple[int, int]
"""(tgid, image_ktime)."""
NOBODY: Image = (0, 0)


def head(
    kind: int,
    image: Image,
    parent: Image = NOBODY,
    *,
    flags: int = 0,
    at: int = 5 * SECOND,
    tid: int | None = None,
    nspid: int = 0,
) -> bytes:
    tgid, ktime = image
    return HEAD.pack(kind, flags, at, tgid, tgid if tid is None else tid, ktime, parent[0], nspid, parent[1])


def facts(
    ids: Sequence[int] = (0,) * 8,
    caps: Sequence[int] = (0,) * 4,
    *,
    securebits: int = 0,
    auid: int = 0xFFFFFFFF,
    ns: Sequence[int] = HOST_NS,
    cgroup_id: int = 0,
    sid: int = 1,
    pgid: int = 1,
    tty: bytes = b"",
) -> tuple[int | bytes, ...]:
    """Values of struct task_facts in its order."""
    return (*ids, *caps, securebits, auid, *ns, cgroup_id, sid, pgid, tty)


def leaf_first(path: bytes) -> bytes:
    """A path as the kernel side writes it."""
    return b"".join(part + b"\0" for part in reversed(path.split(b"/")) if part)


def exec_record(
    image: Image = (100, 2 * SECOND),
    parent: Image = (1, 1),
    argv: Sequence[bytes] = (b"ls",),
    *,
    flags: int = FORKED,
    filename: bytes = b"/bin/ls",
    exe: bytes | None = None,
    cwd: bytes = b"/home",
    cgroup: bytes = b"",
    environment: bytes = b"",
    about: tuple[int | bytes, ...] | None = None,
    inode: tuple[int, int, int] = (7, 8 << 20 | 1, 1),
    arguments_bytes: int | None = None,
    environment_bytes: int | None = None,
    chunks: tuple[int, int] = (0, 0),
    at: int = 5 * SECOND,
    nspid: int = 0,
) -> bytes:
    """A whole exec record; `chunks` are the counts of arguments' and environment's chunks."""
    arguments = b"" if chunks[0] else b"".join(argument + b"\0" for argument in argv)
    parts = [filename, cgroup, leaf_first(filename if exe is None else exe), leaf_first(cwd), arguments]
    parts.append(b"" if chunks[1] else environment)
    begin = head(KIND_EXEC, image, parent, flags=flags | EXECED, at=at, nspid=nspid)
    numbers = (*HEAD.unpack(begin), *(about or facts()), *inode, len(argv))
    whole = (
        len(arguments) if arguments_bytes is None else arguments_bytes,
        len(environment) if environment_bytes is None else environment_bytes,
    )
    return EXEC.pack(*numbers, *whole, *map(len, parts), *chunks) + b"".join(parts)


def chunk_records(image: Image, area: bytes, stream: int = 0, size: int = 8192) -> list[bytes]:
    """An area in chunks, each padded to its constant size."""
    pieces = [area[start : start + size] for start in range(0, len(area), size)]
    begin = HEAD.unpack(head(KIND_CHUNK, image))
    return [
        CHUNK.pack(*begin, stream, index, len(piece)) + piece.ljust(8192, b"\xee")
        for index, piece in enumerate(pieces)
    ]


def fork_record(
    image: Image, parent: Image, creator: Image = NOBODY, *, flags: int = FORKED, at: int = 3 * SECOND
) -> bytes:
    begin = HEAD.unpack(head(KIND_FORK, image, parent, flags=flags, at=at))
    return FORK.pack(*begin, creator[1], creator[0])


def exit_record(
    image: Image, parent: Image = (1, 1), code: int = 0, *, flags: int = EXECED, at: int = 9 * SECOND
) -> bytes:
    return EXIT.pack(*HEAD.unpack(head(KIND_EXIT, image, parent, flags=flags, at=at)), code)


def cgroup_record(
    cgroup_id: int,
    container: int,
    path: bytes,
    *,
    removed: bool = False,
    length: int | None = None,
    at: int = 4 * SECOND,
) -> bytes:
    """`container`: id of the container's cgroup, 0 for none."""
    begin = HEAD.unpack(head(KIND_CGROUP, NOBODY, at=at))
    told = len(path) if length is None else length
    return CGROUP.pack(*begin, cgroup_id, container, 2 if removed else 1, told) + path.ljust(
        PATH_BYTES, b"\0"
    )


def task_record(
    image: Image,
    parent: Image = NOBODY,
    *,
    flags: int = EXECED,
    about: tuple[int | bytes, ...] | None = None,
    nspid: int = 0,
    at: int = 4 * SECOND,
) -> bytes:
    begin = HEAD.unpack(head(KIND_TASK, image, parent, flags=flags, nspid=nspid, at=at))
    return TASK.pack(*begin, *(about or facts()))
