# SPDX-License-Identifier: Apache-2.0
"""`struct exec_record`: a program was executed. Long argument lists come ahead of it in chunks."""

from __future__ import annotations

from struct import Struct

from agent.decode.chunk import Chunks
from agent.decode.header import FACTS_FORMAT, HEAD, HEAD_FORMAT, facts_from
from agent.decode.paths import path_from_leaf_first
from agent.events import ARGUMENTS_CUT, ENVIRONMENT_CUT, Exec, Garbage, Head, TaskFacts

EXEC = Struct("=" + HEAD_FORMAT + FACTS_FORMAT + "Q5I8H4x")
_FACTS = Struct("=" + FACTS_FORMAT)
_REST = Struct("=Q5I8H4x")
_FACTS_AT = HEAD.size
_REST_AT = HEAD.size + _FACTS.size
_FACTS_MOST = 4096
_new = tuple.__new__  # see agent.decode.fork


class ExecDecoder:
    """Decodes exec records, joining the chunks that came before. Equal facts are built once."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self._facts: dict[bytes, TaskFacts] = {}
        self._paths: dict[bytes, bytes] = {}

    def __call__(self, raw: bytes) -> Exec | Garbage:
        """Raises nothing: what does not fit is Garbage."""
        if len(raw) < EXEC.size:
            return Garbage("exec record too short", len(raw))
        (inode, device, links, argc, arguments_bytes, environment_bytes,
         filename_l, cgroup_l, exe_l, cwd_l, arguments_l, environment_l,
         arguments_c, environment_c) = _REST.unpack_from(raw, _REST_AT)  # fmt: skip
        at_cgroup = EXEC.size + filename_l
        at_exe = at_cgroup + cgroup_l
        at_cwd = at_exe + exe_l
        at_arguments = at_cwd + cwd_l
        at_environment = at_arguments + arguments_l
        if len(raw) < at_environment + environment_l:
            return Garbage("exec record shorter than its parts", len(raw))
        head = _new(Head, HEAD.unpack_from(raw))
        arguments = raw[at_arguments:at_environment]
        environment = raw[at_environment : at_environment + environment_l]
        missing: tuple[str, ...] = ()
        if arguments_c or environment_c or arguments_l < arguments_bytes or environment_l < environment_bytes:
            arguments, environment, missing = self._join(
                head,
                (arguments, arguments_bytes, arguments_c),
                (environment, environment_bytes, environment_c),
            )
        facts_raw = raw[_FACTS_AT:_REST_AT]
        facts = self._facts.get(facts_raw) or self._facts_of(facts_raw)
        exe, cwd = raw[at_exe:at_cwd], raw[at_cwd:at_arguments]
        paths = self._paths
        return _new(
            Exec,
            (
                head,
                facts,
                inode,
                device,
                links,
                argc,
                raw[EXEC.size : at_cgroup],
                raw[at_cgroup:at_exe],
                paths.get(exe) or self._path(exe),
                paths.get(cwd) or self._path(cwd),
                arguments,
                environment,
                missing,
            ),
        )

    def _join(
        self, head: Head, arguments: tuple[bytes, int, int], environment: tuple[bytes, int, int]
    ) -> tuple[bytes, bytes, tuple[str, ...]]:
        missing = []
        joined = []
        cut_flags = (ARGUMENTS_CUT, ENVIRONMENT_CUT)
        for stream, (inline, whole, count) in enumerate((arguments, environment)):
            text, complete = inline, True
            if count:
                text, complete = self._chunks.take(head, stream, count)
            # a chunk whose memory could not be read arrives empty: only the length tells
            if not complete or len(text) < whole or head.flags & cut_flags[stream]:
                missing.append(("arguments", "environment")[stream])
            joined.append(text)
        return joined[0], joined[1], tuple(missing)

    def _facts_of(self, raw: bytes) -> TaskFacts:
        if len(self._facts) >= _FACTS_MOST:
            self._facts.clear()
        facts = self._facts[raw] = facts_from(_FACTS.unpack(raw))
        return facts

    def _path(self, raw: bytes) -> bytes:
        if len(self._paths) >= _FACTS_MOST:
            self._paths.clear()
        path = self._paths[raw] = path_from_leaf_first(raw)
        return path
