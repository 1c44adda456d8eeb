# SPDX-License-Identifier: Apache-2.0
"""What pySigma says of a wrong rule, in the words of who writes rules, with the way out."""

from __future__ import annotations

import re

from sigma.exceptions import SigmaConditionError, SigmaError, SigmaTypeError
from sigma.modifiers import reverse_modifier_mapping

from agent.detect.scalars import NUMERIC

_REFUSING = re.compile(r"Modifier (\w+) incompatible")
_PLACE = re.compile(r"\(at char (\d+)\)")
_SHOWN = 40
"""Characters of a condition."""
_SPECIFICATION = 'see the Sigma specification, "Modifiers"'


def message_of(error: SigmaError) -> str:
    """What is wrong with a value."""
    refusing = _REFUSING.search(str(error)) if isinstance(error, SigmaTypeError) else None
    if refusing is not None:
        return f"the modifier `{reverse_modifier_mapping.get(refusing[1], refusing[1])}` does not take this"
    return str(error).rstrip(".")


def hint_of(error: SigmaError, key: str | None) -> str:
    """The way out of it."""
    words = (key or "").split("|")[1:]
    if type(error).__name__ == "SigmaRegularExpressionError":
        return (
            "RE2 evaluates expressions, in time that no text can stretch: without look-around, "
            "back-references and repetitions beyond 1000"
        )
    if "cidr" in words:
        return "as in 192.0.2.0/24 or fc00::/7"
    if "fieldref" in words:
        return "write the name of a field, and `fieldref` right behind the field or behind `cased`"
    if "exists" in words:
        return "write true or false"
    if "re" in words and "cased" in words:
        return "expressions look at case unless `i` follows `re`"
    return "write a number" if NUMERIC & set(words) else _SPECIFICATION


def message_of_condition(error: SigmaError, condition: str) -> str:
    """What is wrong with a condition. pyparsing's places count from 0."""
    place = _PLACE.search(str(error)) if isinstance(error, SigmaConditionError) else None
    if place is None:
        return str(error).rstrip(".")
    if "Unbalanced" in str(error):
        return "has more parentheses on one side than on the other, or something missing between them"
    rest = condition[int(place[1]) :].strip()
    return f"cannot be read from `{rest[:_SHOWN]}` on" if rest else "ends where something has to follow"
