# SPDX-License-Identifier: Apache-2.0
"""One metric with its samples, before anybody has decided how it is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

COUNTER, GAUGE = "counter", "gauge"

Sample = tuple[tuple[str, ...], float]


class Family(NamedTuple):
    """A metric. Names of counters have no `_total` here; it is added when they are written."""

    name: str
    """Without the prefix `tracehound_`."""
    kind: str
    """COUNTER: only grows while its source lives; GAUGE: any value."""
    help: str
    """One sentence, with the unit."""
    labels: tuple[str, ...] = ()
    """Names of the labels."""
    samples: tuple[Sample, ...] = ()
    """Values of the labels, in their order, and the value."""


def single(name: str, kind: str, help: str, value: float) -> Family:
    """A metric without labels."""
    return Family(name, kind, help, (), (((), float(value)),))


def by(name: str, kind: str, help: str, label: str, values: Mapping[str, Any]) -> Family:
    """A metric with one label."""
    return Family(name, kind, help, (label,), tuple(((key,), float(value)) for key, value in values.items()))


def rows(name: str, kind: str, help: str, labels: tuple[str, ...], samples: Iterable[Sample]) -> Family:
    """A metric with several labels; values of the same labels are added up."""
    found: dict[tuple[str, ...], float] = {}
    for key, value in samples:
        found[key] = found.get(key, 0.0) + value
    return Family(name, kind, help, labels, tuple(found.items()))
