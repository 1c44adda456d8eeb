# SPDX-License-Identifier: Apache-2.0
"""Whether labels fit a label selector (Kubernetes documentation, "Labels and Selectors"; labels.Requirement
of k8s.io/apimachinery: NotIn and DoesNotExist also fit where the key is missing)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.policy.model import LabelSelector

_OPERATORS: Mapping[str, Callable[[str | None, tuple[str, ...]], bool]] = {
    "In": lambda value, values: value is not None and value in values,
    "NotIn": lambda value, values: value is None or value not in values,
    "Exists": lambda value, values: value is not None,
    "DoesNotExist": lambda value, values: value is None,
}


def fits(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """All requirements hold. An empty selector fits everything."""
    return all(labels.get(key) == value for key, value in selector.match_labels) and all(
        _OPERATORS[operator](labels.get(key), values) for key, operator, values in selector.match_expressions
    )
