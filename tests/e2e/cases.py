# SPDX-License-Identifier: Apache-2.0
"""End-to-end cases of policies, as data: read, wrapped into policies, compared. tests/e2e/policies/README.md
says what a case may hold."""

from __future__ import annotations

import base64
import os
import shutil
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from agent.kernel.probes import Answer
from agent.kernel.view import KernelView

CASES = Path(__file__).with_name("policies")
KEYS = {
    "NAME", "POLICY", "BEFORE", "RUN", "STATUS", "EXPECT", "ANY", "AFTER", "ATTACH", "REQUIRES",
}  # fmt: skip
WAYS = {
    "function": ("fentry", "kprobe"),
    "return": ("fexit", "kretprobe"),
    "lsm": ("lsm",),
    "tracepoint": ("tracepoint", "tp_btf", "raw_tp"),
    "deny": ("fmod_ret",),
}
"""What REQUIRES may name, and which kinds of attachment would do."""


@dataclass(frozen=True)
class Case:
    """One case."""

    file: str
    number: int
    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        """As pytest shows it."""
        return f"{self.file}: {self.content['NAME']}"

    @property
    def policy(self) -> str:
        """metadata.name of its policy."""
        return f"case-{self.file.replace('_', '-')}-{self.number}"

    def text(self, key: str, place: Path) -> str:
        """A field with `$DIR` and `$PYTHON` replaced; empty where there is none."""
        return _filled(self.content.get(key, ""), place)

    def expected(self, place: Path) -> list[dict[str, Any]]:
        """The events, in order."""
        events: list[dict[str, Any]] = _filled(self.content.get("EXPECT") or [], place)
        return events

    def document(self, place: Path) -> str:
        """The policy; only its spec is written in a case."""
        whole = {
            "apiVersion": "cilium.io/v1alpha1",
            "kind": "TracingPolicy",
            "metadata": {"name": self.policy},
            "spec": _filled(self.content["POLICY"], place),
        }
        return str(yaml.safe_dump(whole))


def read_cases(directory: Path = CASES) -> Iterator[Case]:
    """All cases of all files. Raises ValueError for one that is not written as it should be."""
    for path in sorted(directory.glob("*.yaml")):
        documents = [content for content in yaml.safe_load_all(path.read_text()) if content]
        for number, content in enumerate(documents, 1):
            unknown = set(content) - KEYS
            missing = {"NAME", "POLICY", "RUN"} - set(content)
            if unknown or missing:
                raise ValueError(f"{path.name}, case {number}: unknown {unknown}, missing {missing}")
            yield Case(path.stem, number, content)


def lacks(requirements: Sequence[str]) -> str:
    """Why a case cannot run here; empty when it can."""
    for requirement in requirements:
        word, _, rest = requirement.partition(" ")
        if word == "command":
            if not shutil.which(rest):
                return f"there is no {rest}"
        elif word == "file":
            if not os.path.exists(rest):
                return f"there is no {rest}"
        elif not any(_offers(way).there for way in WAYS[word]):
            return f"this kernel has no {word} hooks: {_offers(WAYS[word][0]).reason}"
    return ""


@cache
def _offers(way: str) -> Answer:
    with KernelView() as view:
        return view.offers(way)


def is_part(wanted: Any, found: Any) -> bool:
    """Whether everything that is wanted is there; members that nobody asked for do not count. `{HAS: x}` asks
    for a list that holds x, `LONG: {name: n}` for a member that is base64 of n bytes."""
    if isinstance(wanted, dict) and set(wanted) == {"HAS"}:
        return isinstance(found, list) and any(is_part(wanted["HAS"], one) for one in found)
    if isinstance(wanted, dict):
        plain = {name: value for name, value in wanted.items() if name != "LONG"}
        return (
            isinstance(found, dict)
            and all(name in found and is_part(value, found[name]) for name, value in plain.items())
            and all(
                len(base64.b64decode(found.get(name, ""))) == count
                for name, count in wanted.get("LONG", {}).items()
            )
        )
    if isinstance(wanted, list):
        same = isinstance(found, list) and len(wanted) == len(found)
        return same and all(map(is_part, wanted, found))
    return bool(wanted == found)


def _filled(value: Any, place: Path) -> Any:
    if isinstance(value, dict):
        return {name: _filled(inner, place) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, place) for inner in value]
    if value == "$PID":
        return int((place / "pid").read_text())
    if isinstance(value, str):
        names = {"DIR": str(place), "HELPER": str(place / "helper"), "PYTHON": system_python()}
        return string.Template(value).safe_substitute(names)
    return value


@cache
def system_python() -> str:
    """The system's own interpreter: quick to start, and its path is what the kernel tells."""
    found = shutil.which("python3", path="/usr/bin:/usr/local/bin") or "/usr/bin/python3"
    return os.path.realpath(found)
