# SPDX-License-Identifier: Apache-2.0
"""Execs made at random of what rules ask for, as the log has them and as plain fields."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from typing import Any

from agent.detect.conditions import checks_of
from agent.detect.rules import Rule, read_rules
from tests.agent.detect.sigma_rules import CORPUS, LIBRARY, exec_of

Pair = tuple[dict[str, Any], dict[str, Any]]
"""Exec of a parent, and of its child."""


@cache
def rules() -> tuple[Rule, ...]:
    """Rules on process_creation: SigmaHQ's where they are, and the library's."""
    found = read_rules([path for path in (CORPUS, LIBRARY) if path.is_dir()]).rules
    return tuple(one for one in found if one.logsource.category == "process_creation")


@cache
def fragments() -> tuple[list[str], list[str]]:
    """Texts that the rules ask for: of images, and of command lines and the rest."""
    images: set[str] = set()
    words = {"a", "-x", "/", "\u0130", "\u03a3"}
    for one in rules():
        for match in checks_of(one.condition):
            value = match.check.value
            pieces = [value] if isinstance(value, str) else value if isinstance(value, tuple) else ()
            texts = {piece for piece in pieces if isinstance(piece, str) and match.check.op != "re"}
            (images if match.check.field.endswith(("Image", "Ancestors")) else words).update(texts)
    return sorted(images), sorted(words)


def pair(choose: random.Random, number: int) -> Pair:
    """A process and its parent."""
    parent = exec_of(*_line(choose), exec_id=f"p{number}", parent="", binary=_image(choose))
    more = {"exe": _image(choose)} if choose.random() < 0.3 else {}
    cwd = choose.choice(("/", "/tmp/x", "/dev/shm/", None))
    user = choose.choice(("root", "www-data", "x"))
    child = exec_of(
        *_line(choose), exec_id=f"c{number}", parent=f"p{number}", binary=_image(choose), number=number,
        process={"cwd": cwd}, **more | {"user": user},
    )  # fmt: skip
    return parent, child


def _image(choose: random.Random) -> str:
    path = choose.choice(("", "/usr/bin", "/tmp/x")) + choose.choice(fragments()[0])
    return path.upper() if choose.random() < 0.1 else path


def _line(choose: random.Random) -> list[str]:
    return [choose.choice(fragments()[1]) for _ in range(choose.randrange(7))]


def plain(parent: dict[str, Any], child: dict[str, Any]) -> dict[str, Sequence[str]]:
    """The child's fields. An image is what was executed, and what that leads to."""
    process, own = child["process_exec"]["process"], child["tracehound"]
    above = parent["process_exec"]["process"]["binary"]
    found: dict[str, Sequence[str | None]] = {
        "Image": [own.get("exe"), process["binary"]],
        "CommandLine": [" ".join(own["arguments"]) or process["binary"]],
        "ParentImage": [above],
        "ParentCommandLine": [" ".join(parent["tracehound"]["arguments"]) or above],
        "CurrentDirectory": [process["cwd"]],
        "User": [own["user"]],
        "ParentUser": [parent["tracehound"].get("user", "root")],
        "LogonId": ["1000"],
        "Flags": ["execve clone", "execve", "clone"],
        "Ancestors": [above],
        "process.args_count": [str(len(own["arguments"]) or "")],
    }
    there = {name: [value for value in values if value] for name, values in found.items()}
    there["process.args"] = own["arguments"]  # empty ones are arguments, too
    return {name: values for name, values in there.items() if values}
