# SPDX-License-Identifier: Apache-2.0
"""Metrics as Prometheus reads them, by its own library (the extra `metrics`).

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import Any

from agent.metrics.family import COUNTER, Family

PREFIX = "tracehound_"
MISSING = "metrics need the package prometheus-client: pip install 'tracehound[metrics]'"


def is_possible() -> bool:
    """Whether the library is there."""
    return find_spec("prometheus_client") is not None


def write(families: Iterable[Family], accept: str) -> tuple[bytes, str]:
    """The page and its content type; `accept` is what the client says that it reads."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(families))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Collector:
    """prometheus_client asks it for the metrics."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def describe(self) -> list[Any]:
        """Nothing: names are not checked against each other."""
        return []

    def collect(self) -> Iterator[Any]:
        """All, in the library's words."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for family in self._families:
            kind = CounterMetricFamily if family.kind == COUNTER else GaugeMetricFamily
            told = kind(PREFIX + family.name, family.help, labels=family.labels)
            for labels, value in family.samples:
                told.add_metric([_text(label) for label in labels], value)
            yield told


def _text(label: str) -> str:
    """Names of files are not always text; half a surrogate cannot be written as UTF-8."""
    return label.encode(errors="replace").decode()
