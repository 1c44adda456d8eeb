# SPDX-License-Identifier: Apache-2.0
"""pySigma's detections → conditions as data (agent/detect/conditions.py).

Case is folded as `str.casefold` does it. A regular expression is searched for, with case, as SigmaHQ's
rules mean it; `re|startswith` and `re|endswith` bind it to an end. A number is the text that it is written
as."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence

import sigma.types as sigma
from sigma.conditions import (
    ConditionAND,
    ConditionIdentifier,
    ConditionNOT,
    ConditionOR,
    ConditionSelector,
    SigmaCondition,
)
from sigma.modifiers import SigmaCaseSensitiveModifier, SigmaEndswithModifier, SigmaStartswithModifier
from sigma.policy import SigmaPolicy
from sigma.policy.regex_engine import RE2RegexEngine, RegexPattern
from sigma.rule.detection import SigmaDetection, SigmaDetectionItem, SigmaDetections

from agent.detect.conditions import ANY, STAR, And, Check, Match, Node, Not, Or, Piece
from agent.detect.patterns import Refused, compile_pattern
from agent.detect.scalars import PERCENT

MAX_EXPANDED = 5000
"""Values that one value may become by placeholders."""


class Wrong(Exception):
    """A value or condition that cannot be evaluated."""

    def __init__(self, message: str, hint: str, is_refusal: bool = False) -> None:
        super().__init__(message)
        self.message, self.hint, self.is_refusal = message, hint, is_refusal


class QuietEngine(RE2RegexEngine):
    """pySigma's, without lines on standard error for expressions that are wrong."""

    def compile(self, pattern: str, flags: int = 0) -> RegexPattern:
        marks = {re.IGNORECASE: "i", re.MULTILINE: "m", re.DOTALL: "s"}
        prefix = "".join(mark for flag, mark in marks.items() if flags & flag)
        compiled: RegexPattern = compile_pattern(f"(?{prefix}){pattern}" if prefix else pattern)
        return compiled

    @property
    def error(self) -> type[Exception]:
        """What `compile` raises."""
        return Refused


POLICY = SigmaPolicy(regex_engine=QuietEngine())
"""For pySigma: RE2 only, nothing is fetched, no templates."""
_BOOLEANS = {True: ("true", "yes"), False: ("false", "no")}
"""YAML 1.1 reads an unquoted `yes` as true: `success: yes` of audit records (type bool, 10.3)."""
_PARTS = {part: part.name.lower() for part in sigma.TimestampPart}
_OPERATORS = {
    sigma.CompareOperators.LT: "lt",
    sigma.CompareOperators.LTE: "lte",
    sigma.CompareOperators.GT: "gt",
    sigma.CompareOperators.GTE: "gte",
}
_FLAGS = {
    sigma.SigmaRegularExpressionFlag.IGNORECASE: "i",
    sigma.SigmaRegularExpressionFlag.MULTILINE: "m",
    sigma.SigmaRegularExpressionFlag.DOTALL: "s",
}
_REFERENCES = {
    (False, False): "ref",
    (True, False): "refstart",
    (False, True): "refend",
    (True, True): "refin",
}


class Nodes:
    """Makes the conditions of one rule."""

    def __init__(self, placeholders: Mapping[str, Sequence[str]]) -> None:
        """`placeholders`: values for `%name%` of the modifier `expand`."""
        self._placeholders = placeholders
        self.used: dict[str, Sequence[str]] = {}
        """Placeholders that conditions have asked for."""

    def of_condition(self, condition: SigmaCondition, detections: SigmaDetections) -> Node:
        """A whole condition. Raises Wrong or SigmaError."""
        return self._of_parsed(condition.parse(postprocess=False), detections)

    def _of_parsed(self, parsed: object, detections: SigmaDetections) -> Node:
        if isinstance(parsed, ConditionSelector):
            names = [str(one.identifier) for one in parsed.resolve_referenced_detections(detections)]
            if not names:
                known = ", ".join(list(detections.detections)[:12])
                raise Wrong(f"`{parsed.pattern}` fits no search identifier", f"there are {known}")
            parts = tuple(self._of_identifier(name, detections) for name in names)
            return _joined(parts, parsed.cond_class is ConditionAND)
        if isinstance(parsed, ConditionIdentifier):
            return self._of_identifier(parsed.identifier, detections)
        if isinstance(parsed, ConditionNOT):
            return Not(self._of_parsed(parsed.args[0], detections))
        if isinstance(parsed, ConditionAND | ConditionOR):
            parts = tuple(self._of_parsed(part, detections) for part in parsed.args)
            return _joined(parts, isinstance(parsed, ConditionAND))
        raise Wrong("is no condition", "as in `selection and not filter`")

    def _of_identifier(self, name: str, detections: SigmaDetections) -> Node:
        if name not in detections.detections:
            known = ", ".join(list(detections.detections)[:12])
            raise Wrong(f"there is no search identifier `{name}`", f"there are {known}")
        return self._of_detection(detections.detections[name], name)

    def _of_detection(self, detection: SigmaDetection, name: str) -> Node:
        parts = tuple(
            self._of_detection(part, name) if isinstance(part, SigmaDetection) else self.of_item(part, name)
            for part in detection.detection_items
        )
        return _joined(parts, detection.item_linking is ConditionAND)

    def of_item(self, item: SigmaDetectionItem, selection: str) -> Node:
        """One field and its values. Raises Wrong."""
        key = "|".join([item.field or "", *(_name_of(modifier) for modifier in item.modifiers)])
        values = item.value or [sigma.SigmaNull()]
        found = dict.fromkeys(itertools.chain.from_iterable(self._checks(item, value) for value in values))
        if item.value_linking is ConditionAND:
            parts = [
                _any_of([Match(c, selection, key) for c in self._checks(item, value)]) for value in values
            ]
            node = _joined(tuple(dict.fromkeys(parts)), True)
        else:
            node = _any_of([Match(check, selection, key) for check in found])
        return Not(node) if item.negated else node

    def _checks(self, item: SigmaDetectionItem, value: sigma.SigmaType) -> list[Check]:
        """What one value asks; one of them has to hold."""
        field = item.field or ""
        if isinstance(value, sigma.SigmaExpansion):
            return [check for part in value.values for check in self._checks(item, part)]
        if isinstance(value, sigma.SigmaString):
            return [
                _text(field, pieces, isinstance(value, sigma.SigmaCasedString))
                for pieces in self._pieces(value)
            ]
        if isinstance(value, sigma.SigmaRegularExpression):
            return [self._expression(item, value)]
        if isinstance(value, sigma.SigmaBool):
            return [_text(field, [word], False) for word in _BOOLEANS[value.boolean]]
        return [_other(field, value)._replace(cased=SigmaCaseSensitiveModifier in item.modifiers)]

    def _pieces(self, value: sigma.SigmaString) -> list[list[Piece]]:
        """Texts, STAR and ANY; several with placeholders."""
        choices: list[Sequence[tuple[Piece, ...]]] = []
        for part in value.s:
            if isinstance(part, sigma.Placeholder):
                choices.append([_plain(sigma.SigmaString(one)) for one in self._values_of(part.name)])
            else:
                choices.append([(_piece(part),)])
        found = list(itertools.islice(itertools.product(*choices), MAX_EXPANDED + 1))
        if len(found) > MAX_EXPANDED:
            raise Wrong(
                f"its placeholders stand for more than {MAX_EXPANDED:,} values", "use fewer in one value"
            )
        return [list(itertools.chain.from_iterable(pieces)) for pieces in found]

    def _values_of(self, name: str) -> Sequence[str]:
        values = self._placeholders.get(name)
        if not values:
            hint = f"write `{name}: [value, ...]` into placeholders.yaml beside the rules"
            raise Wrong(f"the placeholder %{name}% has no values", hint)
        self.used[name] = values
        return values

    def _expression(self, item: SigmaDetectionItem, value: sigma.SigmaRegularExpression) -> Check:
        parts = [part if isinstance(part, str) else self._of_special(part) for part in value.regexp.s]
        pattern = "".join(parts).replace(PERCENT, "%")
        if SigmaStartswithModifier in item.modifiers:
            pattern = rf"\A(?:{pattern})"
        if SigmaEndswithModifier in item.modifiers:
            pattern = rf"(?:{pattern})\z"
        flags = "".join(sorted(_FLAGS[flag] for flag in value.flags))
        pattern = f"(?{flags}){pattern}" if flags else pattern
        try:
            compile_pattern(pattern)
        except Refused as error:
            hint = "RE2 has no look-around, back-references or repetitions beyond 1000; write it without"
            raise Wrong(f"RE2 refuses the expression: {error}", hint) from error
        return Check(item.field or "", "re", pattern)

    def _of_special(self, part: object) -> str:
        if isinstance(part, sigma.Placeholder):
            return "(?:" + "|".join(re.escape(value) for value in self._values_of(part.name)) + ")"
        return "*" if part is sigma.SpecialChars.WILDCARD_MULTI else "?"


def _piece(part: object) -> Piece:
    """A part of pySigma's texts; placeholders are none."""
    if isinstance(part, str):
        return part.replace(PERCENT, "%")
    return STAR if part is sigma.SpecialChars.WILDCARD_MULTI else ANY


def _plain(value: sigma.SigmaString) -> tuple[Piece, ...]:
    """A placeholder's value: a text, which may have wildcards."""
    return tuple(_piece(part) for part in value.s)


def _name_of(modifier: type) -> str:
    from sigma.modifiers import reverse_modifier_mapping

    return reverse_modifier_mapping[modifier.__name__]


def _joined(parts: tuple[Node, ...], is_and: bool) -> Node:
    if len(parts) == 1:
        return parts[0]
    return And(parts) if is_and else Or(parts)


def _any_of(matches: Sequence[Node]) -> Node:
    return matches[0] if len(matches) == 1 else Or(tuple(matches))


def _text(field: str, pieces: list[Piece], cased: bool) -> Check:
    """The cheapest operator that means the same as a text with wildcards."""
    if not field:
        if not any(isinstance(piece, str) and piece for piece in pieces):
            raise Wrong("a keyword needs characters", "write a word, or name a field")
        pieces = [STAR, *pieces, STAR]
    check = _of_merged(field, _merged(pieces), cased)
    folded = [piece.casefold() if isinstance(piece, str) else piece for piece in pieces]
    if cased or folded == pieces:
        return check
    return _of_merged(field, _merged(folded), cased)._replace(written=check.value)


def _merged(pieces: Sequence[Piece]) -> list[Piece]:
    """Without two texts or two stars side by side."""
    merged: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        elif not (piece == STAR and merged and merged[-1] == STAR):
            merged.append(piece)
    return merged


def _of_merged(field: str, pieces: list[Piece], cased: bool) -> Check:
    texts = [piece for piece in pieces if isinstance(piece, str)]
    if not pieces or (len(pieces) == 1 and texts):
        return Check(field, "equals", texts[0] if texts else "", cased)
    if pieces == [STAR]:
        return Check(field, "exists", True)
    if len(texts) == 1 and ANY not in pieces:
        begins, ends = pieces[0] == STAR, pieces[-1] == STAR
        if len(pieces) == 1 + begins + ends:
            op = "contains" if begins and ends else "endswith" if begins else "startswith"
            return Check(field, op, texts[0], cased)
    return Check(field, "glob", tuple(pieces), cased)


def _other(field: str, value: sigma.SigmaType) -> Check:
    """Values that are no texts."""
    if isinstance(value, sigma.SigmaTimestampPart):
        check = Check(field, _PARTS[value.timestamp_part], int(value.number))
    elif isinstance(value, sigma.SigmaNumber):
        return _text(field, [str(value.number)], False)
    elif isinstance(value, sigma.SigmaNull):
        check = Check(field, "null", True)
    elif isinstance(value, sigma.SigmaExists):
        check = Check(field, "exists", value.exists)
    elif isinstance(value, sigma.SigmaCIDRExpression):
        check = Check(field, "cidr", str(value.network))
    elif isinstance(value, sigma.SigmaCompareExpression):
        check = _comparison(field, value)
    elif isinstance(value, sigma.SigmaFieldReference):
        check = Check(field, _REFERENCES[value.starts_with, value.ends_with], value.field)
    else:
        raise Wrong(f"{type(value).__name__} cannot be evaluated", "use another modifier")
    if not field:
        raise Wrong("needs a field", "write `FIELD: …`")
    return check


def _comparison(field: str, value: sigma.SigmaCompareExpression) -> Check:
    """Of a number, or of a part of a time (`hour|gte`)."""
    operator = _OPERATORS[value.op]
    if isinstance(value.number, sigma.SigmaTimestampPart):
        return Check(field, _PARTS[value.number.timestamp_part], (operator, int(value.number.number)))
    return Check(field, operator, value.number.number)
