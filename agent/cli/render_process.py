# SPDX-License-Identifier: Apache-2.0
"""Parts of a line that tell of one process: binary, arguments, warnings, details."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from agent.cli.clock import Clock
from agent.cli.lineage import SEPARATOR, Seen, pid_of
from agent.cli.text import clean, quote, shorten, shorten_path, words

ARGUMENTS_SHOWN = 1000
"""Characters of arguments on a compact line; `-o wide` and `-o json` have them all."""
BINARY_SHOWN = 200
"""Characters of a path on a compact line, counted from its end."""

Record = Mapping[str, Any]


def binary_text(process: Record, own: Record, whole: bool) -> str:
    """The path as it was given to exec."""
    raw = own.get("raw")
    binary: str = _bytes(raw["binary"]) if raw and "binary" in raw else process.get("binary", "?")
    if not whole and len(binary) > BINARY_SHOWN:
        return shorten_path(binary, BINARY_SHOWN)
    return clean(binary)


def argument_text(process: Record, own: Record, whole: bool) -> str:
    """Arguments after `argv[0]` as a shell reads them; `argv[0]` is told when it is not the binary's name."""
    vector = own.get("arguments")
    if not vector:
        joined: str = process.get("arguments", "")
        return clean(joined if whole or len(joined) <= ARGUMENTS_SHOWN else joined[:ARGUMENTS_SHOWN] + "…")
    raw = own.get("raw")
    if raw and "arguments" in raw:
        vector = _with_bytes(vector, raw["arguments"])
    text = words(vector[1:], 0 if whole else ARGUMENTS_SHOWN) if len(vector) > 1 else ""
    name, binary = vector[0], process["binary"]
    if name == binary or name.rpartition("/")[2].lstrip("-") == binary.rpartition("/")[2]:
        return text
    title = quote(shorten(name, 0 if whole else BINARY_SHOWN))
    return f"{text}{' ' if text else ''}(called {title})"


def _bytes(encoded: str) -> str:
    """A string that is not UTF-8, its bad bytes as lone surrogates (shown as `\\xNN` later)."""
    try:
        return base64.b64decode(encoded).decode("utf-8", "surrogateescape")
    except ValueError:
        return encoded


def _with_bytes(vector: list[str], raw: Mapping[str, str]) -> list[str]:
    return [_bytes(raw[str(index)]) if str(index) in raw else text for index, text in enumerate(vector)]


def marks(process: Record, own: Record) -> str:
    """What deserves a second look at an exec, comma-separated; usually nothing."""
    found = []
    inode = own.get("inode")
    if inode is not None and not inode.get("links", 0):
        target = own.get("exe") or process["binary"]
        found.append("memfd" if "memfd:" in target else "deleted file")
    properties = own.get("binary_properties")
    if properties:
        found += [f"{name}={properties[name]}" for name in ("setuid", "setgid") if name in properties]
        found += [
            str(change).removeprefix("RAISED_EXEC_").lower()
            for change in properties.get("privileges_changed", ())
        ]
    if "truncated" in own:
        found.append("truncated: " + " ".join(own["truncated"]))
    return clean(", ".join(found)) if found else ""


def details(event: Record, own: Record, seen: Seen, clock: Clock) -> str:
    """The tail of a wide line: ids, directory, the whole ancestry with pids."""
    process = event["process"]
    parts = [
        f"exec_id={clean(process['exec_id'])}",
        f"uid={int(process.get('uid', 0))}",
        f"cwd={quote(process.get('cwd', ''))}",
        f"started={clock(process.get('start_time', ''))}",
        f"flags={quote(process.get('flags', ''))}",
    ]
    if "parent_exec_id" in process:
        parts.insert(1, f"parent_exec_id={clean(process['parent_exec_id'])}")
    if "exe" in own:
        parts.append(f"exe={quote(own['exe'])}")
    ancestry = own.get("ancestry")
    if ancestry:
        names = (f"{seen.name(exec_id)}({pid_of(exec_id) or '?'})" for exec_id in reversed(ancestry))
        parts.append(f"ancestry={SEPARATOR.join(names)}")
    if "docker" in process:
        parts.append(f"container={clean(process['docker'])}")
    return "  " + " ".join(parts)
