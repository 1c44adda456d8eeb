# SPDX-License-Identifier: Apache-2.0
"""What executed paths led to, in a whole log: `/bin/sh` to `/usr/bin/dash`, a script to its interpreter.

An event names its parent by the path that was executed; what that resolved to stands at the parent's exec.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from agent.log.entry import line_test, parse
from agent.store.layout import Source
from agent.store.live import chunks_of
from agent.store.rebuild import by_word, whole

if TYPE_CHECKING:
    import pyarrow as pa

Aliases = Mapping[str, frozenset[str]]
"""By the executed path (`process.binary`), the resolved ones (`tracehound.exe`) where they differ."""
Pair = tuple[str, str]
_EXEC = "process_exec"
_RESOLVED = r'"exe":"(?P<exe>(?:[^"\\]|\\.)*)"'
"""The first one of a payload: `exe` stands before all that could hold another key of this name."""


def aliases_of(pairs: Iterable[Pair]) -> Aliases:
    """Many pairs as one table."""
    found: dict[str, set[str]] = {}
    for path, resolved in pairs:
        found.setdefault(path, set()).add(resolved)
    return {path: frozenset(resolved) for path, resolved in found.items()}


def pairs_in(log_dir: Path, todo: Iterable[Source], problems: list[str] | None = None) -> Iterator[Pair]:
    """Of execs in segments, some more than once. What cannot be read has none; lines that are no records are
    told in `problems`."""
    for source in todo:
        try:
            if source.compacted:
                yield from _of_rows(source.path)
            else:
                yield from _of_lines(log_dir, source, problems if problems is not None else [])
        except (OSError, ValueError):
            continue


def _of_rows(path: Path) -> Iterator[Pair]:
    from agent.store.parquet import damage_told, opened

    with opened(path) as file:
        for group in range(file.num_row_groups):
            with damage_told(path):
                table = file.read_row_group(group, columns=["type", "exe", "payload"])
            yield from _of_table(table)


def _of_table(table: pa.Table) -> Iterator[Pair]:
    import pyarrow as pa
    import pyarrow.compute as pc

    execs = table.filter(by_word(table.column("type"), lambda words: pc.equal(words, _EXEC)))
    payloads = whole(execs.column("payload"))
    told = pc.struct_field(pc.extract_regex(payloads.dictionary, _RESOLVED), "exe")
    resolved = told.take(payloads.indices)
    pairs = pa.table({"path": execs.column("exe").cast(pa.string()), "resolved": resolved})
    pairs = (
        pairs.filter(pc.is_valid(resolved)).group_by(["path", "resolved"], use_threads=False).aggregate([])
    )
    for path, text in zip(*(pairs.column(name).to_pylist() for name in ("path", "resolved")), strict=True):
        if path is not None:
            yield path, orjson.loads(f'"{text}"')


def _of_lines(log_dir: Path, source: Source, problems: list[str]) -> Iterator[Pair]:
    is_exec, odd = line_test((_EXEC,)), 0
    assert is_exec is not None
    for chunk in chunks_of(log_dir, source):
        odd += sum(1 for line in chunk if line and not (line.startswith(b'{"') and line.endswith(b"}")))
        for line in chunk:
            if is_exec(line) and b'"exe":' in line and (parsed := parse(line)) is not None:
                yield from _of_record(parsed[0])
    if odd:
        problems.append(f"{odd:,} lines of {source.path.name} are no records")


def _of_record(record: dict[str, Any]) -> Iterator[Pair]:
    event, own = record[_EXEC], record.get("tracehound")
    process = event.get("process") if type(event) is dict else None
    if type(process) is dict and type(own) is dict:
        path, resolved = process.get("binary"), own.get("exe")
        if type(path) is str and type(resolved) is str:
            yield path, resolved
