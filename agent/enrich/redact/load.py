# SPDX-License-Identifier: Apache-2.0
"""Rules of redaction from YAML files. All problems of all files are reported at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from agent.enrich.redact.nodes import Nodes, Reader
from agent.enrich.redact.probe import slow_text
from agent.enrich.redact.rules import (
    CommandRule,
    NameRule,
    PatternRule,
    Rule,
    Rules,
    expand_example,
    without_marks,
)
from agent.errors import SettingsError

BUILT_IN = Path(__file__).parents[1] / "redaction.yaml"
"""The rules that are always in force. They are probed by the tests, not at every start."""

_AnyRule = TypeVar("_AnyRule", bound=Rule)


def load_rules(files: Sequence[str | Path] = ()) -> Rules:
    """The built-in rules and those of `files`. Raises SettingsError with every problem found."""
    read = [_File(BUILT_IN, probe=False), *(_File(Path(name), probe=True) for name in files)]
    problems = [problem for file in read for problem in file.nodes.problems]
    if problems:
        raise SettingsError(problems, "docs/redaction.md describes the format of redaction rules")
    every = {section: [item for file in read for item in file.found[section]] for section in read[0].found}
    return Rules(
        tuple(every["names"]),
        tuple(every["commands"]),
        tuple(every["patterns"]),
        frozenset(every["ignore_names"]),
        tuple(every["ignore_values"]),
    )


class _File:
    """What was found in one file."""

    def __init__(self, path: Path, *, probe: bool) -> None:
        self.nodes = Nodes(path)
        self._probe = probe
        self._readers: dict[str, Reader] = {
            "names": self._name,
            "commands": self._command,
            "patterns": self._pattern,
            "ignore_names": self.nodes.text,
            "ignore_values": lambda node: self.nodes.regex(node, re.DOTALL | re.IGNORECASE),
        }
        self.found: dict[str, list[Any]] = {section: [] for section in self._readers}
        root = self.nodes.root()
        if root is not None:
            self._document(root)

    def _document(self, root: yaml.Node) -> None:
        def section(name: str) -> Reader:
            return lambda node: self._section(name, node)

        readers: dict[str, Reader] = {
            "format": self._format,
            **{name: section(name) for name in self._readers},
        }
        self.nodes.mapping(root, readers, ("format",))

    def _format(self, node: yaml.Node) -> None:
        text = self.nodes.text(node)
        if text not in ("1", None):
            self.nodes.problem(node, f"format {text!r} is not known; this is format 1")

    def _section(self, name: str, node: yaml.Node) -> None:
        """Reads the items of a section; those with a problem are left out."""
        for item in self.nodes.items(node):
            before = len(self.nodes.problems)
            value = self._readers[name](item)
            if isinstance(value, Rule):
                self._check(value, item)
            if len(self.nodes.problems) == before:
                self.found[name].append(value)

    def _whole(self, node: yaml.Node) -> object:
        """An expression for a whole value, which may have several lines."""
        return self.nodes.regex(node, re.DOTALL)

    def _name(self, node: yaml.Node) -> NameRule | None:
        nodes = self.nodes
        readers: dict[str, Reader] = {"words": nodes.texts, "whole": nodes.switch, "unless": self._whole}
        return self._rule(NameRule, node, readers, ("words",))

    def _command(self, node: yaml.Node) -> CommandRule | None:
        nodes = self.nodes
        texts = dict.fromkeys(("commands", "attached", "separate", "until"), nodes.texts)
        readers: dict[str, Reader] = {
            **texts,
            "after": nodes.text,
            "value": self._whole,
            "positional": self._whole,
        }
        return self._rule(CommandRule, node, readers, ("commands",))

    def _pattern(self, node: yaml.Node) -> PatternRule | None:
        nodes = self.nodes
        readers: dict[str, Reader] = {
            **dict.fromkeys(("begins", "keywords"), nodes.texts),
            "name": nodes.text,
            "pattern": nodes.regex,
        }
        rule = self._rule(PatternRule, node, readers, ("name", "pattern"))
        if rule is None or rule.keywords:
            return rule
        if not rule.begins:
            nodes.problem(node, "one of the keys 'begins' and 'keywords' is needed")
        return replace(rule, keywords=rule.begins)

    def _rule(
        self,
        record: type[_AnyRule],
        node: yaml.Node,
        readers: dict[str, Reader],
        required: tuple[str, ...],
    ) -> _AnyRule | None:
        before = len(self.nodes.problems)
        values: dict[str, Any] = self.nodes.mapping(node, {**readers, "examples": self.nodes.texts}, required)
        if len(self.nodes.problems) > before:
            return None
        values["examples"] = tuple(expand_example(example) for example in values.get("examples", ()))
        return record(**values, origin=self.nodes.where(node))

    def _check(self, rule: Rule, node: yaml.Node) -> None:
        """Notes words that can never be found, expressions that hang and examples that do not fit."""
        words = [word for key in ("words", "begins", "keywords") for word in getattr(rule, key, ())]
        for word in words:
            if word != word.lower() or not word.isascii():
                self.nodes.problem(node, f"{word!r}: words and keywords are written in small ASCII letters")
        if self._probe and self._is_slow(rule, words, node):
            return
        if isinstance(rule, PatternRule):
            for example in map(without_marks, rule.examples):
                self._check_example(rule, example, node)

    def _is_slow(self, rule: Rule, words: Sequence[str], node: yaml.Node) -> bool:
        seeds = (*words, *map(without_marks, rule.examples))
        for key in ("pattern", "value", "positional", "unless"):
            pattern: re.Pattern[str] | None = getattr(rule, key, None)
            if pattern and (slow := slow_text(pattern, seeds, whole=key != "pattern")):
                text = f"{key} {pattern.pattern!r} takes too long on a text like {slow!r}"
                self.nodes.problem(node, text)
                return True
        return False

    def _check_example(self, rule: PatternRule, example: str, node: yaml.Node) -> None:
        match = rule.pattern.search(example)
        if match is None:
            self.nodes.problem(node, f"the pattern of {rule.name!r} does not match {example!r}")
        elif not any(keyword in example.lower() for keyword in rule.keywords):
            self.nodes.problem(node, f"none of the keywords of {rule.name!r} stands in {example!r}")
        elif rule.begins and not match[0].lower().startswith(rule.begins):
            self.nodes.problem(node, f"{match[0]!r} begins with nothing that {rule.name!r} names in 'begins'")
