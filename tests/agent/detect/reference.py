# SPDX-License-Identifier: Apache-2.0
"""What a rule says of an event, the plain way: pySigma's own tree as closures, with Python's expressions.

It shares nothing with the engine but pySigma: no conditions of ours, no folding, no pre-filter, no cache.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import sigma.types as sigma
import yaml
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.rule import SigmaRule

Event = Mapping[str, Sequence[str]]
"""Values by the fields' names; absent fields are left out."""
Verdict = Callable[[Event], bool]
_CODE = re.compile(r"\\x\{([0-9A-Fa-f]{1,4})\}")


def reference(path: Path) -> Verdict:
    """The rule of a file."""
    rule = SigmaRule.from_dict(yaml.safe_load(path.read_text()))
    found = [_closure(condition.parsed) for condition in rule.detection.parsed_condition]
    return lambda event: any(one(event) for one in found)


def _closure(node: Any) -> Verdict:
    if isinstance(node, ConditionAND):
        parts = [_closure(part) for part in node.args]
        return lambda event: all(part(event) for part in parts)
    if isinstance(node, ConditionOR):
        parts = [_closure(part) for part in node.args]
        return lambda event: any(part(event) for part in parts)
    if isinstance(node, ConditionNOT):
        part = _closure(node.args[0])
        return lambda event: not part(event)
    if isinstance(node, ConditionValueExpression):
        anywhere = _test(node.value, keyword=True)
        return lambda event: any(anywhere(value) for values in event.values() for value in values)
    assert isinstance(node, ConditionFieldEqualsValueExpression)
    return _field(node.field, node.value)


def _field(name: str, value: Any) -> Verdict:
    if isinstance(value, sigma.SigmaExpansion):
        parts = [_field(name, part) for part in value.values]
        return lambda event: any(part(event) for part in parts)
    if isinstance(value, sigma.SigmaNull):
        return lambda event: not event.get(name)
    if isinstance(value, sigma.SigmaExists):
        return lambda event: bool(event.get(name)) == value.exists
    test = _test(value)
    return lambda event: any(test(one) for one in event.get(name, ()))


def _test(value: Any, keyword: bool = False) -> Callable[[str], bool]:
    if isinstance(value, sigma.SigmaCasedString):
        cased = re.compile("".join(_piece(piece, str) for piece in value.s), re.DOTALL)
        return lambda text: cased.fullmatch(text) is not None
    if isinstance(value, sigma.SigmaString):
        pattern = "".join(_piece(piece, str.casefold) for piece in value.s)
        folded = re.compile(f".*{pattern}.*" if keyword else pattern, re.DOTALL)
        return lambda text: folded.fullmatch(text.casefold()) is not None
    if isinstance(value, sigma.SigmaRegularExpression):
        # RE2's $ is the very end, and its classes are ASCII's: https://github.com/google/re2/wiki/Syntax
        # \b? asks for nothing, \x{b7} is \u00b7; Python takes neither
        written = value.escape(escape_escape_char=False).replace(r"\b?", "")
        expression = re.compile(_CODE.sub(lambda code: f"\\u{int(code[1], 16):04x}", written), re.ASCII)
        return lambda text: expression.search(text) is not None
    if isinstance(value, sigma.SigmaCIDRExpression):
        return lambda text: _is_address(text) and ip_address(text) in ip_network(value.cidr)
    assert isinstance(value, sigma.SigmaNumber | sigma.SigmaBool), value
    wanted = str(value).casefold()
    return lambda text: text.casefold() == wanted


def _piece(piece: Any, fold: Callable[[str], str]) -> str:
    if isinstance(piece, str):
        return re.escape(fold(piece))
    return ".*" if piece is sigma.SpecialChars.WILDCARD_MULTI else "."


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
