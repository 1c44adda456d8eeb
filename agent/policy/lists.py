# SPDX-License-Identifier: Apache-2.0
"""The lists of a policy: what `call: list:x` hooks, and what `list:x` stands for among values."""

from __future__ import annotations

import re
import warnings
from typing import NamedTuple

from agent.configuration.values import shorten
from agent.policy.model import Where
from agent.policy.report import Report, Wrong, nearest
from agent.policy.shape import Leaf, Part
from agent.policy.symbols import KernelNames
from agent.policy.syscalls import COMPAT, compat, is_known, native, number, parse_system_call, suggest
from agent.policy.typenames import Type

_GENERATED = ("generated_syscalls", "generated_ftrace")
_SYSCALLS = ("syscalls", "generated_syscalls")
SUGGESTIONS = 20
"""Problems up to which the nearest right name is looked for, which takes milliseconds each."""


class Call(NamedTuple):
    """One function or system call."""

    name: str
    is_syscall: bool
    abi: str = ""
    is_generated: bool = False


class _List(NamedTuple):
    type: str
    values: tuple[Leaf, ...]
    """Texts and their places."""


class Lists:
    """All lists of a policy, by name. Generated ones ask the kernel once."""

    def __init__(self, parts: list[Part], names: KernelNames, report: Report) -> None:
        self._names = names
        self._report = report
        self._broken: set[str] = set()
        self._lists: dict[str, _List] = {}
        for part in parts:
            self._add(part)

    def calls(self, text: str, where: Where) -> list[Call]:
        """What `list:x` hooks."""
        found = self._find(text, where)
        if found is None:
            return []
        is_generated = found.type in _GENERATED
        if found.type not in _SYSCALLS:
            return [Call(leaf.value, False, is_generated=is_generated) for leaf in found.values]
        calls = [self.system_call(leaf, is_quiet=is_generated) for leaf in found.values]
        return [call._replace(is_generated=is_generated) for call in calls if call is not None]

    def values(self, leaf: Leaf, of: Type) -> list[Leaf]:
        """The values that a value stands for: those of its list, or itself."""
        if not str(leaf.value).startswith("list:"):
            return [leaf]
        found = self._find(leaf.value, leaf.where)
        if found is None:
            return []
        if found.type not in _SYSCALLS:
            return list(found.values)
        if of.group not in ("integer", "auto"):
            text = f"{leaf.value} lists system calls, which {of.name} is not"
            self._report.error(leaf.where, text, "use the types syscall64, int or uint64")
            return []
        return [Leaf(text, leaf.where) for value in found.values for text in self._numbers(value, of)]

    def system_call(self, leaf: Leaf, is_quiet: bool = False) -> Call | None:
        """A system call by its name, which must be known; `is_quiet`: any name will do."""
        try:
            name, abi = parse_system_call(leaf.value)
        except Wrong as error:
            self._report.wrong(leaf.where, error)
            return None
        if not is_quiet and not is_known(name) and name not in self._names.system_calls():
            hint = suggest(name) if self._report.errors < SUGGESTIONS else ""
            self._report.error(leaf.where, f"{shorten(leaf.value)} is no system call", hint)
            return None
        return Call(name, True, abi)

    def _numbers(self, value: Leaf, of: Type) -> list[str]:
        """Numbers of a system call. Without an ABI in its name it means the native one."""
        call = self.system_call(value)
        if call is None:
            return []
        table = compat() if call.abi == "32" else native()
        found = number(call.name, table) if table else None
        if found is None:
            self._report.error(
                value.where, f"{shorten(value.value)} has no number in the ABI {table or '32'}"
            )
            return []
        if call.abi != "32":
            return [str(found)]
        if of.name != "syscall64":
            text = f"{shorten(value.value)} cannot be told from the 64-bit ABI by the type {of.name}"
            self._report.error(value.where, text, "use the type syscall64")
        return [str(found | COMPAT)]

    def _find(self, text: str, where: Where) -> _List | None:
        name = text.removeprefix("list:")
        if name not in self._lists and name not in self._broken:
            hint = nearest(name, self._lists) or "add it under spec.lists"
            self._report.error(where, f"there is no list {shorten(name)}", hint)
        return self._lists.get(name)

    def _add(self, part: Part) -> None:
        name, errors = part.text("name"), self._report.errors
        if name in self._lists:
            self._report.error(part.at("name"), f"there are two lists {shorten(name)}", "rename one")
        made = _List(part.text("type", "none"), tuple(self._content(part)))
        if self._report.errors == errors and not part.broken:
            self._lists[name] = made
        else:
            self._broken.add(name)

    def _content(self, part: Part) -> list[Leaf]:
        kind = part.text("type", "none")
        if kind not in _GENERATED:
            return self._written(part, kind)
        if part.has("values"):
            hint = "remove them, or choose the type syscalls or none"
            self._report.error(part.at("values"), f"{kind} finds its values itself", hint)
        if kind == "generated_ftrace" and not part.has("pattern"):
            hint = "write pattern: with a regular expression"
            self._report.error(part.where, "a list of the type generated_ftrace needs a pattern", hint)
            return []
        return self._generated(part, kind)

    def _written(self, part: Part, kind: str) -> list[Leaf]:
        if part.has("pattern"):
            hint = "choose generated_ftrace, or remove it"
            self._report.error(part.at("pattern"), f"a list of the type {kind} has no pattern", hint)
        values = part.leaves("values")
        if not values and "values" not in part.broken:
            self._report.error(part.where, "has no values", "write values: with at least one")
        return [leaf for leaf in values if kind != "syscalls" or self.system_call(leaf)]

    def _generated(self, part: Part, kind: str) -> list[Leaf]:
        pattern, where = compiled(part.text("pattern"), part.at("pattern"), self._report), part.where
        if pattern is None:
            return []
        calls = kind == "generated_syscalls"
        known = self._names.system_calls() if calls else self._names.functions()
        found = [Leaf(name, where) for name in known if pattern.search(name)]
        if not found:
            text = f"no {'system call' if calls else 'function'} of this kernel matches"
            hint = "correct the pattern; without root the kernel may hide its functions"
            self._report.error(where, f"{text} {shorten(pattern.pattern)}", hint)
        return found


def compiled(text: str, where: Where, report: Report) -> re.Pattern[str] | None:
    """A regular expression of Go (RE2) for names of the kernel."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return re.compile(text.replace(r"\z", r"\Z"), re.ASCII)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        report.error(where, f"{shorten(text)} is no regular expression: {error}", "see RE2's syntax")
        return None
