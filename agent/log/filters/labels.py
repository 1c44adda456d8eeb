# SPDX-License-Identifier: Apache-2.0
"""Kubernetes label selectors: `app=web,tier in (a,b),!canary`.

Grammar: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Labels = Mapping[str, str]
Selector = Callable[[Labels], bool]

_KEY = r"(?:[a-z0-9A-Z.-]+/)?[a-zA-Z0-9](?:[\w.-]*[a-zA-Z0-9])?"
_VALUE = r"(?:[a-zA-Z0-9](?:[\w.-]*[a-zA-Z0-9])?)?"
_REQUIREMENT = re.compile(
    rf"\s*(?:(?P<absent>!)\s*(?P<none>{_KEY})"
    rf"|(?P<key>{_KEY})(?:\s*(?P<operator>==|=|!=|>|<)\s*(?P<value>{_VALUE})"
    rf"|\s+(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?)\s*(?:,|$)",
    re.ASCII,
)


def parse_selector(text: str) -> Selector:
    """The function that tells whether labels fit. Raises ValueError with the offending place."""
    requirements = []
    at = 0
    while at < len(text):
        match = _REQUIREMENT.match(text, at)
        if match is None:
            raise ValueError(f"not a label selector: {text[at:]!r}")
        requirements.append(_requirement(match))
        at = match.end()
    if text.rstrip().endswith(","):
        raise ValueError(f"not a label selector, nothing follows the last comma: {text!r}")
    return lambda labels: all(fits(labels) for fits in requirements)


def _requirement(match: re.Match[str]) -> Selector:
    key = match["key"]
    if match["absent"]:
        absent = match["none"]
        return lambda labels: absent not in labels
    if match["set"]:
        return _set(key, match["set"], frozenset(map(str.strip, match["values"].split(","))))
    if match["operator"] in (">", "<"):
        return _order(key, match["operator"], match["value"])
    if match["operator"]:
        return _set(key, "notin" if match["operator"] == "!=" else "in", frozenset({match["value"]}))
    return lambda labels: key in labels


def _set(key: str, operator: str, values: frozenset[str]) -> Selector:
    """`notin` and `!=` hold for labels that lack the key; `in` and `=` do not."""
    for value in values:
        if not re.fullmatch(_VALUE, value, re.ASCII):
            raise ValueError(f"not a label value: {value!r}")
    if operator == "in":
        return lambda labels: labels.get(key) in values
    return lambda labels: labels.get(key) not in values


def _order(key: str, operator: str, value: str) -> Selector:
    limit = int(value)

    def fits(labels: Labels) -> bool:
        try:
            number = int(labels[key])
        except (KeyError, ValueError):
            return False
        return number > limit if operator == ">" else number < limit

    return fits
