# SPDX-License-Identifier: Apache-2.0
"""Fills an image's description from its exec record: text, redacted, as it will stand in every event."""

from __future__ import annotations

import posixpath
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple, Protocol

from agent.enrich.containers import container_id_from_cgroup
from agent.enrich.process import Process
from agent.enrich.text import join_arguments, to_text
from agent.events import (
    ARGUMENTS_CUT,
    ARGUMENTS_FAULT,
    CWD_CUT,
    CWD_UNREACHABLE,
    EXE_CUT,
    FILENAME_CUT,
    FORKED,
    IN_INIT_TREE,
    PARENT_MISSED,
    Exec,
)

_MEMO_MOST = 4096
_MEMO_BYTES = 512
"""Longer texts are not remembered: 4096 of them would be 16 MiB and more."""
_WORD_FLAGS = (
    FORKED | IN_INIT_TREE | PARENT_MISSED | ARGUMENTS_CUT | ARGUMENTS_FAULT | CWD_UNREACHABLE | CWD_CUT
)


class Redactor(Protocol):
    """What is asked of agent.enrich.redaction."""

    def redact_arguments(self, argv: Sequence[str], /) -> Sequence[str]:
        """The same object when nothing was a secret."""

    def redact_environment(self, environment: Mapping[str, str], /) -> Mapping[str, str]:
        """The same object when nothing was a secret."""


class ExecDetail(NamedTuple):
    """What only the process_exec line carries."""

    argv: Sequence[str]
    exe: str
    """Resolved path of the executable."""
    cgroup: str
    environment: Mapping[str, str]
    truncated: tuple[str, ...]
    raw: Mapping[str, object]
    """base64 of what was not UTF-8, by field."""


class Describer:
    """Callable stage: (process, exec event) -> detail; sets the process's own fields."""

    def __init__(self, redactor: Redactor | None, environment: Sequence[str] = ()) -> None:
        self.redactor = redactor
        self.wanted = tuple(environment)
        """Names of variables, as patterns."""
        self._texts: dict[bytes, tuple[str, bool]] = {}
        self._words: dict[tuple[int, bool], str] = {}
        self._containers: dict[str, str] = {}

    def __call__(self, process: Process, event: Exec) -> ExecDetail:
        """Raises nothing for any bytes."""
        head = event.head
        raw: dict[str, object] = {}
        cwd = self.text(event.cwd, "cwd", raw)
        exe = self.text(event.exe, "exe", raw)
        binary = self.text(binary_of(event.filename, event.cwd, event.exe), "binary", raw)
        argv = self.arguments(event.arguments, raw)
        process.arguments = join_arguments(argv)
        process.uid = event.facts.credentials.euid
        process.auid = event.facts.auid
        process.cwd = cwd
        process.binary = binary
        process.words = self.flag_words(head.flags, cwd == "/", "arguments" in event.missing)
        cgroup = self.text(event.cgroup, "cgroup", raw)
        process.container = self.container(cgroup) or (process.parent.container if process.parent else "")
        truncated = event.missing
        if head.flags & (EXE_CUT | CWD_CUT | FILENAME_CUT):
            truncated += _cut_parts(head.flags)
        environment = self._environment(event.environment, raw) if self.wanted else {}
        return ExecDetail(argv, exe, cgroup, environment, truncated, raw)

    def text(self, value: bytes, field: str, raw: dict[str, object]) -> str:
        """The text; `raw` gets what was not UTF-8."""
        known = self._texts.get(value)
        if known is None:
            known = to_text(value)
            if len(self._texts) >= _MEMO_MOST:
                self._texts.clear()
            if len(value) <= _MEMO_BYTES:
                self._texts[value] = known
        if known[1]:
            raw[field] = b64encode(value).decode()
        return known[0]

    def arguments(self, area: bytes, raw: dict[str, object]) -> Sequence[str]:
        """The argument vector without secrets; `raw` gets what was not UTF-8."""
        if not area:
            return []
        text, bad = to_text(area)
        argv = text.split("\0")
        if not argv[-1]:
            argv.pop()
        redacted = self.redactor.redact_arguments(argv) if self.redactor else argv
        if bad:
            pieces = area.split(b"\0")[: len(argv)]
            kept = {
                str(index): b64encode(piece).decode()
                for index, piece in enumerate(pieces)
                if to_text(piece)[1] and redacted[index] == argv[index]
            }
            if kept:
                raw["arguments"] = kept
        return redacted

    def _environment(self, area: bytes, raw: dict[str, object]) -> Mapping[str, str]:
        found: dict[str, str] = {}
        entries: dict[str, bytes] = {}
        for entry in area.split(b"\0"):
            text, bad = to_text(entry)
            name, _, value = text.partition("=")
            if not entry or not any(fnmatchcase(name, pattern) for pattern in self.wanted):
                continue
            found[name] = value
            entries.pop(name, None)
            if bad:
                entries[name] = entry
        redacted = self.redactor.redact_environment(found) if self.redactor else found
        kept = {
            name: b64encode(entry).decode()
            for name, entry in entries.items()
            if redacted[name] == found[name]
        }
        if kept:
            raw["environment"] = kept
        return redacted

    def flag_words(self, flags: int, at_root: bool, incomplete: bool) -> str:
        """Tetragon's flag words of an exec record's flags."""
        key = (flags & _WORD_FLAGS | (ARGUMENTS_CUT if incomplete else 0), at_root)
        words = self._words.get(key)
        if words is None:
            words = self._words[key] = flag_words(key[0], at_root)
        return words

    def container(self, cgroup: str) -> str:
        """The id of the container that a cgroup's name tells; empty when it tells none."""
        known = self._containers.get(cgroup)
        if known is None:
            if len(self._containers) >= _MEMO_MOST:
                self._containers.clear()
            reference = container_id_from_cgroup(cgroup)
            known = self._containers[cgroup] = reference.id if reference else ""
        return known


def flag_words(flags: int, at_root: bool, first: str = "execve") -> str:
    """Tetragon's flag words, in the order of its bits (tetragon.md A4)."""
    words = [first]
    table: tuple[tuple[Callable[[], int | bool], str], ...] = (
        (lambda: flags & ARGUMENTS_CUT and not flags & ARGUMENTS_FAULT, "truncArgs"),
        (lambda: flags & PARENT_MISSED, "miss"),
        (lambda: flags & ARGUMENTS_FAULT, "errorArgs"),
        (lambda: flags & CWD_UNREACHABLE, "nocwd"),
        (lambda: at_root, "rootcwd"),
        (lambda: flags & CWD_CUT, "errorCWD"),
        (lambda: flags & FORKED, "clone"),
        (lambda: flags & IN_INIT_TREE, "inInitTree"),
    )
    words.extend(word for applies, word in table if applies())
    return " ".join(words)


def binary_of(filename: bytes, cwd: bytes, exe: bytes) -> bytes:
    """What was executed. A relative name as Tetragon shows it: joined with the working directory, cleaned."""
    if filename[:1] == b"/":
        return filename
    return posixpath.normpath(posixpath.join(cwd, filename)) if filename else exe


def _cut_parts(flags: int) -> tuple[str, ...]:
    table = ((EXE_CUT, "exe"), (CWD_CUT, "cwd"), (FILENAME_CUT, "filename"))
    return tuple(name for bit, name in table if flags & bit)
