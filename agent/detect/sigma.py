# SPDX-License-Identifier: Apache-2.0
"""Sigma YAML → rules, with pySigma, which nothing else here imports (it takes 0.4 s and 40 MB).

pySigma says what is right Sigma; where a rule is wrong, its parts are looked at one by one, so that each
problem has its line and all are told at once.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sigma.conditions import SigmaCondition
from sigma.exceptions import SigmaError
from sigma.modifiers import modifier_mapping
from sigma.rule import SigmaRule
from sigma.rule.detection import SigmaDetectionItem, SigmaDetections

from agent.configuration.values import shorten
from agent.detect.conditions import Node, Or
from agent.detect.documents import Item, Unreadable, documents, read_bytes
from agent.detect.filters import ANY, Filter
from agent.detect.merged import merged
from agent.detect.mistakes import hint_of, message_of, message_of_condition
from agent.detect.nodes import POLICY, Nodes, Wrong
from agent.detect.rules import DEFAULT_LEVEL, LEVELS, Logsource, Rule, RuleProblem
from agent.detect.scalars import plain_detection, taken

modifier_mapping.setdefault("utf16le", modifier_mapping["wide"])
"""The specification's name for `wide`, which pySigma lacks: Sigma Modifiers Appendix, "utf16le"."""
MAX_VALUES = 20_000
"""Values of one rule."""
PLACES = {
    "SigmaTitleError": "title", "SigmaIdentifierError": "id", "SigmaLevelError": "level",
    "SigmaStatusError": "status", "SigmaTagError": "tags", "SigmaDateError": "date",
    "SigmaModifiedError": "modified", "SigmaLogsourceError": "logsource", "SigmaAuthorError": "author",
    "SigmaDescriptionError": "description", "SigmaReferencesError": "references",
    "SigmaRelatedError": "related",
    "SigmaFalsePositivesError": "falsepositives", "SigmaFieldsError": "fields", "SigmaNameError": "name",
    "SigmaTaxonomyError": "taxonomy", "SigmaLicenseError": "license", "SigmaScopeError": "scope",
    "SigmaConditionError": "detection", "SigmaDetectionError": "detection",
}  # fmt: skip
"""Key of a rule by the error that pySigma raises for it."""
HINTS = {
    "title": "every rule needs a title of at most 256 characters",
    "id": "write a uuid (uuidgen)",
    "level": "one of " + ", ".join(LEVELS),
    "status": "one of stable, test, experimental, deprecated, unsupported",
    "logsource": "as in `logsource: {product: linux, category: process_creation}`",
    "detection": "a mapping of search identifiers, and `condition`",
    "date": "as in 2026-01-31",
    "modified": "as in 2026-01-31",
}
REFUSED = {
    "correlation": (
        "correlation rules are not evaluated yet",
        "the rules that it refers to work by themselves; stories gather what belongs together",
    ),
    "action": ("there is no such `action`", "write every rule as a document of its own"),
}
"""Documents that are right Sigma, or were, by the key that tells them."""
Placeholders = Mapping[str, Sequence[str]]


def read_file(
    path: Path, rules: list[Rule], filters: list[Filter], problems: list[RuleProblem],
    placeholders: Placeholders | None = None,
) -> None:  # fmt: skip
    """Appends the rules and filters of a file, and what is wrong with it. Raises nothing for what stands in
    it."""
    try:
        data = read_bytes(path)
        version = hashlib.sha256(data).hexdigest()[:12]
        for item in merged(documents(data)):
            if item.get("filter") is None:
                _Document(path, item, version, rules, problems, placeholders or {}).read()
            else:
                found = _Filter(path, item, version, problems, placeholders or {}).read()
                filters += [found] if found is not None else []
    except Unreadable as error:
        problems.append(RuleProblem(path, error.line, error.text, error.message, error.hint))


class _Document:
    """One document of a file."""

    def __init__(
        self, path: Path, item: Item, version: str, rules: list[Rule], problems: list[RuleProblem],
        placeholders: Placeholders,
    ) -> None:  # fmt: skip
        self._path, self._item, self._version = path, item, version
        self._rules, self._problems = rules, problems
        self._nodes = Nodes(placeholders)
        title = item.get("title")
        self._title = str(title.value) if title is not None else ""
        self._wrong = False

    def read(self) -> None:
        if not isinstance(self._item.value, dict):
            text = shorten(str(self._item.plain()))
            self._problem(self._item.line, text, "a rule is a mapping", "see docs/detections.md for one")
            return
        for key, (message, hint) in REFUSED.items():
            if key in self._item.value:
                self._problem(self._item.value[key].line, key, message, hint, is_refusal=True)
                return
        self._read_rule()

    def _read_rule(self) -> None:
        self._check_detection()
        if self._wrong:
            return
        plain = self._item.plain()
        if plain.get("id") is not None:
            plain["id"] = str(plain["id"])
        if "detection" in plain:
            plain["detection"] = plain_detection(self._item.value["detection"])
        try:
            sigma = SigmaRule.from_dict(plain, collect_errors=True, policy=POLICY)
        except Exception as error:  # pySigma trips over some hostile input instead of refusing it
            self._problem(
                self._item.line, "", f"cannot be read: {error}", "compare it with a rule that works"
            )
            return
        for wrong in sigma.errors:
            self._misplaced(wrong)
        condition = None if self._wrong else self._condition(sigma.detection)
        if condition is not None and not self._wrong:
            self._rules.append(self._rule(plain, condition))

    def _rule(self, plain: dict[str, Any], condition: Node) -> Rule:
        source = plain["logsource"]
        parts = (source.get(key) for key in ("category", "product", "service", "definition"))
        return Rule(
            id=str(uuid.UUID(str(plain["id"])))
            if plain.get("id")
            else str(uuid.uuid5(uuid.NAMESPACE_OID, self._title)),
            title=self._title,
            level=str(plain.get("level") or DEFAULT_LEVEL).lower(),
            status=str(plain.get("status") or ""),
            description=str(plain.get("description") or "").strip(),
            author=str(plain.get("author") or ""),
            tags=_texts(plain.get("tags")),
            references=_texts(plain.get("references")),
            falsepositives=_texts(plain.get("falsepositives")),
            logsource=Logsource(*(str(part or "") for part in parts)),
            condition=condition,
            version=self._version_with(self._nodes.used),
            path=self._path,
            line=self._item.line,
            name=str(plain.get("name") or ""),
        )

    def _version_with(self, placeholders: Placeholders) -> str:
        """The file's, and another one where values of placeholders are others."""
        said = f"{self._version} {sorted(placeholders.items())}"
        return hashlib.sha256(said.encode()).hexdigest()[:12] if placeholders else self._version

    # Problems, each with its place

    def _misplaced(self, error: SigmaError) -> None:
        """A problem with the rule's own keys."""
        if _TAG in str(error):
            self._check_tags()
            return
        key = PLACES.get(type(error).__name__, "")
        item = self._item.get(key)
        hint = HINTS.get(key, "see the Sigma specification")
        text = f"{key}: {_said(item)}" if item is not None and not isinstance(item.value, dict) else ""
        self._problem(item.line if item is not None else self._item.line, text, str(error), hint)

    def _check_tags(self) -> None:
        """Those without a namespace, which are told at the first of pySigma's complaints."""
        tags = self._item.value["tags"].value
        for tag in tags if isinstance(tags, list) else ():
            text, hint = f"tags: {_said(tag)}", "as in attack.t1059.004"
            is_told = any(one.line == tag.line and one.text == text for one in self._problems)
            if "." not in str(tag.value) and not is_told:
                self._problem(tag.line, text, "a tag has a namespace", hint)

    def _check_detection(self) -> None:
        """Looks at every search identifier for itself."""
        detection = self._item.get("detection")
        if detection is None or not isinstance(detection.value, dict):
            return  # pySigma tells
        if detection.size > MAX_VALUES:
            hint = "split the rule"
            self._problem(detection.line, "detection", f"has more than {MAX_VALUES:,} values", hint)
            return
        for name, item in detection.value.items():
            if name == "timeframe":
                hint = "correlation rules took its place, which are not evaluated yet"
                self._problem(
                    item.line,
                    "timeframe",
                    "aggregations are no part of Sigma any more",
                    hint,
                    is_refusal=True,
                )
            elif name != "condition":
                self._check_identifier(name, item)

    def _check_identifier(self, name: str, item: Item) -> None:
        if isinstance(item.value, dict):
            if not item.value:
                self._problem(item.line, name, "is empty", "write at least one field and value")
            for key, value in item.value.items():
                self._check_key(key, value)
        elif isinstance(item.value, list):
            if not item.value:
                self._problem(item.line, name, "is empty", "write at least one keyword")
            for part in item.value:
                self._check_identifier(name, part)
        else:
            self._check_value(None, item, name)

    def _check_key(self, key: str, item: Item) -> None:
        """A field with its modifiers, and each of its values."""
        for word in key.split("|")[1:]:
            if word not in modifier_mapping:
                hint = f"there are {', '.join(sorted(modifier_mapping))}"
                self._problem(item.line, key, f"unknown modifier `{word}`", hint)
                return
        values = item.value if isinstance(item.value, list) else [item]
        if not values:
            self._problem(item.line, key, "has no values", "write at least one, or null for an absent field")
        if isinstance(item.value, dict):
            self._problem(item.line, key, "a field has values, no mapping", "put it a level higher")
            return
        for value in values:
            if isinstance(value.value, list | dict):
                self._problem(value.line, key, "a value is a text or a number", "write a plain list")
            else:
                self._check_value(key, value, key)

    def _check_value(self, key: str | None, item: Item, text: str) -> None:
        try:
            made = SigmaDetectionItem.from_mapping(key, taken(key, item), policy=POLICY)
            self._nodes.of_item(made, "")
        except Wrong as wrong:
            self._problem(item.line, f"{text}: {_said(item)}", wrong.message, wrong.hint, wrong.is_refusal)
        except SigmaError as error:
            self._problem(item.line, f"{text}: {_said(item)}", message_of(error), hint_of(error, key))
        except Exception as error:
            self._problem(
                item.line, f"{text}: {_said(item)}", f"{type(error).__name__}: {error}", "quote the value"
            )

    def _problem(self, line: int, text: str, message: str, hint: str, is_refusal: bool = False) -> None:
        self._wrong = True
        self._problems.append(RuleProblem(self._path, line, text, message, hint, self._title, is_refusal))

    # Conditions

    def _condition(self, detections: SigmaDetections) -> Node | None:
        """All conditions, joined by or."""
        written = self._item.value["detection"].value["condition"]
        lines = [part.line for part in written.value] if isinstance(written.value, list) else [written.line]
        parts = []
        for text, line in zip(detections.condition, lines, strict=True):
            try:
                parts.append(self._nodes.of_condition(SigmaCondition(_checked(text), detections), detections))
            except Wrong as wrong:
                self._problem(line, shorten(str(text)), wrong.message, wrong.hint, wrong.is_refusal)
            except SigmaError as error:
                names = ", ".join(list(detections.detections)[:12])
                message = message_of_condition(error, str(text))
                self._problem(line, shorten(str(text)), message, f"search identifiers here: {names}")
            except RecursionError:
                self._problem(line, shorten(str(text)), "is nested too deeply", "split the rule")
        return None if not parts else parts[0] if len(parts) == 1 else Or(tuple(parts))


class _Filter:
    """A document with `filter`, whose condition is read as a rule's is."""

    def __init__(
        self, path: Path, item: Item, version: str, problems: list[RuleProblem], placeholders: Placeholders
    ) -> None:
        self._path, self._item, self._version = path, item, version
        self._problems, self._placeholders = problems, placeholders

    def read(self) -> Filter | None:
        """None when something is wrong with it."""
        filtering = self._item.value["filter"]
        names = self._names(filtering)
        entries = {key: item for key, item in self._item.value.items() if key != "filter"}
        if isinstance(filtering.value, dict):
            parts = {key: item for key, item in filtering.value.items() if key != "rules"}
            entries["detection"] = filtering._replace(value=parts)
        else:
            entries["detection"] = filtering
        found: list[Rule] = []
        body = self._item._replace(value=entries)
        _Document(self._path, body, self._version, found, self._problems, self._placeholders).read()
        return Filter(names, found[0]) if names and found else None

    def _names(self, filtering: Item) -> tuple[str, ...]:
        """Of the rules that it is for; none when they are wrong."""
        rules = filtering.get("rules")
        listed = rules.value if rules is not None and isinstance(rules.value, list) else [rules]
        names = [str(one.value).lower() for one in listed if one is not None and one.value is not None]
        if not names or any(isinstance(one.value, list | dict) for one in listed if one is not None):
            line, title = (rules or filtering).line, self._item.get("title")
            message, hint = "a filter says for which rules it is", f"a list of ids or names, or `{ANY}`"
            told = "" if title is None else str(title.value)
            self._problems.append(RuleProblem(self._path, line, "filter: rules", message, hint, told))
            return ()
        return tuple(names)


_TAG = "Sigma tag must start with namespace"
"""What pySigma says of a tag without one, whichever it is."""
MAX_CONDITION = 4096
"""Characters of a condition; the longest of SigmaHQ has about 300."""
MAX_PARENTHESES = 30
"""That may be open at once: the parser's time grows quickly with them."""
_CAPITALS = re.compile(r"(?<![\w*-])(?:AND|OR|NOT|(?:1|ALL|ANY) OF(?: THEM)?)(?![\w*-])")
"""Operators as rules for sigmac, the converter before pySigma, could have them."""


def _checked(condition: object) -> str:
    """A condition that pySigma may parse. Raises Wrong."""
    if not isinstance(condition, str):
        raise Wrong("a condition is a text", "as in `selection and not filter`")
    if len(condition) > MAX_CONDITION:
        raise Wrong(f"is longer than {MAX_CONDITION} characters", "use `1 of NAME*`")
    depth = deepest = 0
    for character in condition:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    if deepest > MAX_PARENTHESES or condition.count("not") > 200:
        raise Wrong("is nested too deeply", "split the rule")
    if "|" in condition:
        hint = "correlation rules took its place, which are not evaluated yet"
        raise Wrong("aggregations (`| count() …`) are no part of Sigma any more", hint, is_refusal=True)
    return _CAPITALS.sub(lambda found: found[0].lower(), condition)


def _said(item: Item | None) -> str:
    return shorten(str(item.plain())) if item is not None else ""


def _texts(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(str(part) for part in value) if isinstance(value, list) else (str(value),)
